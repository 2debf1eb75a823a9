"""What was destroyed and came back with a backup is listed, and destroyed again where asked for."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.evidence import CandidateRole
from auditor.domain.kind import Event
from auditor.domain.request import Ground, Outcome, Regime
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, Verdict
from auditor.errors import LedgerError
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.registry import require_model, retire
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.publishing import export_ledger
from auditor.workflow.log.recovery import recover
from auditor.workflow.models.left_behind import references_folder
from auditor.workflow.models.reerasure import CameBack, came_back, forget_subject
from tests.cli.conftest import stock

CASE, OTHER = "a" * 16, "b" * 16
ANY = Digest.of(b"any")
BEFORE, AFTER, OUT, SCOUT = (
    Digest.of(each) for each in (b"weights", b"after", b"out-model", b"scout-model")
)
PATIENT = "patient-4711"


def on_the_books(home: Home, *events: Event, case: str = CASE) -> None:
    stream = f"case:{case}"
    version = home.ledger.version(stream)
    home.ledger.append(
        stream, events, expected_version=version, event_ids=[uuid4() for _ in events]
    )


def requested(home: Home, case: str = CASE) -> ev.ErasureRequested:
    payload = home.vault.seal(f"case:{case}", canonical_bytes({"subjects": [PATIENT]}))
    return ev.ErasureRequested(
        case=case,
        regime=Regime.GDPR,
        ground=next(ground for ground in Ground if ground.value.startswith("gdpr")),
        received=date(2026, 10, 1),
        model="detector",
        subjects=1,
        payload=payload,
        policies=ANY,
    )


def scope(case: str) -> ev.ScopeEstablished:
    return ev.ScopeEstablished(
        case=case,
        weights=BEFORE,
        training_images=3,
        held_out_images=0,
        earlier=(),
        obstacle=Obstacle.NONE,
        affected=(),
    )


def at_work(home: Home, case: str = CASE) -> None:
    """A case with reference models in the folder and a candidate in the store."""
    listing = canonical_bytes({"in": [], "out": [str(OUT)], "scouts": [str(SCOUT)]})
    on_the_books(
        home,
        requested(home, case),
        scope(case),
        ev.BankTrained(case=case, bank=home.store.put(listing), out_models=1, in_models=0),
        ev.AttemptStarted(case=case, attempt=1, method="retrain", plan=ANY),
        ev.UnlearningCompleted(
            case=case,
            attempt=1,
            method="retrain",
            before=BEFORE,
            after=home.store.put(b"after"),
            parameters=ANY,
            device="cpu",
            milliseconds=1,
            record=ANY,
        ),
        case=case,
    )
    folder = references_folder(home, BEFORE)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "out-000").write_bytes(b"out-model")
    (folder / "scout-000").write_bytes(b"scout-model")


def accounted(case: str, artefact: Digest, kind: ArtefactKind) -> ev.ArtefactAccounted:
    return ev.ArtefactAccounted(
        case=case,
        artefact=artefact,
        artefact_kind=kind,
        fate=ArtefactFate.DESTROYED,
        ground="no-longer-needed",
    )


def finish(home: Home, case: str = CASE) -> None:
    """The case reaches its verdict: what it needed is destroyed, and the model before retired."""
    on_the_books(
        home,
        ev.VerdictReached(case=case, verdict=Verdict.PASSED, basis=Basis.EXACT, weights=AFTER),
        case=case,
    )
    retire(home, require_model(home, "detector"))
    shutil.rmtree(references_folder(home, BEFORE))
    home.store.destroy(BEFORE)
    on_the_books(
        home,
        accounted(case, OUT, ArtefactKind.REFERENCE_OUT),
        accounted(case, SCOUT, ArtefactKind.SCOUT),
        accounted(case, BEFORE, ArtefactKind.MODEL),
        ev.CertificateIssued(case=case, outcome=Outcome.CERTIFIED, pdf=ANY),
        case=case,
    )
    (home.certificates / f"{case}.pdf").write_bytes(b"%PDF-")


@pytest.fixture
def erased(home: Home) -> Home:
    """A home in which one case has run its course."""
    stock(home)
    at_work(home)
    finish(home)
    assert came_back(home, destroy=False) == ()
    return home


def listed(home: Home, *, destroy: bool = False) -> list[tuple[str, str, Digest | None]]:
    found = came_back(home, destroy=destroy)
    assert PATIENT not in repr(found)
    return [(item.case, item.what, item.artefact) for item in found]


def require_destroyed_again(home: Home) -> None:
    assert all(item.destroyed for item in came_back(home, destroy=True))
    assert came_back(home, destroy=False) == ()
    home.close()


def test_nothing_is_listed_at_any_time_of_an_honest_life(home: Home) -> None:
    stock(home)
    assert came_back(home, destroy=True) == ()
    at_work(home)
    assert came_back(home, destroy=True) == ()
    finish(home)
    assert came_back(home, destroy=True) == ()
    assert home.store.get(AFTER) == b"after"
    home.close()


def test_weights_that_came_back_are_listed_and_destroyed_again(erased: Home) -> None:
    erased.store.put(b"weights")
    for _ in range(2):  # looking destroys nothing
        assert listed(erased) == [(CASE, "model", BEFORE)]
    require_destroyed_again(erased)
    with pytest.raises(LedgerError):
        erased.store.get(BEFORE)


def test_reference_models_that_came_back_are_found_under_any_name(erased: Home) -> None:
    for folder in (references_folder(erased, BEFORE), references_folder(erased, ANY)):
        folder.mkdir(parents=True)
        (folder / "some-file").write_bytes(b"out-model")
        (folder / "another").write_bytes(b"scout-model")
        (folder / "nothing-known").write_bytes(b"unknown")
    assert listed(erased) == [(CASE, "reference-out", OUT), (CASE, "scout", SCOUT)]
    require_destroyed_again(erased)
    left = [path.name for path in (erased.root / "references").glob("*/*")]
    assert left == ["nothing-known", "nothing-known"]


def test_what_another_case_trains_again_did_not_come_back(erased: Home) -> None:
    """Training is deterministic: a later case may make the very models an earlier one destroyed."""
    erased.store.put(b"weights")
    assert listed(erased) == [(CASE, "model", BEFORE)]
    erased.store.destroy(BEFORE)
    folder = references_folder(erased, BEFORE)
    on_the_books(
        erased,
        requested(erased, OTHER),
        scope(OTHER),
        case=OTHER,
    )
    folder.mkdir(parents=True)
    (folder / "out-000").write_bytes(b"out-model")  # before the bank stands on the books
    assert came_back(erased, destroy=True) == ()
    at_work(erased, OTHER)
    assert came_back(erased, destroy=True) == ()
    assert (folder / "out-000").read_bytes() == b"out-model"
    finish(erased, OTHER)
    assert came_back(erased, destroy=True) == ()
    erased.close()


def test_a_model_registered_after_its_bytes_were_destroyed_is_left_alone(erased: Home) -> None:
    on_the_books(
        erased,
        ev.CandidateVerified(
            case=OTHER,
            attempt=0,
            role=CandidateRole.RETRAIN,
            weights=erased.store.put(b"out-model"),
            plan=ANY,
            evidence=ANY,
            verdict=Verdict.PASSED,
        ),
        case=OTHER,
    )
    assert came_back(erased, destroy=True) == ()
    assert erased.store.has(OUT)
    erased.close()


def test_a_lost_model_after_the_erasure_and_a_lost_payload_are_told(erased: Home) -> None:
    erased.store.destroy(AFTER)
    assert listed(erased) == [(CASE, "the model after the erasure is missing", AFTER)]
    payload = erased.vault.commitments(f"case:{CASE}")[0]
    erased.vault.forget_payload(payload)
    assert (CASE, "a vault payload is missing", payload) in listed(erased)
    assert len(listed(erased, destroy=True)) == len(listed(erased)) == 2
    erased.close()


def test_a_document_whose_entries_are_gone_is_told_and_other_files_are_not(erased: Home) -> None:
    for name in (f"{OTHER}.pdf", f"{PATIENT}.pdf", "notes.txt", f".{OTHER}.pdf.unpublished"):
        (erased.certificates / name).write_bytes(b"%PDF-")
    assert listed(erased) == [(OTHER, "entries of an issued document are missing", None)]
    erased.close()


def test_a_forgotten_payload_that_came_back_is_destroyed_again(home: Home, tmp_path: Path) -> None:
    stock(home)
    subject = f"case:{CASE}"
    on_the_books(home, requested(home))
    (payload,) = home.vault.commitments(subject)
    record_checkpoint(home)
    home.close()
    before = (home.root / "ledger.db").read_bytes()
    assert forget_subject(home, subject) == 1
    assert came_back(home, destroy=False) == ()
    export_ledger(home, tmp_path / "export")
    home.close()
    (home.root / "ledger.db").write_bytes(before)
    recover(home, source=tmp_path / "export", known=[], new_origin=False)
    assert home.vault.holds(payload)
    expected = CameBack(case="", what="vault-payload", artefact=payload)
    assert came_back(home, destroy=False) == (expected,)
    require_destroyed_again(home)
    assert not home.vault.holds(payload)
    assert home.vault.commitments(subject) == ()
    home.close()


def test_forgetting_that_was_stopped_is_done_again_and_stands_on_the_books_once(
    home: Home,
) -> None:
    kept = [home.vault.seal("case:1", each) for each in (b"one", b"two")]
    home.vault.seal("case:2", b"three")
    first = kept[0]
    home.ledger.append(
        "vault",
        [ev.PayloadForgotten(payload=ANY)],
        expected_version=0,
        event_ids=[uuid4()],
    )
    assert forget_subject(home, "case:1") == 2
    assert forget_subject(home, "case:1") == 0
    told = [item.event for item in home.ledger.replay("vault")]
    assert len(told) == 3
    assert {event.payload for event in told if isinstance(event, ev.PayloadForgotten)} == {
        ANY,
        *kept,
    }
    assert not home.vault.holds(first)
    assert len(home.vault.commitments("case:2")) == 1
    home.close()
