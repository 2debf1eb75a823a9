"""Surrogates are matched by image count and memorisation, and are never the forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from auditor.workflow.audit.surrogates import match_surrogates

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


def test_twice_the_images_count_as_one_standard_deviation_of_memorisation() -> None:
    images = {"f": 2, "same": 2, "twice": 4, "half": 1}
    memorisation = {"f": 5.0, "same": 3.9, "twice": 5.0, "half": 4.9}
    assert match_surrogates(["f"], images, memorisation) == (("twice",), ("half",), ("same",))
    memorisation["same"] = 4.1
    assert match_surrogates(["f"], images, memorisation)[0] == ("same",)


def test_nobody_left_gives_no_group() -> None:
    assert match_surrogates(["f"], {"f": 1}, {"f": 0.0}) == ()
