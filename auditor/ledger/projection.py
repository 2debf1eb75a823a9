"""Read models: what the entries add up to, kept so that a list needs no full replay.

A projection is a pure fold over the events of each key. Its states are kept in the database as a
snapshot, together with how far it got and the root of the ledger there; whatever doesn't fit any
more is thrown away and folded again from the entries. Nothing that is signed is ever read from a
snapshot: they lie outside trust.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Protocol, TypeAlias

from sqlalchemy import Engine, LargeBinary
from sqlmodel import Field, SQLModel, col, delete, select

from auditor.domain.canonical import Canonical, canonical_bytes
from auditor.domain.entry import Recorded
from auditor.ledger.database import reading, writing
from auditor.ledger.ledger import Ledger
from auditor.ledger.schema import ready_database

State: TypeAlias = Mapping[str, str]
_POSITION = ""  # no key is empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A fold of the ledger into one state for each key.

    Attributes:
        name: of the projection and the version of its fold; another version starts afresh.
        key: the key an event belongs to, or None where the projection ignores it.
        fold: the key's state after one more event; no state before the first.
    """

    name: str
    key: Callable[[Recorded], str | None]
    fold: Callable[[State | None, Recorded], State]


class SnapshotRow(SQLModel, table=True):
    """One state, or under the empty key the position of them all."""

    __tablename__ = "snapshot"

    projection: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    state: bytes = Field(sa_type=LargeBinary)


class Snapshots(Protocol):
    """Where states are kept between uses."""

    def load(self, projection: str) -> Mapping[str, State]:
        """All states of a projection by key."""

    def save(self, projection: str, states: Mapping[str, State]) -> None:
        """Put these states in the place of older ones of the same keys."""

    def drop(self, projection: str) -> None:
        """Forget all states of a projection."""


class SqlSnapshots:
    """Snapshots beside the entries."""

    def __init__(self, url: str) -> None:
        """Address the database."""
        self._url = url

    def load(self, projection: str) -> Mapping[str, State]:
        """See `Snapshots.load`; what can't be read is as good as not there."""
        query = select(SnapshotRow).where(SnapshotRow.projection == projection)
        with reading(self._engine) as session:
            try:
                return {row.key: _state(row.state) for row in session.exec(query)}
            except (ValueError, TypeError):
                return {}

    def save(self, projection: str, states: Mapping[str, State]) -> None:
        """See `Snapshots.save`."""
        with writing(self._engine) as session:
            for key, state in states.items():
                content = canonical_bytes(dict[str, Canonical](state))
                session.merge(SnapshotRow(projection=projection, key=key, state=content))

    def drop(self, projection: str) -> None:
        """See `Snapshots.drop`."""
        with writing(self._engine) as session:
            session.exec(delete(SnapshotRow).where(col(SnapshotRow.projection) == projection))

    def close(self) -> None:
        """Let go of the database."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        return ready_database(self._url)


def project(ledger: Ledger, projection: Projection, snapshots: Snapshots) -> Mapping[str, State]:
    """The states as of now: the snapshot's, with the events since folded in; saved again.

    Raises:
        TamperedError: an entry among those still to be folded was changed.
    """
    states = dict(snapshots.load(projection.name))
    position = states.pop(_POSITION, None)
    start = _resumable(ledger, position)
    if start is None:
        snapshots.drop(projection.name)
        states, start = {}, 0
    changed, size = _fold(projection, states, ledger.read(start), start)
    if size > start:
        at = {"size": str(size), "root": ledger.root(size).hex()}
        snapshots.save(projection.name, {**changed, _POSITION: at})
    return {**states, **changed}


def weed(ledger: Ledger, projection: Projection, snapshots: Snapshots) -> bool:
    """Throw a snapshot away that the entries don't add up to; whether there was one."""
    states = dict(snapshots.load(projection.name))
    if not states:
        return False
    start = _resumable(ledger, states.pop(_POSITION, None))
    if start is not None and states == _fold(projection, {}, islice(ledger.read(), start), 0)[0]:
        return False
    snapshots.drop(projection.name)
    return True


def rebuild(ledger: Ledger, projection: Projection) -> Mapping[str, State]:
    """The states folded from the first entry on, no snapshot read or written."""
    return _fold(projection, {}, ledger.read(), 0)[0]


def _fold(
    projection: Projection, states: Mapping[str, State], events: Iterable[Recorded], size: int
) -> tuple[dict[str, State], int]:
    changed: dict[str, State] = {}
    for recorded in events:
        size = recorded.sequence + 1
        key = projection.key(recorded)
        if key is not None:
            changed[key] = projection.fold(changed.get(key, states.get(key)), recorded)
    return changed, size


def _resumable(ledger: Ledger, position: State | None) -> int | None:
    """Where to go on folding; None where the snapshot isn't of this ledger as it stands."""
    if position is None:
        return None
    try:
        size, root = int(position["size"]), position["root"]
    except (KeyError, ValueError):
        return None
    return size if 0 <= size <= ledger.size and ledger.root(size).hex() == root else None


def _state(content: bytes) -> State:
    if type(content) is not bytes:  # SQLite holds a value of any type in any column
        raise TypeError("not a state")
    value = json.loads(content)
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("not a state")
    return value
