"""Forgeries that aren't statistical: put to the very code that has to refuse them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.qualification import Tampering
from auditor.errors import TamperedError
from auditor.learning.store import ContentStore
from auditor.ledger.ledger import Ledger
from auditor.ledger.sql import SqlEventStore
from auditor.ledger.store import Draft, Write
from auditor.workflow.checkpoints import record_checkpoint
from auditor.workflow.guard import require_extends_kept
from auditor.workflow.home import Home

SWAPPED, FORGED = "swapped-weights", "forged-log"


def try_tampering(home: Home, weights: Digest) -> tuple[Tampering, ...]:
    """Other weights under the digest in service, and a ledger rewritten from its first entry on.

    Nothing of the home is changed but for a fresh checkpoint; the forgeries are copies.
    """
    record_checkpoint(home)
    with TemporaryDirectory() as folder:
        return (
            Tampering(name=SWAPPED, refused=_swapped(home, weights, Path(folder) / "store")),
            Tampering(name=FORGED, refused=_forged(home, Path(folder) / "forged.db")),
        )


def _swapped(home: Home, weights: Digest, folder: Path) -> bool:
    """Whether the store hands out weights that were exchanged under their digest."""
    store = ContentStore(folder)
    content = bytearray(home.store.get(weights))
    store.put(bytes(content))
    content[-1] ^= 1
    (folder / weights.value).write_bytes(content)
    try:
        store.get(weights)
    except TamperedError:
        return True
    return False


def _forged(home: Home, path: Path) -> bool:
    """Whether a ledger with one entry rewritten, all its hashes made to fit, is taken for ours."""
    store = SqlEventStore(f"sqlite:///{path}")
    ledger = Ledger(store)
    try:
        store.append(list(rewritten(home.ledger.entries())))
        ledger.audit()  # it is a sound ledger: only what was signed before tells
        require_extends_kept(home.root, ledger)
    except TamperedError:
        return True
    finally:
        ledger.close()
    return False


def rewritten(entries: Iterable[bytes]) -> Iterable[Write]:
    """A ledger's entries again, the first of them said to have been written at another time."""
    for number, entry in enumerate(entries):
        fields = json.loads(entry)
        if number == 0:
            fields["recorded_at"] = "2001-01-01T00:00:00Z"
        yield Write(
            stream=fields["stream"],
            expected_version=fields["version"],
            drafts=(Draft(event_id=UUID(fields["event_id"]), entry=canonical_bytes(fields)),),
        )
