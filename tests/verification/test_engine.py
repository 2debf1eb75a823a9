"""What the bank declares beforehand, and the audit under it, against simulated models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from scipy import stats

from auditor.domain.artefact import Digest
from auditor.domain.entry import Recorded
from auditor.domain.event import AttemptStarted, PlanPinned
from auditor.domain.evidence import CandidateRole, Power
from auditor.domain.kind import Event
from auditor.domain.verdict import ReasonCode, Verdict
from auditor.errors import EvidenceError
from auditor.verification.contrast import contrast
from auditor.verification.engine import assess, audit, draw_up
from auditor.verification.engine_code import ROOMS, engine_digest, sources_digest
from auditor.verification.influence import estimate, fit_scale, measure_outs
from auditor.verification.layout import Layout, Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.per_patient import measure_patients, patient_scales
from auditor.verification.plan import SHARES, Origin, Pinned, Plan
from auditor.verification.power import detect_power, pass_power
from auditor.verification.readiness import Readiness, prepare
from auditor.verification.recipe_fit import fit_retrain
from auditor.verification.secondary import secondary_tests, statistics_of

SOME = Digest.of(b"anything")
ORIGIN = Origin(model=SOME, data=SOME, recipe=SOME, bank=SOME)
IMAGES = 400
ODD = ("answers", "margins", "patient")
LAYOUT = Layout(
    labels=np.arange(IMAGES) % 2,
    patients=np.arange(IMAGES),
    forgotten=np.arange(4),
    retained=np.arange(4, 160),
    unseen=np.arange(160, IMAGES),
)


def model(random: np.random.Generator, *, seen: bool, ease: float = 0.0) -> Measurements:
    """Margins of a model that knows its training images better; ``ease`` by how much all."""
    margins = 2.5 + ease + random.normal(0, 0.5, IMAGES) + np.sin(np.arange(IMAGES))
    margins[LAYOUT.retained] += 3.0
    margins[LAYOUT.forgotten] += 3.0 if seen else -0.5
    return Measurements(
        margins=margins,
        scores=np.where(LAYOUT.labels == 1, margins, -margins),
        features={"head": random.normal(0, 1, (IMAGES, 3)).astype(np.float32)},
        augmented=margins + random.normal(0, 0.5, (2, IMAGES)),
        noisy=margins + random.normal(0, 0.5, (2, IMAGES)),
    )


def ready(original: Measurements, gap: bool = True) -> Readiness:
    random = np.random.default_rng(1)
    return prepare(
        origin=ORIGIN,
        out=[model(random, seen=False) for _ in range(24)],
        untouched=[model(random, seen=gap) for _ in range(24)],
        original=original,
        layout=LAYOUT,
    )


def plan_of(readiness: Readiness, origin: Origin = ORIGIN) -> Plan:
    return draw_up(
        readiness,
        case="c",
        origin=origin,
        request=SOME,
        policies=SOME,
        required_power=0.8,
        seeds=[("newton", 7), ("control", 8)],
        ladder=[("newton", SOME)],
    )


def pinned(plan: Plan, /, **changes: object) -> Pinned:
    event = PlanPinned(case=plan.case, plan=plan.digest, bank=plan.origin.bank, ladder=("newton",))
    return Pinned(plan=plan, entry=entry_of(replace(event, **changes)), place=2)


def entry_of(event: Event) -> Recorded:
    return Recorded(
        sequence=7,
        stream="case:c",
        version=3,
        event_id=UUID(int=7),
        recorded_at="2026-11-25T07:00:00Z",
        event=event,
    )


def verdict(
    readiness: Readiness, candidate: Measurements, *, by_recipe: bool = False
) -> tuple[Verdict, set[ReasonCode]]:
    _, decision = audit(
        pinned(plan_of(readiness)),
        readiness,
        candidate,
        role=CandidateRole.REQUEST,
        by_recipe=by_recipe,
        weights=Digest.of(b"weights"),
    )
    return decision.verdict, {reason.code for reason in decision.reasons}


def test_a_good_bank_declares_power_and_tells_a_retrain_from_the_untouched_model() -> None:
    random = np.random.default_rng(2)
    original = model(random, seen=True)
    readiness = ready(original)
    assert readiness.recipe_fit.matches
    assert plan_of(readiness).within_reach
    assert plan_of(readiness).rank_references == 839  # 2 x 7 tests / (0.05 / 3), less one
    assert verdict(readiness, original)[0] is Verdict.FAILED
    assert verdict(readiness, model(random, seen=False))[0] is Verdict.PASSED


@pytest.mark.parametrize("odd", ODD)
def test_declared_power_counts_the_out_models_that_something_would_object_to(odd: str) -> None:
    """By the product of its parts, the objections counted by an audit of each OUT model.

    One whose influence alone keeps it from PASSED isn't asked for what else would be objected.
    """
    random = np.random.default_rng(2)
    out = [model(random, seen=False) for _ in range(24)]
    if odd == "answers":  # to changed images: what a secondary test reads
        gone = np.isin(np.arange(IMAGES), LAYOUT.forgotten)
        out[5] = replace(out[5], augmented=out[5].augmented + 20.0 * gone)
    else:
        margins = out[5].margins.copy()
        if odd == "margins":  # on all never-seen images: what the fit to the recipe reads
            margins[LAYOUT.unseen] -= 1.0
        else:  # on one patient's: what the look at each of them alone reads
            margins[LAYOUT.forgotten[:1]] += 6.0
        out[5] = replace(out[5], margins=margins)
    lifted = out[7].margins.copy()
    lifted[LAYOUT.forgotten] += 1.0  # on all patients: beyond the margin, and told apart on some
    out[7] = replace(out[7], margins=lifted)
    untouched = [model(random, seen=True) for _ in range(24)]
    original = model(random, seen=True)
    readiness = prepare(
        origin=ORIGIN, out=out, untouched=untouched, original=original, layout=LAYOUT
    )
    scores, inside = (
        np.stack([contrast(item.margins, LAYOUT) for item in block]) for block in (out, untouched)
    )
    patients, share = LAYOUT.patients[LAYOUT.forgotten], 0.05 / SHARES
    passing, objected = [], []
    for place, held in enumerate(out):
        others = [*out[:place], *out[place + 1 :]]
        tests = secondary_tests(
            statistics_of([*others, held], (original, *untouched), LAYOUT),
            share,
            doubt_alpha=0.05,
        )
        scales = patient_scales(np.delete(scores, place, 0), inside, patients)
        lines = measure_patients(scales, scores[place], 0.9, 0.05)
        objections = (
            any(test.doubted for test in tests),
            not fit_retrain(held, others, LAYOUT).matches,
            any(line.outside for line in lines),
        )
        assert place not in {5, 7} or objections[ODD.index(odd) if place == 5 else 2]
        ruler = fit_scale(np.delete(scores, place, 0), inside, patients)
        bounds = estimate(ruler, scores[place], 0.9)
        if bounds.lower > -0.35 and bounds.upper < 0.35:
            passing.append(place)
            objected += [place] if any(objections) else []
    assert 7 not in passing
    outs = measure_outs(scores, inside, patients, 1 - 2 * 0.05)
    expected = pass_power(readiness.scale, 0.35, outs) * readiness.auc.power
    expected *= 1 - (len(objected) + 40 * (1 - 0.95**2)) / (len(passing) + 40)
    assert readiness.power.pass_retrain == pytest.approx(expected) and expected > 0.5


def test_no_power_is_declared_where_the_recipe_does_not_describe_the_model() -> None:
    stranger = model(np.random.default_rng(2), seen=True, ease=2.0)
    readiness = ready(stranger)
    assert not readiness.recipe_fit.matches
    assert (readiness.power.detect_untouched, readiness.power.pass_retrain) == (0.0, 0.0)
    assert verdict(readiness, stranger) == (
        Verdict.INDETERMINATE,
        {ReasonCode.RECIPE_MISMATCH},
    )


def test_what_is_said_to_be_a_retrain_must_look_like_one() -> None:
    """Trained by another recipe without the patients, a model holds nothing of them."""
    random = np.random.default_rng(2)
    readiness = ready(model(random, seen=True))
    retrain, other = model(random, seen=False), model(random, seen=False, ease=2.0)
    assert verdict(readiness, retrain, by_recipe=True)[0] is Verdict.PASSED
    assert verdict(readiness, other, by_recipe=True) == (
        Verdict.INDETERMINATE,
        {ReasonCode.NOT_BY_RECIPE},
    )
    assert verdict(readiness, other, by_recipe=False)[0] is Verdict.PASSED


def test_weights_of_another_length_are_another_recipe_s() -> None:
    """Margins may agree by chance; how far the weights went does not."""
    random = np.random.default_rng(3)

    def weighed(grown: float = 0.0) -> Measurements:
        lengths = np.array([2.0, 0.5]) + random.normal(0, 0.02, 2) + grown
        return replace(model(random, seen=False), lengths=lengths)

    out = [weighed() for _ in range(16)]
    assert fit_retrain(weighed(), out, LAYOUT).matches
    shorter = fit_retrain(weighed(-0.2), out, LAYOUT)
    assert not shorter.matches and shorter.worst in ("weights", "head")
    for some in (out, [*out[1:], model(random, seen=False)]):
        with pytest.raises(EvidenceError, match="measure them anew"):
            fit_retrain(model(random, seen=False), some, LAYOUT)
    # a bank that wasn't weighed says nothing about weights
    assert fit_retrain(
        model(random, seen=False), [model(random, seen=False) for _ in range(16)], LAYOUT
    ).matches


def test_true_retrains_are_taken_for_retrains_as_often_as_promised() -> None:
    """Both ways: p-values of true retrains are what they say, and other recipes are found."""
    random = np.random.default_rng(20261130)
    true, other = list[float](), list[bool]()
    for _ in range(20):
        out = [model(random, seen=False) for _ in range(16)]
        for _ in range(30):
            true.append(fit_retrain(model(random, seen=False), out, LAYOUT).p_value)
            other.append(fit_retrain(model(random, seen=False, ease=2.0), out, LAYOUT).matches)
    for level in (0.01, 0.2):  # the lesser of two p-values, doubled
        below = sum(p_value <= level for p_value in true)
        assert stats.binomtest(below, len(true), 1 - (1 - level / 2) ** 2).pvalue > 0.001
    assert sum(other) < 0.05 * len(other)


def cohort_of_six(rises: Callable[[np.random.Generator], Numbers]) -> Readiness:
    """Six patients of one image each, by which ``rises`` an IN model remembers them."""
    random = np.random.default_rng(3)
    layout = replace(LAYOUT, forgotten=np.arange(6), retained=np.arange(6, 160))
    out, untouched = [], []
    for block, seen in ((out, 0.0), (untouched, 1.0)):
        for _ in range(16):
            some = model(random, seen=False)
            margins = some.margins.copy()
            margins[4:6] -= 3.5  # of `retained` in `model`, forgotten here
            margins[:6] += seen * rises(random)
            block.append(replace(some, margins=margins))
    return prepare(
        origin=ORIGIN, out=out, untouched=untouched, original=untouched[0], layout=layout
    )


def test_declared_power_knows_the_patients_part_of_the_interval() -> None:
    """Where each model remembers other patients, only the patients' interval is wide."""
    readiness = cohort_of_six(lambda random: random.permutation([6.0, 6.0, 6.0, 0.0, 0.0, 0.0]))
    one_patient = replace(readiness.scale, patients=np.zeros(6, dtype=np.int64))
    scores = [contrast(item.margins, readiness.layout) for item in readiness.untouched]
    blind = [estimate(one_patient, item, 1 - 2 * 0.05 / SHARES) for item in scores]
    assert detect_power(readiness.scale, readiness.margin, blind) > 0.9
    assert readiness.control_detected < 8
    assert readiness.power.detect_untouched < 0.5


def test_a_cohort_of_which_one_patient_carries_all_the_influence_can_be_judged() -> None:
    """That all models remember the same one is no doubt about any of them."""
    readiness = cohort_of_six(lambda random: np.array([6.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    assert readiness.control_detected == 16
    assert readiness.power.detect_untouched > 0.9 and readiness.power.pass_retrain > 0.7


@pytest.fixture(scope="module")
def readiness() -> Readiness:
    return ready(model(np.random.default_rng(2), seen=True))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"margin": 0.3}, "margins or powers"),
        ({"alpha": 0.01}, "margins or powers"),
        ({"auc_margin": 0.049}, "margins or powers"),
        ({"power": Power(detect_untouched=1.0, pass_retrain=1.0)}, "margins or powers"),
        ({"code": SOME}, "other code"),
        *(
            ({"origin": replace(ORIGIN, **{name: Digest.of(b"other")})}, f"another {name}")
            for name in ("model", "data", "recipe", "bank")
        ),
    ],
)
def test_a_plan_of_another_bank_or_of_other_code_is_refused(
    readiness: Readiness, changes: dict[str, object], words: str
) -> None:
    plan = replace(plan_of(readiness), **changes)
    with pytest.raises(EvidenceError, match=words):
        audit(
            pinned(plan),
            readiness,
            readiness.original,
            role=CandidateRole.UNTOUCHED,
            by_recipe=False,
            weights=SOME,
        )


def test_no_plan_is_drawn_up_on_the_bank_of_another_recipe(readiness: Readiness) -> None:
    with pytest.raises(EvidenceError, match="another recipe"):
        plan_of(readiness, replace(ORIGIN, recipe=Digest.of(b"other")))


@pytest.mark.parametrize(
    "changes", [{"plan": SOME}, {"case": "d"}, {"bank": Digest.of(b"b")}, {"ladder": ("retrain",)}]
)
def test_a_plan_that_is_not_the_pinned_one_is_refused(
    readiness: Readiness, changes: dict[str, object]
) -> None:
    with pytest.raises(EvidenceError, match="isn't the one that ledger entry 7 pins"):
        pinned(plan_of(readiness), **changes)


def test_no_other_entry_pins_a_plan(readiness: Readiness) -> None:
    event = AttemptStarted(case="c", attempt=1, method="newton", plan=plan_of(readiness).digest)
    with pytest.raises(EvidenceError, match="entry 7 pins no plan"):
        Pinned(plan=plan_of(readiness), entry=entry_of(event), place=1)


def test_a_pinned_plan_is_read_back_from_its_bytes(readiness: Readiness) -> None:
    plan = plan_of(readiness)
    entry = pinned(plan).entry
    assert Pinned.read(entry, plan.canonical_bytes(), place=1).plan == plan
    for stored in (b"{}", b"no plan", replace(plan, margin=0.3).canonical_bytes()):
        with pytest.raises(EvidenceError, match="entry 7"):
            Pinned.read(entry, stored, place=1)


def test_trials_of_the_engine_see_what_an_audit_sees(readiness: Readiness) -> None:
    plan, candidate = plan_of(readiness), model(np.random.default_rng(4), seen=False)
    said = {"role": CandidateRole.REQUEST, "by_recipe": True, "weights": SOME}
    assert assess(plan, readiness, candidate, **said, place=2) == audit(
        pinned(plan), readiness, candidate, **said
    )


def test_the_digest_of_the_code_is_of_every_source_of_the_engines_rooms(tmp_path: Path) -> None:
    assert engine_digest() == sources_digest(files("auditor"))
    for room in ROOMS:
        (tmp_path / room / "inner").mkdir(parents=True)
    rule = tmp_path / "verification" / "inner" / "rule.py"
    rule.write_text("LEVEL = 0.05")
    before = sources_digest(tmp_path)
    (tmp_path / "verification" / "notes.txt").write_text("not code")
    assert sources_digest(tmp_path) == before
    rule.write_text("LEVEL = 0.06")
    changed = sources_digest(tmp_path)
    rule.rename(tmp_path / "learning" / "rule.py")
    assert len({before, changed, sources_digest(tmp_path)}) == 3


def test_too_few_references_for_the_level_asked_for_are_refused_with_the_number_needed() -> None:
    random = np.random.default_rng(8)
    few = {
        "out": [model(random, seen=False) for _ in range(8)],
        "untouched": [model(random, seen=True) for _ in range(8)],
        "original": model(random, seen=True),
        "origin": ORIGIN,
        "layout": LAYOUT,
    }
    assert prepare(**few).rungs == 1
    with pytest.raises(EvidenceError, match=r"8 OUT models .* 0.0001 .* at least 10 are needed"):
        prepare(**few, alpha=0.0001)
