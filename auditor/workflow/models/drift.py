"""Erasures one after another on one model: when has it gone too far from an exact training?

Each approximate erasure is audited for its own patients against the model before it. What none of
these audits sees is the sum: small losses of AUC that add up, residual influences of many patients,
and the influence of earlier ones that later steps move. So a budget counts them, and once it is
spent the next erasure has to train again, which starts the count anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.domain.route import Due


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproximateErasure:
    """What an audit found on one approximate erasure that is part of the model in service.

    Attributes:
        residual: influence left, each patient's whole influence counted as 1.
        auc_lower: lower bound of the AUC's change against the model before.
        auc_margin: what the plan allowed the AUC to lose.
    """

    case: str
    method: str
    residual: float
    auc_lower: float
    auc_margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may come between two exact trainings.

    Attributes:
        steps: approximate erasures.
        residual: sum of residual influences, in patients.
    """

    steps: int
    residual: float


def residual_of(since: Sequence[ApproximateErasure]) -> float:
    """Influence left by all of them, in patients, as each was measured at its own time."""
    return sum(abs(item.residual) for item in since)


def auc_lower_of(since: Sequence[ApproximateErasure]) -> float:
    """Lower bound of the AUC's change since the last exact training.

    The changes add up to the whole change, and its standard error is at most the sum of theirs,
    whatever their correlation: so the sum of the lower bounds bounds it from below.
    """
    return sum(item.auc_lower for item in since)


def due(since: Sequence[ApproximateErasure], limits: Limits) -> tuple[Due, ...]:
    """Why the next erasure has to be exact; nothing where it needn't.

    Args:
        since: approximate erasures since the last exact training, oldest first.
        limits: as configured.
    """
    if not since:
        return ()
    found = {
        Due.STEPS: len(since) >= limits.steps,
        Due.AUC: auc_lower_of(since) < -since[-1].auc_margin,
        Due.RESIDUAL: residual_of(since) > limits.residual,
    }
    return tuple(reason for reason, holds in found.items() if holds)
