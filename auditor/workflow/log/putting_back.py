"""Putting back entries that a ledger lacks, from somebody's copy, all of it checked before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from auditor.errors import LedgerError, ProofError, TamperedError
from auditor.ledger.replaying import grown_by, replay_entries
from auditor.ledger.sql import SqlEventStore
from auditor.proof.checkpoint import Checkpoint
from auditor.proof.merkle import leaf_hash
from auditor.workflow.homes.guard import close_for_writing
from auditor.workflow.homes.head import Head
from auditor.workflow.homes.home import Home
from auditor.workflow.log.copies import Source, opened_copy

TWO_HISTORIES = "two histories under one name"
NEW_NAME = "go on under a new one: auditor ledger recover --new-origin"


def put_back(home: Home, states: Sequence[Checkpoint], source: Path | None) -> tuple[int, int]:
    """Append what is missing up to the largest state that is known to be signed.

    Returns:
        How many entries were appended, and how many of the copy were left out.

    Raises:
        LedgerError: there is no copy, or not one of these entries.
        TamperedError: what is here contradicts what was signed.
    """
    size, best = home.ledger.size, states[-1]
    if source is None:
        raise LedgerError(
            f"the ledger lacks entries {size} to {best.size - 1}; put them back from an export or "
            "a newer backup (--from), or go on without them (--new-origin)"
        )
    with opened_copy(home, source) as tree:
        missing = [state for state in states if state.size > size]
        roots, leaves = _survey(tree, source, size, missing)
        if roots.get(best.size) != best.root:
            raise LedgerError(
                f"{source} doesn't lead to the newest signed checkpoint of {best.size} entries; "
                "name another copy"
            )
        if roots[size] != home.ledger.root() or any(
            roots[state.size] != state.root for state in missing
        ):
            close_for_writing(home.root, f"the log signed {TWO_HISTORIES}")
            raise TamperedError(
                f"the ledger was written to after it was put back: {TWO_HISTORIES}; {NEW_NAME}"
            )
        return _appended(home, source, tree, leaves, best.size, best.root)


def put_back_unsigned(home: Home, head: Head, source: Path) -> tuple[int, int]:
    """Append what is missing up to the state that the ledger had come to, though unsigned.

    Returns:
        As `put_back`.

    Raises:
        LedgerError: the copy isn't one of these entries.
    """
    size = home.ledger.size
    state = Checkpoint(origin=home.trust.log_origin, size=head.size, root=head.root)
    with opened_copy(home, source) as tree:
        roots, leaves = _survey(tree, source, size, [state])
        if roots.get(head.size) != head.root or roots[size] != home.ledger.root():
            raise LedgerError(
                f"{source} doesn't lead from what is here to the {head.size} entries that the "
                "ledger had; name another copy"
            )
        return _appended(home, source, tree, leaves, head.size, head.root)


def _appended(
    home: Home, source: Path, tree: Source, leaves: Sequence[bytes], size: int, root: bytes
) -> tuple[int, int]:
    if grown_by(home.ledger.frontier(), leaves) != (size, root):
        raise LedgerError(f"entries of {source} were changed; name another copy")
    store = SqlEventStore(home.database)  # the home's own is read-only
    try:
        entries = islice(tree.entries(home.ledger.size), len(leaves))
        return replay_entries(store, entries, leaves), tree.size - size
    finally:
        store.close()


def _survey(
    tree: Source, source: Path, size: int, missing: Sequence[Checkpoint]
) -> tuple[Mapping[int, bytes], Sequence[bytes]]:
    """A copy's roots at the sizes that matter, and the leaves of the entries missing here."""
    try:
        sizes = {size, *(state.size for state in missing)}
        roots = {each: tree.root(each) for each in sizes if each <= tree.size}
        entries = islice(tree.entries(size), missing[-1].size - size)
        return roots, [leaf_hash(entry) for entry in entries]
    except (LedgerError, ProofError) as error:
        raise LedgerError(f"{source} can't be put back from: {error}; name another copy") from None
