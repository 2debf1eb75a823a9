"""Shared banks on the books: planned, trained, killed and gone on with, served, destroyed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.bank_events import BankDesign
from auditor.domain.request import DecisionKind, Ground, Regime
from auditor.domain.verdict import Basis, FindingStatus, Verdict
from auditor.errors import EvidenceError, LedgerError, MisuseError
from auditor.learning.progress import silent
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.policies.evaluate import evaluate
from auditor.verification.bundle import pack_bundle, read_bundle, replay
from auditor.verification.readiness import Readiness, prepare
from auditor.workflow.audit import bank_trial
from auditor.workflow.audit.bank_trial import Tried, try_shared_bank
from auditor.workflow.audit.false_alarms import millionths
from auditor.workflow.audit.references import Block, train_models
from auditor.workflow.audit.scene import derive_seed, load_scene
from auditor.workflow.audit.shared_bank import (
    is_shared,
    present_members,
    serve,
    serve_listed,
    train_shared_bank,
)
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.desk.library import case_facts, packs_of
from auditor.workflow.documents.document import _inventory
from auditor.workflow.documents.exporting import export_audit
from auditor.workflow.erasure.casework import Casework, RunSettings
from auditor.workflow.erasure.handing_over import hand_over, take_back
from auditor.workflow.erasure.remeasuring import measure_again
from auditor.workflow.erasure.running import run_case
from auditor.workflow.homes.config import Config, write_config
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import case_stream, model_stream, record, record_next
from auditor.workflow.homes.registry import data_record, deploy, register_version, require_model
from auditor.workflow.models.reerasure import came_back
from auditor.workflow.models.shared_bank_book import (
    SharedBank,
    bank_store,
    carrying_members,
    destroy_bank,
    destroy_due,
    end_date,
    kept_until,
    members,
    open_inclusion,
    require_bank,
    shared_banks,
)
from tests.workflow.desks import employ
from tests.workflow.killing import killed_before
from tests.workflow.trained import (
    MODEL,
    RECIPE,
    attempt,
    begun,
    conclude,
    empty_home,
    settle,
    train_here,
)

TODAY = date(2026, 11, 25)
ENDS = date(2027, 3, 31)


def train_bank(
    home: Home, *, models: int = 16, design: str = "random-subsets", today: date = TODAY
) -> SharedBank:
    return train_shared_bank(
        home,
        MODEL,
        BankDesign(design),
        models=models,
        parts=2,
        today=today,
        workers=1,
        progress=lambda *_: None,
    )


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a model and no bank."""
    root = tmp_path_factory.mktemp("shared") / "home"
    home = empty_home(root)
    train_here(home)
    home.close()
    return root


@pytest.fixture(scope="module")
def template(without: Path) -> Path:
    """A home with a model and a bank of 16 random subsets."""
    root = Path(shutil.copytree(without, without.with_name("banked")))
    home = open_home(root)
    train_bank(home)
    home.close()
    return root


@pytest.fixture
def plain(without: Path, tmp_path: Path) -> Iterator[Home]:
    opened = open_home(Path(shutil.copytree(without, tmp_path / "plain")))
    yield opened
    opened.close()


@pytest.fixture
def banked(template: Path, tmp_path: Path) -> Iterator[Home]:
    opened = open_home(Path(shutil.copytree(template, tmp_path / "banked")))
    yield opened
    opened.close()


def only_bank(home: Home) -> SharedBank:
    (bank,) = shared_banks(home, MODEL)
    return bank


def files(home: Home) -> set[str]:
    return {path.name for path in bank_store(home).root.glob("*")}


def names(digests: tuple[Digest, ...]) -> set[str]:
    return {digest.value for digest in digests}


def settings(home: Home, **changed: object) -> Home:
    config = Config(controller="St. Example", dpo="DPO office", **changed)  # type: ignore[arg-type]  # by name
    write_config(home.root / "auditor.toml", config)
    return open_home(home.root)


def test_a_bank_is_on_the_books_by_digest_and_its_patients_only_in_the_vault(banked: Home) -> None:
    bank, scene = only_bank(banked), load_scene(banked, MODEL)
    assert bank.planned.design is BankDesign.RANDOM_SUBSETS and bank.planned.models == 16
    assert bank.planned.weights == scene.version.weights and bank.planned.destroy_by == ENDS
    assert files(banked) == names(members(banked, bank)) and len(files(banked)) == 16
    inclusion = open_inclusion(banked, bank)
    patients = {scene.images.subjects[index] for index in scene.training}
    assert frozenset().union(*inclusion.models) == patients
    entries = b"".join(banked.ledger.entries())
    assert not any(patient.encode() in entries for patient in patients)
    own = inclusion.models[3]
    alone = train(
        RECIPE,
        scene.images,
        [index for index in scene.training if scene.images.subjects[index] in own],
        derive_seed(f"shared-bank/{bank.name}", "shared", 3),
    )
    assert Digest.of(weights_bytes(alone)) == members(banked, bank)[3]


def stopped(home: Home) -> None:
    """A training that somebody stops after its plan."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    train_shared_bank(
        home,
        MODEL,
        BankDesign.RANDOM_SUBSETS,
        models=4,
        parts=2,
        today=TODAY,
        workers=1,
        progress=stop,
    )


NO_SCOUTS = Block(weights=(), measured=())


def tried(home: Home, retrains: int = 74, failed: int = 0, margin: float = 0.35) -> None:
    bank = only_bank(home)
    event = ev.SharedBankTried(
        model=MODEL,
        bank=bank.name,
        retrains=retrains,
        failed=failed,
        findings=bank.name,
        margin_millionths=millionths(margin),
    )
    record(home, model_stream(MODEL), event, f"tried-{len(bank.tried)}")


def test_each_patient_is_served_by_those_who_did_and_did_not_see_them(banked: Home) -> None:
    scene, bank = load_scene(banked, MODEL), only_bank(banked)
    patients = sorted({scene.images.subjects[index] for index in scene.training})
    about = scene.of_subjects(patients[:1])
    tried(banked, margin=0.5)  # fewer are FAILED by that than by the home's own
    with pytest.raises(EvidenceError, match="decides nothing until"):
        serve(banked, scene, about, NO_SCOUTS)
    tried(banked)
    served = serve(banked, scene, about, NO_SCOUTS)
    inclusion, listed = open_inclusion(banked, bank), members(banked, bank)
    assert served.design is BankDesign.RANDOM_SUBSETS
    assert served.out.weights == tuple(listed[k] for k in inclusion.without(patients[:1]))
    assert served.untouched.weights == tuple(listed[k] for k in inclusion.holding_all(patients[:1]))
    assert len(served.out.measured) == 8 == len(served.untouched.measured)
    assert served.surrogates == () and is_shared(served.listing)
    with pytest.raises(EvidenceError, match="at least 8 and 5"):
        serve(banked, scene, scene.of_subjects(patients[:4]), NO_SCOUTS)
    train_bank(banked, models=2)  # what comes later changes nothing for a case that has begun
    again = serve_listed(banked, scene, about, served.listing)
    assert (again.digest, again.out.weights) == (served.digest, served.out.weights)
    narrower = replace(banked, config=replace(banked.config, margin=0.1))
    with pytest.raises(EvidenceError, match="tried at a wider margin"):
        serve_listed(narrower, scene, about, served.listing)
    destroy_bank(banked, bank)
    with pytest.raises(LedgerError, match="destroyed"):
        serve_listed(banked, scene, about, served.listing)


def test_a_trial_audits_true_retrains_and_leaves_none_of_them(banked: Home) -> None:
    def trial(retrains: int, today: date = TODAY) -> tuple[Tried, ...]:
        name = only_bank(banked).name.value[:12]
        return try_shared_bank(
            banked,
            MODEL,
            name,
            retrains=retrains,
            today=today,
            workers=1,
            progress=lambda *_: None,
        )

    first, second = trial(3), trial(2)
    events = only_bank(banked).tried
    assert [event.retrains for event in events] == [3, 2]
    assert {event.margin_millionths for event in events} == {millionths(banked.config.margin)}
    for outcomes, event in zip((first, second), events, strict=True):
        assert event.failed == sum(item.verdict is Verdict.FAILED for item in outcomes)
        stored = json.loads(banked.store.get(event.findings))
        assert [item["verdict"] for item in stored] == [item.verdict.value for item in outcomes]
    assert len({item.influence.point for item in (*first, *second)}) == 5  # other retrains
    assert files(banked) == names(members(banked, only_bank(banked)))
    with pytest.raises(MisuseError, match="at least one"):
        trial(0)
    with pytest.raises(MisuseError, match="last day is over"):
        trial(1, date(2030, 1, 1))


def test_each_retrain_of_a_trial_lacks_exactly_the_patient_it_is_audited_for(
    banked: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = load_scene(banked, MODEL)
    trained: list[Sequence[Sequence[int]]] = []
    audited: list[set[int]] = []
    served: list[tuple[int, int]] = []

    def train(*given: Any, **named: Any) -> tuple[bytes, ...]:
        trained.append(given[2])
        return train_models(*given, **named)

    def ready(**named: Any) -> Readiness:
        audited.append(set(named["layout"].forgotten))
        served.append((len(named["out"]), len(named["untouched"])))
        return prepare(**named)

    monkeypatch.setattr(bank_trial, "train_models", train)
    monkeypatch.setattr(bank_trial, "prepare", ready)
    try_shared_bank(
        banked,
        MODEL,
        only_bank(banked).name.value,
        retrains=4,
        today=TODAY,
        workers=1,
        progress=lambda *_: None,
    )
    everyone = set(scene.training)
    assert [everyone - set(indices) for indices in trained[0]] == audited
    assert served == [(8, 8)] * 4
    for left in audited:
        (patient,) = {scene.images.subjects[index] for index in left}
        assert left == set(scene.of_subjects([patient]))
    assert len({tuple(sorted(left)) for left in audited}) == 4


def test_a_case_that_began_with_shared_models_goes_on_with_them(banked: Home) -> None:
    tried(banked)
    scene = load_scene(banked, MODEL)
    work = begun(banked, scene.images.subjects[scene.training[0]])
    served = serve(banked, scene, work.forgotten, NO_SCOUTS)
    banked.store.put(served.listing)
    event = ev.BankTrained(case=work.case, bank=served.digest, out_models=8, in_models=8)
    work.write(event, "bank")
    tried(banked, retrains=10, failed=10)  # by now it may decide no more
    for shared in (False, True):
        settings = RunSettings(scouts=4, shared_bank=shared)
        found = Casework(banked, work.case, settings, lambda *_: None).bank
        assert (found.digest, found.out.weights) == (served.digest, served.out.weights)


def test_the_newest_bank_that_may_decide_is_taken(banked: Home) -> None:
    tried(banked)
    scene, first = load_scene(banked, MODEL), only_bank(banked)
    second = train_bank(banked)
    about = scene.training[:1]
    assert set(serve(banked, scene, about, NO_SCOUTS).out.weights) <= set(members(banked, first))
    event = ev.SharedBankTried(
        model=MODEL,
        bank=second.name,
        retrains=74,
        failed=0,
        findings=second.name,
        margin_millionths=350_000,
    )
    record(banked, model_stream(MODEL), event, "tried-second")
    assert set(serve(banked, scene, about, NO_SCOUTS).out.weights) <= set(members(banked, second))


def test_a_bank_of_a_version_that_left_service_is_neither_tried_nor_finished(
    plain: Home, banked: Home
) -> None:
    with pytest.raises(KeyboardInterrupt):
        stopped(plain)
    for home in (plain, banked):
        version = load_scene(home, MODEL).version
        register_version(
            home,
            model=MODEL,
            architecture=version.architecture,
            weights=home.store.put(b"others"),
            recipe=version.recipe,
            data_set=version.data_set,
            training_images=version.training_images,
        )
        deploy(home, require_model(home, MODEL).versions[-1])
    with pytest.raises(MisuseError, match="no longer in service"):
        train_bank(plain)
    with pytest.raises(MisuseError, match="isn't in service"):
        try_shared_bank(
            banked,
            MODEL,
            only_bank(banked).name.value,
            retrains=1,
            today=TODAY,
            workers=1,
            progress=lambda *_: None,
        )


def test_a_case_goes_its_whole_road_by_a_shared_bank(banked: Home, tmp_path: Path) -> None:
    tried(banked)
    scene = load_scene(banked, MODEL)
    case = file_request(
        banked,
        model=MODEL,
        subjects=(scene.images.subjects[scene.training[0]],),
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=TODAY,
    )
    decide(banked, case, DecisionKind.GRANTED, "dpo")
    settings = RunSettings(scouts=4, shared_bank=True)
    run = partial(run_case, banked, case, settings, progress=silent, notice=lambda _: None)
    run(until_verdict=True)
    assert is_replayed_from_weights(banked, case, tmp_path / "lent")
    state = run()
    assert state.issued is not None and state.bank is not None and state.reached is not None
    assert state.reached.basis is Basis.EXACT
    assert (state.bank.out_models, state.bank.in_models) == (8, 8)
    kinds = Counter(item.artefact_kind for item in state.accounted)
    assert kinds[ArtefactKind.SHARED_REFERENCE] == 8 and kinds[ArtefactKind.REFERENCE_IN] == 0
    assert len(files(banked)) == 8
    findings = evaluate(packs_of(banked, case), case_facts(banked, case))
    assert not [item for item in findings if item.status is FindingStatus.NOT_MET]
    assert not came_back(banked, destroy=False)


def is_replayed_from_weights(home: Home, case: str, folder: Path) -> bool:
    """Lend the models, have them measured again by someone who holds the data, take them back."""
    exported = export_audit(home, case, with_scores=False)
    roles = hand_over(home, case, folder, workers=1, progress=silent)
    bundle = read_bundle(pack_bundle(exported.manifest, scores=None, roles=roles))
    _, record = data_record(home, require_model(home, MODEL).current.data_set)
    scores = measure_again(bundle, data=record.manifest, weights=folder)
    take_back(home, case)
    return replay(bundle.manifest, scores).identical


STOPS = frozenset({"record", "write_atomically", "destroy_file", "seal", "forget"})


def killed_copies(root: Path, folder: Path, act: Callable[[Home], object]) -> Iterator[Home]:
    """The home as each kill leaves it, one place after another; then as it is without a kill."""

    def opened(copy: Path) -> None:
        home = open_home(copy)
        act(home)
        home.close()

    for call in count(1):
        copy = Path(shutil.copytree(root, folder / f"killed-{call}"))
        killed = killed_before(call, STOPS, partial(opened, copy))
        home = open_home(copy)
        yield home
        home.close()
        shutil.rmtree(copy)
        if not killed:
            return


def test_killed_anywhere_a_bank_is_gone_on_with_and_comes_out_the_same(
    plain: Home, tmp_path: Path
) -> None:
    plain.close()
    twin = open_home(Path(shutil.copytree(plain.root, tmp_path / "whole")))
    expected = members(twin, train_bank(twin, models=4))
    stops = 0
    for home in killed_copies(plain.root, tmp_path, lambda home: train_bank(home, models=4)):
        planned = shared_banks(home, MODEL)
        assert planned or not files(home)  # no model lies where no entry speaks of it
        assert not came_back(home, destroy=True)
        if not planned or planned[0].unfinished:
            train_bank(home, models=4 if not planned else 2)  # what was planned holds
        destroy_due(home, TODAY)
        bank = only_bank(home)
        assert members(home, bank) == expected and files(home) == names(expected)
        assert open_inclusion(home, bank) == open_inclusion(twin, only_bank(twin))
        assert not came_back(home, destroy=False)
        stops += 1
    assert stops >= 10


def test_killed_anywhere_a_destruction_is_ended_by_the_next_run(
    plain: Home, tmp_path: Path
) -> None:
    train_bank(plain, models=2)
    plain.close()
    known = 0
    for home in killed_copies(
        plain.root, tmp_path, lambda home: destroy_bank(home, only_bank(home))
    ):
        if only_bank(home).destroyed:
            known += 1
            destroy_due(home, TODAY)
            assert not files(home)
            with pytest.raises(LedgerError):
                open_inclusion(home, only_bank(home))
            assert not came_back(home, destroy=False)
        else:
            assert len(files(home)) == 2  # nothing is gone that the ledger doesn't know of
    assert known >= 4


def test_a_banks_last_day(banked: Home) -> None:
    assert end_date(date(2026, 1, 1), 0) == date(2026, 6, 30)
    assert end_date(date(2026, 6, 30), 0) == date(2026, 9, 30)
    assert end_date(date(2026, 7, 1), 0) == date(2026, 12, 31)
    assert end_date(date(2026, 12, 31), 0) == date(2027, 3, 31)
    assert end_date(date(2026, 12, 31), 1) == date(2027, 1, 1)
    assert destroy_due(banked, ENDS) == () and len(files(banked)) == 16
    (gone,) = destroy_due(banked, date(2027, 4, 1))
    assert gone.name == only_bank(banked).name and only_bank(banked).destroyed
    assert not files(banked) and destroy_due(banked, date(2027, 4, 1)) == ()
    with pytest.raises(EvidenceError, match="0 OUT and 0 IN"):
        scene = load_scene(banked, MODEL)
        serve(banked, scene, scene.training[:1], NO_SCOUTS)


def test_files_that_nothing_speaks_for_go_with_the_next_run(banked: Home) -> None:
    bank_store(banked).put(b"left behind")
    stray = bank_store(banked).root / "unfinished-0000"
    stray.mkdir()
    (stray / "m.safetensors").write_bytes(b"x")
    assert [item.artefact for item in came_back(banked, destroy=False)] == [
        Digest.of(b"left behind")
    ]
    destroy_due(banked, TODAY)
    assert files(banked) == names(members(banked, only_bank(banked)))


def test_what_comes_back_of_a_destroyed_bank_is_told_and_destroyed_again(banked: Home) -> None:
    bank = only_bank(banked)
    kept = bank_store(banked).get(members(banked, bank)[2])
    destroy_bank(banked, bank)
    assert not came_back(banked, destroy=False)
    bank_store(banked).put(kept)
    (back,) = came_back(banked, destroy=True)
    assert (back.what, back.artefact) == ("shared-reference", Digest.of(kept))
    assert not files(banked) and not came_back(banked, destroy=False)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("basis", [Basis.EXACT, Basis.NONE])
def test_a_case_accounts_for_every_model_that_its_patient_trained(
    banked: Home, keep: bool, basis: Basis
) -> None:
    banked.close()
    home = settings(banked, keep_erased=keep)
    bank, scene = only_bank(home), load_scene(home, MODEL)
    patient = scene.images.subjects[scene.training[0]]
    carrying = carrying_members(home, MODEL, [patient])
    assert len(carrying) == 8
    work = begun(home, patient)
    assert work.state.scope is not None and set(carrying) <= set(work.state.scope.affected)
    attempt(work, "retrain")
    conclude(work, basis)
    settle(work)
    fates = {
        item.artefact: (item.fate, item.ground)
        for item in work.state.accounted
        if item.artefact_kind is ArtefactKind.SHARED_REFERENCE
    }
    erased = basis is Basis.EXACT
    expected = {
        (True, False): (ArtefactFate.DESTROYED, "no-longer-needed"),
        (True, True): (ArtefactFate.RETAINED, "verification-of-other-requests"),
        (False, False): (ArtefactFate.RETAINED, "erasure-not-established"),
        (False, True): (ArtefactFate.RETAINED, "erasure-not-established"),
    }[erased, keep]
    assert fates == dict.fromkeys(carrying, expected)
    left = names(members(home, bank))
    assert files(home) == (left - names(carrying) if erased and not keep else left)
    here = {member.weights.value for member in present_members(home, bank)}
    assert here == files(home)
    days = kept_until(home, MODEL)
    reviewed = {item.artefact: item.review for item in _inventory(work.state, TODAY, days)}
    for digest in carrying:
        kept = fates[digest][0] is ArtefactFate.RETAINED
        assert reviewed[digest] == (ENDS if kept else None)
    assert not came_back(home, destroy=False)


def test_a_bank_that_its_day_destroyed_during_a_case_is_listed_as_destroyed(banked: Home) -> None:
    banked.close()
    home = settings(banked, keep_erased=True)
    scene = load_scene(home, MODEL)
    work = begun(home, scene.images.subjects[scene.training[0]])
    destroy_due(home, date(2028, 1, 1))
    attempt(work, "retrain")
    conclude(work, Basis.EXACT)
    settle(work)
    fates = [
        item.fate
        for item in work.state.accounted
        if item.artefact_kind is ArtefactKind.SHARED_REFERENCE
    ]
    assert fates == [ArtefactFate.DESTROYED] * 8


def test_this_quarters_bank_is_out_for_who_waits_and_in_for_who_is_left(
    plain: Home, tmp_path: Path
) -> None:
    with pytest.raises(MisuseError, match="cohort"):
        train_bank(plain, models=8, design="leave-cohort-out")  # nobody waits
    scene = load_scene(plain, MODEL)
    patients = sorted({scene.images.subjects[index] for index in scene.training})
    case = file_request(
        plain,
        model=MODEL,
        subjects=tuple(patients[:2]),
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=TODAY,
    )
    with pytest.raises(MisuseError, match="cohort"):
        train_bank(plain, models=8, design="leave-cohort-out")  # filed, but not granted
    decide(plain, case, DecisionKind.GRANTED, "dpo")
    employ(plain, tmp_path, "ada")
    forged = ev.RequestDecided(case=case, decision=DecisionKind.WITHDRAWN, actor="dpo")
    record_next(plain, case_stream(case), forged)  # which the desk didn't sign
    bank = train_bank(plain, models=8, design="leave-cohort-out")
    inclusion = open_inclusion(plain, bank)
    assert inclusion.design is BankDesign.LEAVE_COHORT_OUT
    assert len(inclusion.without(patients[:2])) == 8
    assert len(inclusion.holding_all(patients[2:])) == 8
    assert carrying_members(plain, MODEL, patients[:2]) == ()
    assert len(carrying_members(plain, MODEL, patients[2:3])) == 8


def test_no_case_begins_beside_an_unfinished_bank_and_no_bank_beside_a_case(plain: Home) -> None:
    scene = load_scene(plain, MODEL)
    patients = sorted({scene.images.subjects[index] for index in scene.training})

    with pytest.raises(KeyboardInterrupt):
        stopped(plain)
    assert only_bank(plain).unfinished
    with pytest.raises(MisuseError, match="isn't finished"):
        begun(plain, patients[0])
    destroy_bank(plain, require_bank(plain, MODEL, only_bank(plain).name.value[:8]))
    work = begun(plain, patients[1])
    with pytest.raises(MisuseError, match="under way"):
        train_bank(plain)
    decide(plain, work.case, DecisionKind.HELD, "dpo")  # its inventory stands all the same
    with pytest.raises(MisuseError, match="under way"):
        train_bank(plain)
    for wrong in ("", "zz"):
        with pytest.raises(MisuseError, match="no one shared bank"):
            require_bank(plain, MODEL, wrong)


def test_a_second_bank_of_a_version_is_another_bank(plain: Home) -> None:
    first = train_bank(plain, models=2)
    second = train_bank(plain, models=2, today=date(2027, 4, 1))
    assert [bank.destroyed for bank in shared_banks(plain, MODEL)] == [True, False]
    assert second.name != first.name
    assert open_inclusion(plain, second).models and not set(members(plain, first)) & set(
        members(plain, second)
    )
