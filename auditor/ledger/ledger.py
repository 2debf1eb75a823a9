"""The book: append, replay, prove, audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from auditor.domain.entry import Recorded, entry_bytes
from auditor.domain.event import event_from
from auditor.domain.kind import Event
from auditor.errors import LedgerError, MisuseError, ProofError, TamperedError
from auditor.ledger.store import (
    Draft,
    EventStore,
    Row,
    Write,
    content_of,
    unreadable,
)
from auditor.ledger.walk import Walk, out_of_order
from auditor.proof.merkle import (
    Frontier,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_at,
    verify_consistency,
    verify_inclusion,
)

Clock: TypeAlias = Callable[[], datetime]
Progress: TypeAlias = Callable[[int, int], None]
"""Told how many entries are done, and of how many."""

_PROGRESS_EVERY = 4_096
_INDEX = "the entries are sound, an index of the database was changed; see docs/ledger.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What a full audit found: every entry hashes to its leaf, and all leaves to this root."""

    entries: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Events for one stream, as a caller words it.

    Attributes:
        expected_version: how many events the writer believes the stream to hold.
        event_ids: one per event; a call repeated with the same ids changes nothing and returns
            what was recorded the first time.
    """

    stream: str
    events: tuple[Event, ...]
    expected_version: int
    event_ids: tuple[UUID, ...]


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
        """Append events to one stream, all or none; see `Append` and `append_all`."""
        return self.append_all(
            [
                Append(
                    stream=stream,
                    events=tuple(events),
                    expected_version=expected_version,
                    event_ids=tuple(event_ids),
                )
            ]
        )

    def append_all(self, appends: Sequence[Append]) -> tuple[Recorded, ...]:
        """Append to several streams in one durable commit, all or none.

        Raises:
            ConcurrencyError: a stream is at another version.
            LedgerError: an id was used before for something else, or the store can't be written.
        """
        moment = self._clock().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        writes = [_write(each, moment) for each in appends]
        rows = iter(self._store.append(writes))
        return tuple(
            _placed(row, event, moment) if row.entry is draft.entry else _recorded(row)
            for append, write in zip(appends, writes, strict=True)
            for event, draft, row in zip(append.events, write.drafts, rows, strict=False)
        )

    def replay(self, stream: str) -> tuple[Recorded, ...]:
        """A stream's events in order.

        That its newest ones aren't missing from the look-up only an audit can tell.

        Raises:
            TamperedError: an entry was changed, or one before it isn't found.
        """
        records = tuple(_recorded(row) for row in self._placed(self._store.stream(stream)))
        for version, record in enumerate(records):
            if record.version != version:
                raise out_of_order(record.sequence)
        return records

    def version(self, stream: str) -> int:
        """How many events a stream holds."""
        return self._store.version(stream)

    def read(self, start: int = 0) -> Iterator[Recorded]:
        """Every event in order, from sequence ``start`` on."""
        return (_recorded(row) for row in self._placed(self._store.rows(start)))

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """The stored bytes of every entry in order, each held against its leaf hash."""
        return (_checked(row).entry for row in self._placed(self._store.rows(start)))

    def entry(self, sequence: int) -> bytes:
        """The stored bytes of one entry.

        Raises:
            MisuseError: there is no such entry.
            TamperedError: it was changed.
        """
        size = self.size
        row = self._store.row(sequence) if 0 <= sequence < size else None
        if row is None:
            raise MisuseError(f"the ledger has no entry {sequence}; it holds {size}")
        return _checked(row).entry

    def streams(self, prefix: str) -> tuple[str, ...]:
        """Names of streams that start so, in the order of their first entry."""
        return self._store.streams(prefix)

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self.frontier().size

    def frontier(self) -> Frontier:
        """The Merkle frontier over all entries.

        Raises:
            TamperedError: it isn't one.
        """
        try:
            return self._store.frontier()
        except ProofError as error:
            raise TamperedError(f"the ledger's head was changed: {error}") from None

    def root(self, size: int | None = None) -> bytes:
        """Merkle root over the first ``size`` entries, by default over all; O(log n) reads.

        Raises:
            LedgerError: there are fewer.
        """
        frontier = self.frontier()
        if size is None or size == frontier.size:
            return frontier.root()
        if size > frontier.size:
            raise LedgerError(f"the ledger holds {frontier.size} entries, not {size}")
        return root_at(self._store.hashes, size)

    def prove(self, sequence: int, size: int) -> tuple[bytes, ...]:
        """Inclusion path of an entry in the tree of the first ``size`` entries.

        Raises:
            ProofError: no such entry in a tree of that size.
            TamperedError: the stored hashes don't lead from the entry to the root.
        """
        if size > self.size:
            raise ProofError(f"the ledger holds {self.size} entries, not {size}")
        path = inclusion_path(self._store.hashes, sequence, size)
        leaf = leaf_hash(self.entry(sequence))
        try:
            verify_inclusion(leaf, sequence, size, path, self.root(size))
        except ProofError:
            raise TamperedError(
                "the ledger's stored hashes don't prove that entry; run: auditor ledger audit"
            ) from None
        return path

    def prove_extension(self, old: int, new: int) -> tuple[bytes, ...]:
        """Proof that the first ``new`` entries extend the first ``old`` ones.

        Raises:
            ProofError: sizes out of order, or beyond the ledger.
            TamperedError: the stored hashes don't prove it.
        """
        if new > self.size:
            raise ProofError(f"the ledger holds {self.size} entries, not {new}")
        path = consistency_path(self._store.hashes, old, new)
        try:
            verify_consistency(old, new, self.root(old), self.root(new), path)
        except ProofError:
            raise TamperedError(
                "the ledger's stored hashes don't prove its growth; run: auditor ledger audit"
            ) from None
        return path

    def audit(self, progress: Progress | None = None) -> Audited:
        """Re-hash every stored byte and hold it against leaves, columns, frontier and indices.

        Raises:
            TamperedError: naming the first entry that isn't what it was, or isn't found.
        """
        head, walk = self.frontier(), Walk()
        for stored in self._store.stored():
            if walk.size == head.size:  # an entry past the head: was it appended meanwhile?
                walk.arrive(head)
                head = self.frontier()
            if walk.size >= head.size:
                raise TamperedError(f"entry {stored[0]} was put where the ledger has none")
            walk.take(stored)
            if progress is not None and walk.size % _PROGRESS_EVERY == 0:
                progress(walk.size, head.size)
        walk.arrive(head)
        self._require_found(walk)
        if progress is not None:
            progress(walk.size, walk.size)
        return Audited(entries=walk.size, root=head.root())

    def close(self) -> None:
        """Let go of the store's files."""
        self._store.close()

    def _require_found(self, walk: Walk) -> None:
        """See that whoever looks entries up finds all that the walk came past, and no others."""
        found = self._store.indexed(walk.size)
        if found.streams != walk.versions:
            shown = {
                row.sequence
                for stream, count in walk.versions.items()
                if found.streams.get(stream) != count
                for row in self._store.stream(stream)
            }
            for sequence, stream, *_ in self._store.stored():
                if found.streams.get(stream) != walk.versions.get(stream) and sequence not in shown:
                    raise TamperedError(f"entry {sequence} isn't found in its stream: {_INDEX}")
            raise TamperedError(f"a stream shows entries that the ledger doesn't hold: {_INDEX}")
        if found.event_ids != walk.size:
            raise TamperedError(f"an entry isn't found by its event id: {_INDEX}")

    def _placed(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows, none of which may stand where the head says there is nothing."""
        size = self.size
        for row in rows:
            if row.sequence >= size:
                size = self.size  # appended meanwhile?
            if not 0 <= row.sequence < size:
                raise TamperedError(f"entry {row.sequence} was put where the ledger has none")
            yield row


def _write(append: Append, moment: str) -> Write:
    return Write(
        stream=append.stream,
        expected_version=append.expected_version,
        drafts=tuple(
            Draft(
                event_id=event_id,
                entry=entry_bytes(
                    event,
                    stream=append.stream,
                    version=append.expected_version + number,
                    event_id=event_id,
                    recorded_at=moment,
                ),
            )
            for number, (event, event_id) in enumerate(
                zip(append.events, append.event_ids, strict=True)
            )
        ),
    )


def _placed(row: Row, event: Event, moment: str) -> Recorded:
    return Recorded(
        sequence=row.sequence,
        stream=row.stream,
        version=row.version,
        event_id=row.event_id,
        recorded_at=moment,
        event=event,
    )


def _checked(row: Row) -> Row:
    if leaf_hash(row.entry) != row.leaf:
        raise TamperedError(f"entry {row.sequence} of the ledger was changed")
    return row


def _recorded(row: Row) -> Recorded:
    """Read an entry, after checking that its bytes and columns are what they were."""
    filed = (row.stream, row.version, str(row.event_id))
    fields = content_of(row.sequence, row.entry, row.leaf, filed)
    try:
        event = event_from(fields["kind"], fields["data"])
    except (ValueError, TypeError):
        raise unreadable(row.sequence) from None
    return _placed(row, event, fields["recorded_at"])
