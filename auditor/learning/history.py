"""How a model was trained, as far as going back in its training needs it. Needs no engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from auditor.domain.artefact import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """All that a training needs to go on bit for bit before a step: weights and optimiser state.

    Rates, minibatches and whatever else a step draws follow from the seed and the step's number.

    Attributes:
        step: the next one to be made, counted from 0.
        data: safetensors bytes, see `auditor.learning.weights.checkpoint_bytes`.
    """

    step: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A checkpoint as it is listed."""

    step: int
    digest: Digest


def _keep_none(_checkpoint: Checkpoint) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Which checkpoints of a training are kept, and by whom.

    Attributes:
        spacing: see `auditor.learning.order.BatchOrder.checkpoint_steps`.
        keep: handed each as it is made.
    """

    spacing: int = 0
    keep: Callable[[Checkpoint], None] = _keep_none


KEEP_NONE = Keeping()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """A recorded training.

    Attributes:
        seed: that it was made by.
        indices: the images that it was drawn up for, everyone counted in.
        without: those of them that were left out of every checkpoint listed here, or come after it.
        checkpoints: what is left to go back to.
        read: a checkpoint's bytes, checked against its digest.
        keeping: for checkpoints of a new training by this record.
    """

    seed: int = field(repr=False)
    indices: tuple[int, ...] = field(repr=False)
    without: frozenset[int] = field(repr=False)
    checkpoints: tuple[Saved, ...]
    read: Callable[[Digest], bytes]
    keeping: Keeping = KEEP_NONE

    def before(self, step: int) -> Saved | None:
        """The latest checkpoint of before that step was made; None means: from the start."""
        fit = (saved for saved in self.checkpoints if saved.step <= step)
        return max(fit, key=lambda saved: saved.step, default=None)

    def after(self, step: int) -> tuple[Saved, ...]:
        """Checkpoints that were made once that step had been."""
        return tuple(saved for saved in self.checkpoints if saved.step > step)
