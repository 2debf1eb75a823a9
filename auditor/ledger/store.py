"""What keeps the entries: the one interface that every store of the ledger fulfils."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias
from uuid import UUID

from auditor.domain.event import is_known
from auditor.errors import ConcurrencyError, LedgerError, TamperedError
from auditor.proof.merkle import HASH_BYTES, Frontier, Subtree, grow_in_place, leaf_hash

_JSON = json.JSONDecoder()

LARGEST_ENTRY = 65_535  # C2SP tlog-tiles: entries in a bundle have 16-bit lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry that wants to be appended. ``event_id`` makes appending it twice harmless."""

    event_id: UUID
    entry: bytes

    def __post_init__(self) -> None:
        if len(self.entry) > LARGEST_ENTRY:
            raise LedgerError(f"an entry of {len(self.entry)} bytes; at most {LARGEST_ENTRY} fit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Entries for one stream, which the writer believes to hold ``expected_version`` of them."""

    stream: str
    expected_version: int
    drafts: tuple[Draft, ...]


class Row(NamedTuple):
    """An entry in its place. Only ``entry`` is evidence; the rest is there to find it by.

    Attributes:
        leaf: RFC 6962 leaf hash of ``entry``.
        subtrees: roots of the perfect subtrees that this leaf completes, smallest first, one after
            another (`auditor.proof.merkle.completed_by`); any proof is made of these.
    """

    sequence: int
    stream: str
    version: int
    event_id: UUID
    entry: bytes
    leaf: bytes
    subtrees: bytes


Stored: TypeAlias = tuple[Any, ...]
"""A row as it lies in the store, taken for nothing yet: the fields of `Row` in their order, and
``event_id`` as text."""

STORED_TYPES = (int, str, int, str, bytes, bytes, bytes)


class Indexed(NamedTuple):
    """What look-ups find of a ledger's first entries; an audit holds it against the entries.

    Attributes:
        streams: how many entries a look-up by stream finds of each that has any; -1 where they
            aren't versions 0, 1, 2 and so on.
        event_ids: how many entries have an event id that can be looked up.
    """

    streams: Mapping[str, int]
    event_ids: int


class EventStore(Protocol):
    """Entries under gapless sequence numbers from 0, and the Merkle tree over them."""

    def append(self, writes: Sequence[Write]) -> Sequence[Row]:
        """Append all entries of all writes, or none, and advance the frontier with them.

        A write whose event ids are all there already is returned as it was stored, whatever
        version is expected: that is a repeated call.

        Returns:
            The rows in the order of the drafts.

        Raises:
            ConcurrencyError: a stream is at another version.
            LedgerError: some of a write's entries are there and some aren't, or the store can't
                be written.
        """

    def rows(self, start: int = 0) -> Iterator[Row]:
        """Entries in order from sequence ``start`` on."""

    def stored(self) -> Iterator[Stored]:
        """Every row there is, in order of sequence, whatever it holds: what an audit goes over."""

    def indexed(self, size: int) -> Indexed:
        """What the store's indices hold of the first ``size`` entries, no entry being read."""

    def stream(self, name: str) -> Iterator[Row]:
        """A stream's entries in order."""

    def row(self, sequence: int) -> Row | None:
        """The entry in that place, if there is one."""

    def version(self, stream: str) -> int:
        """How many entries a stream holds."""

    def streams(self, prefix: str) -> tuple[str, ...]:
        """Names of streams that start so, in the order of their first entry."""

    def frontier(self) -> Frontier:
        """The Merkle frontier as it was last written."""

    def hashes(self, wanted: Sequence[Subtree]) -> Sequence[bytes]:
        """Roots of perfect subtrees, as stored (`auditor.proof.merkle.HashReader`).

        Raises:
            TamperedError: one that should be there isn't.
        """

    def close(self) -> None:
        """Let go of files and connections; the store opens them again when it is used."""


def grown(frontier: Frontier, write: Write, version: int) -> tuple[Frontier, Sequence[Row]]:
    """The rows of a write in their places after ``frontier``, and the frontier after them."""
    rows, size, peaks = list[Row](), frontier.size, list(frontier.peaks)
    for number, draft in enumerate(write.drafts):
        leaf = leaf_hash(draft.entry)
        completed = grow_in_place(peaks, size, leaf)
        rows.append(
            Row(
                sequence=size,
                stream=write.stream,
                version=version + number,
                event_id=draft.event_id,
                entry=draft.entry,
                leaf=leaf,
                subtrees=b"".join(completed),
            )
        )
        size += 1
    return Frontier(size, tuple(peaks)), rows


def already_there(write: Write, found: Sequence[Row]) -> bool:
    """Whether these drafts were appended before: all of them, to this stream.

    Raises:
        LedgerError: only some were, or to another stream; that is no repeated call.
    """
    if not found:
        return False
    if len(found) != len(write.drafts) or any(row.stream != write.stream for row in found):
        raise LedgerError("an event id was used before, for something else")
    return True


def require_version(stream: str, found: int, expected: int) -> None:
    """Raise ConcurrencyError where the stream isn't where the writer thought it was."""
    if found != expected:
        raise ConcurrencyError(
            f"{stream.partition(':')[0]} stream is at version {found}, not {expected}: "
            "somebody else wrote to it; run the command again"
        )


def require_distinct(writes: Sequence[Write]) -> None:
    """Raise LedgerError where one call names an event id twice."""
    ids = [draft.event_id for write in writes for draft in write.drafts]
    if len(set(ids)) != len(ids):
        raise LedgerError("an event id stands twice in one call")


def last_leaf(subtree: Subtree) -> int:
    """The leaf that completes a subtree; its row holds the subtree's root."""
    level, index = subtree
    return ((index + 1) << level) - 1


def stored_hash(subtree: Subtree, held: tuple[bytes, bytes] | None) -> bytes:
    """A subtree's root, out of leaf and subtrees of the row of its last leaf.

    Raises:
        TamperedError: there is no such row, or it holds something else.
    """
    level = subtree[0]
    leaf, above = held or (b"", b"")
    value = above[(level - 1) * HASH_BYTES : level * HASH_BYTES] if level else leaf
    if len(value) != HASH_BYTES:
        raise TamperedError(f"entry {last_leaf(subtree)} of the ledger was changed or is missing")
    return value


def content_of(
    sequence: int, entry: bytes, leaf: bytes, filed: tuple[str, int, str]
) -> dict[str, Any]:
    """An entry's fields, after checking that its bytes and columns are what they were.

    Args:
        sequence: the entry's place, by which it is named where something is wrong.
        entry: its stored bytes.
        leaf: the leaf hash stored with them.
        filed: stream, version and event id (as text) of the row that they lie in.

    Raises:
        TamperedError: they aren't.
    """
    if leaf_hash(entry) != leaf:
        raise TamperedError(f"entry {sequence} of the ledger was changed")
    fields: dict[str, Any]
    try:
        text = entry.decode()
        fields, end = _JSON.raw_decode(text)  # canonical bytes have no blanks around them
        readable = (
            end == len(text)
            and isinstance(fields["data"], dict)
            and isinstance(fields["recorded_at"], str)
            and is_known(fields["kind"])
        )
        told = (fields["stream"], fields["version"], fields["event_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise unreadable(sequence) from None
    if not readable:
        raise unreadable(sequence)
    if told != filed:
        raise TamperedError(f"entry {sequence} of the ledger was filed where it doesn't belong")
    return fields


def unreadable(sequence: int) -> TamperedError:
    """What to raise where an entry's bytes make no event."""
    return TamperedError(
        f"entry {sequence} of the ledger can't be read; it was changed, or written by a newer "
        "version"
    )
