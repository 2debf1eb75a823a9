"""A legal hold that arrives in the middle: the run stops at the next step, and goes on later."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.case import ErasureCase
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    Ground,
    IdentityResult,
    Outcome,
    Regime,
)
from auditor.domain.verdict import Basis
from auditor.errors import MisuseError
from auditor.workflow.audit.scene import load_scene
from auditor.workflow.desk.acts import check_identity
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.desk.signing import Hand
from auditor.workflow.documents.notary import certificate_path
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.erasure.erasure import check_grounds
from auditor.workflow.erasure.running import pending_cases, run_case
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import load_case
from auditor.workflow.homes.registry import deploy, register_version, require_model
from auditor.workflow.homes.steps import Step, next_step
from auditor.workflow.models.accounting import account
from tests.workflow.desks import RECEIVED
from tests.workflow.trained import MODEL, attempt, begun, conclude, masked, patient_of

Notice = Callable[[str], None]

SMALL = RunSettings(out_models=8, in_models=6, scouts=4)
ONCE = frozenset(
    {
        *("grounds-checked/v1", "scope-established/v2", "bank-trained/v1", "case-routed/v1"),
        *("plan-pinned/v1", "replay-confirmed/v1", "verdict-reached/v1", "certificate-issued/v1"),
    }
)


@pytest.fixture
def home(trained_template: Path, tmp_path: Path) -> Iterator[Home]:
    with closing(open_home(Path(shutil.copytree(trained_template, tmp_path / "home")))) as opened:
        yield opened


def granted(home: Home, *, trained_on: bool) -> str:
    scene = load_scene(home, MODEL)
    part = scene.training if trained_on else scene.split.test
    case = file_request(
        home,
        model=MODEL,
        subjects=(scene.images.subjects[part[0]],),
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=RECEIVED,
    )
    decide(home, case, DecisionKind.GRANTED)
    return case


def run(home: Home, case: str, notice: Notice = lambda _: None) -> ErasureCase:
    return run_case(home, case, SMALL, progress=lambda *_: None, notice=notice)


def at(step: Step, act: Callable[[], object], told: list[str]) -> Notice:
    """Act while that step is being taken, as another process would."""

    def notice(text: str) -> None:
        told.append(text)
        if text.endswith(step.value):
            act()

    return notice


def hold(home: Home, case: str) -> Callable[[], object]:
    return lambda: decide(home, case, DecisionKind.HELD, reason=DecisionReason.LEGAL_HOLD)


@pytest.mark.parametrize("step", [Step.GROUNDS, Step.SCOPE])
def test_a_hold_stops_the_run_at_the_next_step_and_what_was_done_is_kept(
    home: Home, step: Step
) -> None:
    case, told = granted(home, trained_on=False), list[str]()
    state = run(home, case, at(step, hold(home, case), told))
    assert state.held and state.issued is None
    assert state.grounds is not None and (state.scope is not None) is (step is Step.SCOPE)
    assert "the desk has stopped it" in told[-1]
    kept = home.ledger.replay(f"case:{case}")
    with pytest.raises(MisuseError, match="hasn't granted"):
        run(home, case)
    assert home.ledger.replay(f"case:{case}") == kept
    assert case not in pending_cases(home)
    decide(home, case, DecisionKind.GRANTED)
    again = list[str]()
    closed = run(home, case, again.append)
    assert closed.issued is not None and closed.issued.outcome is Outcome.NOTHING_TO_UNLEARN
    assert not any(text.endswith(step.value) for text in again)  # it wasn't taken twice
    assert home.ledger.replay(f"case:{case}")[: len(kept)] == kept


def test_nothing_is_trained_for_whoever_is_held(home: Home) -> None:
    case = granted(home, trained_on=True)
    state = run(home, case, at(Step.SCOPE, hold(home, case), []))
    assert state.scope is not None and state.scope.training_images and state.bank is None
    decide(home, case, DecisionKind.GRANTED)
    assert next_step(load_case(home, case)) is Step.BANK


STATIONS = (Step.BANK, Step.ROUTE, Step.PLAN, Step.CONTROLS, Step.CLIMB, Step.REACH)


def test_a_case_held_at_every_station_ends_as_one_that_never_was(
    home: Home, trained_template: Path, tmp_path: Path
) -> None:
    case = granted(home, trained_on=True)
    before = load_scene(home, MODEL).version.weights
    for step in STATIONS:
        state = run(home, case, at(step, hold(home, case), []))
        assert state.held and home.store.has(before)
        decide(home, case, DecisionKind.GRANTED)
    held = run(home, case)
    kinds = [item.event.kind for item in home.ledger.replay(f"case:{case}")]
    assert all(kinds.count(kind) == 1 for kind in kinds if kind in ONCE)
    assert kinds.count("request-decided/v2") == 2 * len(STATIONS) + 1
    with closing(open_home(Path(shutil.copytree(trained_template, tmp_path / "other")))) as other:
        straight = run(other, granted(other, trained_on=True))
    assert held.issued is not None and held.reached is not None and straight.reached is not None
    assert held.issued.outcome is Outcome.CERTIFIED
    assert held.reached.weights == straight.reached.weights != before


def test_other_numbers_in_the_settings_change_no_bank_that_is_on_the_books(home: Home) -> None:
    case = granted(home, trained_on=True)
    stopped = run(home, case, at(Step.BANK, hold(home, case), []))
    decide(home, case, DecisionKind.GRANTED)
    other = replace(SMALL, out_models=9, in_models=7, scouts=5)
    went_on = run_case(
        home,
        case,
        other,
        progress=lambda *_: None,
        notice=at(Step.ROUTE, hold(home, case), []),
    )
    assert stopped.bank is not None and went_on.bank == stopped.bank
    assert went_on.routed is not None and went_on.bank.out_models == SMALL.out_models


def test_doubt_about_who_asked_stops_a_run_and_a_withdrawal_closes_it(home: Home) -> None:
    case = granted(home, trained_on=False)
    doubt = at(Step.GROUNDS, lambda: check_identity(home, case, IdentityResult.DOUBTED, Hand()), [])
    assert run(home, case, doubt).doubted
    with pytest.raises(MisuseError, match="it is doubted"):
        run(home, case)
    decide(home, case, DecisionKind.WITHDRAWN)
    closed = run(home, case)
    assert closed.issued is not None and closed.issued.outcome is Outcome.WITHDRAWN


def test_a_hold_after_the_verdict_keeps_every_copy(home: Home) -> None:
    scene = load_scene(home, MODEL)
    work = begun(home, scene.images.subjects[scene.training[0]])
    check_grounds(work)
    attempt(work, "retrain")
    conclude(work, Basis.EXACT)
    before = scene.version.weights
    hold(home, work.case)()
    with pytest.raises(MisuseError, match="hasn't granted"):
        run(home, work.case)
    assert home.store.has(before) and require_model(home, MODEL).in_service == before
    with pytest.raises(MisuseError, match="only be held, and granted"):
        decide(home, work.case, DecisionKind.WITHDRAWN)
    decide(home, work.case, DecisionKind.GRANTED)
    assert next_step(work.state) is Step.ACCOUNT
    assert not isinstance(home.ledger.replay(f"case:{work.case}")[-1].event, ev.ArtefactAccounted)
    assert not certificate_path(home, work.case).exists()


def test_whoever_is_held_after_the_verdict_keeps_others_waiting(home: Home) -> None:
    """Else the model made for the one, trained on the other, would go into service after theirs."""
    held, other = patient_of(home, 2), patient_of(home, 1)
    work = begun(home, held)
    attempt(work, "rewind")
    conclude(work, Basis.EXACT)
    hold(home, work.case)()
    with pytest.raises(MisuseError, match="has its verdict and is held"):
        begun(home, other)
    decide(home, work.case, DecisionKind.GRANTED)
    account(home, work.case, work.state)
    assert weights_in_service(home) == Digest.of(masked(home, [held]))


def test_a_model_that_was_replaced_all_the_same_stays_in_service(home: Home) -> None:
    work = begun(home, patient_of(home, 2))
    attempt(work, "rewind")
    conclude(work, Basis.EXACT)
    reached, before = work.state.reached, require_model(home, MODEL).current
    newer = register_version(
        home,
        model=MODEL,
        architecture=before.architecture,
        weights=home.store.put(masked(home, [patient_of(home, 1)])),
        recipe=before.recipe,
        data_set=before.data_set,
        training_images=before.training_images,
    )
    deploy(home, newer)
    with pytest.raises(MisuseError, match="replaced since this case began"):
        account(home, work.case, work.state)
    assert weights_in_service(home) == newer.weights
    assert home.store.has(before.weights)
    deploy(home, before)
    account(home, work.case, work.state)
    assert reached is not None and weights_in_service(home) == reached.weights


def weights_in_service(home: Home) -> Digest | None:
    return require_model(home, MODEL).in_service
