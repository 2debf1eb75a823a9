"""Holding the ledger against the state it was last signed in, and proving its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.errors import MisuseError
from auditor.ledger.ledger import Progress
from auditor.proof.tlog_proof import format_proof
from auditor.workflow.homes.guard import newest_note, require_extends_kept
from auditor.workflow.log.timestamping import verify_stamps

if TYPE_CHECKING:
    from auditor.workflow.homes.home import Home


def audit_ledger(home: Home, progress: Progress | None = None) -> dict[str, str | int]:
    """Audit every entry, and hold the whole against the newest signed checkpoint.

    Raises:
        TamperedError: something was changed.
    """
    audited = home.ledger.audit(progress)
    known = require_extends_kept(home.root, home.ledger)
    return {
        "entries": audited.entries,
        "root": audited.root.hex(),
        "checkpoint": known,
        "time_stamps": verify_stamps(home),
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
    note = newest_note(home.root) or ""
    path = home.ledger.prove(sequence, known.size)
    return entry, format_proof(sequence, path, note, extra=entry)
