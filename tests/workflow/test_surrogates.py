"""Surrogates are matched by image count first, memorisation second, and never the forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from auditor.workflow.surrogates import match_surrogates

PATIENTS = [f"p{number}" for number in range(12)]


@given(
    counts=st.lists(st.integers(1, 5), min_size=12, max_size=12),
    scores=st.lists(st.floats(-3, 12), min_size=12, max_size=12),
    asked=st.integers(1, 4),
)
def test_groups_are_disjoint_and_of_the_cohorts_size(
    counts: list[int], scores: list[float], asked: int
) -> None:
    forgotten = PATIENTS[:asked]
    groups = match_surrogates(
        forgotten,
        dict(zip(PATIENTS, counts, strict=True)),
        dict(zip(PATIENTS, scores, strict=True)),
    )
    flat = [subject for group in groups for subject in group]
    assert len(flat) == len(set(flat))
    assert not set(flat) & set(forgotten)
    assert all(len(group) == asked for group in groups)


def test_image_count_counts_before_memorisation() -> None:
    images = {"f": 5, "a": 5, "b": 2}
    memorisation = {"f": 9.0, "a": 0.0, "b": 9.0}
    assert match_surrogates(["f"], images, memorisation)[0] == ("a",)


def test_nobody_left_gives_no_group() -> None:
    assert match_surrogates(["f"], {"f": 1}, {"f": 0.0}) == ()
