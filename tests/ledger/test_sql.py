"""The database on disk: guard rails, and a writer killed in the middle."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelDeployed
from auditor.errors import LedgerError, TamperedError
from auditor.ledger.ledger import Ledger
from auditor.ledger.sql import SqlEventStore


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    ledger = open_ledger(path)
    for version in range(5):
        event = ModelDeployed(model="detector", version=version, weights=Digest.of(b"w"))
        ledger.append("m", [event], expected_version=version, event_ids=[uuid4()])
    ledger.close()
    return path


def open_ledger(path: Path) -> Ledger:
    return Ledger(SqlEventStore(f"sqlite:///{path}"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET entry = x'00' WHERE sequence = 2",
        "DELETE FROM entry WHERE sequence = 4",
        "INSERT OR REPLACE INTO entry SELECT sequence, stream, version, event_id, x'00', leaf "
        "FROM entry WHERE sequence = 2",
    ],
)
def test_the_guard_rails_refuse(database: Path, statement: str) -> None:
    connection = sqlite3.connect(database)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    assert open_ledger(database).audit().entries == 5


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET entry = x'00' WHERE sequence = 2",
        "UPDATE entry SET version = 9 WHERE sequence = 2",
        "UPDATE entry SET stream = 'other' WHERE sequence = 4",
        "UPDATE entry SET leaf = zeroblob(32) WHERE sequence = 0",
        "DELETE FROM entry WHERE sequence = 4",
        "DELETE FROM entry WHERE sequence = 1",
        "UPDATE head SET size = 4",
        "UPDATE head SET peaks = zeroblob(64)",
        "UPDATE entry SET sequence = 7 WHERE sequence = 4",
        # SQLite takes any type in any column
        "UPDATE entry SET entry = replace(entry, 'detector', 'detected') WHERE sequence = 2",
        "UPDATE entry SET entry = 7 WHERE sequence = 2",
        "UPDATE entry SET leaf = 'leaf' WHERE sequence = 2",
        "UPDATE entry SET event_id = 'none' WHERE sequence = 2",
        "UPDATE entry SET event_id = 12 WHERE sequence = 2",
        "UPDATE entry SET event_id = x'0011' WHERE sequence = 2",
        "UPDATE entry SET stream = x'6d' WHERE sequence = 2",
        "UPDATE entry SET version = 'two' WHERE sequence = 2",
        "UPDATE entry SET version = 1.5 WHERE sequence = 2",
        "UPDATE head SET size = 'five'",
        "UPDATE head SET peaks = 'peaks'",
    ],
)
def test_behind_the_guard_rails_the_audit_finds_it(database: Path, statement: str) -> None:
    connection = sqlite3.connect(database)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in names:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    connection.commit()
    connection.close()
    ledger = open_ledger(database)
    with pytest.raises(TamperedError):
        ledger.audit()
    ledger.close()


_WRITER = """
import sys
from uuid import uuid4
from auditor.domain.artefact import Digest
from auditor.domain.event import ModelDeployed
from auditor.ledger.ledger import Ledger
from auditor.ledger.sql import SqlEventStore
ledger = Ledger(SqlEventStore("sqlite:///" + sys.argv[1]))
version = len(ledger.replay("m"))
while True:
    event = ModelDeployed(model="detector", version=version, weights=Digest.of(b"w"))
    ledger.append("m", [event], expected_version=version, event_ids=[uuid4()])
    version += 1
    print(version, flush=True)
"""


def test_a_killed_writer_loses_nothing_it_was_told_is_kept(database: Path) -> None:
    for round_ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(database)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        told = 0
        for _ in range(5 + round_):
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        ledger = open_ledger(database)
        assert ledger.audit().entries >= told
        ledger.close()


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(LedgerError):
        open_ledger(path).audit()
