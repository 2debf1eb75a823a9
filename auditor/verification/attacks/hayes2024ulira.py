"""U-LiRA: Hayes et al. 2024, Inexact Unlearning Needs More Careful Evaluations (arXiv 2403.01218).

Can models that were trained on the patients and unlearned them be told from models that never saw
them? The unlearner is run on IN models elsewhere; here are their scores only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.domain.evidence import MembershipAttack
from auditor.errors import EvidenceError
from auditor.verification.attacks.carlini2022lira import lira_online
from auditor.verification.attacks.rates import rate_attack
from auditor.verification.attacks.scores import LEAST_REFERENCES, patient_means
from auditor.verification.layout import Indices, Numbers

LEAST_MODELS = 2 * LEAST_REFERENCES


@dataclass(frozen=True, slots=True, kw_only=True)
class ULira:
    """U-LiRA on a cohort and on each of its patients; the unit is the model.

    Attributes:
        cohort: one score per model, the mean over patients.
        patients: one rating per patient, in order of their codes.
    """

    cohort: MembershipAttack
    patients: tuple[MembershipAttack, ...]


def u_lira(unlearned: Numbers, out: Numbers, patients: Indices, *, name: str = "u-lira") -> ULira:
    """Attack half of the models by the log likelihood ratio of unlearned to OUT, learnt elsewhere.

    Every second model is a target, so no target is among its own references: leaving out one at a
    time instead would spend fewer models, but ties the scores to each other, and the intervals
    would be too short.

    Args:
        unlearned: confidences after unlearning, one row per IN model, (U, n).
        out: confidences of OUT models, (K, n).
        patients: a code per image, (n,).

    Raises:
        EvidenceError: too few models, or scores that are no numbers or never vary.
    """
    for models, what in ((unlearned, "unlearned"), (out, "OUT")):
        if len(models) < LEAST_MODELS:
            raise EvidenceError(
                f"{len(models)} {what} models; U-LiRA needs at least {LEAST_MODELS}"
            )
    members, others = (
        patient_means(
            np.stack([lira_online(target, out[::2], unlearned[::2]) for target in models[1::2]]),
            patients,
        )
        for models in (unlearned, out)
    )
    return ULira(
        cohort=rate_attack(name, members.mean(axis=1), others.mean(axis=1), unit="model"),
        patients=tuple(
            rate_attack(name, members[:, k], others[:, k], unit="model")
            for k in range(members.shape[1])
        ),
    )
