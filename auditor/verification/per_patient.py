"""Residual influence of each forgotten patient alone: each with a ruler and an interval of its own.

Single patients are often undecidable where a cohort isn't, and the lines say so. They are for the
controller; nothing of them is published (DESIGN section 4 point 14). What each is asked is not
whether little enough is left, but, as by the secondary tests, whether they can be told from a
patient whom the model never saw: what one keeps, or over-forgets, is lost in a cohort's mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.evidence import Estimate, PatientInfluence
from auditor.verification.influence import Scale, estimate, fit_scale, measure_ins, measure_outs
from auditor.verification.layout import Indices, Numbers
from auditor.verification.power import detect_power


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
    scales: Sequence[PatientScale], candidate: Numbers, level: float, alpha: float
) -> tuple[PatientInfluence, ...]:
    """Rho of each patient on one candidate.

    Args:
        scales: of all forgotten patients.
        candidate: its contrasts, (n,).
        level: of the intervals shown.
        alpha: chance that a true retrain is told apart on any patient, shared by all of them.
    """
    wide = 1 - alpha / len(scales)
    return tuple(
        PatientInfluence(
            patient=item.patient,
            images=len(item.columns),
            established=item.scale.established,
            gap_t=item.scale.gap_t,
            interval=estimate(item.scale, candidate[item.columns], level),
            outside=len(scales) > 1  # one alone is what residual influence looks at anyway
            and item.scale.established
            and _told_apart(estimate(item.scale, candidate[item.columns], wide)),
        )
        for item in scales
    )


def models_outside(
    scales: Sequence[PatientScale], out: Numbers, untouched: Numbers, alpha: float
) -> tuple[bool, ...]:
    """Which OUT models would be told apart on some patient, each held against the others.

    Args:
        scales: made of these models.
        out: contrasts of OUT models, (K, n); ``untouched``: of IN models, (L, n).
        alpha: as in `measure_patients`.
    """
    found = np.zeros(len(out), dtype=bool)
    for item in scales if len(scales) > 1 else ():  # as in `measure_patients`
        if item.scale.established:
            blocks = out[:, item.columns], untouched[:, item.columns]
            outs = measure_outs(*blocks, item.scale.patients, 1 - alpha / len(scales))
            found |= [_told_apart(bounds) for bounds in outs]
    return tuple(found.tolist())


def detect_one(
    scales: Sequence[PatientScale], out: Numbers, untouched: Numbers, alpha: float
) -> float:
    """Power to tell one patient apart who is untouched while the others were forgotten.

    In the mean of them; who isn't remembered can't be told. Arguments as of `models_outside`.
    It says nothing where one alone is forgotten: nobody looks then (`measure_patients`).
    """
    level = 1 - alpha / len(scales)
    powers = [
        detect_power(
            item.scale,
            0.0,
            measure_ins(
                out[:, item.columns], untouched[:, item.columns], item.scale.patients, level
            ),
        )
        for item in scales
    ]
    return float(np.mean(powers))


def _told_apart(bounds: Estimate) -> bool:
    """Whether 0 lies outside: beyond the margin hardly a patient could be shown to lie alone."""
    return bounds.lower > 0 or bounds.upper < 0
