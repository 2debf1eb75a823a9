"""Small ledgers for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelDeployed
from auditor.ledger.ledger import Append, Ledger
from auditor.ledger.sql import SqlEventStore

WEIGHTS = Digest.of(b"w")

_LEAF_OF_AN_INDEX = 0x0A


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


def drop_from_index(path: Path, text: bytes, version: int | None = None) -> None:
    """Drop an entry from a SQLite index and from nowhere else (SQLite file format, section 1.6).

    Args:
        path: of a database that nobody has open.
        text: an event id, or a stream.
        version: where it is a stream.
    """
    content, size = bytearray(path.read_bytes()), 4_096
    for page in range(0, len(content), size):
        if content[page] != _LEAF_OF_AN_INDEX:
            continue
        count = int.from_bytes(content[page + 3 : page + 5], "big")
        table = slice(page + 8, page + 8 + 2 * count)
        pointers = [bytes(content[at : at + 2]) for at in range(table.start, table.stop, 2)]
        for pointer in pointers:
            cell = bytes(content[page + int.from_bytes(pointer, "big") :][:120])
            types, values = cell[2 : 1 + cell[1]], cell[1 + cell[1] :]
            if values.startswith(text) and version in (None, _number(types[1], values[len(text)])):
                content[page + 3 : page + 5] = (count - 1).to_bytes(2, "big")
                content[table] = b"".join(each for each in pointers if each != pointer) + bytes(2)
                path.write_bytes(content)
                return
    raise AssertionError("no leaf of an index holds it")


def _number(serial_type: int, value: int) -> int:
    return {8: 0, 9: 1}.get(serial_type, value)
