from __future__ import annotations

import hashlib
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, LiteralString

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.domain.artefact import Digest
from auditor.errors import LedgerError, TamperedError
from auditor.ledger.database import open_database, reading
from auditor.ledger.vault import Vault
from auditor.ledger.wrapping import AesKey
from tests.postgresql import Database, database

PAYLOAD = b'{"subjects":["patient-4711"]}'
OLD, NEW = AesKey(bytes(32)), AesKey(bytes([1]) * 32)


def vault(path: Path, key: AesKey = OLD, *retired: AesKey) -> Vault:
    return vault_at(f"sqlite:///{path / 'ledger.db'}", key, *retired)


def vault_at(address: str, key: AesKey = OLD, *retired: AesKey) -> Vault:
    made = Vault(address, wrapping=key, lookup_key=bytes(range(32)), retired=retired)
    _MADE.append(made)
    return made


_MADE: list[Vault] = []


@pytest.fixture(autouse=True)
def vaults() -> Iterator[None]:
    """Those that a test opened are closed after it."""
    yield
    while _MADE:
        _MADE.pop().close()


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        with database() as made:
            yield made.application


def test_a_payload_comes_back_and_its_commitment_tells_nothing(address: str) -> None:
    kept = vault_at(address)
    first, second = kept.seal("case:1", PAYLOAD), kept.seal("case:1", PAYLOAD)
    assert first != second
    assert first.value != hashlib.sha256(PAYLOAD).hexdigest()
    assert kept.open(first) == kept.open(second) == PAYLOAD
    assert kept.commitments("case:1") == tuple(sorted((first, second), key=lambda d: d.value))
    kept.close()
    again = vault_at(address)
    assert again.open(first) == PAYLOAD
    again.close()


def test_forgetting_takes_payload_nonce_and_key_and_leaves_others(address: str) -> None:
    kept = vault_at(address)
    gone, stays = kept.seal("case:1", PAYLOAD), kept.seal("case:2", PAYLOAD)
    assert kept.holds(gone)
    assert kept.forget("case:1") == 1
    assert kept.forget("case:1") == 0
    assert not kept.holds(gone)
    with pytest.raises(LedgerError, match="erased"):
        kept.open(gone)
    assert kept.open(stays) == PAYLOAD
    kept.close()


def test_one_payload_is_forgotten_and_its_subjects_others_stay(address: str) -> None:
    kept = vault_at(address)
    gone, stays = kept.seal("case:1", PAYLOAD), kept.seal("case:1", b"another")
    for _ in range(2):
        kept.forget_payload(gone)
        assert not kept.holds(gone)
        assert kept.commitments("case:1") == (stays,)
        assert kept.open(stays) == b"another"
    kept.close()


def test_with_a_subjects_last_payload_its_key_is_forgotten(address: str) -> None:
    kept = vault_at(address)
    gone, others = kept.seal("case:1", PAYLOAD), kept.seal("case:2", PAYLOAD)
    kept.forget_payload(gone)
    assert kept.commitments("case:1") == ()
    assert kept.rotate() == 0
    assert key_rows(address) == 1
    assert kept.open(others) == PAYLOAD
    again = kept.seal("case:1", PAYLOAD)  # under another key
    assert kept.open(again) == PAYLOAD
    kept.close()


def key_rows(address: str) -> int:
    engine = open_database(address)
    with reading(engine) as session:
        (count,) = session.connection().exec_driver_sql("SELECT count(*) FROM vault_key").one()
    engine.dispose()
    return int(count)


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize(
    "forget",
    [lambda kept, _: kept.forget("case:1"), lambda kept, gone: kept.forget_payload(gone)],
    ids=["a subject", "a payload"],
)
def test_nothing_forgotten_stays_in_any_file(
    tmp_path: Path, forget: Callable[[Vault, Digest], object]
) -> None:
    kept = vault(tmp_path)
    gone, stays = kept.seal("case:1", PAYLOAD), kept.seal("case:2", PAYLOAD)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        traces = connection.execute(
            "SELECT sealed, wrapped FROM vault_payload JOIN vault_key USING (lookup) "
            "WHERE commitment = ?",
            (gone.value,),
        ).fetchone()
    connection.close()
    before = on_disk(tmp_path)
    assert all(trace in before for trace in (*traces, gone.value.encode()))
    forget(kept, gone)
    kept.close()
    after = on_disk(tmp_path)
    assert not any(trace in after for trace in (*traces, gone.value.encode()))
    assert stays.value.encode() in after


@pytest.mark.parametrize("again", ["done again", "opened again"])
def test_whoever_forgets_while_another_reads_is_told_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    monkeypatch.setattr("auditor.ledger.database._SECONDS_TO_WAIT_FOR_THE_LOCK", 0.1)
    kept = vault(tmp_path)
    gone = kept.seal("case:1", PAYLOAD)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        (sealed,) = reader.execute("SELECT sealed FROM vault_payload").fetchone()
        with pytest.raises(LedgerError, match="run the command again"):
            kept.forget("case:1")
        assert not kept.holds(gone)
        with closing(vault(tmp_path)) as other:  # waits for nobody, and says nothing
            assert not other.holds(gone)
        assert sealed in on_disk(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as idle:
        idle.execute("SELECT count(*) FROM entry").fetchone()  # or the last to close would clear it
        if again == "done again":
            assert kept.forget("case:1") == 0
        else:
            with closing(vault(tmp_path)) as other:
                assert not other.holds(gone)
        assert sealed not in on_disk(tmp_path)
    kept.close()


_FILES_WITH = """
SELECT count(*) FROM (SELECT 'base/' || oid AS folder FROM pg_database
                      WHERE datname = current_database()) AS here, pg_ls_dir(folder) AS name
WHERE position({trace} IN pg_read_binary_file(folder || '/' || name, 0, 100000000, true)) > 0
"""


def files_with(made: Database, trace: bytes) -> int:
    """How many of the database's files, of whatever table or index, hold these bytes."""
    sought = f"decode('{trace.hex()}', 'hex')"
    (found,) = made.as_owner("CHECKPOINT", _FILES_WITH.format(trace=sought))
    return int(found[0])


def traces_of(made: Database, commitment: Digest) -> list[bytes]:
    """Bytes of a payload and of its subject's key as they lie in the tables."""
    ((sealed, wrapped),) = made.as_owner(
        "SELECT sealed, wrapped FROM vault_payload JOIN vault_key USING (lookup) "
        f"WHERE commitment = '{commitment.value}'"
    )
    return [bytes(sealed[:60]), bytes(wrapped)]


@pytest.mark.parametrize("length", [100, 300_000], ids=["in its row", "beside its row"])
@pytest.mark.parametrize(
    "forget",
    [lambda kept, _: kept.forget("case:1"), lambda kept, gone: kept.forget_payload(gone)],
    ids=["a subject", "a payload"],
)
def test_nothing_forgotten_stays_in_postgresqls_files_whoever_reads(
    forget: Callable[[Vault, Digest], object], length: int
) -> None:
    with database() as made:
        kept = vault_at(made.application)
        gone, stays = (kept.seal(f"case:{n}", secrets.token_bytes(length)) for n in (1, 2))
        traces, before = traces_of(made, gone), kept.open(stays)
        assert all(files_with(made, trace) for trace in traces)
        made.as_owner("ANALYZE")  # which samples columns for the planner
        with earlier_snapshot(made) as reader:
            forget(kept, gone)
            assert not any(files_with(made, trace) for trace in traces)
            seen = "SELECT commitment FROM vault_payload JOIN vault_key USING (lookup)"
            assert reader(seen) == [(stays.value,)]  # as pg_dump would
        assert kept.open(stays) == before
        kept.close()


def test_no_key_of_before_a_rotation_stays_in_postgresqls_files_whoever_reads() -> None:
    with database() as made:
        kept = vault_at(made.application, NEW, OLD)
        before = vault_at(made.application)
        commitment = before.seal("case:1", PAYLOAD)
        before.close()
        (_, wrapped) = traces_of(made, commitment)
        with earlier_snapshot(made):
            assert kept.rotate() == 1
            assert not files_with(made, wrapped)
        assert kept.open(commitment) == PAYLOAD
        kept.close()


def test_samples_that_the_planner_took_before_go_with_the_first_who_is_forgotten() -> None:
    with database() as made:
        kept = vault_at(made.application)
        kept.seal_all([(f"case:{number}", PAYLOAD) for number in range(3)])
        made.as_owner(
            "ALTER TABLE vault_key ALTER wrapped SET STATISTICS 100",
            "ALTER TABLE vault_payload ALTER sealed SET STATISTICS 100",
            "ANALYZE",
        )
        sampled = "SELECT attname FROM pg_stats WHERE attname IN ('wrapped', 'sealed')"
        assert len(made.as_owner(sampled)) == 2
        kept.forget("case:1")
        assert made.as_owner("ANALYZE", sampled) == []
        kept.close()


@contextmanager
def earlier_snapshot(made: Database) -> Iterator[Callable[[LiteralString], list[Any]]]:
    """Somebody else who has looked at another table, and sees the database as it was then."""
    import psycopg

    with psycopg.connect(made.owner) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM entry")
        yield lambda statement: other.execute(statement).fetchall()


@pytest.mark.parametrize(
    "holding",
    ["SELECT count(*) FROM vault_payload", f"SELECT pg_advisory_xact_lock({0x61756469746F72})"],
    ids=["reads the vault", "a writer that doesn't end"],
)
def test_nothing_is_forgotten_or_kept_while_another_session_holds_postgresqls_vault(
    monkeypatch: pytest.MonkeyPatch, holding: LiteralString
) -> None:
    import psycopg

    monkeypatch.setattr("auditor.ledger.database._SECONDS_TO_WAIT_FOR_THE_LOCK", 0.2)
    with database() as made:
        kept = vault_at(made.application)
        gone = kept.seal("case:1", PAYLOAD)
        with psycopg.connect(made.application) as idle:
            idle.execute(holding)
            with pytest.raises(LedgerError, match="nothing was written; end that one"):
                kept.forget("case:1")
            assert kept.open(gone) == PAYLOAD
            if "advisory" in holding:
                with pytest.raises(LedgerError, match="nothing was written; end that one"):
                    kept.seal("case:2", PAYLOAD)
        assert kept.forget("case:1") == 1
        assert not kept.holds(gone)
        kept.close()


def test_nothing_readable_lies_on_disk(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    kept.seal("case:1", PAYLOAD)
    kept.close()
    stored = on_disk(tmp_path)
    assert b"patient-4711" not in stored
    assert b"case:1" not in stored


def test_another_homes_key_opens_nothing(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    commitment = kept.seal("case:1", PAYLOAD)
    kept.close()
    with pytest.raises(TamperedError):
        vault(tmp_path, NEW).open(commitment)


def test_a_rotated_vault_opens_with_the_new_key_and_not_with_the_old(address: str) -> None:
    kept = vault_at(address)
    sealed = [kept.seal(f"case:{number}", PAYLOAD) for number in range(3)]
    kept.close()
    turning = vault_at(address, NEW, OLD)
    assert all(turning.open(commitment) == PAYLOAD for commitment in sealed)
    fresh = turning.seal("case:9", PAYLOAD)
    assert (turning.rotate(), turning.rotate()) == (3, 0)
    turning.close()
    after, before = vault_at(address, NEW), vault_at(address, OLD)
    assert all(after.open(commitment) == PAYLOAD for commitment in (*sealed, fresh))
    for commitment in (*sealed, fresh):
        with pytest.raises(TamperedError):
            before.open(commitment)
    after.close()
    before.close()


_ROTATE = """
import sys
from pathlib import Path
from tests.ledger.test_vault import NEW, OLD, vault
turning = vault(Path(sys.argv[1]), NEW, OLD)
print("ready", flush=True)
turning.rotate()
"""


def test_a_rotation_that_is_killed_leaves_every_payload_readable(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    sealed = [kept.seal(f"case:{number}", PAYLOAD) for number in range(200)]
    kept.close()
    for delay in (0.0, 0.01, 0.02, 0.05):
        process = subprocess.Popen(
            [sys.executable, "-c", _ROTATE, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        process.stdout.close()
        turning = vault(tmp_path, NEW, OLD)
        assert all(turning.open(commitment) == PAYLOAD for commitment in sealed[::20])
        turning.close()
    turning = vault(tmp_path, NEW, OLD)
    turning.rotate()
    turning.close()
    assert all(vault(tmp_path, NEW).open(commitment) == PAYLOAD for commitment in sealed)


def test_a_vault_whose_key_is_no_longer_the_newest_gives_no_new_subject_a_key(
    tmp_path: Path,
) -> None:
    kept = vault(tmp_path)
    first = kept.seal("case:1", PAYLOAD)
    kept.close()
    stale = Vault(
        f"sqlite:///{tmp_path / 'ledger.db'}",
        wrapping=OLD,
        lookup_key=bytes(range(32)),
        newest=lambda: False,
    )
    with pytest.raises(LedgerError, match="rotated meanwhile"):
        stale.seal("case:2", PAYLOAD)
    assert stale.commitments("case:2") == ()
    assert stale.open(stale.seal("case:1", PAYLOAD)) == stale.open(first) == PAYLOAD
    stale.close()


_SEAL = """
import sys
from tests.ledger.test_vault import vault_at
for number in range(5):
    print(vault_at(sys.argv[1]).seal("case:shared", b"payload").value, flush=True)
"""


def test_processes_that_seal_for_one_subject_share_its_key(address: str) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _SEAL, address], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = [line for writer in writers for line in writer.communicate()[0].split()]
    kept = vault_at(address)
    assert len(told) == len(kept.commitments("case:shared")) == 15
    assert all(kept.open(Digest(value)) == b"payload" for value in told)
    kept.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE vault_payload SET sealed = (SELECT sealed FROM vault_payload "
        "WHERE commitment = :b) WHERE commitment = :a",
        "UPDATE vault_key SET wrapped = (SELECT k.wrapped FROM vault_key k JOIN vault_payload p "
        "USING (lookup) WHERE p.commitment = :b) WHERE lookup = (SELECT lookup FROM vault_payload "
        "WHERE commitment = :a)",
        "UPDATE vault_payload SET lookup = (SELECT lookup FROM vault_payload "
        "WHERE commitment = :b) WHERE commitment = :a",
        "UPDATE vault_payload SET sealed = 'text' WHERE commitment = :a AND :b <> ''",
        "UPDATE vault_payload SET sealed = x'00' WHERE commitment = :a AND :b <> ''",
        "UPDATE vault_key SET wrapped = 7 WHERE :a <> :b",
        "UPDATE vault_key SET wrapped_by = 'another' WHERE :a <> :b",
    ],
)
def test_rows_put_in_each_others_place_are_noticed(tmp_path: Path, statement: str) -> None:
    kept = vault(tmp_path)
    first, second = kept.seal("case:1", PAYLOAD), kept.seal("case:2", b"another")
    kept.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute(statement, {"a": first.value, "b": second.value})
    connection.close()
    with pytest.raises(TamperedError):
        vault(tmp_path).open(first)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["seal", "forget", "rotate"]))))
def test_the_vault_does_what_a_dict_does(tmp_path: Path, steps: list[tuple[str, str]]) -> None:
    folder = tmp_path / secrets.token_hex(4)
    folder.mkdir()
    keys, kept = [OLD], vault(folder)
    twin: dict[Digest, tuple[str, bytes]] = {}
    for number, (subject, step) in enumerate(steps):
        payload = f"{subject}{number}".encode()
        if step == "seal":
            twin[kept.seal(subject, payload)] = (subject, payload)
        elif step == "forget":
            gone = [commitment for commitment, (name, _) in twin.items() if name == subject]
            assert kept.forget(subject) == len(gone)
            for commitment in gone:
                del twin[commitment]
        else:
            kept.close()
            keys.append(AesKey(bytes([number + 2]) * 32))
            kept = vault(folder, keys[-1], keys[-2])
            kept.rotate()
    assert all(kept.open(commitment) == payload for commitment, (_, payload) in twin.items())
    for subject in "abc":
        expected = {commitment for commitment, (name, _) in twin.items() if name == subject}
        assert set(kept.commitments(subject)) == expected
    kept.close()


def test_many_are_kept_and_forgotten_at_once_or_not_at_all(address: str) -> None:
    kept = vault_at(address)
    stays = kept.seal("case:other", PAYLOAD)
    items = [(f"case:{n % 700}", f"payload {n}".encode()) for n in range(1_400)]
    commitments = kept.seal_all(items)
    assert [kept.open(c) for c in commitments[::97]] == [p for _, p in items[::97]]
    assert len(kept.commitments("case:3")) == 2
    with pytest.raises(TypeError):
        kept.seal_all([("case:new", PAYLOAD), ("case:bad", "no bytes")])  # type: ignore[list-item]  # wrong on purpose
    assert kept.commitments("case:new") == ()
    assert kept.forget_all([f"case:{n}" for n in range(700)]) == 1_400
    assert not any(kept.holds(c) for c in commitments[::97]) and kept.holds(stays)
    kept.close()


def test_a_pseudonym_is_keyed_and_of_one_kind(tmp_path: Path) -> None:
    kept, other = vault(tmp_path), Vault("sqlite://", wrapping=OLD, lookup_key=bytes(32))
    name = kept.pseudonym("external-id", "DSR-1")
    assert name == kept.pseudonym("external-id", "DSR-1") and len(name) == 64
    others = (
        kept.pseudonym("external-id", "DSR-2"),
        kept.pseudonym("external", "id-DSR-1"),
        kept.pseudonym("study", "DSR-1"),
        other.pseudonym("external-id", "DSR-1"),
        hashlib.sha256(b"DSR-1").hexdigest(),
    )
    assert name not in others
