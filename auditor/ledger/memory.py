"""A ledger store in memory: for tests, and as the plain statement of what a store does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from auditor.ledger.store import (
    Indexed,
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
from auditor.proof.merkle import Frontier, Subtree


class MemoryEventStore:
    """Entries in a list."""

    def __init__(self) -> None:
        """An empty store."""
        self._rows: list[Row] = []
        self._frontier = Frontier()

    def append(self, writes: Sequence[Write]) -> Sequence[Row]:
        """See `EventStore.append`."""
        require_distinct(writes)
        kept, frontier, result = list(self._rows), self._frontier, list[Row]()
        for write in writes:
            wanted = {draft.event_id for draft in write.drafts}
            found = [row for row in kept if row.event_id in wanted]
            if not already_there(write, found):
                version = sum(row.stream == write.stream for row in kept)
                require_version(write.stream, version, write.expected_version)
                frontier, added = grown(frontier, write, version)
                kept += added
                found = list(added)
            result += found
        self._rows, self._frontier = kept, frontier
        return result

    def rows(self, start: int = 0) -> Iterator[Row]:
        """See `EventStore.rows`."""
        return iter(self._rows[start:])

    def stored(self) -> Iterator[Stored]:
        """See `EventStore.stored`."""
        return (
            (r.sequence, r.stream, r.version, str(r.event_id), r.entry, r.leaf, r.subtrees)
            for r in self._rows
        )

    def indexed(self, size: int) -> Indexed:
        """See `EventStore.indexed`; a list has no index that could differ from it."""
        rows = list(islice(self.stored(), size))
        return Indexed(Counter(row[1] for row in rows), len({row[3] for row in rows}))

    def stream(self, name: str) -> Iterator[Row]:
        """See `EventStore.stream`."""
        return (row for row in self._rows if row.stream == name)

    def row(self, sequence: int) -> Row | None:
        """See `EventStore.row`."""
        return self._rows[sequence] if 0 <= sequence < len(self._rows) else None

    def version(self, stream: str) -> int:
        """See `EventStore.version`."""
        return sum(row.stream == stream for row in self._rows)

    def streams(self, prefix: str) -> tuple[str, ...]:
        """See `EventStore.streams`."""
        names = dict.fromkeys(row.stream for row in self._rows)
        return tuple(name for name in names if name.startswith(prefix))

    def frontier(self) -> Frontier:
        """See `EventStore.frontier`."""
        return self._frontier

    def hashes(self, wanted: Sequence[Subtree]) -> Sequence[bytes]:
        """See `EventStore.hashes`."""
        found = [self.row(last_leaf(subtree)) for subtree in wanted]
        return [
            stored_hash(subtree, None if row is None else (row.leaf, row.subtrees))
            for subtree, row in zip(wanted, found, strict=True)
        ]

    def close(self) -> None:
        """Nothing to let go of."""
