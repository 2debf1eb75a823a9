"""Entries that were in the ledger before are put back as they were, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from uuid import UUID

from auditor.errors import TamperedError
from auditor.ledger.store import Draft, EventStore, Write
from auditor.proof.merkle import Frontier, leaf_hash

_AT_ONCE = 1_000


def grown_by(frontier: Frontier, leaves: Iterable[bytes]) -> tuple[int, bytes]:
    """Size and root that the tree would have with these leaves; nothing is written."""
    for leaf in leaves:
        frontier = frontier.append(leaf)
    return frontier.size, frontier.root()


def replay_entries(store: EventStore, entries: Iterable[bytes], leaves: Sequence[bytes]) -> int:
    """Append entries in their old places; what is there already isn't appended again.

    Args:
        store: where they are missing.
        entries: in order; read once more after they were checked, so held against their leaves.
        leaves: the caller has seen to it that they lead from the store's frontier to a signed root.

    Returns:
        How many there were.

    Raises:
        TamperedError: an entry isn't its leaf's, or says nothing of where it belongs.
        ConcurrencyError: somebody else wrote at the same time.
    """
    pairs = zip(entries, leaves, strict=True)
    while some := list(islice(pairs, _AT_ONCE)):
        store.append([_write(entry, leaf) for entry, leaf in some])
    return len(leaves)


def _write(entry: bytes, leaf: bytes) -> Write:
    if leaf_hash(entry) != leaf:
        raise TamperedError("an entry to be put back was changed meanwhile; run it again")
    try:
        fields = json.loads(entry)
        stream, version = str(fields["stream"]), int(fields["version"])
        draft = Draft(event_id=UUID(str(fields["event_id"])), entry=entry)
    except (ValueError, KeyError, TypeError):
        raise TamperedError("an entry to be put back can't be read") from None
    return Write(stream=stream, expected_version=version, drafts=(draft,))
