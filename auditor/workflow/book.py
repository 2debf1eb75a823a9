"""Holding the ledger against the state it was last signed in, and proving its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.errors import MisuseError, TamperedError
from auditor.ledger.ledger import Ledger
from auditor.proof.note import Checkpoint
from auditor.proof.tlog_proof import format_proof

if TYPE_CHECKING:
    from auditor.workflow.home import Home


def require_extends(ledger: Ledger, known: Checkpoint) -> None:
    """See that the ledger still holds all that was signed before.

    Raises:
        TamperedError: it is shorter, or the entries signed for aren't the same any more.
    """
    if ledger.size < known.size:
        raise TamperedError(
            f"the ledger holds {ledger.size} entries, its newest signed checkpoint {known.size}: "
            "an older state was put back; restore the newest backup"
        )
    if ledger.root(known.size) != known.root:
        raise TamperedError(
            f"the first {known.size} entries of the ledger are not those of its newest signed "
            "checkpoint: the book was rewritten; restore the newest backup"
        )


def audit_ledger(home: Home) -> dict[str, str | int]:
    """Audit every entry, and hold the whole against the newest signed checkpoint.

    Raises:
        TamperedError: something was changed.
    """
    audited = home.ledger.audit()
    known = home.newest_checkpoint()
    if known is not None:
        require_extends(home.ledger, known)
    return {
        "entries": audited.entries,
        "root": audited.root.hex(),
        "checkpoint": 0 if known is None else known.size,
        "ledger": "as it was written",
    }


def prove_entry(home: Home, sequence: int) -> tuple[bytes, str]:
    """An entry's bytes, and its tlog-proof against the newest signed checkpoint.

    Raises:
        MisuseError: no such entry, or no checkpoint covers it yet.
    """
    entry = home.ledger.entry(sequence)
    known = home.newest_checkpoint()
    if known is None or sequence >= known.size:
        raise MisuseError(
            f"no signed checkpoint covers entry {sequence} yet; run: auditor ledger checkpoint"
        )
    note = home.checkpoints_path.read_text(encoding="utf-8")
    path = home.ledger.prove(sequence, known.size)
    return entry, format_proof(sequence, path, note, extra=entry)
