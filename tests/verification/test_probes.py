"""The layer-wise probe against scikit-learn's ridge, its size, and what it sees of one patient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import Ridge

from auditor.errors import EvidenceError
from auditor.verification.layout import Layout, Numbers
from auditor.verification.prediction import prediction_test
from auditor.verification.probes import class_reading

IMAGES, WIDTH = 150, 6
_PATIENTS = np.arange(IMAGES) // 2
LAYOUT = Layout(
    labels=_PATIENTS % 3,
    patients=_PATIENTS,
    forgotten=np.flatnonzero(_PATIENTS < 4),
    retained=np.flatnonzero((_PATIENTS >= 4) & (_PATIENTS < 40)),
    unseen=np.flatnonzero(_PATIENTS >= 40),
)
ALONE = Layout(
    labels=LAYOUT.labels,
    patients=_PATIENTS,
    forgotten=np.flatnonzero(_PATIENTS == 1),
    retained=LAYOUT.retained,
    unseen=LAYOUT.unseen,
)


def features(random: np.random.Generator, layout: Layout = LAYOUT, kept: float = 0.0) -> Numbers:
    """Classes lie apart; a model that remembers puts the forgotten further out on their side."""
    values = random.standard_normal((IMAGES, WIDTH))
    rows = np.arange(IMAGES)
    values[rows, layout.labels] += 2.0
    values[layout.forgotten, layout.labels[layout.forgotten]] += kept
    return values @ np.linalg.qr(random.standard_normal((WIDTH, WIDTH)))[0]


def naive_reading(values: Numbers, layout: Layout) -> float:
    """The same by scikit-learn, image by image and patient by patient."""
    known, labels = layout.retained, layout.labels
    centred = values[known] - values[known].mean(axis=0)
    fit = Ridge(alpha=(centred**2).sum(axis=1).mean()).fit(values[known], np.eye(3)[labels[known]])
    answers = fit.predict(values)
    margins = np.array(
        [row[own] - max(np.delete(row, own)) for row, own in zip(answers, labels, strict=True)]
    )
    never = {c: [margins[i] for i in layout.unseen if labels[i] == c] for c in range(3)}
    off = np.concatenate([np.square(np.array(part) - np.mean(part)) for part in never.values()])
    of_patients = [
        np.mean(
            [
                margins[i] - np.mean(never[labels[i]])
                for i in layout.forgotten
                if layout.patients[i] == patient
            ]
        )
        for patient in sorted(set(layout.patients[layout.forgotten]))
    ]
    return float(np.mean(of_patients) / np.sqrt(off.mean()))


@pytest.mark.parametrize("layout", [LAYOUT, ALONE], ids=["cohort", "alone"])
def test_the_reading_is_that_of_a_ridge_regression(layout: Layout) -> None:
    random = np.random.default_rng(1)
    for kept in (0.0, 1.0, 3.0):
        some = features(random, layout, kept)
        found = class_reading(some, layout)
        assert found == pytest.approx(naive_reading(some, layout))
        assert class_reading(7 * some + 3, layout) == pytest.approx(found)


@pytest.mark.parametrize(("layout", "kept"), [(LAYOUT, 2.0), (ALONE, 5.0)], ids=["cohort", "alone"])
def test_what_is_memorised_shows_even_of_one_patient_and_a_retrain_is_seldom_blamed(
    layout: Layout, kept: float
) -> None:
    random = np.random.default_rng(4)
    p_values: dict[float, list[float]] = {0.0: [], kept: []}
    for _ in range(400):
        out = np.array([class_reading(features(random, layout), layout) for _ in range(12)])
        for much, found in p_values.items():
            own = class_reading(features(random, layout, much), layout)
            found.append(prediction_test(own, out)[1])
    wrong = int((np.array(p_values[0.0]) <= 0.05).sum())
    assert stats.binomtest(wrong, 400, 0.05, alternative="greater").pvalue > 0.01
    assert np.mean(np.array(p_values[kept]) <= 0.05) > 0.8


def test_features_that_say_nothing_are_refused() -> None:
    with pytest.raises(EvidenceError, match="same features at one depth"):
        class_reading(np.ones((IMAGES, 3), dtype=np.float32), LAYOUT)
