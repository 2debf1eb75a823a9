"""What a calibration on surrogate patients found; its canonical bytes lie in the store.

Numbers per group of surrogates and per variant only: no patient, no image and no image's score.
It stays with the controller; the ledger holds its digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum


class Choice(StrEnum):
    """By what a variant was chosen, or why none was."""

    LEAST_INFLUENCE = "least-influence"
    """Of the variants inside the bounds the one that leaves the least influence."""
    STRONGEST = "strongest-inside-bounds"
    """No surrogate was memorised enough to tell; the last variant inside the bounds."""
    NONE_INSIDE_BOUNDS = "none-inside-bounds"
    """Every variant cost more loss or AUC than allowed."""
    NO_VARIANT = "no-variant"
    """The method could make no candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a variant may cost: mean loss on retained images, AUC on validation patients."""

    loss: float
    auc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one variant did to one group of surrogates.

    Attributes:
        influence: rho of the group.
        loss: mean over retained images.
        auc: on validation patients.
    """

    influence: float
    loss: float
    auc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One variant, measured on each group in turn.

    Attributes:
        readings: by group; fewer where the variant couldn't be made for one.
    """

    parameters: Mapping[str, str]
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """How well one group of surrogates can tell.

    Attributes:
        strength: the gap between models with and without it, in standard errors.
        error: standard error of rho of one model on it.
    """

    strength: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The whole calibration of one method.

    Attributes:
        least_gap: strength below which a group would tune on noise and has no say.
        trials: mildest first.
        chosen: place of the chosen trial, from 0; -1 for none.
    """

    method: str
    groups: tuple[Group, ...]
    least_gap: float
    bounds: Bounds
    trials: tuple[Trial, ...]
    choice: Choice
    chosen: int

    @property
    def parameters(self) -> Mapping[str, str] | None:
        """Of the trial chosen; None for none."""
        return None if self.chosen < 0 else self.trials[self.chosen].parameters

    @property
    def residual(self) -> float | None:
        """What the trial chosen leaves; None without a trial or a group that has a say."""
        if self.chosen < 0:
            return None
        return left(self.trials[self.chosen], self.groups, self.least_gap)


def left(trial: Trial, groups: Sequence[Group], least_gap: float) -> float | None:
    """Mean of |rho| over the groups, by precision: what one more patient can expect.

    The mean of rho would be smaller: what overshoots on one group makes up for what falls short
    on another. None where no group is strong enough to have a say.
    """
    pairs = zip(trial.readings, groups, strict=True)
    heard = [(reading, group) for reading, group in pairs if group.strength >= least_gap]
    weights = [group.error**-2 for _, group in heard]
    if not heard:
        return None
    return fsum(
        weight * abs(reading.influence) for weight, (reading, _) in zip(weights, heard, strict=True)
    ) / fsum(weights)
