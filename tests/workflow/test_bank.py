"""Who is in which model of a bank, which models serve whom, and when such a bank may decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.artefact import Digest
from auditor.domain.bank_events import BankDesign, SharedBankTried
from auditor.errors import EvidenceError, MisuseError
from auditor.verification.clopper_pearson import clopper_pearson
from auditor.workflow.audit.shared_bank import (
    Member,
    exact_sides,
    require_decisive,
    retrains_needed,
    sides_of,
)
from auditor.workflow.models.inclusion import Inclusion, leave_cohort_out, random_subsets

PATIENTS = [f"p{number}" for number in range(30)]
EVERYONE = frozenset(PATIENTS)


@given(parts=st.integers(2, 10), rounds=st.integers(1, 4), seed=st.integers(0, 2**48))
def test_subsets_treat_all_patients_alike(parts: int, rounds: int, seed: int) -> None:
    drawn = random_subsets(PATIENTS, models=parts * rounds, parts=parts, seed=seed)
    assert drawn == random_subsets(PATIENTS[::-1], models=parts * rounds, parts=parts, seed=seed)
    assert drawn.design is BankDesign.RANDOM_SUBSETS and len(drawn.models) == parts * rounds
    for patient in PATIENTS:  # OUT of exactly one model of each round
        assert len(drawn.without([patient])) == rounds
        assert len(drawn.holding_all([patient])) == (parts - 1) * rounds
    sizes = {len(own) for own in drawn.models}
    assert max(sizes) - min(sizes) <= 1 and max(sizes) < len(PATIENTS)


def test_subsets_differ_by_seed_and_round_and_pairs_part_as_chance_has_it() -> None:
    drawn = random_subsets(PATIENTS, models=400, parts=2, seed=1)
    assert len(set(drawn.models)) == 400
    assert drawn != random_subsets(PATIENTS, models=400, parts=2, seed=2)
    together = len(drawn.without(PATIENTS[:2]))  # hypergeometric: 200 * 14/29, sd 7
    assert 60 < together < 135


@pytest.mark.parametrize(("models", "parts"), [(4, 1), (31, 31), (3, 2), (0, 2), (2, 4)])
def test_numbers_that_do_not_go_round_are_refused(models: int, parts: int) -> None:
    with pytest.raises(MisuseError):
        random_subsets(PATIENTS, models=models, parts=parts, seed=1)


def test_a_cohort_is_left_out_of_every_model() -> None:
    left = leave_cohort_out(PATIENTS, PATIENTS[:3], 4)
    assert left.models == (EVERYONE - set(PATIENTS[:3]),) * 4
    for cohort in ([], ["stranger"], PATIENTS):
        with pytest.raises(MisuseError, match="cohort"):
            leave_cohort_out(PATIENTS, cohort, 4)


def test_models_are_read_off_by_who_is_in_them() -> None:
    inclusion = Inclusion(
        design=BankDesign.RANDOM_SUBSETS,
        models=(frozenset("ab"), frozenset("bc"), frozenset("c"), frozenset()),
    )
    assert inclusion.without("ab") == (2, 3)
    assert inclusion.holding_all("ab") == (0,)
    assert inclusion.holding_any("ab") == (0, 1)


def made(*lists: frozenset[str]) -> list[Member]:
    return [
        Member(weights=Digest.of(str(number).encode()), patients=patients)
        for number, patients in enumerate(lists)
    ]


def test_last_quarters_bank_is_in_and_this_quarters_out_for_exactly_the_cohort() -> None:
    cohort = frozenset(PATIENTS[:4])
    found = made(*[EVERYONE] * 5, *[EVERYONE - cohort] * 8, *[EVERYONE - {"p9"}] * 5)
    exact = exact_sides(found, EVERYONE, cohort)
    assert exact.untouched == tuple(found[:5]) and exact.out == tuple(found[5:13])
    assert exact.enough
    one_of_them = frozenset(PATIENTS[:1])
    assert not exact_sides(found, EVERYONE, one_of_them).out  # left out with others: approximate
    approximate = sides_of(found, one_of_them)
    assert approximate.out == tuple(found[5:13])
    assert approximate.untouched == (*found[:5], *found[13:])


def test_of_those_that_hold_half_a_cohort_none_is_used() -> None:
    half = EVERYONE - {"p0"}
    found = made(*[half] * 20, *[EVERYONE] * 5, *[EVERYONE - {"p0", "p1"}] * 8)
    for sides in (
        sides_of(found, frozenset({"p0", "p1"})),
        exact_sides(found, EVERYONE, frozenset({"p0", "p1"})),
    ):
        assert sides.enough and not set(found[:20]) & {*sides.out, *sides.untouched}


def test_so_many_models_are_enough_and_no_fewer() -> None:
    for out, untouched, enough in ((8, 5, True), (7, 9, False), (9, 4, False)):
        found = made(*[EVERYONE - {"p0"}] * out, *[EVERYONE] * untouched)
        assert sides_of(found, frozenset({"p0"})).enough is enough


def trials(*counts: tuple[int, int]) -> list[SharedBankTried]:
    some = Digest.of(b"some")
    return [
        SharedBankTried(model="m", bank=some, retrains=retrains, failed=failed, findings=some)
        for retrains, failed in counts
    ]


@pytest.mark.parametrize(
    ("counts", "decides"),
    [
        ([], False),
        ([(58, 0)], False),
        ([(59, 0)], True),
        ([(30, 0), (29, 0)], True),
        ([(59, 1)], False),
        ([(59, 0), (10, 1)], False),  # what was shown once doesn't stand against what came after
        ([(59, 1), (33, 0)], False),
        ([(59, 1), (34, 0)], True),
    ],
)
def test_random_subsets_decide_once_true_retrains_have_shown_their_false_alarms(
    counts: list[tuple[int, int]], decides: bool
) -> None:
    if decides:
        require_decisive(trials(*counts), 0.05)
    else:
        with pytest.raises(EvidenceError, match="try 59"):
            require_decisive(trials(*counts), 0.05)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_so_many_retrains_are_needed_and_one_fewer_would_not_do(alpha: float) -> None:
    needed = retrains_needed(alpha)
    assert (
        clopper_pearson(0, needed, 0.9).upper <= alpha < clopper_pearson(0, needed - 1, 0.9).upper
    )
