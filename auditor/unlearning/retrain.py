"""Exact unlearning: train again by the same recipe without the forgotten images."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from auditor.errors import ModelError, UnlearningError
from auditor.learning.training import train
from auditor.unlearning.task import Cost, Need, Task


class Retrain:
    """Bit for bit reproducible from the task's seed, so that anyone with the data can replay it."""

    name = "retrain"
    exact = True
    cost = Cost.TRAINING
    needs: frozenset[Need] = frozenset()

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        """Train on the retained images.

        Raises:
            UnlearningError: parameters were given; or the training came to nothing.
        """
        if parameters:
            raise UnlearningError(f"retrain takes no parameters; found {', '.join(parameters)}")
        try:
            return train(
                task.recipe,
                task.images,
                task.retain,
                task.seed,
                device=next(task.module.parameters()).device,
                progress=task.progress,
            )
        except ModelError as error:
            raise UnlearningError(f"retrain: {error}") from error
