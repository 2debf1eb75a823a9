"""A qualification from its start to the books: what it tries, what it says, what it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from auditor.certificates.run_facts import CitedQualification
from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.codec import plain, typed
from auditor.domain.qualification import Profile, Qualification, Shortfall
from auditor.errors import MisuseError, ProofError, TamperedError
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import Recipe
from auditor.unlearning.fakes import EDITS
from auditor.unlearning.task import Task
from auditor.verification.clopper_pearson import clopper_pearson
from auditor.verification.engine_code import engine_digest
from auditor.workflow.audit.qualification_book import (
    Terms,
    begin,
    cite,
    enter,
    find_current,
    read_report,
)
from auditor.workflow.audit.scene import load_module, load_scene, train_and_register
from auditor.workflow.homes.guard import require_extends_kept
from auditor.workflow.homes.home import Home, create_home
from auditor.workflow.homes.record import model_stream
from auditor.workflow.log.tampering import try_tampering
from auditor.workflow.qualifying.bench import Effort
from auditor.workflow.qualifying.qualification import qualify
from tests.workflow.trained import begun

MODEL = "detector"
TODAY = date(2026, 11, 25)
RECIPE = Recipe(
    input_size=16, width=4, epochs=4, batch_size=5, learning_rate=0.005, train_images=80
)
EFFORT = Effort(retrains=6, originals=5, out_models=8, in_models=6, scouts=4)


def silent(_label: str, _done: int, _total: int) -> None:
    """Nobody looks."""


METHOD = "reset-and-heal"  # it may be tried on the most memorised, unlike a single step


def run(home: Home, method: str = METHOD) -> tuple[Qualification, ev.MethodQualified]:
    return qualify(
        home,
        MODEL,
        method,
        Profile.QUICK,
        today=TODAY,
        workers=1,
        progress=silent,
        effort=EFFORT,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Phantoms and a small model of them."""
    root = tmp_path_factory.mktemp("qualified") / "home"
    made = create_home(root, controller="St. Example", dpo="DPO office")
    manifest = draw_phantoms(root / "phantoms", seed=20261124, patients=120)
    train_and_register(
        made, model=MODEL, manifest=manifest, recipe=RECIPE, notice=lambda _: None, seed=1
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def found(home: Home) -> tuple[Qualification, ev.MethodQualified]:
    return run(home)


def test_everything_is_tried_and_no_fake_passes(
    found: tuple[Qualification, ev.MethodQualified],
) -> None:
    report, _ = found
    names = [fake.name for fake in report.fakes]
    assert set(names) > set(EDITS) and len(names) == len(set(names)) == len(EDITS) + 4
    for tally in (report.retrains, *report.fakes, *report.unlearned):
        counts = tally.passed + tally.failed + tally.indeterminate + tally.refused
        assert counts == tally.candidates
        assert tally.failed_share == clopper_pearson(tally.failed, tally.candidates)
        assert tally.passed_share == clopper_pearson(tally.passed, tally.candidates)
    assert report.retrains.candidates == EFFORT.retrains
    assert {fake.candidates for fake in report.fakes} == {EFFORT.originals + 1}
    assert not any(fake.passed for fake in report.fakes)
    by_name = {fake.name: fake for fake in report.fakes}
    untouched = sum(by_name["untouched"].influence) / len(by_name["untouched"].influence)
    retrained = sum(report.retrains.influence) / len(report.retrains.influence)
    assert untouched > retrained + 0.1  # of nets this small; the scale is the engine's to test
    assert [item.name for item in report.tampering if item.refused] == [
        "swapped-weights",
        "forged-log",
        "other-recipe",
    ]


def test_the_books_hold_the_signed_report(
    home: Home, found: tuple[Qualification, ev.MethodQualified]
) -> None:
    report, entered = found
    assert read_report(home, entered.report) == report
    assert typed(Qualification, json.loads(json.dumps(plain(report)))) == report
    kinds = [type(item.event) for item in home.ledger.replay(model_stream(MODEL))]
    assert kinds.index(ev.QualificationStarted) < kinds.index(ev.MethodQualified)
    assert entered.shortfalls == report.shortfalls
    assert report.code == engine_digest()
    assert not list((home.root / "qualifications").glob("*"))  # they carried patients


def test_a_report_that_was_changed_is_none(
    home: Home, found: tuple[Qualification, ev.MethodQualified]
) -> None:
    envelope = json.loads(home.store.get(found[1].report))
    envelope["payload"] = envelope["payload"][:-8] + "AAAAAAA="
    with pytest.raises(ProofError):
        read_report(home, home.store.put(json.dumps(envelope).encode()))


def test_who_asked_to_be_erased_is_no_surrogate(home: Home) -> None:
    from auditor.workflow.qualifying.bench import _choose

    scene = load_scene(home, MODEL)
    subjects = sorted({scene.images.subjects[i] for i in scene.training})
    memorised = {subject: float(rank) for rank, subject in enumerate(subjects)}
    free = _choose(scene, memorised, frozenset())
    again = _choose(scene, memorised, frozenset(free))
    assert free and again and not set(free) & set(again)
    assert len(scene.of_subjects(free)) <= 0.12 * len(scene.training)
    with pytest.raises(MisuseError, match="no patient is left"):
        _choose(scene, memorised, frozenset(subjects))


def test_only_approximate_methods_that_exist(home: Home) -> None:
    for method, why in (("retrain", "by replay"), ("magic", "no method named")):
        with pytest.raises(MisuseError, match=why):
            run(home, method)


def test_not_beside_a_case_under_way(
    home: Home, found: tuple[Qualification, ev.MethodQualified]
) -> None:
    assert found[0].number == 1  # made before, as from here on none can be
    scene = load_scene(home, MODEL)
    begun(home, scene.images.subjects[scene.training[0]])
    with pytest.raises(MisuseError, match="under way"):
        run(home)


def test_a_stopped_one_goes_on_and_an_ended_one_does_not(
    home: Home, found: tuple[Qualification, ev.MethodQualified]
) -> None:
    weights = found[0].weights
    second = begin(home, MODEL, weights, METHOD, Profile.QUICK)
    assert second.number == 2
    assert begin(home, MODEL, weights, METHOD, Profile.QUICK) == second
    assert begin(home, MODEL, weights, METHOD, Profile.FULL).number == 3
    assert begin(home, MODEL, weights, "newton", Profile.QUICK).number == 1


def good(report: Qualification) -> Qualification:
    """The same, had it gone well."""
    passed = replace(report.retrains, passed=6, failed=0, indeterminate=0)
    return replace(
        report,
        fakes=tuple(replace(fake, passed=0) for fake in report.fakes),
        retrains=passed,
        unlearned=(passed,),
        power=replace(report.power, detect_untouched=0.9, pass_retrain=0.9),
    )


def test_each_shortfall_is_seen(found: tuple[Qualification, ev.MethodQualified]) -> None:
    fine = good(found[0])
    assert fine.shortfalls == ()
    failed = replace(fine.retrains, failed=3, failed_share=clopper_pearson(3, 6))
    unlucky = replace(fine.retrains, failed=1, failed_share=clopper_pearson(1, 60))
    assert replace(fine, retrains=unlucky).shortfalls == ()
    spoilt = {
        Shortfall.FAKE_PASSED: replace(fine, fakes=(replace(fine.fakes[0], passed=1),)),
        Shortfall.TAMPERING_ACCEPTED: replace(
            fine, tampering=(replace(fine.tampering[0], refused=False),)
        ),
        Shortfall.FALSE_ALARMS: replace(fine, retrains=failed),
        Shortfall.POWER_TOO_LOW: replace(fine, power=replace(fine.power, pass_retrain=0.79)),
        Shortfall.METHOD_UNSUITED: replace(fine, unlearned=(replace(fine.retrains, passed=3),)),
        Shortfall.NO_PARAMETERS: replace(fine, unlearned=()),
    }
    assert set(spoilt) == set(Shortfall)
    for shortfall, report in spoilt.items():
        assert report.shortfalls == (shortfall,)


def test_what_is_current(home: Home, found: tuple[Qualification, ev.MethodQualified]) -> None:
    report = replace(good(found[0]), number=7)
    terms = Terms(margin=report.margin, alpha=report.alpha, required_power=report.required_power)

    def current(**changes: object) -> ev.MethodQualified | None:
        about = {
            "recipe": report.recipe,
            "data": report.data,
            "code": report.code,
            "terms": terms,
            "today": TODAY,
            **changes,
        }
        return find_current(home, MODEL, METHOD, **about)  # type: ignore[arg-type]  # by name

    assert current() is None  # the first one found shortfalls
    entered = enter(home, report)
    assert current() == entered
    assert current(today=report.valid_until) == entered
    assert current(today=report.valid_until + timedelta(days=1)) is None
    for name in ("recipe", "data", "code"):
        assert current(**{name: Digest.of(b"other")}) is None
    for other in (
        replace(terms, margin=terms.margin - 0.1),  # tried by a wider one
        replace(terms, margin=terms.margin + 0.1),
        replace(terms, alpha=0.01),
        replace(terms, required_power=0.9),
    ):
        assert current(terms=other) is None
    assert current(terms=replace(terms, required_power=0.5)) == entered
    enter(home, replace(found[0], number=8))  # a later one that fell short takes it back
    assert current() is None
    assert cite(home, MODEL, entered.report) == CitedQualification(
        report=entered.report, number=7, short=6
    )
    third = enter(home, replace(report, number=9))
    assert current() == third
    assert cite(home, MODEL, third.report).short == 7  # all of the eight but the seventh
    with pytest.raises(TamperedError, match="on no book"):
        cite(home, MODEL, Digest.of(b"other"))


def test_a_forged_log_is_refused_for_what_was_signed_and_nothing_else(
    home: Home, monkeypatch: pytest.MonkeyPatch, found: tuple[Qualification, ev.MethodQualified]
) -> None:
    weights = found[0].weights
    scene = load_scene(home, MODEL)
    about = scene.of_subjects([scene.images.subjects[scene.training[0]]])
    task = Task(
        recipe=scene.recipe,
        module=load_module(home, scene, weights),
        images=scene.images,
        forget=about,
        retain=scene.without(about),
        seed=7,
        unseen=scene.split.validation,
    )
    assert all(item.refused for item in try_tampering(home, weights, task))
    with monkeypatch.context() as patch:
        patch.setattr("auditor.workflow.log.tampering.require_extends_kept", lambda *_: 0)
        refused = {item.name: item.refused for item in try_tampering(home, weights, task)}
    assert refused == {
        "swapped-weights": True,
        "forged-log": False,  # a sound ledger by itself
        "other-recipe": True,
    }
    with monkeypatch.context() as patch:  # by the recipe after all: a retrain like any other
        patch.setattr("auditor.workflow.log.tampering.shorter_of", lambda recipe: recipe)
        assert not try_tampering(home, weights, task)[2].refused
    assert require_extends_kept(home.root, home.ledger) > 0  # the home's own is as it was
    with pytest.raises(TamperedError):
        broken = home.store.put(b"some weights")
        (home.root / "store" / broken.value).write_bytes(b"other weights")
        home.store.get(broken)
    (home.root / "store" / broken.value).unlink()


def test_no_path_of_the_machine_is_in_the_report(
    home: Home, found: tuple[Qualification, ev.MethodQualified]
) -> None:
    text = json.dumps(plain(found[0]))
    scene = load_scene(home, MODEL)
    assert str(Path(home.root)) not in text
    assert not any(subject in text for subject in scene.images.subjects)
