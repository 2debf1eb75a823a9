"""What is said to be missing is what an audit would have stumbled over, no more and no less."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.errors import EvidenceError
from auditor.verification.contrast import contrast_with
from auditor.verification.delong import auc, components
from auditor.verification.layout import Indices
from auditor.verification.sufficiency import lacking


def audited(
    labels: Indices, patients: Indices, train: Indices, validation: Indices, test: Indices
) -> bool:
    scores = np.random.default_rng(1).normal(0, 1, len(labels))
    try:
        contrast_with(scores, labels, train, (validation,))
        contrast_with(scores, labels, train, (train, test))
        auc(scores[test], labels[test])
        components(scores[test], labels[test], patients[test])
    except EvidenceError:
        return False
    return True


def test_nothing_is_missing_where_scores_and_areas_can_be_had_and_only_there() -> None:
    draw, seen = np.random.default_rng(2), set()
    for _ in range(600):
        count = int(draw.integers(18, 45))
        labels = draw.choice([[0, 1], [0, 2], [0, 1, 2]][draw.integers(3)], count)
        patients = draw.integers(0, 12, count)
        train, validation, test = np.array_split(draw.permutation(count), 3)
        missing = lacking(labels, patients, train=train, validation=validation, test=test)
        assert (missing == "") is audited(labels, patients, train, validation, test)
        seen.add(missing == "")
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("labels", "patients", "says"),
    [
        ([0, 1] * 9, range(18), ""),
        ([0, 1] * 8 + [0, 0], range(18), "test has 2 images of class 1, 3 are needed"),
        ([0, 2] * 9, range(18), "test has 0 patients of class 1, 2 are needed"),
        ([0, 1] * 9, [*range(13), 13, 14, 13, 16, 13], "test has 1 patients of class 1"),
    ],
)
def test_what_is_missing_is_told_in_numbers(
    labels: list[int], patients: list[int], says: str
) -> None:
    parts = (np.arange(start, start + 6) for start in (0, 6, 12))
    train, validation, test = parts
    found = lacking(
        np.array(labels), np.array(patients), train=train, validation=validation, test=test
    )
    assert found.startswith(says) and bool(found) is bool(says)
