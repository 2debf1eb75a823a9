"""Residual influence of each forgotten patient alone: each with a ruler and an interval of its own.

Single patients are often undecidable where a cohort isn't, and the lines say so. They are for the
controller; nothing of them is published (DESIGN section 4 point 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.evidence import Estimate, PatientInfluence
from auditor.verification.influence import Scale, estimate, fit_scale, measure_outs
from auditor.verification.layout import Indices, Numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatientScale:
    """One patient's ruler.

    Attributes:
        patient: the layout's code.
        columns: which of the forgotten images are theirs.
    """

    patient: int
    columns: Indices
    scale: Scale


def patient_scales(out: Numbers, untouched: Numbers, patients: Indices) -> tuple[PatientScale, ...]:
    """A ruler per patient from contrasts of OUT models (K, n) and IN models (L, n).

    Raises:
        EvidenceError: too few models, or contrasts that are NaN or don't vary.
    """
    found = []
    for code in np.unique(patients):
        own = np.flatnonzero(patients == code)
        scale = fit_scale(out[:, own], untouched[:, own], patients[own])
        found.append(PatientScale(patient=int(code), columns=own, scale=scale))
    return tuple(found)


def measure_patients(
    scales: Sequence[PatientScale], candidate: Numbers, margin: float, level: float, alpha: float
) -> tuple[PatientInfluence, ...]:
    """Rho of each patient on one candidate.

    Args:
        scales: of all forgotten patients.
        candidate: its contrasts, (n,).
        margin: of rho.
        level: of the intervals shown.
        alpha: chance that a true retrain is told apart on any patient, shared by all of them.
    """
    wide = 1 - 2 * alpha / len(scales)
    return tuple(
        PatientInfluence(
            patient=item.patient,
            images=len(item.columns),
            established=item.scale.established,
            gap_t=item.scale.gap_t,
            interval=estimate(item.scale, candidate[item.columns], level),
            outside=item.scale.established
            and _outside(estimate(item.scale, candidate[item.columns], wide), margin),
        )
        for item in scales
    )


def models_outside(
    out: Numbers, untouched: Numbers, patients: Indices, margin: float, alpha: float
) -> tuple[bool, ...]:
    """Which OUT models would be told apart on some patient, each held against the others.

    Args:
        out: contrasts of OUT models, (K, n); ``untouched``: of IN models, (L, n).
        patients: a code per image, (n,).
        margin: of rho.
        alpha: as in `measure_patients`.
    """
    found = np.zeros(len(out), dtype=bool)
    scales = patient_scales(out, untouched, patients)
    for item in scales:
        if item.scale.established:
            blocks = out[:, item.columns], untouched[:, item.columns]
            outs = measure_outs(*blocks, item.scale.patients, 1 - 2 * alpha / len(scales))
            found |= [_outside(bounds, margin) for bounds in outs]
    return tuple(found.tolist())


def _outside(bounds: Estimate, margin: float) -> bool:
    return bounds.lower > margin or bounds.upper < -margin
