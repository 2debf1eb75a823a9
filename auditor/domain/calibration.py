"""What a calibration on surrogate patients found; its canonical bytes lie in the store.

Numbers per group of surrogates and per variant only: no patient, no image and no image's score.
It stays with the controller; the ledger holds its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean


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
class Findings:
    """The whole calibration of one method.

    Attributes:
        strengths: of each group's gap between models with and without it, in standard errors.
        least_gap: standard errors below which a group would tune on noise and has no say.
        trials: mildest first.
        chosen: place of the chosen trial, from 0; -1 for none.
    """

    method: str
    strengths: tuple[float, ...]
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
        """Mean rho that the trial chosen left of the groups that have a say; None without any."""
        if self.chosen < 0:
            return None
        readings = self.trials[self.chosen].readings
        shown = [
            reading.influence
            for reading, strength in zip(readings, self.strengths, strict=True)
            if strength >= self.least_gap
        ]
        return fmean(shown) if shown else None
