"""The book: append, replay, checkpoint, prove, audit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from auditor.domain.entry import Recorded, entry_bytes
from auditor.domain.event import Event, event_from
from auditor.errors import LedgerError, MisuseError, ProofError, TamperedError
from auditor.ledger.store import Draft, EventStore, Row
from auditor.proof.merkle import Frontier, inclusion_path, leaf_hash
from auditor.proof.note import Checkpoint, sign_checkpoint
from auditor.proof.signing import Signer

Clock: TypeAlias = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What a full audit found: every entry hashes to its leaf, and all leaves to this root."""

    entries: int
    root: bytes


def utc_now() -> datetime:
    """The writer's clock; it is recorded, never trusted."""
    return datetime.now(UTC)


class Ledger:
    """Events in streams, in one order, under one Merkle root."""

    def __init__(self, store: EventStore, clock: Clock = utc_now) -> None:
        """A ledger over a store."""
        self._store = store
        self._clock = clock

    def append(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        expected_version: int,
        event_ids: Sequence[UUID],
    ) -> tuple[Recorded, ...]:
        """Append events to a stream, all or none.

        Args:
            expected_version: how many events the writer believes the stream to hold.
            event_ids: one per event; a call repeated with the same ids changes nothing and
                returns what was recorded the first time.

        Raises:
            ConcurrencyError: the stream is at another version.
            LedgerError: an id was used before for something else, or the store can't be written.
        """
        moment = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        drafts = [
            Draft(
                event_id=event_id,
                entry=entry_bytes(
                    event,
                    stream=stream,
                    version=expected_version + number,
                    event_id=event_id,
                    recorded_at=moment,
                ),
            )
            for number, (event, event_id) in enumerate(zip(events, event_ids, strict=True))
        ]
        return tuple(_recorded(row) for row in self._store.append(stream, drafts, expected_version))

    def replay(self, stream: str) -> tuple[Recorded, ...]:
        """A stream's events in order.

        Raises:
            TamperedError: an entry was changed.
        """
        return tuple(_recorded(row) for row in self._store.rows(stream))

    def read(self) -> Iterator[Recorded]:
        """Every event in order."""
        return (_recorded(row) for row in self._store.rows())

    def entry(self, sequence: int) -> bytes:
        """The stored bytes of one entry.

        Raises:
            MisuseError: there is no such entry.
        """
        row = self._store.row(sequence)
        if row is None:
            raise MisuseError(f"the ledger has no entry {sequence}; it holds {self.size}")
        return row.entry

    def streams(self, prefix: str) -> tuple[str, ...]:
        """Names of streams that start so, in the order of their first entry."""
        return self._store.streams(prefix)

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self._frontier().size

    def root(self, size: int | None = None) -> bytes:
        """Merkle root over the first ``size`` entries' bytes, by default over all.

        Raises:
            LedgerError: there are fewer.
        """
        leaves = self._leaves()
        if size is not None and size > len(leaves):
            raise LedgerError(f"the ledger holds {len(leaves)} entries, not {size}")
        frontier = Frontier()
        for leaf in leaves[:size]:
            frontier = frontier.append(leaf)
        return frontier.root()

    def checkpoint(self, signer: Signer, origin: str) -> str:
        """Sign the state now.

        Returns:
            A C2SP signed note.
        """
        frontier = self._frontier()
        state = Checkpoint(origin=origin, size=frontier.size, root=frontier.root())
        return sign_checkpoint(state, signer, origin)

    def prove(self, sequence: int, size: int) -> tuple[bytes, ...]:
        """Inclusion path of an entry in the tree of the first ``size`` entries.

        Raises:
            ProofError: no such entry in a tree of that size.
        """
        return inclusion_path(self._leaves(), sequence, size)

    def audit(self) -> Audited:
        """Re-hash every stored byte and hold it against leaves, columns and frontier.

        Raises:
            TamperedError: naming the first entry that isn't what it was.
        """
        frontier, versions, ids = Frontier(), dict[str, int](), set[UUID]()
        for row in self._store.rows():
            if row.sequence != frontier.size:
                raise TamperedError(f"entry {frontier.size} is missing from the ledger")
            recorded = _recorded(row)
            if recorded.version != versions.get(row.stream, 0) or row.event_id in ids:
                raise TamperedError(f"entry {row.sequence} is out of order in its stream")
            versions[row.stream] = recorded.version + 1
            ids.add(row.event_id)
            frontier = frontier.append(leaf_hash(row.entry))
        if frontier != self._frontier():
            raise TamperedError("the ledger's entries don't lead to its Merkle frontier")
        return Audited(entries=frontier.size, root=frontier.root())

    def close(self) -> None:
        """Let go of the store's files."""
        self._store.close()

    def _frontier(self) -> Frontier:
        try:
            return self._store.frontier()
        except ProofError as error:
            raise TamperedError(f"the ledger's head was changed: {error}") from None

    def _leaves(self) -> list[bytes]:
        return [leaf_hash(row.entry) for row in self._store.rows()]


def _recorded(row: Row) -> Recorded:
    """Read an entry, after checking that its bytes and columns are what they were."""
    if leaf_hash(row.entry) != row.leaf:
        raise TamperedError(f"entry {row.sequence} of the ledger was changed")
    try:
        fields = json.loads(row.entry)
        event = event_from(fields["kind"], fields["data"])
        recorded = Recorded(
            sequence=row.sequence,
            stream=fields["stream"],
            version=fields["version"],
            event_id=UUID(fields["event_id"]),
            recorded_at=fields["recorded_at"],
            event=event,
        )
    except (ValueError, KeyError, TypeError):
        raise TamperedError(
            f"entry {row.sequence} of the ledger can't be read; it was changed, or written by a "
            "newer version"
        ) from None
    if (recorded.stream, recorded.version, recorded.event_id) != (
        row.stream,
        row.version,
        row.event_id,
    ):
        raise TamperedError(f"entry {row.sequence} of the ledger was filed where it doesn't belong")
    return recorded
