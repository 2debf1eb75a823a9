"""Latent similarity: are the forgotten patients' features where retrains put them?

At each depth five numbers per model, each the forgotten patients' against never-seen patients of
the same model (matched ones; for the probe all of their class), so that what a model does to all
pictures drops out. All models are
treated alike, the candidate with the others, so its numbers are exchangeable with an OUT model's
where the candidate is a true retrain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.errors import EvidenceError
from auditor.verification.attacks.bounliphone2016relative import LEAST_PATIENTS, relative_test
from auditor.verification.attacks.cka import LEAST_ROWS, debiased_cka, linear_gram, rbf_gram
from auditor.verification.attacks.noise import noise_test
from auditor.verification.attacks.procrustes import align, residuals
from auditor.verification.layout import Layout, Numbers
from auditor.verification.matching import Matched, match_patients
from auditor.verification.measurements import Measurements
from auditor.verification.probes import class_reading

PROCRUSTES, CKA_LINEAR, CKA_RBF, RELATIVE = "procrustes", "cka-linear", "cka-rbf", "relative"
PROBE = "probe"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthStatistics:
    """What was found at one depth.

    Attributes:
        values: by measure, one number per model, the candidate last, (K + 1,). CKA needs four
            patients a group and is missing where there are fewer.
        noise_p_value: of `noise_test` on the candidate.
        nearer_untouched_p_value: of `relative_test` on the candidate; 1 with too few patients.
    """

    depth: str
    values: Mapping[str, Numbers]
    noise_p_value: float
    nearer_untouched_p_value: float


def latent_statistics(
    out: Sequence[Measurements],
    candidate: Measurements,
    untouched: Sequence[Measurements],
    layout: Layout,
) -> tuple[DepthStatistics, ...]:
    """All measures at all depths, shallow first.

    Args:
        out: OUT models.
        untouched: the original and IN models, whose mean is the third sample of relative tests:
            one model alone is too noisy a witness of what is remembered.

    Raises:
        EvidenceError: features that don't vary or are of other depths, or no never-seen patient to
            compare with.
    """
    models = [*out, candidate]
    depths = list(candidate.features)
    if not depths or any(list(item.features) != depths for item in (*models, *untouched)):
        raise EvidenceError("the models weren't looked into at the same depths; measure them anew")
    matched = match_patients(layout)
    return tuple(
        _at_depth(
            depth,
            [item.features[depth] for item in models],
            [item.features[depth] for item in untouched],
            layout,
            matched,
        )
        for depth in depths
    )


def _at_depth(
    depth: str,
    features: Sequence[NDArray[np.float32]],
    untouched: Sequence[NDArray[np.float32]],
    layout: Layout,
    matched: Matched,
) -> DepthStatistics:
    anchors = np.concatenate([layout.retained, layout.unseen])
    frame = align([*features, *untouched], anchors)
    left = residuals(frame[: len(features)])
    placed = np.stack([matched.means(item) for item in frame])
    models, before = placed[: len(features)], placed[len(features) :].mean(axis=0)
    gone = slice(0, matched.forgotten)
    values = {
        PROCRUSTES: _residual_ratios(left, matched),
        RELATIVE: nearness(models, before, matched.forgotten),
        PROBE: np.array([class_reading(item, layout) for item in features]),
    }
    if matched.forgotten >= LEAST_ROWS:
        plain = [matched.means(item) for item in features]
        values[CKA_LINEAR] = _similarity(np.stack([linear_gram(item) for item in plain]), matched)
        values[CKA_RBF] = _similarity(np.stack([rbf_gram(item) for item in plain]), matched)
    retrain = models[:-1, gone].mean(axis=0)
    expected = np.sqrt((left[:-1] ** 2).sum(axis=2).mean(axis=0))
    return DepthStatistics(
        depth=depth,
        values=values,
        noise_p_value=noise_test(left[-1], expected, matched),
        nearer_untouched_p_value=(
            relative_test(models[-1, gone], retrain, before[gone]).p_value
            if matched.forgotten >= LEAST_PATIENTS
            else 1.0
        ),
    )


def nearness(models: Numbers, untouched: Numbers, forgotten: int) -> Numbers:
    """How much nearer each model lies to the others than to untouched ones, about the forgotten.

    Per patient the squared distance to the untouched models' mean less that to the mean of the
    other models; then the forgotten patients' mean less the never-seen's. A model that inherited
    the original's weights may lie near it everywhere; only what is nearer *about the forgotten*
    is memory.

    Args:
        models: patients' features in one frame, forgotten first, (K + 1, patients, axes).
        untouched: (patients, axes).

    Returns:
        (K + 1,); small where the forgotten patients still lie where untouched models put them.
    """
    to_untouched = ((models - untouched) ** 2).sum(axis=2)
    to_others = (residuals(models) ** 2).sum(axis=2)
    difference = to_untouched - to_others
    return np.asarray(difference[:, :forgotten].mean(1) - difference[:, forgotten:].mean(1))


def _residual_ratios(left: Numbers, matched: Matched) -> Numbers:
    """Log of the forgotten patients' mean squared residual over the never-seen's, (K + 1,)."""
    squares = np.stack([matched.means(item) for item in (left**2).sum(axis=2)])
    gone, never = squares[:, : matched.forgotten], squares[:, matched.forgotten :]
    return np.asarray(np.log(gone.mean(axis=1) / never.mean(axis=1)))


def _similarity(grams: Numbers, matched: Matched) -> Numbers:
    """Mean CKA with the other models on forgotten patients less that on never-seen ones, (K + 1,).

    The never-seen patients are taken as they are matched, so groups differ in size; the estimator
    has no bias that would depend on it.
    """
    gone, never = slice(0, matched.forgotten), slice(matched.forgotten, None)
    return _mean_with_others(debiased_cka(grams[:, gone, gone])) - _mean_with_others(
        debiased_cka(grams[:, never, never])
    )


def _mean_with_others(similarity: Numbers) -> Numbers:
    return np.asarray((similarity.sum(axis=1) - similarity.diagonal()) / (len(similarity) - 1))
