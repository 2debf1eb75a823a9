"""Choosing a method's damping on surrogates: the step that leaves the least of *their* influence.

Subject to two bounds measured on other patients: loss on retained images no larger than a fixed
multiple of what reference models show, and AUC on validation patients no worse than the worst
reference model's. Only the surrogates' scores are read, never the request's (DESIGN 4.11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

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
    """The damping chosen, what it left of the surrogates' influence, and every one tried."""

    parameters: Mapping[str, str]
    residual: float
    tried: tuple[tuple[float, float], ...]


def calibrate_newton(
    scene: Scene, bank: Bank, module: nn.Module, dampings: Sequence[float] = DAMPINGS
) -> Calibrated | None:
    """Tune the Newton step's damping; None where every damping breaks a bound."""
    apart = tuple(index for group in bank.surrogates for index in group)
    retained = scene.without(bank.forgotten, apart)
    references = (*bank.out.measured, *bank.untouched.measured)
    loss_bound = _LOSS_SLACK * max(_loss(item, retained) for item in references)
    auc_bound = min(_auc(scene, item) for item in references)
    residuals: dict[float, list[float]] = {damping: [] for damping in dampings}
    groups_used = 0
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
        kept = [
            (damping, measured)
            for damping, candidate in candidates(task, dampings)
            if _loss(measured := measure_all(scene, candidate), retained) <= loss_bound
            and _auc(scene, measured) >= auc_bound
        ]
        points, strength = influence_on(
            bank.untouched.measured, bank.out.measured, [item for _, item in kept], layout
        )
        if strength < _LEAST_GAP:
            continue
        groups_used += 1
        for (damping, _), point in zip(kept, points, strict=True):
            residuals[damping].append(point)
    usable = {
        damping: float(np.mean(values))
        for damping, values in residuals.items()
        if groups_used and len(values) == groups_used
    }
    if not usable:
        return None
    best = min(usable, key=lambda damping: abs(usable[damping]))
    return Calibrated(
        parameters={"damping": repr(best)},
        residual=usable[best],
        tried=tuple(sorted(usable.items())),
    )


def _loss(measured: Measurements, indices: Sequence[int]) -> float:
    margins: NDArray[np.float64] = measured.margins[list(indices)]
    return float(np.logaddexp(0.0, -margins).mean())


def _auc(scene: Scene, measured: Measurements) -> float:
    unseen = list(scene.split.validation)
    return auc(measured.scores[unseen], np.asarray(scene.images.labels)[unseen])
