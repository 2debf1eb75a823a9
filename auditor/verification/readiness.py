"""What a bank says beforehand: the ruler and the powers of an audit, from its models alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.domain.evidence import Power, RecipeFit
from auditor.errors import EvidenceError
from auditor.verification import per_patient
from auditor.verification.auc import AucReference, fix_margin
from auditor.verification.contrast import contrast
from auditor.verification.decide import CONTROL_SHARE
from auditor.verification.influence import (
    Scale,
    fit_scale,
    measure_ins,
    measure_outs,
    references_for,
)
from auditor.verification.layout import Indices, Layout, Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.objections import objected_models
from auditor.verification.plan import SHARES, Origin
from auditor.verification.power import clear_power, detect_power, pass_power, reach
from auditor.verification.recipe_fit import fit_recipe
from auditor.verification.relearning import relearning_images


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readiness:
    """The bank, measured before the run; nothing of any candidate is in it.

    Attributes:
        origin: what the bank was trained for.
        detect_one: as in `Plan`.
        reach: largest residual influence that would still pass.
        out_rho: each OUT model's rho, itself left out; the same for IN in ``untouched_rho``.
        control_detected: how many left-out IN models the rejection rule flags.
    """

    origin: Origin
    layout: Layout
    out: tuple[Measurements, ...]
    untouched: tuple[Measurements, ...]
    original: Measurements
    scale: Scale
    patient_scales: tuple[per_patient.PatientScale, ...]
    auc: AucReference
    recipe_fit: RecipeFit
    power: Power
    detect_one: float
    reach: float
    margin: float
    alpha: float
    rungs: int
    out_rho: tuple[float, ...]
    untouched_rho: tuple[float, ...]
    control_detected: int

    @property
    def relearning(self) -> Indices:
        """Images that a candidate must relearn; none where the bank's models relearned nothing."""
        asked = any(item.relearned.size for item in self.out)
        return relearning_images(self.layout) if asked else np.empty(0, dtype=np.int64)


def prepare(
    *,
    origin: Origin,
    out: Sequence[Measurements],
    untouched: Sequence[Measurements],
    original: Measurements,
    layout: Layout,
    margin: float = 0.35,
    alpha: float = 0.05,
    rungs: int = 1,
) -> Readiness:
    """Measure what the bank can tell, before any method runs.

    Args:
        origin: what the bank was trained for.
        out: OUT models, trained without the forgotten patients.
        untouched: IN models, trained with them.
        original: the model in service.
        layout: roles of the images.
        margin: of rho.
        alpha: of the whole plan.
        rungs: statistical rungs alpha is split among.

    Raises:
        EvidenceError: too few references, or scores that can't be compared.
    """
    needed = references_for(alpha / rungs / SHARES)
    if len(out) < needed:
        raise EvidenceError(
            f"{len(out)} OUT models are too few for alpha {alpha} over {rungs} rungs; at least "
            f"{needed} are needed"
        )
    out_scores = _contrasts(out, layout)
    in_scores = _contrasts(untouched, layout)
    patients = layout.patients[layout.forgotten]
    scale = fit_scale(out_scores, in_scores, patients)
    alone = per_patient.patient_scales(out_scores, in_scores, patients)
    share = alpha / rungs / SHARES
    equivalence, rejection = 1 - 2 * alpha / rungs, 1 - 2 * share
    outs = measure_outs(out_scores, in_scores, patients, equivalence)
    ins = measure_ins(out_scores, in_scores, patients, rejection)
    auc = fix_margin(original.scores, [item.scores for item in out], layout, equivalence)
    passing = pass_power(scale, margin, outs) * (0.0 if auc.refused else auc.power)
    fit = fit_recipe(original, untouched, layout, scale)
    decidable = float(fit.matches)  # on another recipe's bank no verdict rests: no power at all
    detected = sum(item.lower > margin or item.upper < -margin for item in ins)
    if detected < CONTROL_SHARE * len(ins):
        passing = 0.0  # nothing may pass by a bank that doesn't find its own untouched models
    if passing > 0:
        both = (original, *untouched)
        outside = per_patient.models_outside(alone, out_scores, in_scores, alpha)
        objected = objected_models(
            out, both, layout, outside=outside, alpha=share, doubt_alpha=alpha
        )
        passing *= clear_power(objected, outs, margin, alpha, alone=len(alone) == 1)
    return Readiness(
        origin=origin,
        layout=layout,
        out=tuple(out),
        untouched=tuple(untouched),
        original=original,
        scale=scale,
        patient_scales=alone,
        auc=auc,
        recipe_fit=fit,
        power=Power(
            detect_untouched=decidable * detect_power(scale, margin, ins),
            pass_retrain=decidable * passing,
        ),
        detect_one=decidable * per_patient.detect_one(alone, out_scores, in_scores, alpha),
        reach=reach(scale, margin, outs),
        margin=margin,
        alpha=alpha,
        rungs=rungs,
        out_rho=tuple(item.point for item in outs),
        untouched_rho=tuple(item.point for item in ins),
        control_detected=detected,
    )


def declared_power(readiness: Readiness, required: float) -> Power:
    """The bank's powers; where an untouched model is found too rarely, nothing may pass."""
    power = readiness.power
    return power if power.detect_untouched >= required else replace(power, pass_retrain=0.0)


def _contrasts(models: Sequence[Measurements], layout: Layout) -> Numbers:
    return np.stack([contrast(item.margins, layout) for item in models])
