"""Requests one after another: what the ledger knows of the steps behind a model, and drift."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.domain import event as ev
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain
from auditor.domain.evidence import CandidateRole, Estimate
from auditor.domain.route import Due, Obstacle
from auditor.domain.verdict import Basis, Verdict
from auditor.learning.datasets import load_images
from auditor.learning.manifest import read_manifest
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.workflow.audit.scene import Scene, load_scene
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.models.drift import ApproximateErasure, Limits, auc_lower_of, due, residual_of
from auditor.workflow.models.lineage import since_exact, standing
from benchmarks.sequence import patients_in_order, scene_of, sequence
from tests.certificates import examples
from tests.workflow.trained import (
    ANY,
    MODEL,
    Work,
    attempt,
    begun,
    empty_home,
    settle,
    train_here,
)

LIMITS = Limits(steps=10, residual=1.0)
STEP = ApproximateErasure(
    case="c", method="newton", residual=0.1, auc_lower=-0.004, auc_margin=0.03
)


def test_nothing_is_due_right_after_an_exact_training() -> None:
    assert due((), LIMITS) == ()


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ([STEP] * 7, ()),
        ([STEP] * 10, (Due.STEPS, Due.AUC)),
        ([replace(STEP, auc_lower=0.0)] * 10, (Due.STEPS,)),
        ([replace(STEP, auc_lower=0.0)] * 9, ()),
        ([STEP] * 8, (Due.AUC,)),
        ([replace(STEP, auc_lower=-0.03)], ()),
        ([replace(STEP, auc_lower=-0.0301)], (Due.AUC,)),
        ([replace(STEP, residual=0.34)] * 3, (Due.RESIDUAL,)),
        ([replace(STEP, residual=0.33)] * 3, ()),
        ([replace(STEP, residual=x) for x in (-0.6, 0.6)], (Due.RESIDUAL,)),
    ],
)
def test_drift_adds_up_whichever_way_it_goes(
    since: list[ApproximateErasure], expected: Sequence[Due]
) -> None:
    assert due(since, LIMITS) == tuple(expected)


def test_lower_bounds_of_the_steps_bound_the_whole_way_whatever_their_correlation() -> None:
    """Steps that all err alike are the worst case: then the sum is the very bound."""
    z, errors = 1.645, (0.002, 0.005, 0.001)
    since = [replace(STEP, auc_lower=0.01 - z * error) for error in errors]
    assert auc_lower_of(since) == pytest.approx(0.03 - z * sum(errors))
    independent = 0.03 - z * sum(error**2 for error in errors) ** 0.5
    assert auc_lower_of(since) <= independent
    assert residual_of([replace(STEP, residual=x) for x in (0.2, -0.2)]) == pytest.approx(0.4)


# What the ledger knows --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sequence") / "home"
    home = empty_home(root)
    train_here(home)
    home.close()
    return root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Iterator[Home]:
    opened = open_home(Path(shutil.copytree(template, tmp_path / "home")))
    yield opened
    opened.close()


def erased(home: Home, subjects: Sequence[str], method: str, rho: float, drop: float) -> str:
    """A case whose last audit found this."""
    work = begun(home, *subjects)
    attempt(work, method)
    made = work.state.attempts[-1]
    assert made.completed is not None
    found = examples.evidence(
        weights=made.completed.after, point=rho, width=0.1, role=CandidateRole.REQUEST
    )
    worse = Estimate(lower=drop, point=drop + 0.01, upper=drop + 0.02, level=0.9)
    first, *others = found.auc.comparisons
    found = replace(
        found,
        auc=replace(found.auc, comparisons=(replace(first, difference=worse), *others)),
    )
    stored = canonical_bytes({"evidence": plain(found), "decision": plain(examples.PASSED)})
    audited = ev.CandidateVerified(
        case=work.case,
        attempt=made.started.attempt,
        role=CandidateRole.REQUEST,
        weights=made.completed.after,
        plan=ANY,
        evidence=home.store.put(stored),
        verdict=Verdict.PASSED,
    )
    work.write(audited, "verified-1-request")
    basis = Basis.EXACT if method == "retrain" else Basis.STATISTICAL_INDIVIDUAL
    reached = ev.VerdictReached(
        case=work.case, verdict=Verdict.PASSED, basis=basis, weights=made.completed.after
    )
    work.write(reached, "verdict")
    settle(work)
    return work.case


def test_the_steps_since_the_last_exact_training_are_counted_with_what_they_left(
    home: Home,
) -> None:
    scene = load_scene(home, MODEL)
    first, second, third, fourth, fifth, *_ = patients_in_order(scene, 2)
    assert since_exact(home, MODEL) == ()
    cases = [
        erased(home, [first], "newton", 0.12, -0.01),
        erased(home, [second, third], "newton", -0.2, -0.02),
    ]
    behind = since_exact(home, MODEL)
    assert [item.case for item in behind] == cases
    assert [item.residual for item in behind] == pytest.approx([0.12, -0.4])  # of two patients
    assert [item.auc_lower for item in behind] == pytest.approx([-0.01, -0.02])
    assert {item.auc_margin for item in behind} == {0.032}
    assert standing(home, MODEL).due == ()
    spent = replace(home, config=replace(home.config, most_steps=2))
    assert standing(spent, MODEL).due == (Due.STEPS,)
    erased(home, [fourth], "retrain", 0.0, 0.0)
    assert since_exact(home, MODEL) == ()
    assert standing(spent, MODEL).due == ()
    again = erased(home, [fifth], "newton", 0.3, 0.0)
    assert [item.case for item in since_exact(home, MODEL)] == [again]


def test_validation_patients_that_a_method_read_are_not_called_never_seen(home: Home) -> None:
    scene = load_scene(home, MODEL)
    reader = scene.images.subjects[scene.split.validation[0]]
    tester = scene.images.subjects[scene.split.test[0]]
    first, second, third, *_ = patients_in_order(scene, 2)
    erased(home, [first], "newton", 0.1, 0.0)
    assert obstacle(home, reader) is Obstacle.NONE
    erased(home, [second], "reference-distillation", 0.1, 0.0)
    assert obstacle(home, tester) is Obstacle.NONE
    assert obstacle(home, reader) is Obstacle.READ_BY_METHOD
    erased(home, [third], "retrain", 0.0, 0.0)
    assert obstacle(home, reader) is Obstacle.NONE


def obstacle(home: Home, subject: str) -> Obstacle:
    work = begun(home, subject)
    settle_nothing(work)
    return work.state.obstacle


def settle_nothing(work: Work) -> None:
    """The desk takes it back, so that it neither blocks nor settles anything."""
    from auditor.domain.request import DecisionKind
    from auditor.workflow.desk.desk import decide

    decide(work.home, work.case, DecisionKind.WITHDRAWN, "dpo")


# The engine, one request on top of the other ----------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    recipe = Recipe(input_size=16, width=4, epochs=4, batch_size=8, train_images=40)
    manifest = draw_phantoms(tmp_path_factory.mktemp("six"), seed=7, patients=70)
    return scene_of(load_images(read_manifest(manifest), 16), recipe)


def test_six_requests_each_on_top_of_the_last(small: Scene) -> None:
    module = train(small.recipe, small.images, small.training, 1)
    rows = list(
        sequence(
            small,
            module,
            patients_in_order(small, 1)[:6],
            every=3,
            way={"damping": "3"},
            inside=_inside(small),
            limits=Limits(steps=2, residual=1e9),
        )
    )
    free = [row for row in rows if row.track == "never trained again"]
    kept = [row for row in rows if row.track == "with the budget"]
    assert [(row.requests, row.steps, row.trainings) for row in free] == [(3, 3, 0), (6, 6, 0)]
    # two steps, then a training that forgets the third; and the same again
    assert [(row.requests, row.steps, row.trainings) for row in kept] == [(3, 0, 1), (6, 0, 2)]
    for row in kept:
        assert row.loss <= 2 * row.loss_of_out  # right after an exact training


def _inside(scene: Scene) -> list[object]:
    from auditor.workflow.audit.references import measure_all

    return [
        measure_all(scene, train(scene.recipe, scene.images, scene.training, seed))
        for seed in range(10, 18)
    ]
