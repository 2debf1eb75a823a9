"""Recorded trainings on the books, and the checkpoints there are to go back to. Needs no engine.

Checkpoints carry the influence of whoever had been seen when they were made (DESIGN section 4 point
13). They lie in a folder of their own, by digest. Those that an erased patient had come into are
destroyed with the case; which these are stands in the case's inventory, and as one case at a time
changes a model, a checkpoint that isn't in the inventory of an erasure carries nobody erased.
Whatever else lies in the folder was left behind by work that was stopped: it goes with the next
case, whoever's that is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.case import project
from auditor.domain.codec import plain, typed
from auditor.domain.verdict import Basis
from auditor.learning.history import Checkpoint, Keeping, Saved
from auditor.learning.store import ContentStore
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, MODEL_PREFIX, model_stream, record
from auditor.workflow.homes.registry import find_model

FOLDER = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTraining:
    """A training as the ledger tells it, with the list of its checkpoints."""

    event: ev.TrainingRecorded
    checkpoints: tuple[Saved, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """The checkpoints that concern a model.

    Attributes:
        listed: by any of its recorded trainings, here or not.
        sound: those here that it can be taken back to.
        astray: here, and nothing speaks for keeping them: they carry somebody erased, belong to a
            candidate that wasn't taken, or were left behind.
    """

    listed: frozenset[Digest]
    sound: frozenset[Digest]
    astray: frozenset[Digest]


def checkpoint_store(home: Home) -> ContentStore:
    """Where training checkpoints lie."""
    return ContentStore(home.root / FOLDER)


class CheckpointShelf:
    """Takes a training's checkpoints into the store, and remembers which they were."""

    def __init__(self, home: Home) -> None:
        """For one training or replay, at the home's spacing."""
        self.saved: list[Saved] = []
        self._store = checkpoint_store(home)
        self.keeping = Keeping(spacing=home.config.checkpoint_spacing, keep=self._keep)

    def _keep(self, checkpoint: Checkpoint) -> None:
        digest = self._store.put(checkpoint.data)
        self.saved.append(Saved(step=checkpoint.step, digest=digest))


def seal_seed(home: Home, model: str, seed: int) -> Digest:
    """Keep a training's seed in the vault; the commitment that may stand in the ledger."""
    return home.vault.seal(model_stream(model), str(seed).encode("ascii"))


def open_seed(home: Home, event: ev.TrainingRecorded) -> int:
    """The seed of a recorded training.

    Raises:
        LedgerError: it isn't in the vault.
    """
    return int(home.vault.open(event.order))


def record_training(
    home: Home,
    *,
    model: str,
    weights: Digest,
    order: Digest,
    steps: int,
    checkpoints: Sequence[Saved],
    step: str,
) -> None:
    """Put on the books how weights were trained; the checkpoints lie in their store already.

    Args:
        order: commitment to the seed, in the vault.
        step: names this writing, so that it is done once.
    """
    listing = home.store.put(canonical_bytes([plain(saved) for saved in checkpoints]))
    event = ev.TrainingRecorded(
        model=model, weights=weights, order=order, steps=steps, checkpoints=listing
    )
    record(home, model_stream(model), event, step)


def listed_checkpoints(home: Home, event: ev.TrainingRecorded) -> tuple[Saved, ...]:
    """What a recorded training kept.

    Raises:
        LedgerError, TamperedError: the list isn't in the store as it was written.
    """
    listing = json.loads(home.store.get(event.checkpoints))
    return tuple(typed(Saved, item) for item in listing)


def recorded_training(home: Home, model: str) -> RecordedTraining | None:
    """The newest recorded training that a version of the model came from, with what is left of it.

    Later versions that an approximate method or a retrain made descend from it, too: all can be
    replaced by a replay of it.
    """
    registered = list(_registered(home, model))
    if not registered:
        return None
    newest = registered[-1]
    sound = checkpoints_of(home, model).sound
    left = (saved for saved in listed_checkpoints(home, newest) if saved.digest in sound)
    return RecordedTraining(event=newest, checkpoints=tuple(left))


def checkpoints_of(home: Home, model: str) -> Checkpoints:
    """Sort what lies in the folder, less what other models' versions came from."""
    present = frozenset(checkpoint_store(home).digests())
    others = {stream.removeprefix(MODEL_PREFIX) for stream in home.ledger.streams(MODEL_PREFIX)}
    elsewhere = _listed(home, *(_registered(home, other) for other in others - {model}))
    own = _listed(home, _registered(home, model)) - _carrying(home, model)
    return Checkpoints(
        listed=_listed(home, _trainings(home, model)),
        sound=present & own,
        astray=present - own - elsewhere,
    )


def _listed(home: Home, *trainings: Iterable[ev.TrainingRecorded]) -> frozenset[Digest]:
    events = (event for each in trainings for event in each)
    return frozenset(s.digest for event in events for s in listed_checkpoints(home, event))


def _trainings(home: Home, model: str) -> Iterator[ev.TrainingRecorded]:
    for item in home.ledger.replay(model_stream(model)):
        if isinstance(item.event, ev.TrainingRecorded):
            yield item.event


def _registered(home: Home, model: str) -> Iterator[ev.TrainingRecorded]:
    """Recorded trainings whose weights became a version; others are of candidates."""
    view = find_model(home, model)
    versions = set() if view is None else {version.weights for version in view.versions}
    return (event for event in _trainings(home, model) if event.weights in versions)


def _carrying(home: Home, model: str) -> frozenset[Digest]:
    """Whatever stands in the inventory of a case that made this model forget somebody."""
    found: set[Digest] = set()
    for stream in home.ledger.streams(CASE_PREFIX):
        case = project(item.event for item in home.ledger.replay(stream))
        if case.requested is None or case.requested.model != model or case.scope is None:
            continue
        if case.reached is not None and case.reached.basis is not Basis.NONE:
            found.update(case.scope.affected)
    return frozenset(found)
