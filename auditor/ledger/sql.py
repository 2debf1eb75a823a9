"""The ledger in a database: one table of entries, one row of Merkle frontier.

Both are written in one transaction that holds the write lock from its start, so sequence numbers
have no gaps and the frontier always belongs to the entries. Triggers refuse changes as a guard
rail; the evidence is the signed checkpoints kept outside (DESIGN section 6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from uuid import UUID

from sqlalchemy import Engine, UniqueConstraint, func
from sqlmodel import Field, Session, SQLModel, col, select

from auditor.errors import TamperedError
from auditor.ledger.database import open_database, reading, writing
from auditor.ledger.store import Draft, Row, already_there, require_version
from auditor.proof.merkle import Frontier

_HEAD = 0

_TRIGGERS = tuple(
    f"CREATE TRIGGER IF NOT EXISTS entry_no_{name} BEFORE {what} "
    f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    for name, what in (
        ("update", "UPDATE ON entry"),
        ("delete", "DELETE ON entry"),
        # INSERT OR REPLACE deletes silently where recursive_triggers is off
        (
            "replace",
            "INSERT ON entry WHEN EXISTS (SELECT 1 FROM entry WHERE sequence = NEW.sequence "
            "OR event_id = NEW.event_id OR (stream = NEW.stream AND version = NEW.version))",
        ),
    )
)


class EntryRow(SQLModel, table=True):
    """One entry. The columns beside ``entry`` are for finding it."""

    __tablename__ = "entry"
    __table_args__ = (UniqueConstraint("stream", "version"),)

    sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    stream: str = Field(index=True)
    version: int
    event_id: str = Field(unique=True)
    entry: bytes
    leaf: bytes


class HeadRow(SQLModel, table=True):
    """The Merkle frontier over all entries; one row."""

    __tablename__ = "head"

    id: int = Field(primary_key=True)
    size: int
    peaks: bytes


class SqlEventStore:
    """Entries in a SQL database."""

    def __init__(self, url: str) -> None:
        """Address the database; tables are made when it is first used."""
        self._url = url

    def append(self, stream: str, drafts: Sequence[Draft], expected_version: int) -> Sequence[Row]:
        """See `EventStore.append`."""
        with writing(self._engine) as session:
            ids = [str(draft.event_id) for draft in drafts]
            known = select(EntryRow).where(col(EntryRow.event_id).in_(ids))
            found = [_row(row) for row in session.exec(known.order_by(col(EntryRow.sequence)))]
            if already_there(stream, drafts, found):
                return found
            require_version(stream, _version(session, stream), expected_version)
            return _write(session, stream, drafts, expected_version)

    def rows(self, stream: str | None = None) -> Iterator[Row]:
        """See `EventStore.rows`."""
        query = select(EntryRow).order_by(col(EntryRow.sequence))
        if stream is not None:
            query = query.where(EntryRow.stream == stream)
        with reading(self._engine) as session:
            found = [_row(row) for row in session.exec(query)]
        return iter(found)

    def row(self, sequence: int) -> Row | None:
        """See `EventStore.row`."""
        with reading(self._engine) as session:
            found = session.get(EntryRow, sequence)
            return None if found is None else _row(found)

    def streams(self, prefix: str) -> tuple[str, ...]:
        """See `EventStore.streams`."""
        query = (
            select(EntryRow.stream)
            .where(col(EntryRow.stream).startswith(prefix, autoescape=True))
            .group_by(EntryRow.stream)
            .order_by(func.min(EntryRow.sequence))
        )
        with reading(self._engine) as session:
            return tuple(session.exec(query))

    def frontier(self) -> Frontier:
        """See `EventStore.frontier`."""
        with reading(self._engine) as session:
            return _frontier(session)

    def close(self) -> None:
        """See `EventStore.close`."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        engine = open_database(self._url)
        with writing(engine) as session:
            tables = [SQLModel.metadata.tables[name] for name in ("entry", "head")]
            SQLModel.metadata.create_all(session.connection(), tables=tables)
            for trigger in _TRIGGERS:
                session.connection().exec_driver_sql(trigger)
        return engine


def _write(session: Session, stream: str, drafts: Sequence[Draft], version: int) -> Sequence[Row]:
    frontier = _frontier(session)
    added = []
    for number, draft in enumerate(drafts):
        row = EntryRow(
            sequence=frontier.size,
            stream=stream,
            version=version + number,
            event_id=str(draft.event_id),
            entry=draft.entry,
            leaf=draft.leaf,
        )
        session.add(row)
        added.append(_row(row))
        frontier = frontier.append(draft.leaf)
    session.merge(HeadRow(id=_HEAD, size=frontier.size, peaks=frontier.to_bytes()))
    return added


def _version(session: Session, stream: str) -> int:
    query = select(func.count()).select_from(EntryRow).where(EntryRow.stream == stream)
    return session.exec(query).one()


def _frontier(session: Session) -> Frontier:
    head = session.get(HeadRow, _HEAD)
    if head is None:
        return Frontier()
    if type(head.size) is not int or type(head.peaks) is not bytes:
        raise TamperedError("the ledger's head was changed: it isn't of its own type")
    return Frontier.from_bytes(head.size, head.peaks)


def _row(row: EntryRow) -> Row:
    """Read a row; SQLite holds a value of any type in any column, so nothing is taken for granted.

    Raises:
        TamperedError: a column isn't what the ledger writes there.
    """
    held = (row.sequence, row.stream, row.version, row.event_id, row.entry, row.leaf)
    changed = TamperedError(f"entry {row.sequence} of the ledger was changed")
    if tuple(map(type, held)) != (int, str, int, str, bytes, bytes):
        raise changed
    try:
        event_id = UUID(row.event_id)
    except ValueError:
        raise changed from None
    return Row(
        sequence=row.sequence,
        stream=row.stream,
        version=row.version,
        event_id=event_id,
        entry=row.entry,
        leaf=row.leaf,
    )
