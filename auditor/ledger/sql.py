"""The ledger in a database: one table of entries, one row of Merkle frontier.

Both are written in one transaction that holds the write lock from its start, so sequence numbers
have no gaps and the frontier always belongs to the entries. Triggers refuse changes as a guard
rail; the evidence is the signed checkpoints kept outside (DESIGN section 6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ClauseElement,
    Engine,
    LargeBinary,
    Select,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlmodel import col

from auditor.errors import ConcurrencyError, TamperedError
from auditor.ledger.database import (
    POSTGRESQL,
    Driver,
    DuplicateError,
    composed,
    driving,
    reading,
)
from auditor.ledger.schema import ready_database
from auditor.ledger.store import (
    STORED_TYPES,
    Row,
    Stored,
    Write,
    already_there,
    grown,
    last_leaf,
    require_distinct,
    require_version,
    stored_hash,
)
from auditor.ledger.tables import Count, EntryRow, HeadRow
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
            return self._append(writes, known={})
        except (ConcurrencyError, DuplicateError) as error:
            known = self._known(writes)
            if not known:
                raise error from None
            return self._append(writes, known)

    def rows(self, start: int = 0) -> Iterator[Row]:
        """See `EventStore.rows`; read page by page, so that a ledger may outgrow the memory."""
        return map(_row, self._pages(self._statements.rows, _SEQUENCE, start, {}))

    def stored(self) -> Iterator[Stored]:
        """See `EventStore.stored`."""
        return self._pages(self._statements.rows, _SEQUENCE, _LOWEST, {})

    def stream(self, name: str) -> Iterator[Row]:
        """See `EventStore.stream`."""
        return map(_row, self._pages(self._statements.stream, _VERSION, 0, {"stream": name}))

    def row(self, sequence: int) -> Row | None:
        """See `EventStore.row`."""
        with driving(self._engine, write=False) as driver:
            found = driver.rows(self._statements.row, {"sequence": sequence})
        return _row(found[0]) if found else None

    def version(self, stream: str) -> int:
        """See `EventStore.version`."""
        with driving(self._engine, write=False) as driver:
            return _version(driver, self._statements, stream)

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
        with driving(self._engine, write=False) as driver:
            return _frontier(driver, self._statements)

    def hashes(self, wanted: Sequence[Subtree]) -> Sequence[bytes]:
        """See `EventStore.hashes`; one indexed read for each."""
        with driving(self._engine, write=False) as driver:
            return [_hash(driver, self._statements, subtree) for subtree in wanted]

    def close(self) -> None:
        """See `EventStore.close`."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    def _append(self, writes: Sequence[Write], known: dict[UUID, Row]) -> Sequence[Row]:
        result: list[Row] = []
        with driving(self._engine, write=True) as driver:
            before = frontier = _frontier(driver, self._statements)
            for write in writes:
                found = [known[d.event_id] for d in write.drafts if d.event_id in known]
                if not already_there(write, found):
                    version = _version(driver, self._statements, write.stream)
                    require_version(write.stream, version, write.expected_version)
                    frontier, added = grown(frontier, write, version)
                    driver.run(self._statements.insert, [_values(row) for row in added])
                    found = list(added)
                result += found
            if frontier != before:
                peaks = {"new_size": frontier.size, "new_peaks": frontier.to_bytes()}
                driver.run(self._statements.advance, [peaks])
        return result

    def _pages(
        self, statement: str, place: int, start: int, values: dict[str, object]
    ) -> Iterator[Stored]:
        """Rows from ``start`` on, by the column in that place; no gap between them ends it."""
        while start <= _HIGHEST:
            page = {**values, "start": start, "count": _ROWS_AT_ONCE}
            with driving(self._engine, write=False) as driver:
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
                for fields in session.execute(_ROW.where(col(EntryRow.event_id).in_(some))):
                    row = _row(tuple(fields))
                    known[row.event_id] = row
        return known

    @cached_property
    def _engine(self) -> Engine:
        return ready_database(self._url)

    @cached_property
    def _statements(self) -> _Statements:
        return _statements(self._engine)


_COLUMNS = ("sequence", "stream", "version", "event_id", "entry", "leaf", "subtrees")
_SEQUENCE, _VERSION = _COLUMNS.index("sequence"), _COLUMNS.index("version")
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1  # what a column of counts can hold
_ROW: Select[Any] = select(*(getattr(EntryRow, name) for name in _COLUMNS))


class _Statements(NamedTuple):
    """What the hot paths say to the database, in its dialect."""

    frontier: str
    version: str
    insert: str
    advance: str
    row: str
    rows: str
    stream: str
    hashes: str


def _statements(engine: Engine) -> _Statements:
    sequence, version = col(EntryRow.sequence), col(EntryRow.version)
    here = sequence == bindparam("sequence", type_=Count)
    start = bindparam("start", type_=Count)
    of_stream = col(EntryRow.stream) == bindparam("stream")
    size, peaks = bindparam("new_size", type_=Count), bindparam("new_peaks", type_=LargeBinary())
    advance: ClauseElement = (
        # the application's role may not update the head itself; see the migration
        select(func.ledger_advance(size, peaks))
        if engine.dialect.name == POSTGRESQL
        else update(HeadRow).values(size=size, peaks=peaks)
    )
    return _Statements(
        frontier=composed(engine, select(col(HeadRow.id), col(HeadRow.size), col(HeadRow.peaks))),
        version=composed(engine, select(func.max(version)).where(of_stream)),
        insert=composed(engine, insert(EntryRow)),
        advance=composed(engine, advance),
        row=composed(engine, _ROW.where(here)),
        rows=composed(engine, _paged(_ROW.where(sequence >= start).order_by(sequence))),
        stream=composed(engine, _paged(_ROW.where(of_stream, version >= start).order_by(version))),
        hashes=composed(engine, select(col(EntryRow.leaf), col(EntryRow.subtrees)).where(here)),
    )


def _paged(query: Select[Any]) -> Select[Any]:
    # SQLAlchemy gives SQLite an offset in any case, and a nameless value for it if we name none
    return query.limit(bindparam("count", type_=Count)).offset(literal_column("0"))


def _values(row: Row) -> dict[str, object]:
    return {
        "sequence": row.sequence,
        "stream": row.stream,
        "version": row.version,
        "event_id": str(row.event_id),
        "entry": row.entry,
        "leaf": row.leaf,
        "subtrees": row.subtrees,
    }


def _version(driver: Driver, statements: _Statements, stream: str) -> int:
    newest = driver.rows(statements.version, {"stream": stream})[0][0]
    if newest is not None and type(newest) is not int:
        raise TamperedError("a version number of the ledger was changed: it isn't of its own type")
    return 0 if newest is None else newest + 1


def _frontier(driver: Driver, statements: _Statements) -> Frontier:
    heads = driver.rows(statements.frontier, {})
    if len(heads) != 1 or tuple(map(type, heads[0])) != (int, int, bytes) or heads[0][0] != 0:
        raise TamperedError(
            "the ledger's head was changed: it is missing, or not what belongs there"
        )
    return Frontier.from_bytes(*heads[0][1:])


def _hash(driver: Driver, statements: _Statements, subtree: Subtree) -> bytes:
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
    return Row(
        sequence=fields[0],
        stream=fields[1],
        version=fields[2],
        event_id=event_id,
        entry=fields[4],
        leaf=fields[5],
        subtrees=fields[6],
    )
