"""Migrations: what they lead to, and a live ledger of an older version brought along."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

import auditor.ledger.projection
import auditor.ledger.vault
from auditor.errors import LedgerError, MisuseError, TamperedError
from auditor.ledger.database import open_database
from auditor.ledger.schema import NEWEST, bring_up_to_date, migrate_as_owner
from auditor.ledger.vault import Vault
from auditor.ledger.wrapping import AesKey
from auditor.proof.merkle import leaf_hash, root_of
from tests.ledger.books import audited, fill, open_ledger
from tests.postgresql import ROLE, database

OLD = Path(__file__).parents[1] / "vectors" / "ledger-0.1.sql"


@pytest.fixture
def old_book(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path)
    connection.executescript(OLD.read_text(encoding="utf-8"))
    connection.close()
    yield path


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        with database(migrated=False) as made:
            yield made.owner


def test_the_migrations_lead_to_the_tables_that_the_code_knows(address: str) -> None:
    engine = open_database(address)
    bring_up_to_date(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, SQLModel.metadata) == []
        assert context.get_current_revision() == NEWEST
    engine.dispose()


def test_the_newest_revision_is_the_last_of_the_scripts() -> None:
    folder = Path(auditor.ledger.projection.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_heads() == [NEWEST]


def stored(path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT sequence, stream, version, event_id, entry, leaf FROM entry ORDER BY sequence"
    ).fetchall()
    connection.close()
    return rows


def test_an_old_ledger_is_brought_along_and_no_leaf_changes(old_book: Path) -> None:
    before = stored(old_book)
    ledger = open_ledger(old_book)
    audited = ledger.audit()
    assert audited.entries == 9
    assert audited.root == root_of([leaf_hash(bytes(row[4])) for row in before])  # type: ignore[call-overload]  # a bare row
    assert stored(old_book) == before
    fill(ledger, 3)
    assert ledger.audit().entries == 12
    ledger.prove(4, 11)
    ledger.close()
    vault = Vault(f"sqlite:///{old_book}", wrapping=AesKey(bytes(32)), lookup_key=bytes(range(32)))
    (commitment,) = vault.commitments("case:1")
    assert vault.open(commitment) == b"payload"
    vault.close()
    connection = sqlite3.connect(old_book)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("UPDATE entry SET version = 4")
    connection.close()


def test_an_old_ledger_that_was_changed_stays_as_it_is(old_book: Path) -> None:
    connection = sqlite3.connect(old_book)
    connection.execute("DROP TRIGGER entry_no_update")
    connection.execute("UPDATE entry SET leaf = zeroblob(32) WHERE sequence = 3")
    connection.commit()
    connection.close()
    before = stored(old_book)
    with pytest.raises(TamperedError, match="stays as it is"):
        audited(old_book)
    assert stored(old_book) == before
    connection = sqlite3.connect(old_book)
    assert "subtrees" not in {row[1] for row in connection.execute("PRAGMA table_info(entry)")}
    connection.close()


_OLD_WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
print("ready", flush=True)
sys.stdin.readline()
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO entry (sequence, stream, version, event_id, entry, leaf) "
                   "SELECT 9, 'old', 0, 'x', entry, leaf FROM entry WHERE sequence = 0")
"""


def test_a_writer_of_the_old_version_is_refused_after_the_migration(old_book: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", _OLD_WRITER, str(old_book)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    ledger = open_ledger(old_book)
    assert ledger.audit().entries == 9
    _, said = writer.communicate("\n")
    assert "NOT NULL constraint failed: entry.subtrees" in said
    assert ledger.audit().entries == 9
    ledger.close()


def test_processes_that_open_an_old_ledger_together_migrate_it_once(old_book: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.ledger.books import fill, open_ledger; "
        "fill(open_ledger(Path(sys.argv[1])), 3, sys.argv[2])"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(old_book), name]) for name in "abc"
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    ledger = open_ledger(old_book)
    assert ledger.audit().entries == 18
    ledger.close()


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    audited(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerError, match="newer version"):
        audited(path)


def test_the_application_is_told_to_have_the_owner_migrate() -> None:
    with database(migrated=False) as made:
        with pytest.raises(LedgerError, match="auditor ledger migrate"):
            audited(made.application)
        migrate_as_owner(made.owner, ROLE)
        migrate_as_owner(made.owner, ROLE)
        assert audited(made.application) == 0


def test_roles_are_postgresqls_and_have_plain_names(tmp_path: Path) -> None:
    with pytest.raises(MisuseError):
        migrate_as_owner(f"sqlite:///{tmp_path / 'ledger.db'}", ROLE)
    with pytest.raises(MisuseError):
        migrate_as_owner("postgresql://owner@localhost/ledger", "role; DROP TABLE entry")
