"""Small ledgers for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelDeployed
from auditor.ledger.ledger import Append, Ledger
from auditor.ledger.sql import SqlEventStore

WEIGHTS = Digest.of(b"w")


def open_ledger(address: Path | str) -> Ledger:
    """The ledger in a SQLite file, or at a database's address."""
    return Ledger(SqlEventStore(f"sqlite:///{address}" if isinstance(address, Path) else address))


def an_append(stream: str, version: int) -> Append:
    """One event for a stream."""
    event = ModelDeployed(model="detector", version=version, weights=WEIGHTS)
    return Append(stream=stream, events=(event,), expected_version=version, event_ids=(uuid4(),))


def fill(ledger: Ledger, count: int, stream: str = "m") -> None:
    """Append so many events to a stream, each by itself."""
    start = ledger.version(stream)
    for version in range(start, start + count):
        ledger.append_all([an_append(stream, version)])


def audited(address: Path | str) -> int:
    """Audit a ledger and close it; how many entries it holds."""
    ledger = open_ledger(address)
    try:
        return ledger.audit().entries
    finally:
        ledger.close()
