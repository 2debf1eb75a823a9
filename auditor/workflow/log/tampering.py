"""Forgeries that aren't statistical: put to the very code that has to refuse them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from torch import nn

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.qualification import Tampering
from auditor.errors import TamperedError
from auditor.learning.store import ContentStore
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.ledger.ledger import Ledger
from auditor.ledger.sql import SqlEventStore
from auditor.ledger.store import Draft, Write
from auditor.unlearning.fakes import shorter_of
from auditor.unlearning.method import METHODS
from auditor.unlearning.run import run
from auditor.unlearning.task import Task
from auditor.workflow.homes.guard import require_extends_kept
from auditor.workflow.homes.home import Home
from auditor.workflow.log.checkpoints import record_checkpoint

SWAPPED, FORGED, OTHER_RECIPE = "swapped-weights", "forged-log", "other-recipe"


def try_tampering(home: Home, weights: Digest, task: Task) -> tuple[Tampering, ...]:
    """Put each forgery to the code that has to refuse it.

    Other weights under the digest in service; a ledger rewritten from its first entry on; and a
    model trained without the patients, but by another recipe, handed over as a retrain. Nothing of
    the patients is in it; where it also looks like the recipe's, the replay alone refuses it.

    Nothing of the home is changed but for a fresh checkpoint; the forgeries are copies.

    Args:
        task: the erasure that the retrain is claimed for.
    """
    record_checkpoint(home)
    with TemporaryDirectory() as folder:
        return (
            Tampering(name=SWAPPED, refused=_swapped(home, weights, Path(folder) / "store")),
            Tampering(name=FORGED, refused=_forged(home, Path(folder) / "forged.db")),
            Tampering(name=OTHER_RECIPE, refused=not _replays(task, _by_other_recipe(task))),
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


def _by_other_recipe(task: Task) -> Digest:
    return _digest(train(shorter_of(task.recipe), task.images, task.retain, task.seed))


def _replays(task: Task, claimed: Digest) -> bool:
    """Whether a retrain gives these weights again, as an exact basis asks for."""
    return run(METHODS["retrain"], task, {}, digest=_digest).record.after == claimed


def _digest(module: nn.Module) -> Digest:
    return Digest.of(weights_bytes(module))


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
