"""The history of a model's training, from the books to the workshop and back."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.domain.artefact import Digest
from auditor.domain.event import ScopeEstablished
from auditor.learning.history import History
from auditor.learning.order import batch_order
from auditor.workflow.audit.scene import Scene
from auditor.workflow.homes.home import Home
from auditor.workflow.models.training_book import (
    CheckpointShelf,
    checkpoint_store,
    open_seed,
    record_training,
    recorded_training,
)


def load_history(home: Home, scene: Scene) -> History | None:
    """How the model in service, or the one it descends from, was trained; None where nobody knows.

    Raises:
        LedgerError, TamperedError: the seed or the list of checkpoints isn't there as it was.
    """
    recorded = recorded_training(home, scene.version.model)
    if recorded is None:
        return None
    return History(
        seed=open_seed(home, recorded.event),
        indices=scene.split.train,
        without=frozenset(scene.split.train).difference(scene.training),
        checkpoints=recorded.checkpoints,
        read=checkpoint_store(home).get,
    )


def carrying_checkpoints(home: Home, scene: Scene, images: Sequence[int]) -> tuple[Digest, ...]:
    """Checkpoints there are into which these images came before they were made."""
    history = load_history(home, scene)
    if history is None:
        return ()
    order = batch_order(scene.recipe, scene.images.subjects, history.indices, history.seed)
    return tuple(saved.digest for saved in history.after(order.first_step(images)))


def record_replay(
    home: Home, scope: ScopeEstablished, *, model: str, weights: Digest, shelf: CheckpointShelf
) -> None:
    """Put a case's replay on the books: its checkpoints are its own, and older ones than those.

    It counts as the model's history once the weights become a version of the model.
    """
    before = recorded_training(home, model)
    if before is None:
        return
    shared = [saved for saved in before.checkpoints if saved.digest not in scope.affected]
    record_training(
        home,
        model=model,
        weights=weights,
        order=before.event.order,
        steps=before.event.steps,
        checkpoints=[*shared, *shelf.saved],
        step=f"trained-{scope.case}-{weights.value}",
    )
