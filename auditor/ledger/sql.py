"""The ledger in a database: one table of entries, one row of Merkle frontier.

Both are written in one transaction that holds the write lock from its start, so sequence numbers
have no gaps and the frontier always belongs to the entries. Triggers refuse changes as a guard
rail; the evidence is the signed checkpoints kept outside (DESIGN section 6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from uuid import UUID

from sqlalchemy import Engine, select
from sqlmodel import col

from auditor.errors import ConcurrencyError, TamperedError
from auditor.ledger.appender import Appender
from auditor.ledger.database import Driver, DuplicateError, driving, reading
from auditor.ledger.schema import ready_database
from auditor.ledger.statements import ROW, Statements, frontier_of, read_version, statements
from auditor.ledger.store import (
    STORED_TYPES,
    Indexed,
    Row,
    Stored,
    Write,
    last_leaf,
    require_distinct,
    stored_hash,
)
from auditor.ledger.tables import EntryRow
from auditor.proof.merkle import Frontier, Subtree

_ROWS_AT_ONCE = 5_000
_IDS_AT_ONCE = 500  # SQLite's limit on values in one statement is 32,766, older ones' 999


class SqlEventStore:
    """Entries in a SQL database."""

    def __init__(self, url: str) -> None:
        """Address the database; tables are made when it is first used."""
        self._url = url

    def append(self, writes: Sequence[Write]) -> Sequence[Row]:
        """See `EventStore.append`."""
        require_distinct(writes)
        try:
            return self._appender.append(writes, known={})
        except (ConcurrencyError, DuplicateError) as error:
            known = self._known(writes)
            if not known:
                raise error from None
            return self._appender.append(writes, known)

    def rows(self, start: int = 0) -> Iterator[Row]:
        """See `EventStore.rows`; read page by page, so that a ledger may outgrow the memory."""
        return map(_row, self._pages(self._statements.rows, _SEQUENCE, start, {}))

    def stored(self) -> Iterator[Stored]:
        """See `EventStore.stored`."""
        return self._pages(self._statements.rows, _SEQUENCE, _LOWEST, {})

    def indexed(self, size: int) -> Indexed:
        """See `EventStore.indexed`.

        SQLite answers out of the two indices alone. PostgreSQL plans as it sees fit, and its own
        `pg_amcheck` looks deeper.
        """
        streams, values = dict[str, int](), {"size": size}
        with driving(self._engine) as driver:
            for name, newest, count in driver.rows(self._statements.streams, values):
                if count:
                    whole = name not in streams and newest == count - 1
                    streams[name] = count if whole else -1
            ((event_ids,),) = driver.rows(self._statements.event_ids, values)
        return Indexed(streams, event_ids)

    def stream(self, name: str) -> Iterator[Row]:
        """See `EventStore.stream`."""
        return map(_row, self._pages(self._statements.stream, _VERSION, 0, {"stream": name}))

    def row(self, sequence: int) -> Row | None:
        """See `EventStore.row`."""
        with driving(self._engine) as driver:
            found = driver.rows(self._statements.row, {"sequence": sequence})
        return _row(found[0]) if found else None

    def version(self, stream: str) -> int:
        """See `EventStore.version`."""
        with driving(self._engine) as driver:
            return read_version(driver, self._statements, stream)

    def streams(self, prefix: str) -> tuple[str, ...]:
        """See `EventStore.streams`."""
        query = (
            select(col(EntryRow.stream))
            .where(col(EntryRow.version) == 0)
            .where(col(EntryRow.stream).startswith(prefix, autoescape=True))
            .order_by(col(EntryRow.sequence))
        )
        with reading(self._engine) as session:
            return tuple(session.execute(query).scalars())

    def frontier(self) -> Frontier:
        """See `EventStore.frontier`."""
        with driving(self._engine) as driver:
            return frontier_of(driver.rows(self._statements.head, {}))

    def hashes(self, wanted: Sequence[Subtree]) -> Sequence[bytes]:
        """See `EventStore.hashes`; one indexed read for each."""
        with driving(self._engine) as driver:
            return [_hash(driver, self._statements, subtree) for subtree in wanted]

    def close(self) -> None:
        """See `EventStore.close`."""
        if "_appender" in self.__dict__:
            self._appender.close()
        if "_engine" in self.__dict__:
            self._engine.dispose()

    def _pages(
        self, statement: str, place: int, start: int, values: dict[str, object]
    ) -> Iterator[Stored]:
        """Rows from ``start`` on, by the column in that place; no gap between them ends it."""
        while start <= _HIGHEST:
            page = {**values, "start": start, "count": _ROWS_AT_ONCE}
            with driving(self._engine) as driver:
                found = driver.rows(statement, page)
            if not found:
                return
            yield from found
            start = found[-1][place] + 1

    def _known(self, writes: Sequence[Write]) -> dict[UUID, Row]:
        ids = [str(draft.event_id) for write in writes for draft in write.drafts]
        known = {}
        with reading(self._engine) as session:
            for start in range(0, len(ids), _IDS_AT_ONCE):
                some = ids[start : start + _IDS_AT_ONCE]
                for fields in session.execute(ROW.where(col(EntryRow.event_id).in_(some))):
                    row = _row(tuple(fields))
                    known[row.event_id] = row
        return known

    @cached_property
    def _engine(self) -> Engine:
        return ready_database(self._url)

    @cached_property
    def _statements(self) -> Statements:
        return statements(self._engine)

    @cached_property
    def _appender(self) -> Appender:
        return Appender(self._engine, self._statements)


_SEQUENCE, _VERSION = Row._fields.index("sequence"), Row._fields.index("version")
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1  # what a column of counts can hold


def _hash(driver: Driver, statements: Statements, subtree: Subtree) -> bytes:
    found = driver.rows(statements.hashes, {"sequence": last_leaf(subtree)})
    held = found[0] if found and tuple(map(type, found[0])) == (bytes, bytes) else None
    return stored_hash(subtree, None if held is None else (held[0], held[1]))


def _row(fields: Stored) -> Row:
    """Read a row; SQLite holds a value of any type in any column, so nothing is taken for granted.

    Raises:
        TamperedError: a column isn't what the ledger writes there.
    """
    if tuple(map(type, fields)) != STORED_TYPES:
        raise TamperedError(f"entry {fields[0]} of the ledger was changed")
    try:
        event_id = UUID(fields[3])
    except ValueError:
        raise TamperedError(f"entry {fields[0]} of the ledger was changed") from None
    return Row(*fields)._replace(event_id=event_id)
