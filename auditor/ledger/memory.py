"""A ledger store in memory: for tests, and as the plain statement of what a store does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.ledger.store import Draft, Row, already_there, require_version
from auditor.proof.merkle import Frontier


class MemoryEventStore:
    """Entries in a list."""

    def __init__(self) -> None:
        """An empty store."""
        self._rows: list[Row] = []
        self._frontier = Frontier()

    def append(self, stream: str, drafts: Sequence[Draft], expected_version: int) -> Sequence[Row]:
        """See `EventStore.append`."""
        wanted = {draft.event_id for draft in drafts}
        found = [row for row in self._rows if row.event_id in wanted]
        if already_there(stream, drafts, found):
            return found
        require_version(stream, sum(1 for _ in self.rows(stream)), expected_version)
        added = [
            Row(
                sequence=len(self._rows) + number,
                stream=stream,
                version=expected_version + number,
                event_id=draft.event_id,
                entry=draft.entry,
                leaf=draft.leaf,
            )
            for number, draft in enumerate(drafts)
        ]
        self._rows += added
        for row in added:
            self._frontier = self._frontier.append(row.leaf)
        return added

    def rows(self, stream: str | None = None) -> Iterator[Row]:
        """See `EventStore.rows`."""
        return (row for row in tuple(self._rows) if stream is None or row.stream == stream)

    def row(self, sequence: int) -> Row | None:
        """See `EventStore.row`."""
        return self._rows[sequence] if 0 <= sequence < len(self._rows) else None

    def streams(self, prefix: str) -> tuple[str, ...]:
        """See `EventStore.streams`."""
        names = dict.fromkeys(row.stream for row in self._rows)
        return tuple(name for name in names if name.startswith(prefix))

    def frontier(self) -> Frontier:
        """See `EventStore.frontier`."""
        return self._frontier

    def close(self) -> None:
        """Nothing to let go of."""
