"""Exact unlearning by going back: replay the recorded training from before the patient was seen.

The training recorded its seed and kept checkpoints. From the latest one that was made before the
patient's first minibatch the same steps are made again, with the forgotten images taken out of
their minibatches; it is rollback of Bourtoule et al. 2021, "Machine Unlearning", section IV. Where
there is no such checkpoint the replay starts at the start.

What exact means here: the result is, bit for bit, what the recorded training would have been with
those images masked from the start, so no weight depends on what is in them. The batch order was
drawn with them counted in: how many there were, and in which minibatches, shows in the order and
size of the other minibatches and in the number of steps. A retrain by an order drawn without them
is another draw from the same procedure. Earlier erasures, exact or not, are masked too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from auditor.errors import ModelError, UnlearningError
from auditor.learning.history import Checkpoint, History, Saved
from auditor.learning.order import batch_order
from auditor.learning.training import train
from auditor.unlearning.task import Cost, Need, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """Where a replay starts, and how much of the training that is.

    Attributes:
        start: the checkpoint; None means the start of the training.
        replayed: steps from there to the end.
        steps: of the whole training.
    """

    start: Saved | None
    replayed: int
    steps: int


class Rewind:
    """Right where the model was trained here; a retrain's result for the steps since the patient.

    How many these are is for `way_back` to say: with one slice nearly all.
    """

    name = "rewind"
    exact = True
    cost = Cost.REPLAY
    needs: frozenset[Need] = frozenset({Need.HISTORY})

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Replay without everyone who isn't retained.

        Raises:
            UnlearningError: parameters were given, there is no history, it isn't that of a
                training on the retained and forgotten images, or the replay came to nothing.
        """
        if parameters:
            raise UnlearningError(f"rewind takes no parameters; found {', '.join(parameters)}")
        history = _history(task)
        start = way_back(task).start
        try:
            return train(
                task.recipe,
                task.images,
                history.indices,
                history.seed,
                without=_left_out(task, history),
                start=None if start is None else _read(history, start),
                keeping=history.keeping,
                device=next(task.module.parameters()).device,
                progress=task.progress,
            )
        except ModelError as error:
            raise UnlearningError(f"rewind: {error}") from error


def way_back(task: Task) -> WayBack:
    """Which checkpoint a replay of this task starts from.

    Raises:
        UnlearningError: as `Rewind.run`.
    """
    history = _history(task)
    order = batch_order(task.recipe, task.images.subjects, history.indices, history.seed)
    newly = _left_out(task, history) - history.without
    start = history.before(order.first_step(newly))
    replayed = len(order.steps) - (0 if start is None else start.step)
    return WayBack(start=start, replayed=replayed, steps=len(order.steps))


def _history(task: Task) -> History:
    history = task.history
    if history is None:
        raise UnlearningError(
            "rewind needs the record of the model's training; this model wasn't trained here"
        )
    trained = frozenset(history.indices)
    if not trained.issuperset(task.retain) or not trained.issuperset(task.forget):
        raise UnlearningError("rewind: the recorded training wasn't on these images")
    if not task.retain or not set(task.forget).isdisjoint(task.retain):
        raise UnlearningError("rewind: images are either retained or forgotten, and some retained")
    return history


def _left_out(task: Task, history: History) -> frozenset[int]:
    return frozenset(history.indices).difference(task.retain)


def _read(history: History, saved: Saved) -> Checkpoint:
    return Checkpoint(step=saved.step, data=history.read(saved.digest))
