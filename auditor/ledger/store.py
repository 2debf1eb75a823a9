"""What keeps the entries: the one interface that every store of the ledger fulfils."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from auditor.errors import ConcurrencyError, LedgerError
from auditor.proof.merkle import Frontier, leaf_hash

LARGEST_ENTRY = 65_535  # C2SP tlog-tiles: entries in a bundle have 16-bit lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry that wants to be appended. ``event_id`` makes appending it twice harmless."""

    event_id: UUID
    entry: bytes

    def __post_init__(self) -> None:
        if len(self.entry) > LARGEST_ENTRY:
            raise LedgerError(f"an entry of {len(self.entry)} bytes; at most {LARGEST_ENTRY} fit")

    @property
    def leaf(self) -> bytes:
        """RFC 6962 leaf hash of the bytes."""
        return leaf_hash(self.entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An entry in its place. Only ``entry`` is evidence; the rest is there to find it by."""

    sequence: int
    stream: str
    version: int
    event_id: UUID
    entry: bytes
    leaf: bytes


class EventStore(Protocol):
    """Entries under gapless sequence numbers from 0, and the Merkle frontier over them."""

    def append(self, stream: str, drafts: Sequence[Draft], expected_version: int) -> Sequence[Row]:
        """Append all drafts to a stream, or none, and advance the frontier with them.

        Drafts whose event ids are all there already are returned as they were stored, whatever
        version is expected: that is a repeated call.

        Raises:
            ConcurrencyError: the stream is at another version.
            LedgerError: some drafts are there and some aren't, or the store can't be written.
        """

    def rows(self, stream: str | None = None) -> Iterator[Row]:
        """Entries in order, of one stream or of all."""

    def row(self, sequence: int) -> Row | None:
        """The entry in that place, if there is one."""

    def streams(self, prefix: str) -> tuple[str, ...]:
        """Names of streams that start so, in the order of their first entry."""

    def frontier(self) -> Frontier:
        """The Merkle frontier as it was last written."""

    def close(self) -> None:
        """Let go of files and connections; the store opens them again when it is used."""


def already_there(stream: str, drafts: Sequence[Draft], found: Sequence[Row]) -> bool:
    """Whether these drafts were appended before: all of them, to this stream.

    Raises:
        LedgerError: only some were, or to another stream; that is no repeated call.
    """
    if not found:
        return False
    if len(found) != len(drafts) or any(row.stream != stream for row in found):
        raise LedgerError("an event id was used before, for something else")
    return True


def require_version(stream: str, found: int, expected: int) -> None:
    """Raise ConcurrencyError where the stream isn't where the writer thought it was."""
    if found != expected:
        raise ConcurrencyError(
            f"{stream.partition(':')[0]} stream is at version {found}, not {expected}: "
            "somebody else wrote to it; run the command again"
        )
