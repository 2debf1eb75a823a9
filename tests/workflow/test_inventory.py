"""Copies outside the home: declared, reached by every case, and none left open at a certificate."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import NOT_ESTABLISHED, ArtefactFate, ArtefactKind, Digest
from auditor.domain.request import RecipientOutcome
from auditor.domain.verdict import Basis
from auditor.errors import MisuseError
from auditor.policies.checks_erasure import affected_accounted, derived_accounted
from auditor.policies.observation import Bearing, Papers
from auditor.workflow.audit.scene import load_scene
from auditor.workflow.desk.desk import case_facts
from auditor.workflow.erasure import running
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import load_case, record
from auditor.workflow.homes.registry import deploy, register_version, require_model
from auditor.workflow.models.accounting import account
from auditor.workflow.models.inventory import (
    COPY_KINDS,
    RETENTION_GROUNDS,
    account_copy,
    declare_copy,
    left_open,
    list_copies,
    name_of,
    standing_copies,
)
from tests.cli.conftest import Auditor
from tests.workflow.trained import (
    ANY,
    MODEL,
    Work,
    attempt,
    begun,
    conclude,
    empty_home,
    settle,
    train_here,
)

BACKUP = Digest.of(b"a tape")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inventory") / "home"
    home = empty_home(root)
    train_here(home)
    home.close()
    return root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Iterator[Home]:
    opened = open_home(Path(shutil.copytree(template, tmp_path / "home")))
    yield opened
    opened.close()


def declare(
    home: Home, digest: Digest = BACKUP, kind: ArtefactKind = ArtefactKind.BACKUP
) -> Digest:
    return declare_copy(home, MODEL, kind, digest=digest, name="", actor="dpo").copy


def erased(
    home: Home, number: int = 0, basis: Basis = Basis.EXACT, *, accounted: bool = False
) -> Work:
    """A case up to its verdict, or on to where the home has accounted for what it knows."""
    scene = load_scene(home, MODEL)
    names = list(dict.fromkeys(scene.images.subjects[i] for i in scene.training))
    work = begun(home, names[number])
    attempt(work, "retrain")
    conclude(work, basis)
    if accounted:
        account(home, work.case, work.state)
    return work


def opened(work: Work) -> tuple[str, ...]:
    return left_open(work.home, work.case, load_case(work.home, work.case))


def test_a_declared_copy_stands_in_the_inventory_and_holds_the_certificate(home: Home) -> None:
    copy = declare(home)
    work = erased(home)
    assert work.state.scope is not None and copy in work.state.scope.affected
    account(home, work.case, work.state)
    (line,) = opened(work)
    assert str(copy) in line and work.case in line and "backup" in line
    account_copy(home, work.case, copy, ArtefactFate.DESTROYED)
    assert opened(work) == ()
    (said,) = [item for item in load_case(home, work.case).accounted if item.artefact == copy]
    assert (said.artefact_kind, said.fate) == (ArtefactKind.BACKUP, ArtefactFate.DESTROYED)
    assert said.ground == "destroyed-by-controller"


def test_the_run_says_what_is_open_and_goes_on_from_there(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = declare(home)
    work = erased(home)
    prepared: list[str] = []

    def prepare(home: Home, case: str, state: Any) -> None:
        prepared.append(case)
        settled = ev.CertificatePrepared(case=case, outcome=state_outcome(state), envelope=ANY)
        record(home, f"case:{case}", settled, "prepared")
        raise KeyboardInterrupt  # what comes after needs an audited case

    monkeypatch.setattr(running, "prepare_statement", prepare)

    def ran() -> list[str]:
        notices: list[str] = []
        settings = RunSettings()
        running.run_case(home, work.case, settings, progress=lambda *_: None, notice=notices.append)
        return notices

    for _ in range(2):
        assert any(str(copy) in line for line in ran())
        assert prepared == [] and work.case in running.pending_cases(home)
    account_copy(home, work.case, copy, ArtefactFate.RETAINED, ground="backup-until-overwritten")
    with pytest.raises(KeyboardInterrupt):
        ran()
    assert prepared == [work.case]


def state_outcome(state: Any) -> Any:
    from auditor.workflow.homes.steps import outcome_of

    return outcome_of(state)


def test_a_copy_declared_under_way_is_open_too_and_the_rules_see_it(home: Home) -> None:
    known = declare(home, Digest.of(b"known before"))
    work = erased(home)
    bank = ev.BankTrained(case=work.case, bank=ANY, out_models=0, in_models=0)
    late = declare(home, Digest.of(b"late"), ArtefactKind.DERIVED_MODEL)

    def bearings() -> list[Bearing]:
        facts = case_facts(home, work.case)
        papers = Papers(facts=facts, rule=None, packs=ANY)  # type: ignore[arg-type]  # unread
        return [check(papers).bearing for check in (affected_accounted, derived_accounted)]

    record(home, f"case:{work.case}", bank, "bank")
    work.home.store.put(json.dumps({"in": [], "out": [], "scouts": []}).encode())
    scope, reached = work.state.scope, work.state.reached
    assert scope is not None and reached is not None
    for item in (*scope.affected, reached.weights):
        if item != known:
            destroyed(home, work.case, item)
    assert sum(" is open" in line for line in opened(work)) == 2
    assert bearings() == [Bearing.CONTRADICTS, Bearing.CONTRADICTS]
    account_copy(home, work.case, known, ArtefactFate.REPLACED)
    assert bearings() == [Bearing.SUPPORTS, Bearing.CONTRADICTS]
    account_copy(home, work.case, late, ArtefactFate.DESTROYED)
    assert bearings() == [Bearing.SUPPORTS, Bearing.SUPPORTS]
    assert not any(" is open" in line for line in opened(work))


def destroyed(home: Home, case: str, artefact: Digest) -> None:
    event = ev.ArtefactAccounted(
        case=case,
        artefact=artefact,
        artefact_kind=ArtefactKind.MODEL,
        fate=ArtefactFate.DESTROYED,
        ground="no-longer-needed",
    )
    record(home, f"case:{case}", event, f"accounted-{artefact.value}")


def test_what_was_kept_is_open_again_for_the_next_patient_and_what_is_gone_never(
    home: Home,
) -> None:
    kept, gone = declare(home), declare(home, Digest.of(b"export"), ArtefactKind.EXPORT)
    first = erased(home)
    account_copy(home, first.case, kept, ArtefactFate.RETAINED, ground="legal-claims")
    account_copy(home, first.case, gone, ArtefactFate.DESTROYED)
    settle(first)
    assert standing_copies(home, MODEL) == (kept,)
    second = erased(home, 1, accounted=True)
    assert second.state.scope is not None
    assert kept in second.state.scope.affected and gone not in second.state.scope.affected
    assert len(opened(second)) == 1
    assert {item.copy: item.fate for item in list_copies(home, MODEL)} == {
        kept: ArtefactFate.RETAINED,
        gone: ArtefactFate.DESTROYED,
    }


def test_a_copy_that_was_kept_may_go_after_the_case_is_closed_but_nothing_more_be_kept(
    home: Home,
) -> None:
    kept = declare(home)
    work = erased(home)
    account_copy(home, work.case, kept, ArtefactFate.RETAINED, ground="research")
    settle(work)
    with pytest.raises(MisuseError, match="signed"):
        account_copy(home, work.case, kept, ArtefactFate.RETAINED, ground="research")
    account_copy(home, work.case, kept, ArtefactFate.DESTROYED)
    assert standing_copies(home, MODEL) == ()


def test_where_nobody_was_erased_copies_stay_and_hold_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = declare(home)
    work = erased(home, basis=Basis.NONE)
    monkeypatch.setattr(running, "prepare_statement", lambda *_: settle(work))
    monkeypatch.setattr(running, "issue", stop)
    with pytest.raises(KeyboardInterrupt):
        running.run_case(
            home, work.case, RunSettings(), progress=lambda *_: None, notice=lambda _: None
        )
    (said,) = [item for item in load_case(home, work.case).accounted if item.artefact == copy]
    assert (said.fate, said.ground) == (ArtefactFate.RETAINED, NOT_ESTABLISHED)
    events = [item.event for item in home.ledger.replay(f"case:{work.case}")]
    assert any(isinstance(event, ev.SubjectsExcluded) for event in events)  # all the same
    assert standing_copies(home, MODEL) == (copy,)


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_model_of_another_name_that_serves_affected_weights_holds_the_certificate(
    home: Home,
) -> None:
    from auditor.workflow.models.deployment import take_out_of_service

    first = require_model(home, MODEL).current
    distilled = home.store.put(b"distilled weights")
    for name, weights in (("same", first.weights), ("student", distilled)):
        version = register_version(
            home,
            model=name,
            architecture=first.architecture,
            weights=weights,
            recipe=first.recipe,
            data_set=first.data_set,
            training_images=1,
        )
        deploy(home, version)
    work = erased(home, accounted=True)
    copy = declare(home, distilled, ArtefactKind.DERIVED_MODEL)
    account_copy(home, work.case, copy, ArtefactFate.DESTROYED)
    lines = opened(work)
    assert len(lines) == 2 and "model same" in lines[0] + lines[1]
    take_out_of_service(home, "same")
    assert len(opened(work)) == 1
    take_out_of_service(home, "student")
    assert opened(work) == ()


def test_a_recipient_who_has_not_been_told_holds_the_certificate(home: Home) -> None:
    work = erased(home, accounted=True)
    stream = f"case:{work.case}"
    record(home, stream, ev.RecipientRecorded(case=work.case, recipient="r1", details=ANY), "r1")
    (line,) = opened(work)
    assert "r1" in line
    told = ev.RecipientInformed(
        case=work.case,
        recipient="r1",
        outcome=RecipientOutcome.IMPOSSIBLE,
        letter=ANY,
        on=date(2026, 11, 3),
        actor="dpo",
    )
    record(home, stream, told, "told")
    assert opened(work) == ()


def test_a_name_goes_to_the_vault_and_nowhere_else(home: Home) -> None:
    name = "the NAS of Dr Mueller"
    made = declare_copy(home, MODEL, ArtefactKind.SOURCE, digest=None, name=name, actor="dpo")
    assert name_of(home, made.copy) == name and name_of(home, BACKUP) == ""
    assert not any(b"Mueller" in entry for entry in home.ledger.entries())


@pytest.mark.parametrize(
    ("kind", "digest", "name"),
    [
        (ArtefactKind.MODEL, BACKUP, ""),
        (ArtefactKind.BACKUP, None, ""),
        (ArtefactKind.BACKUP, BACKUP, "both"),
    ],
)
def test_what_is_no_copy_is_not_declared(
    home: Home, kind: ArtefactKind, digest: Digest | None, name: str
) -> None:
    with pytest.raises(MisuseError):
        declare_copy(home, MODEL, kind, digest=digest, name=name, actor="dpo")


def test_nothing_is_accounted_for_that_is_not_there_or_on_no_ground(home: Home) -> None:
    copy = declare(home)
    with pytest.raises(MisuseError, match="declared already"):
        declare(home)
    work = erased(home, accounted=True)
    retained, destroyed = ArtefactFate.RETAINED, ArtefactFate.DESTROYED
    for case, what, fate, ground, why in (
        ("nothing", copy, destroyed, "", "no case"),
        (work.case, ANY, destroyed, "", "no copy"),
        (work.case, copy, retained, "", "kept on one of"),
        (work.case, copy, retained, "because", "kept on one of"),
        (work.case, copy, retained, NOT_ESTABLISHED, "kept on one of"),
        (work.case, copy, destroyed, "research", "only a copy that is kept"),
    ):
        with pytest.raises(MisuseError, match=why):
            account_copy(home, case, what, fate, ground=ground)
    assert len(opened(work)) == 1


def test_every_kind_and_ground_has_its_words() -> None:
    from auditor.certificates.labels import ARTEFACTS, REASONS

    assert set(COPY_KINDS) <= set(ARTEFACTS) and set(ArtefactKind) == set(ARTEFACTS)
    assert {*RETENTION_GROUNDS, "destroyed-by-controller", "replaced-by-controller"} <= set(REASONS)


def test_the_command_line_declares_lists_and_accounts(auditor: Auditor, home: Home) -> None:
    at = ("--home", home.root, "--json")
    add = ("model", "copy", "add", MODEL, "--kind", "derived-model", "--digest")
    assert auditor(*add, str(BACKUP), *at).json["copy"] == str(BACKUP)
    assert auditor(*add, "sha256:short", *at).code == 2
    (row,) = auditor("model", "copy", "list", MODEL, *at).json
    assert row == {"copy": str(BACKUP), "kind": "derived-model", "name": "", "fate": ""}
    work = erased(home)
    say = ("request", "account", work.case, str(BACKUP))
    assert auditor(*say, *at).code == 2
    assert auditor(*say, "--retained", *at).code == 2
    said = auditor(*say, "--retained", "--ground", "research", *at).json
    assert (said["fate"], said["ground"]) == ("retained", "research")
    (row,) = auditor("model", "copy", "list", MODEL, *at).json
    assert row["fate"] == "retained"
