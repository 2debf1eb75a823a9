"""Entries that were in the ledger before are put back as they were, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from uuid import UUID

from auditor.errors import TamperedError
from auditor.ledger.store import Draft, EventStore, Write
from auditor.proof.merkle import Frontier, leaf_hash

_AT_ONCE = 1_000


def root_after(frontier: Frontier, entries: Iterable[bytes]) -> tuple[int, bytes]:
    """Size and root that the tree would have with these entries; nothing is written."""
    for entry in entries:
        frontier = frontier.append(leaf_hash(entry))
    return frontier.size, frontier.root()


def replay_entries(store: EventStore, entries: Iterable[bytes]) -> int:
    """Append entries in their old places; what is there already isn't appended again.

    The caller has seen to it that they lead from the store's frontier to a signed root.

    Returns:
        How many there were.

    Raises:
        TamperedError: an entry that says nothing of where it belongs.
        ConcurrencyError: somebody else wrote at the same time.
    """
    count = 0
    source = iter(entries)
    while some := list(islice(source, _AT_ONCE)):
        store.append(list(_writes(some)))
        count += len(some)
    return count


def _writes(entries: Iterable[bytes]) -> Iterator[Write]:
    for entry in entries:
        try:
            fields = json.loads(entry)
            stream, version = str(fields["stream"]), int(fields["version"])
            draft = Draft(event_id=UUID(fields["event_id"]), entry=entry)
        except (ValueError, KeyError, TypeError):
            raise TamperedError("an entry to be put back can't be read") from None
        yield Write(stream=stream, expected_version=version, drafts=(draft,))
