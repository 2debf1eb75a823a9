"""Membership inference on the forgotten patients: one number per model, and how good it is on one.

The numbers are means over patients of each attack's score, every model held against all others,
so the candidate's is exchangeable with an OUT model's where it is a true retrain. Those of RMIA and
of the loss threshold are shares, and of few patients often 0 or 1. They are told as the arcsine of
the root, on which a share's variance hardly depends on where it lies (Anscombe 1948).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from auditor.domain.evidence import MembershipAttack
from auditor.errors import EvidenceError
from auditor.verification.attacks.carlini2022lira import lira_offline
from auditor.verification.attacks.choquettechoo2021labels import label_only
from auditor.verification.attacks.hayes2024ulira import LEAST_MODELS, u_lira
from auditor.verification.attacks.rates import rate_attack
from auditor.verification.attacks.scores import models_against_others, patient_means
from auditor.verification.attacks.zarifzadeh2024rmia import confidence, marginal_offline, rmia
from auditor.verification.contrast import contrast, contrast_with
from auditor.verification.delong import auc
from auditor.verification.layout import Indices, Layout, Numbers
from auditor.verification.measurements import Measurements

LIRA, LIRA_AUGMENTED, RMIA = "lira-offline", "lira-augmented", "rmia-offline"
LOSS, LABELS = "loss-threshold", "label-only"


def membership_statistics(models: Sequence[Measurements], layout: Layout) -> Mapping[str, Numbers]:
    """By attack one number per model, larger for members, (K + 1,).

    Raises:
        EvidenceError: too few models, models that weren't asked about changed images, or scores
            that are no numbers or don't vary.
    """
    margins = np.stack([item.margins for item in models])
    contrasts, averaged = (
        np.stack([contrast(item, layout) for item in values])
        for values in (margins, [averaged_margins(item) for item in models])
    )

    def population_ratios(own: Numbers, others: Numbers) -> Numbers:
        return _rmia(own, others, layout)[layout.forgotten]

    return {
        LIRA: _each(lira_offline, contrasts, layout),
        LIRA_AUGMENTED: _each(lira_offline, averaged, layout),
        RMIA: steadied(_each(population_ratios, margins, layout)),
        LOSS: steadied(np.array([loss_threshold(item, layout) for item in margins])),
    }


def steadied(shares: Numbers) -> Numbers:
    """Arcsine of the root, from 0 to pi / 2."""
    return np.asarray(np.arcsin(np.sqrt(shares)))


def averaged_margins(model: Measurements) -> Numbers:
    """Each image's mean margin over itself and its flips and shifts, (n,).

    Carlini et al. 2022 also query a model with augmentations of an image, and model the
    confidences jointly; with the dozen references of a case only their mean has a variance that
    can be told.

    Raises:
        EvidenceError: the model was asked about the images as they are only.
    """
    if not model.augmented.size:
        raise EvidenceError("the model wasn't asked about changed images; measure it with queries")
    return np.asarray(np.vstack([model.margins, model.augmented]).mean(axis=0))


def _each(
    attack: Callable[[Numbers, Numbers], Numbers], models: Numbers, layout: Layout
) -> Numbers:
    """Mean over forgotten patients of each model's scores, the others as references, (K + 1,)."""
    patients = layout.patients[layout.forgotten]
    scores = [attack(own, others) for own, others in models_against_others(models)]
    return np.array([patient_means(item, patients).mean() for item in scores])


def loss_threshold(margins: Numbers, layout: Layout) -> float:
    """AUC with which a loss threshold tells forgotten from never-seen patients.

    Yeom et al. 2018, section 3.2; the margin orders images as the loss does.
    """
    gone, never = _of(margins, layout, layout.forgotten), _of(margins, layout, layout.unseen)
    return auc(np.concatenate([gone, never]), np.repeat([1, 0], [len(gone), len(never)]))


def describe_membership(
    candidate: Measurements,
    out: Sequence[Measurements],
    untouched: Sequence[Measurements],
    layout: Layout,
) -> tuple[MembershipAttack, ...]:
    """How well each attack tells forgotten from never-seen patients on the candidate; controls.

    An attack that scores all images alike, as label-only does where every label is right, is left
    out.

    ``bank`` says how well LiRA tells untouched from OUT models at all: where it can't, its silence
    about the candidate says nothing. ``split-members`` and ``split-others`` are the loss threshold
    between groups of one membership, forgotten and retained patients on IN models, forgotten and
    never-seen ones on OUT models: what differs from 0.5 there is read off the split.
    """
    inside, outside = _mean_margins(untouched), _mean_margins(out)
    return (
        *(
            rate_attack(
                name,
                _of(scores, layout, layout.forgotten),
                _of(scores, layout, layout.unseen),
                unit="patient",
            )
            for name, scores in _scores(candidate, out, layout).items()
            if np.ptp(scores[np.concatenate([layout.forgotten, layout.unseen])])
        ),
        *bank_control(out, untouched, layout),
        split_control("split-members", inside, layout, layout.forgotten, layout.retained),
        split_control("split-others", outside, layout, layout.forgotten, layout.unseen),
    )


def bank_control(
    out: Sequence[Measurements], untouched: Sequence[Measurements], layout: Layout
) -> tuple[MembershipAttack, ...]:
    """Online LiRA between untouched and OUT models by the cohort; none where they are too few."""
    if min(len(out), len(untouched)) < LEAST_MODELS:
        return ()
    found = u_lira(
        np.stack([contrast(item.margins, layout) for item in untouched]),
        np.stack([contrast(item.margins, layout) for item in out]),
        layout.patients[layout.forgotten],
        name="bank",
    )
    return (found.cohort,)


def split_control(
    name: str, scores: Numbers, layout: Layout, one: Indices, other: Indices
) -> MembershipAttack:
    """The attack between two groups of patients that are both members, or both not.

    Args:
        scores: an attack's, one per image, (n,).
    """
    return rate_attack(name, _of(scores, layout, one), _of(scores, layout, other), unit="patient")


def _scores(
    candidate: Measurements, out: Sequence[Measurements], layout: Layout
) -> Mapping[str, Numbers]:
    """Each attack's score of every image, (n,); those of retained images mean nothing."""
    margins = np.stack([item.margins for item in out])
    averaged = np.stack([averaged_margins(item) for item in out])
    return {
        LIRA: _lira(candidate.margins, margins, layout),
        LIRA_AUGMENTED: _lira(averaged_margins(candidate), averaged, layout),
        RMIA: _rmia(candidate.margins, margins, layout),
        LOSS: candidate.margins,
        LABELS: label_only(candidate.margins, np.vstack([candidate.augmented, candidate.noisy])),
    }


def _lira(own: Numbers, others: Numbers, layout: Layout) -> Numbers:
    """Offline LiRA of every image by its contrast, (n,)."""
    return lira_offline(
        _contrasts(own, layout), np.stack([_contrasts(item, layout) for item in others])
    )


def _contrasts(margins: Numbers, layout: Layout) -> Numbers:
    """Contrasts of every image, (n,)."""
    everyone = np.arange(len(margins))
    return contrast_with(margins, layout.labels, everyone, (layout.retained, layout.unseen))


def _rmia(own: Numbers, others: Numbers, layout: Layout) -> Numbers:
    """RMIA of every image with the never-seen images as population, (n,)."""
    target, marginal = confidence(own), marginal_offline(confidence(others))
    return rmia(
        target,
        marginal,
        population=target[layout.unseen],
        population_marginal=marginal[layout.unseen],
    )


def _mean_margins(models: Sequence[Measurements]) -> Numbers:
    return np.asarray(np.mean([item.margins for item in models], axis=0))


def _of(scores: Numbers, layout: Layout, group: Indices) -> Numbers:
    return patient_means(scores[group], layout.patients[group])
