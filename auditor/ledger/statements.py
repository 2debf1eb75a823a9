"""What the ledger's hot paths say to the database, in its dialect, and how they take its answers.

Composed once by SQLAlchemy and handed to the driver as text (`auditor.ledger.database.Driver`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

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

from auditor.errors import TamperedError
from auditor.ledger.database import POSTGRESQL, Driver, composed
from auditor.ledger.store import Row
from auditor.ledger.tables import Count, EntryRow, HeadRow
from auditor.proof.merkle import Frontier

ROW: Select[Any] = select(*(getattr(EntryRow, name) for name in Row._fields))

_HEAD = literal_column("0", type_=Count)  # id of the head's one row


class Statements(NamedTuple):
    """Texts with named values."""

    head: str
    version: str
    insert: str
    advance: str
    row: str
    rows: str
    stream: str
    streams: str
    event_ids: str
    hashes: str


def statements(engine: Engine) -> Statements:
    """Compose them all."""
    sequence, version = col(EntryRow.sequence), col(EntryRow.version)
    here = sequence == bindparam("sequence", type_=Count)
    start = bindparam("start", type_=Count)
    among_first = sequence < bindparam("size", type_=Count)
    of_stream = col(EntryRow.stream) == bindparam("stream")
    size, peaks = bindparam("new_size", type_=Count), bindparam("new_peaks", type_=LargeBinary())
    advance: ClauseElement = (
        # the application's role may not update the head itself; see the migration
        select(func.ledger_advance(size, peaks))
        if engine.dialect.name == POSTGRESQL
        else update(HeadRow).where(col(HeadRow.id) == _HEAD).values(size=size, peaks=peaks)
    )
    return Statements(
        head=composed(engine, select(col(HeadRow.id), col(HeadRow.size), col(HeadRow.peaks))),
        version=composed(engine, select(func.max(version)).where(of_stream)),
        insert=composed(engine, insert(EntryRow)),
        advance=composed(engine, advance),
        row=composed(engine, ROW.where(here)),
        rows=composed(engine, _paged(ROW.where(sequence >= start).order_by(sequence))),
        stream=composed(engine, _paged(ROW.where(of_stream, version >= start).order_by(version))),
        streams=composed(
            engine,
            # filtered, not selected: SQLite would look the first entries up in the table itself
            select(
                col(EntryRow.stream),
                func.max(version).filter(among_first),
                func.count().filter(among_first),
            ).group_by(col(EntryRow.stream)),
        ),
        event_ids=composed(engine, select(func.count(col(EntryRow.event_id)).filter(among_first))),
        hashes=composed(engine, select(col(EntryRow.leaf), col(EntryRow.subtrees)).where(here)),
    )


def read_version(driver: Driver, told: Statements, stream: str) -> int:
    """How many entries a stream holds.

    Raises:
        TamperedError: the newest one's version is no number.
    """
    newest = driver.rows(told.version, {"stream": stream})[0][0]
    if newest is not None and type(newest) is not int:
        raise TamperedError("a version number of the ledger was changed: it isn't of its own type")
    return 0 if newest is None else newest + 1


def frontier_of(head: Sequence[tuple[Any, ...]]) -> Frontier:
    """The frontier that the rows of the head's table hold.

    Raises:
        TamperedError: they aren't what the ledger writes there.
        ProofError: they hold no frontier.
    """
    if len(head) != 1 or tuple(map(type, head[0])) != (int, int, bytes) or head[0][0] != 0:
        raise TamperedError(
            "the ledger's head was changed: it is missing, or not what belongs there"
        )
    return Frontier.from_bytes(*head[0][1:])


def _paged(query: Select[Any]) -> Select[Any]:
    # SQLAlchemy gives SQLite an offset in any case, and a nameless value for it if we name none
    return query.limit(bindparam("count", type_=Count)).offset(literal_column("0"))
