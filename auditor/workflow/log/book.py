"""Holding the ledger against the state it was last signed in, and proving its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.errors import MisuseError
from auditor.ledger.ledger import Progress
from auditor.ledger.projection import weed
from auditor.proof.log_policy import END_OF_TIME, examine_checkpoint
from auditor.proof.tlog_proof import format_proof
from auditor.workflow.homes.guard import newest_note, require_extends_kept, require_writable
from auditor.workflow.homes.register import REGISTER
from auditor.workflow.log.timestamping import verify_stamps

if TYPE_CHECKING:
    from auditor.workflow.homes.home import Home


def audit_ledger(home: Home, progress: Progress | None = None) -> dict[str, str | int]:
    """Audit every entry, and hold the whole against the newest signed checkpoint.

    Lists kept beside the entries that don't fit them are thrown away, and made anew when needed.

    Raises:
        TamperedError: something was changed, or the home knows that what is here isn't the whole
            history: a witness or a document has shown another.
        HomeError: the root certificate of an authority that stamped checkpoints isn't here.
    """
    audited = home.ledger.audit(progress)
    known = require_extends_kept(home.root, home.ledger)
    require_writable(home.root, home.ledger)
    stamps = verify_stamps(home)
    lists = "made anew: they weren't what the entries say"
    weeded = {"lists": lists} if weed(home.ledger, REGISTER, home.snapshots) else {}
    return {
        "entries": audited.entries,
        "root": audited.root.hex(),
        "checkpoint": known,
        "time_stamps": stamps.verified,
        "time_stamps_unchecked": stamps.unchecked,
        "ledger": "as it was written",
        **weeded,
    }


def prove_entry(home: Home, sequence: int) -> tuple[bytes, str]:
    """An entry's bytes, and its tlog-proof against the newest signed checkpoint.

    Raises:
        MisuseError: no such entry, or no checkpoint covers it yet.
    """
    entry = home.ledger.entry(sequence)
    note = newest_note(home.root)  # read once: another process may sign at any time
    signed = examine_checkpoint(note, home.trust.policy, END_OF_TIME).checkpoint if note else None
    if not note or signed is None or sequence >= signed.size:
        raise MisuseError(
            f"no signed checkpoint covers entry {sequence} yet; run: auditor ledger checkpoint"
        )
    path = home.ledger.prove(sequence, signed.size)
    return entry, format_proof(sequence, path, note, extra=entry)
