"""Calibrating a method on surrogates: which of its variants leaves the least of *their* influence.

Subject to bounds measured on other patients. Only the surrogates' scores are read, never the
request's (DESIGN section 4 point 11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from auditor.domain.calibration import Bounds, Findings, Group, Reading, Trial
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain
from auditor.errors import EvidenceError, UnauditableError, UnlearningError
from auditor.learning.progress import Progress
from auditor.unlearning.task import Outsiders, Task, Tunable
from auditor.verification.delong import auc
from auditor.verification.measure import measure
from auditor.verification.measurements import Measurements
from auditor.verification.surrogate import (
    LEAST_GAP,
    bounds_from,
    choose,
    influence_on,
    scale_of,
)
from auditor.workflow.audit.bank import Bank
from auditor.workflow.audit.references import layout_for
from auditor.workflow.audit.scene import Scene, derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A method tuned for one request, without a look at it.

    Attributes:
        parameters: of the variant chosen; None where there is none.
        residual: mean of |rho| that it left of the surrogates; None where none of them can tell.
        findings: canonical bytes of all that was measured, see `auditor.domain.calibration`.
    """

    method: str
    parameters: Mapping[str, str] | None
    residual: float | None
    findings: bytes


def calibrate(
    scene: Scene,
    bank: Bank,
    module: nn.Module,
    method: Tunable,
    *,
    outsiders: Outsiders | None,
    progress: Progress,
) -> Calibration:
    """Try every variant of a method on each group of surrogates and choose one.

    Args:
        outsiders: what scouts say of training images, for methods that are guided by it.
    """
    apart = tuple(index for group in bank.surrogates for index in group)
    bounds = _bounds(scene, bank, module, scene.without(bank.forgotten, apart))
    found: dict[tuple[tuple[str, str], ...], list[Reading]] = {}
    groups: list[Group] = []
    for number, group in enumerate(bank.surrogates):
        progress(f"calibrating {method.name}", number, len(bank.surrogates))
        readings, told = _tried(scene, bank, module, method, outsiders, group)
        groups.append(told)
        for parameters, reading in readings:
            found.setdefault(tuple(parameters.items()), []).append(reading)
    progress(f"calibrating {method.name}", len(bank.surrogates), len(bank.surrogates))
    trials = tuple(
        Trial(parameters=dict(parameters), readings=tuple(readings))
        for parameters, readings in found.items()
    )
    choice, chosen = choose(trials, groups, bounds)
    findings = Findings(
        method=method.name,
        groups=tuple(groups),
        least_gap=LEAST_GAP,
        bounds=bounds,
        trials=trials,
        choice=choice,
        chosen=chosen,
    )
    return Calibration(
        method=method.name,
        parameters=findings.parameters,
        residual=findings.residual,
        findings=canonical_bytes(plain(findings)),
    )


def _tried(
    scene: Scene,
    bank: Bank,
    module: nn.Module,
    method: Tunable,
    outsiders: Outsiders | None,
    group: Sequence[int],
) -> tuple[list[tuple[Mapping[str, str], Reading]], Group]:
    apart = tuple(index for other in bank.surrogates for index in other)
    retained = scene.without(bank.forgotten, apart)
    layout = layout_for(
        scene, group, apart=(*bank.forgotten, *apart), unseen=scene.split.validation
    )
    # Block B was trained without the surrogates, block A with them.
    scale = scale_of(bank.untouched.measured, bank.out.measured, layout)
    task = Task(
        recipe=scene.recipe,
        module=module,
        images=scene.images,
        forget=tuple(group),
        retain=scene.without(bank.forgotten, group),  # as at the request: all others stay
        seed=derive_seed("calibration", bank.digest),
        unseen=scene.split.validation,
        known=scene.known,
        outsiders=outsiders,
    )
    wanted = (*group, *retained, *task.unseen)
    readings: list[tuple[Mapping[str, str], Reading]] = []
    with suppress(UnauditableError):  # it answers all alike; what is stronger does no better
        for parameters, measured in _measured(scene, task, method, wanted):
            reading = Reading(
                influence=influence_on(scale, measured, layout),
                loss=_loss(measured, retained),
                auc=_auc(scene, measured),
            )
            readings.append((parameters, reading))
    return readings, Group(strength=scale.gap_t, error=scale.standard_error)


def _measured(
    scene: Scene, task: Task, method: Tunable, wanted: Sequence[int]
) -> Iterator[tuple[Mapping[str, str], Measurements]]:
    """Until a candidate can't be made or holds NaN or infinity; one by several names only once."""
    made: tuple[nn.Module, Measurements] | None = None
    try:
        for parameters, module in method.variants(task):
            if made is None or made[0] is not module:
                made = module, _measured_on(scene, module, wanted)
            yield parameters, made[1]
    except (UnlearningError, EvidenceError):
        return


def _bounds(scene: Scene, bank: Bank, module: nn.Module, retained: Sequence[int]) -> Bounds:
    references = (*bank.out.measured, *bank.untouched.measured)
    original = _measured_on(scene, module, scene.split.validation)
    return bounds_from(
        [_loss(item, retained) for item in references],
        [_auc(scene, item) for item in (*references, original)],
    )


def _measured_on(scene: Scene, module: nn.Module, wanted: Sequence[int]) -> Measurements:
    """What the model says about these images; NaN about all others, which it isn't shown."""
    places = list(wanted)
    found = measure(module, scene.images.images[places], scene.images.labels[places])
    margins, scores = np.full((2, len(scene.images.subjects)), np.nan)
    margins[places], scores[places] = found.margins, found.scores
    return Measurements(margins=margins, scores=scores, features={})


def _loss(measured: Measurements, indices: Sequence[int]) -> float:
    margins: NDArray[np.float64] = measured.margins[list(indices)]
    return float(np.logaddexp(0.0, -margins).mean())


def _auc(scene: Scene, measured: Measurements) -> float:
    unseen = list(scene.split.validation)
    return auc(measured.scores[unseen], np.asarray(scene.images.labels)[unseen])
