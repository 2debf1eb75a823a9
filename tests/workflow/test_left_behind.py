"""What stopped work leaves is destroyed by the next end of a case, and stands in its inventory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.case import ErasureCase
from auditor.domain.evidence import CandidateRole
from auditor.domain.request import DecisionKind, DecisionReason
from auditor.domain.verdict import Basis, Verdict
from auditor.errors import MisuseError
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.workflow.desk.desk import decide
from auditor.workflow.documents.document import document_facts
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.erasure.running import run_case
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import load_case
from auditor.workflow.homes.registry import list_models, require_model
from auditor.workflow.models.accounting import account
from auditor.workflow.models.deployment import require_not_replaced
from auditor.workflow.models.left_behind import qualification_folder, references_folder
from tests.workflow.casebook import today
from tests.workflow.killing import killed_before
from tests.workflow.trained import (
    ANY,
    MODEL,
    RECIPE,
    Work,
    attempt,
    begun,
    conclude,
    erase,
    patient_of,
)

Inventory = dict[Digest, tuple[ArtefactKind, ArtefactFate]]


@pytest.fixture
def home(trained_template: Path, tmp_path: Path) -> Iterator[Home]:
    with closing(open_home(Path(shutil.copytree(trained_template, tmp_path / "home")))) as opened:
        yield opened


def made(work: Work, number: int) -> bytes:
    return weights_bytes(train(RECIPE, work.scene.images, work.scene.training, number))


def left_by(work: Work) -> dict[Digest, ArtefactKind]:
    """A reference model, a candidate and a control, as far as a case may get."""
    attempt(work, "retrain")
    candidate = work.state.attempts[-1].completed
    assert candidate is not None
    control = work.home.store.put(made(work, 101))
    work.write(
        ev.AuditStarted(
            case=work.case,
            attempt=0,
            number=1,
            role=CandidateRole.RETRAIN,
            weights=control,
            plan=ANY,
        ),
        "audit-0-retrain-1",
    )
    return {
        candidate.after: ArtefactKind.CANDIDATE,
        control: ArtefactKind.CANDIDATE,
        **trained_into(references_folder(work.home, work.scene.version.weights), work),
    }


def trained_into(folder: Path, work: Work) -> dict[Digest, ArtefactKind]:
    kinds = {
        "in": ArtefactKind.REFERENCE_IN,
        "out": ArtefactKind.REFERENCE_OUT,
        "scout": ArtefactKind.SCOUT,
        "original": ArtefactKind.CANDIDATE,
    }
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for number, (name, kind) in enumerate(kinds.items()):
        content = made(work, 200 + number)
        (folder / f"{name}-000-0123456789abcdef.safetensors").write_bytes(content)
        found[Digest.of(content)] = kind
    return found


def in_inventory(state: ErasureCase) -> Inventory:
    return {item.artefact: (item.artefact_kind, item.fate) for item in state.accounted}


def require_gone(home: Home, state: ErasureCase, left: dict[Digest, ArtefactKind]) -> None:
    """Nothing with weights in it is left but versions, and each stands in the inventory."""
    stood = in_inventory(state)
    assert {digest: stood[digest] for digest in left} == {
        digest: (kind, ArtefactFate.DESTROYED) for digest, kind in left.items()
    }
    assert models_in(home) == {
        version.weights
        for view in list_models(home)
        for version in view.versions
        if home.store.has(version.weights)
    }


def models_in(home: Home) -> set[Digest]:
    folders = (home.root / name for name in ("references", "qualifications"))
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files += list(home.store.root.iterdir())
    return {Digest.of(path.read_bytes()) for path in files if is_tensors(path)}


def is_tensors(path: Path) -> bool:
    return path.suffix == ".safetensors" or b'"data_offsets"' in path.read_bytes()[:2000]


def ran(home: Home, case: str) -> ErasureCase:
    return run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)


@pytest.mark.parametrize("by_whom", ["the subject", "the controller"])
def test_a_case_that_the_desk_closes_on_the_way_leaves_no_models(home: Home, by_whom: str) -> None:
    work = begun(home, patient_of(home, 0))
    left = left_by(work)
    if by_whom == "the subject":
        decide(home, work.case, DecisionKind.WITHDRAWN, "dpo")
    else:
        decide(home, work.case, DecisionKind.HELD, "dpo", reason=DecisionReason.LEGAL_HOLD)
        claims, review = DecisionReason.LEGAL_CLAIMS, today() + timedelta(days=90)
        decide(home, work.case, DecisionKind.REFUSED, "dpo", reason=claims, review=review)
    state = ran(home, work.case)
    assert state.issued is not None
    require_gone(home, state, left)
    facts = document_facts(home, work.case, state)
    assert {item.artefact for item in facts.inventory} == set(left)
    current = require_model(home, MODEL).current.weights
    assert home.store.has(current)


@pytest.mark.parametrize("basis", [Basis.EXACT, Basis.NONE])
def test_what_a_closed_case_left_is_in_the_inventory_of_the_next(home: Home, basis: Basis) -> None:
    first = begun(home, patient_of(home, 0))
    left = left_by(first)
    decide(home, first.case, DecisionKind.WITHDRAWN, "dpo")
    require_gone(home, erase(home, patient_of(home, 1), "retrain", basis).state, left)


def test_a_model_that_no_entry_names_goes_with_the_next_case(home: Home) -> None:
    """The power failed between keeping it and entering it, or in the middle of keeping it."""
    work = begun(home, patient_of(home, 0))
    whole = home.store.put(made(work, 101))
    content = made(work, 102)
    half = home.store.root / f".{Digest.of(content).value}.4711.part"
    half.write_bytes(content[: len(content) // 2])
    decide(home, work.case, DecisionKind.WITHDRAWN, "dpo")
    other = erase(home, patient_of(home, 1), "retrain", Basis.EXACT)
    names = (whole, Digest.of(content))
    require_gone(home, other.state, dict.fromkeys(names, ArtefactKind.CANDIDATE))
    assert not half.exists()


def test_what_an_unfinished_qualification_trained_goes_with_the_next_case(home: Home) -> None:
    work = begun(home, patient_of(home, 0))
    folder = qualification_folder(home, work.scene.version.weights)
    left = trained_into(folder, work)
    attempt(work, "retrain")
    conclude(work, Basis.EXACT)
    account(home, work.case, work.state)
    require_gone(home, work.state, left)


@pytest.mark.parametrize("basis", [Basis.EXACT, Basis.NONE])
def test_a_held_case_keeps_what_it_made_until_it_is_overtaken(home: Home, basis: Basis) -> None:
    held = begun(home, patient_of(home, 0))
    attempt(held, "retrain")
    completed = held.state.attempts[-1].completed
    assert completed is not None
    decide(home, held.case, DecisionKind.HELD, "dpo", reason=DecisionReason.LEGAL_HOLD)
    erase(home, patient_of(home, 1), "retrain", basis)
    assert home.store.has(completed.after) is (basis is Basis.NONE)


def test_another_case_under_way_keeps_its_models_when_one_is_closed(home: Home) -> None:
    dropped = begun(home, patient_of(home, 0))
    decide(home, dropped.case, DecisionKind.WITHDRAWN, "dpo")
    going = begun(home, patient_of(home, 1))
    left = left_by(going)
    assert ran(home, dropped.case).accounted == ()
    assert set(left) < models_in(home)


def test_killed_anywhere_nothing_goes_unaccounted(home: Home) -> None:
    dropped = begun(home, patient_of(home, 0))
    left = left_by(dropped)
    decide(home, dropped.case, DecisionKind.WITHDRAWN, "dpo")
    work = begun(home, patient_of(home, 1))
    attempt(work, "retrain")
    conclude(work, Basis.EXACT)
    root, case = home.root, work.case
    home.close()

    def act() -> None:
        with closing(open_home(root)) as opened:
            account(opened, case, load_case(opened, case))

    calls = count(1)
    while killed_before(next(calls), frozenset({"destroy_file"}), act):
        pass
    with closing(open_home(root)) as opened:
        require_gone(opened, load_case(opened, case), left)


def test_models_of_a_replaced_version_never_come_back_as_another_model(home: Home) -> None:
    dropped = begun(home, patient_of(home, 0))
    attempt(dropped, "retrain")
    control = home.store.put(made(dropped, 101))
    event = ev.CandidateVerified(
        case=dropped.case,
        attempt=0,
        role=CandidateRole.RETRAIN,
        weights=control,
        plan=ANY,
        evidence=ANY,
        verdict=Verdict.PASSED,
    )
    begun_audit = ev.AuditStarted(
        case=dropped.case,
        attempt=0,
        number=1,
        role=CandidateRole.RETRAIN,
        weights=control,
        plan=ANY,
    )
    dropped.write(begun_audit, "audit-0-retrain-1")
    dropped.write(event, "verified-0-retrain")
    decide(home, dropped.case, DecisionKind.WITHDRAWN, "dpo")
    require_not_replaced(home, control, "it")
    erased = erase(home, patient_of(home, 1), "retrain", Basis.EXACT)
    with pytest.raises(MisuseError, match=erased.case):
        require_not_replaced(home, control, "it")
    require_not_replaced(home, require_model(home, MODEL).current.weights, "it")
