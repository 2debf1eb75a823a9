"""Choosing a method's damping on surrogates: the step that leaves the least of *their* influence.

Subject to two bounds measured on other patients: loss on retained images no larger than a fixed
multiple of what reference models show, and AUC on validation patients no worse than that of the
model itself or of the worst reference model. Where no surrogate was memorised enough to tune on,
the strongest step inside the bounds is taken. Only the surrogates' scores are read, never the
request's (DESIGN section 4 point 11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from auditor.errors import EvidenceError, UnlearningError
from auditor.unlearning.guo2020newton import candidates
from auditor.unlearning.task import Task
from auditor.verification.delong import auc
from auditor.verification.measure import Measurements
from auditor.verification.surrogate import influence_on
from auditor.workflow.references import Bank, layout_for, measure_all
from auditor.workflow.scene import Scene, derive_seed

DAMPINGS = (100.0, 30.0, 10.0, 5.0, 3.0, 2.0, 1.0, 0.5, 0.3)
_LEAST_GAP = 3.0  # standard errors; surrogates with a weaker gap would tune on noise
_LOSS_SLACK = 3.0  # times the largest retained loss among reference models


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The damping chosen, and what it left of the surrogates' influence where that shows."""

    parameters: Mapping[str, str]
    residual: float | None


def calibrate_newton(
    scene: Scene, bank: Bank, module: nn.Module, dampings: Sequence[float] = DAMPINGS
) -> Calibrated | None:
    """Tune the Newton step's damping; None where every damping breaks a bound."""
    apart = tuple(index for group in bank.surrogates for index in group)
    retained = scene.without(bank.forgotten, apart)
    references = (*bank.out.measured, *bank.untouched.measured)
    loss_bound = _LOSS_SLACK * max(_loss(item, retained) for item in references)
    auc_bound = min(_auc(scene, item) for item in (*references, measure_all(scene, module)))
    allowed = set(dampings)
    residuals: list[dict[float, float]] = []  # one per group that shows a gap, by damping
    for group in bank.surrogates:
        layout = layout_for(
            scene, group, apart=(*bank.forgotten, *apart), unseen=scene.split.validation
        )
        task = Task(
            recipe=scene.recipe,
            module=module,
            images=scene.images,
            forget=tuple(group),
            retain=retained,
            seed=derive_seed("calibration", bank.digest),
        )
        kept = {
            damping: measured
            for damping, measured in _measured(scene, task, dampings)
            if _loss(measured, retained) <= loss_bound and _auc(scene, measured) >= auc_bound
        }
        allowed &= set(kept)
        points, strength = influence_on(
            bank.untouched.measured, bank.out.measured, tuple(kept.values()), layout
        )
        if strength >= _LEAST_GAP:
            residuals.append(dict(zip(kept, points, strict=True)))
    if not allowed:
        return None
    left = {damping: _mean([points[damping] for points in residuals]) for damping in allowed}
    best = min(allowed, key=lambda damping: (abs(left[damping] or 0.0), damping))
    return Calibrated(parameters={"damping": repr(best)}, residual=left[best])


def _measured(
    scene: Scene, task: Task, dampings: Sequence[float]
) -> Iterator[tuple[float, Measurements]]:
    """From the strongest damping down, until a step leads to NaN or infinity."""
    try:
        for damping, module in candidates(task, sorted(dampings, reverse=True)):
            yield damping, measure_all(scene, module)
    except (UnlearningError, EvidenceError):
        return


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _loss(measured: Measurements, indices: Sequence[int]) -> float:
    margins: NDArray[np.float64] = measured.margins[list(indices)]
    return float(np.logaddexp(0.0, -margins).mean())


def _auc(scene: Scene, measured: Measurements) -> float:
    unseen = list(scene.split.validation)
    return auc(measured.scores[unseen], np.asarray(scene.images.labels)[unseen])
