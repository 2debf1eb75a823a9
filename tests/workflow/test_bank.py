"""Who is in which model of a bank, which models serve whom, and when such a bank may decide."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.artefact import Digest
from auditor.domain.bank_events import BankDesign, SharedBankPlanned, SharedBankTried
from auditor.domain.event import event_from
from auditor.errors import EvidenceError, MisuseError
from auditor.verification.anytime import anytime_upper
from auditor.verification.clopper_pearson import clopper_pearson
from auditor.verification.plan import LARGEST_MARGIN
from auditor.workflow.audit.false_alarms import millionths, require_decisive, retrains_needed
from auditor.workflow.audit.shared_bank import (
    Member,
    _tried_sides,
    exact_sides,
    sides_of,
)
from auditor.workflow.models.inclusion import Inclusion, leave_cohort_out, random_subsets
from auditor.workflow.models.shared_bank_book import SharedBank

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


def trials(*counts: tuple[int, int], margin: float = 0.35) -> list[SharedBankTried]:
    some = Digest.of(b"some")
    return [
        SharedBankTried(
            model="m",
            bank=some,
            retrains=retrains,
            failed=failed,
            findings=some,
            margin_millionths=millionths(margin),
        )
        for retrains, failed in counts
    ]


@pytest.mark.parametrize(
    ("counts", "more"),
    [
        ([], 74),
        ([(59, 0)], 15),
        ([(73, 0)], 1),
        ([(74, 0)], 0),
        ([(37, 0), (37, 0)], 0),
        ([(74, 1)], 57),
        ([(74, 0), (10, 1)], 47),  # what was shown once doesn't stand against what came after
        ([(74, 1), (56, 0)], 1),
        ([(74, 1), (57, 0)], 0),
    ],
)
def test_random_subsets_decide_once_true_retrains_have_shown_their_false_alarms(
    counts: list[tuple[int, int]], more: int
) -> None:
    if more:
        with pytest.raises(EvidenceError, match=f"try {more} more"):
            require_decisive(trials(*counts), 0.05, 0.35)
    else:
        require_decisive(trials(*counts), 0.05, 0.35)


def test_trials_count_for_cases_at_their_own_margin_or_a_wider_one() -> None:
    shown = trials((74, 0), margin=0.2)
    for margin in (0.2, 0.35, 0.5):
        require_decisive(shown, 0.05, margin)
    with pytest.raises(EvidenceError, match=r"margin of 0\.1 or a narrower one.* try 74 more"):
        require_decisive(shown, 0.05, 0.1)
    with pytest.raises(EvidenceError, match="try 74 more"):
        require_decisive([*shown, *trials((74, 0), margin=0.11)], 0.05, 0.1)
    with pytest.raises(EvidenceError):  # of what fails at a narrower margin, more may
        require_decisive([*trials((74, 0)), *trials((74, 5), margin=0.2)], 0.05, 0.35)


def test_trials_of_before_that_kept_no_margin_count_for_no_case() -> None:
    some = str(Digest.of(b"some"))
    stored = {"model": "m", "bank": some, "retrains": 590, "failed": 0, "findings": some}
    lifted = event_from("shared-bank-tried/v1", stored)
    assert isinstance(lifted, SharedBankTried) and lifted.retrains == 590
    with pytest.raises(EvidenceError, match="try 74 more"):
        require_decisive([lifted], 0.05, LARGEST_MARGIN)


@pytest.mark.parametrize("patients", [1, 2])
def test_random_subsets_decide_nothing_about_several_patients_together(patients: int) -> None:
    some = Digest.of(b"some")
    planned = SharedBankPlanned(
        model="m",
        bank=some,
        weights=some,
        design=BankDesign.RANDOM_SUBSETS,
        models=16,
        inclusion=some,
        destroy_by=date(2027, 1, 1),
    )
    bank = SharedBank(planned=planned, tried=tuple(trials((74, 0))))
    asked = frozenset(PATIENTS[:patients])
    sides = sides_of(made(*[EVERYONE - asked] * 8, *[EVERYONE] * 5), asked)
    if patients == 1:
        assert _tried_sides([bank], [sides], patients=1, margin=0.35) == sides
    else:
        with pytest.raises(EvidenceError, match="nothing about several"):
            _tried_sides([bank], [sides], patients=2, margin=0.35)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_so_many_retrains_are_needed_and_one_fewer_would_not_do(alpha: float) -> None:
    needed = retrains_needed(alpha)
    assert anytime_upper(0, needed) <= alpha < anytime_upper(0, needed - 1)
    assert clopper_pearson(0, needed, 0.9).upper < alpha  # one look alone would need fewer
