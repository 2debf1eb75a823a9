"""The audit's way over all entries."""

from __future__ import annotations

import re

from auditor.errors import TamperedError
from auditor.ledger.store import STORED_TYPES, Stored, content_of
from auditor.proof.merkle import Frontier, grow_in_place

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Walk:
    """What an audit has seen of the entries so far.

    It goes over millions, so it takes rows as they are stored and makes no objects of them.

    Attributes:
        size: how many there were.
        versions: how many there were of each stream.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self.size = 0
        self._peaks: list[bytes] = []
        self.versions = dict[str, int]()
        self._ids: set[bytes] = set()

    def take(self, stored: Stored) -> None:
        """Go on by one row, if it is what can stand there and nothing else."""
        sequence, stream, version, event_id, entry, leaf, subtrees = stored
        if sequence != self.size:
            if isinstance(sequence, int) and sequence < self.size:
                raise TamperedError(f"entry {sequence} was put where the ledger has none")
            raise TamperedError(f"entry {self.size} is missing from the ledger")
        if tuple(map(type, stored)) != STORED_TYPES or not _UUID.fullmatch(event_id):
            raise TamperedError(f"entry {sequence} of the ledger was changed")
        content_of(sequence, entry, leaf, (stream, version, event_id))
        short_id = bytes.fromhex(event_id.replace("-", ""))
        if version != self.versions.get(stream, 0) or short_id in self._ids:
            raise out_of_order(sequence)
        self.versions[stream] = version + 1
        self._ids.add(short_id)
        if subtrees != b"".join(grow_in_place(self._peaks, sequence, leaf)):
            raise TamperedError(f"the hashes stored with entry {sequence} were changed")
        self.size += 1

    def arrive(self, head: Frontier) -> None:
        """See that the way led to this head."""
        if self.size < head.size:
            raise TamperedError(f"entry {self.size} is missing from the ledger")
        if Frontier(self.size, tuple(self._peaks)) != head:
            raise TamperedError("the ledger's entries don't lead to its Merkle frontier")


def out_of_order(sequence: int) -> TamperedError:
    """What to raise where an entry doesn't follow the one before it in its stream."""
    return TamperedError(f"entry {sequence} is out of order in its stream")
