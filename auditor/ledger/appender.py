"""The one writer critical section: entries, and the Merkle frontier over them with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Engine

from auditor.ledger.database import Driver, Pen
from auditor.ledger.statements import Statements, frontier_of, read_version
from auditor.ledger.store import Row, Write, already_there, grown, require_version
from auditor.proof.merkle import Frontier


class _End(NamedTuple):
    """The ledger's end as an append left it.

    The head commits to every entry, so while it is the same nobody else has written, and the rest
    needn't be read again.

    Attributes:
        head: what the head's table holds.
        frontier: the same, read and checked.
        versions: of the streams that were written to.
    """

    head: Sequence[tuple[Any, ...]]
    frontier: Frontier
    versions: Mapping[str, int]


class Appender:
    """Writes entries through a connection of its own, and remembers where it left off."""

    def __init__(self, engine: Engine, statements: Statements) -> None:
        """An appender to a ledger's database."""
        self._pen = Pen(engine)
        self._statements = statements
        self._end: _End | None = None

    def append(self, writes: Sequence[Write], known: Mapping[UUID, Row]) -> Sequence[Row]:
        """See `EventStore.append`; ``known`` are entries that are there already, by event id.

        Raises:
            DuplicateError: an entry is there that isn't among them.
        """
        return self._pen.write(partial(self._append, writes, known))

    def close(self) -> None:
        """Let go of the connection; the next append takes another."""
        self._pen.close()

    def _append(
        self, writes: Sequence[Write], known: Mapping[UUID, Row], driver: Driver
    ) -> Sequence[Row]:
        result, end = list[Row](), self._read_end(driver)
        frontier, versions = end.frontier, dict[str, int]()
        for write in writes:
            stream = write.stream
            found = [known[draft.event_id] for draft in write.drafts if draft.event_id in known]
            if already_there(write, found):
                result += found
                continue
            version = versions.get(stream, end.versions.get(stream))
            if version is None:
                version = read_version(driver, self._statements, stream)
            require_version(stream, version, write.expected_version)
            frontier, added = grown(frontier, write, version)
            driver.run(self._statements.insert, [_values(row) for row in added])
            versions[stream] = version + len(added)
            result += added
        if frontier != end.frontier:
            size, peaks = frontier.size, frontier.to_bytes()
            driver.run(self._statements.advance, [{"new_size": size, "new_peaks": peaks}])
            self._end = _End([(0, size, peaks)], frontier, versions)
        return result

    def _read_end(self, driver: Driver) -> _End:
        head = driver.rows(self._statements.head, {})
        if self._end is None or self._end.head != head:
            self._end = _End(head, frontier_of(head), {})
        return self._end


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
