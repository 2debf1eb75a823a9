"""The database itself: guard rails, what lies behind them, rights, and writers side by side."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from auditor.errors import ConcurrencyError, LedgerError, TamperedError
from auditor.ledger.database import open_database
from auditor.ledger.schema import ERASABLE
from tests.ledger.books import an_append, audited, fill, open_ledger
from tests.postgresql import ROLE, Database, database


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    ledger = open_ledger(path)
    fill(ledger, 5)
    ledger.close()
    return path


@pytest.fixture
def server_book() -> Iterator[Database]:
    with database() as made:
        ledger = open_ledger(made.application)
        fill(ledger, 5)
        ledger.close()
        yield made


GUARDED = [
    "UPDATE entry SET leaf = entry WHERE sequence = 2",
    "DELETE FROM entry WHERE sequence = 4",
    "UPDATE head SET size = 4",
    "UPDATE head SET size = 5, peaks = peaks",
    "DELETE FROM head",
]


@pytest.mark.parametrize(
    "statement",
    [
        *GUARDED,
        "INSERT OR REPLACE INTO entry SELECT sequence, stream, version, event_id, x'00', leaf, "
        "subtrees FROM entry WHERE sequence = 2",
        "INSERT OR REPLACE INTO entry SELECT 5, stream, version, 'other', x'00', leaf, "
        "subtrees FROM entry WHERE sequence = 2",
        "INSERT OR REPLACE INTO head VALUES (0, 4, x'00')",
    ],
)
def test_sqlites_guard_rails_refuse(book: Path, statement: str) -> None:
    connection = sqlite3.connect(book)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    assert audited(book) == 5


@pytest.mark.parametrize(
    "statement",
    [
        *GUARDED,
        "TRUNCATE entry",
        "INSERT INTO entry SELECT sequence, stream, version, event_id, leaf, leaf, leaf FROM entry "
        "WHERE sequence = 2 ON CONFLICT (sequence) DO UPDATE SET entry = excluded.entry",
    ],
)
def test_postgresqls_guard_rails_refuse_even_the_owner(
    server_book: Database, statement: str
) -> None:
    import psycopg

    with pytest.raises(psycopg.Error, match="append-only"):
        server_book.as_owner(statement)
    with pytest.raises(psycopg.Error, match=r"permission denied|append-only"):
        server_book.as_application(statement)
    assert audited(server_book.application) == 5


def test_the_applications_role_may_only_insert_and_select_entries(server_book: Database) -> None:
    rights = server_book.as_owner(
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants "
        f"WHERE grantee = '{ROLE}' AND table_name NOT IN {ERASABLE} ORDER BY 1, 2"
    )
    assert rights == [
        ("alembic_version", "SELECT"),
        ("entry", "INSERT"),
        ("entry", "SELECT"),
        ("head", "SELECT"),
    ]
    assert server_book.as_owner("SELECT count(*) FROM pg_class WHERE relkind = 'S'") == [(0,)]


TAMPERING = [
    "UPDATE entry SET entry = leaf WHERE sequence = 2",
    "UPDATE entry SET version = 9 WHERE sequence = 2",
    "UPDATE entry SET stream = 'other' WHERE sequence = 4",
    "UPDATE entry SET leaf = subtrees WHERE sequence = 0",
    "UPDATE entry SET subtrees = leaf WHERE sequence = 1",
    "UPDATE entry SET subtrees = leaf WHERE sequence = 2",
    "UPDATE entry SET event_id = 'none' WHERE sequence = 2",
    "UPDATE entry SET sequence = 7 WHERE sequence = 4",
    "DELETE FROM entry WHERE sequence = 4",
    "DELETE FROM entry WHERE sequence = 1",
    "DELETE FROM entry",
    "UPDATE head SET size = 4",
    "UPDATE head SET size = 6",
    "UPDATE head SET size = 17",
    "DELETE FROM head",
]


@pytest.mark.parametrize(
    "statement",
    [
        *TAMPERING,
        "UPDATE head SET peaks = zeroblob(64)",
        "UPDATE entry SET entry = zeroblob(100) WHERE sequence = 3",
        # SQLite takes any type in any column
        "UPDATE entry SET entry = replace(entry, 'detector', 'detected') WHERE sequence = 2",
        "UPDATE entry SET entry = 7 WHERE sequence = 2",
        "UPDATE entry SET leaf = 'leaf' WHERE sequence = 2",
        "UPDATE entry SET subtrees = '' WHERE sequence = 2",
        "UPDATE entry SET event_id = 12 WHERE sequence = 2",
        "UPDATE entry SET event_id = x'0011' WHERE sequence = 2",
        "UPDATE entry SET stream = x'6d' WHERE sequence = 2",
        "UPDATE entry SET version = 'two' WHERE sequence = 2",
        "UPDATE entry SET version = 1.5 WHERE sequence = 2",
        "UPDATE head SET size = 'five'",
        "UPDATE head SET size = -1",
        "UPDATE head SET peaks = 'peaks'",
        "UPDATE head SET peaks = x'00'",
    ],
)
def test_behind_dropped_triggers_the_audit_finds_it(book: Path, statement: str) -> None:
    connection = sqlite3.connect(book)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in names:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    connection.commit()
    connection.close()
    ledger = open_ledger(book)
    with pytest.raises(TamperedError):
        ledger.audit()
    ledger.close()


@pytest.mark.parametrize("statement", TAMPERING)
def test_behind_postgresqls_dropped_triggers_too(server_book: Database, statement: str) -> None:
    server_book.as_owner(
        "ALTER TABLE entry DISABLE TRIGGER ALL", "ALTER TABLE head DISABLE TRIGGER ALL", statement
    )
    ledger = open_ledger(server_book.application)
    with pytest.raises(TamperedError):
        ledger.audit()
    ledger.close()


def test_the_first_bad_entry_is_named(book: Path) -> None:
    connection = sqlite3.connect(book)
    connection.execute("DROP TRIGGER entry_no_update")
    connection.execute("UPDATE entry SET entry = x'7b7d' WHERE sequence IN (1, 3)")
    connection.commit()
    connection.close()
    ledger = open_ledger(book)
    with pytest.raises(TamperedError, match="entry 1 "):
        ledger.audit()
    with pytest.raises(TamperedError, match="entry 3 "):
        ledger.entry(3)
    with pytest.raises(TamperedError, match="entry 1 "):
        ledger.replay("m")
    with pytest.raises(TamperedError):
        ledger.prove(3, 5)
    ledger.close()


_WRITER = """
import sys
from tests.ledger.books import an_append, open_ledger
from auditor.errors import ConcurrencyError
from pathlib import Path
address, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
ledger = open_ledger(Path(address) if address.startswith("/") else address)
shared = 0
for version in range(count):
    ledger.append_all([an_append(name, version)])
    while True:
        try:
            ledger.append_all([an_append("shared", ledger.version("shared"))])
            break
        except ConcurrencyError:
            pass
"""


def write_side_by_side(address: str, writers: int, count: int) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", _WRITER, address, f"w{number}", str(count)])
        for number in range(writers)
    ]
    assert [process.wait() for process in processes] == [0] * writers
    ledger = open_ledger(Path(address) if address.startswith("/") else address)
    assert ledger.audit().entries == 2 * writers * count
    assert ledger.version("shared") == writers * count
    assert all(ledger.version(f"w{number}") == count for number in range(writers))
    ledger.close()


def test_processes_write_side_by_side_on_sqlite(tmp_path: Path) -> None:
    write_side_by_side(str(tmp_path / "ledger.db"), writers=4, count=25)


def test_processes_write_side_by_side_on_postgresql() -> None:
    with database() as made:
        write_side_by_side(made.application, writers=4, count=25)


def take_turns(address: Path | str) -> None:
    """Each finds what the other wrote since, though it remembers where it left off itself."""
    one, other = open_ledger(address), open_ledger(address)
    for version in range(4):
        (one, other)[version % 2].append_all([an_append("m", version)])
    fill(one, 1, "n")
    for behind in (one, other):
        with pytest.raises(ConcurrencyError):
            behind.append_all([an_append("m", 3)])
        with pytest.raises(ConcurrencyError):
            behind.append_all([an_append("n", 0)])
    other.append_all([an_append("n", 1), an_append("m", 4)])
    assert one.audit() == other.audit()
    assert one.size == 7
    for each in (one, other):
        each.close()
        fill(each, 1)
        each.close()
    assert audited(address) == 9


def test_two_that_take_turns_find_what_the_other_wrote(tmp_path: Path) -> None:
    take_turns(tmp_path / "ledger.db")


def test_two_that_take_turns_on_postgresql_do() -> None:
    with database() as made:
        take_turns(made.application)


def test_threads_may_share_a_ledger(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.db")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(fill, ledger, 10, name) for name in "abcd"]:
            done.result()
    assert ledger.audit().entries == 40
    ledger.close()


def test_a_server_that_was_started_anew_meanwhile_is_found_again(server_book: Database) -> None:
    ledger = open_ledger(server_book.application)
    fill(ledger, 1)
    server_book.as_owner(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    fill(ledger, 1)
    assert ledger.audit().entries == 7
    ledger.close()


def test_postgresql_commits_in_order_and_readers_see_no_gap() -> None:
    """A writer that has its rows but not its commit holds up the next, and readers see neither."""
    import psycopg

    with database() as made:
        first, second = open_ledger(made.application), open_ledger(made.application)
        fill(first, 1)
        with psycopg.connect(made.application) as slow:
            slow.execute("SELECT pg_advisory_xact_lock(%s)", (0x61756469746F72,))
            waiting = threading.Thread(target=fill, args=(second, 1, "b"))
            waiting.start()
            waiting.join(0.5)
            assert waiting.is_alive()
            assert first.size == 1
            slow.rollback()
        waiting.join(30)
        assert not waiting.is_alive()
        assert [item.sequence for item in first.read()] == [0, 1]
        first.close()
        second.close()


def test_a_rogue_insert_past_the_lock_makes_no_gap() -> None:
    """Somebody with the role's password inserts an entry and no head: found, never built upon."""
    import psycopg

    with database() as made:
        ledger = open_ledger(made.application)
        fill(ledger, 2)
        with psycopg.connect(made.application) as rogue:
            rogue.execute(
                "INSERT INTO entry SELECT 2, 'r', 0, 'x', entry, leaf, leaf FROM entry "
                "WHERE sequence = 0"
            )
        with pytest.raises(LedgerError):
            fill(ledger, 1)
        with pytest.raises(TamperedError):
            ledger.audit()
        ledger.close()


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(TamperedError, match="restore"):
        audited(path)


@pytest.mark.parametrize(
    "address",
    ["mysql://localhost/ledger", "ledger.db", "", "postgresql://nobody@127.0.0.1:1/none"],
)
def test_an_address_that_leads_nowhere_is_one_clear_error(address: str) -> None:
    with pytest.raises(LedgerError) as caught:
        audited(address)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="folder"):
        audited(tmp_path / "gone" / "ledger.db")


def test_an_event_id_in_use_elsewhere_is_refused_and_the_book_stays(book: Path) -> None:
    ledger = open_ledger(book)
    taken = next(iter(ledger.read())).event_id
    append = an_append("other", 0)
    with pytest.raises(LedgerError, match="used before"):
        ledger.append("other", append.events, expected_version=0, event_ids=[taken])
    with pytest.raises(ConcurrencyError):
        ledger.append("m", append.events, expected_version=0, event_ids=[uuid4()])
    assert ledger.audit().entries == 5
    ledger.close()


def test_the_database_is_opened_durably(book: Path) -> None:
    engine = open_database(f"sqlite:///{book}")
    with engine.connect() as connection:
        told = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete", "recursive_triggers")
        }
    engine.dispose()
    assert told == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "secure_delete": 1,
        "recursive_triggers": 1,
    }
