"""A request that was looked at, withdrawn and filed again says so in what is signed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from auditor.certificates.facts import DocumentFacts
from auditor.certificates.verify import Status, verify_certificate
from auditor.domain.request import DecisionKind
from auditor.workflow.audit.scene import load_scene, register_trained
from auditor.workflow.desk.desk import decide
from auditor.workflow.documents.notary import certificate_path, sidecar_path
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.erasure.erasure import check_grounds
from auditor.workflow.erasure.running import run_case
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import load_case
from auditor.workflow.homes.registry import require_model
from auditor.workflow.models.forgetting import forget_request
from tests.certificates import examples
from tests.workflow.test_every_end import audited, pin
from tests.workflow.trained import MODEL, RECIPE, begun, divided_as, manifest_in, patient_of


@pytest.fixture
def home(trained_template: Path, tmp_path: Path) -> Iterator[Home]:
    with closing(open_home(Path(shutil.copytree(trained_template, tmp_path / "home")))) as opened:
        yield opened


def under(margin: float) -> DocumentFacts:
    """An audit that certifies nothing, by a plan of that margin."""
    facts = examples.failed()
    assert facts.plan is not None
    return replace(facts, plan=replace(facts.plan, margin=margin))


def stated(home: Home, case: str) -> Any:
    """What the case's document says, once it verifies."""
    run_case(home, case, RunSettings(), progress=lambda *_: None, notice=lambda _: None)
    document = certificate_path(home, case)
    report = verify_certificate(
        document.read_bytes(),
        home.trust,
        sidecar=sidecar_path(document).read_text(encoding="utf-8"),
        now=datetime.now(UTC),
    )
    assert report.status is Status.VALID_STATUS_UNKNOWN, report.reason
    return report.predicate


@pytest.mark.parametrize("forgotten", [False, True])
def test_filed_again_it_names_the_case_that_was_looked_at_and_its_margin(
    home: Home, forgotten: bool
) -> None:
    patient, other = patient_of(home, 0), patient_of(home, 1)
    first = audited(begun(home, patient), under(0.1))
    decide(home, first, DecisionKind.WITHDRAWN, "dpo")
    assert "auditedBefore" not in stated(home, first)["request"]
    if forgotten:
        forget_request(home, first)
    again = stated(home, audited(begun(home, patient), under(0.5)))
    plan = load_case(home, first).plan
    assert plan is not None
    named = {"case": first, "plan": str(plan.plan), "margin": "0.1000"}
    assert again["request"]["auditedBefore"] == [named]
    (line,) = [line for line in again["summary"] if first in line]
    assert "margin of 10 %" in line and plan.plan.value[:16] in line
    another = stated(home, audited(begun(home, other), under(0.5)))
    assert [item["case"] for item in another["request"].get("auditedBefore", [])] == (
        [first] if forgotten else []  # nobody can say any more whom that one was for
    )


def test_a_plan_by_which_nobody_was_audited_is_named_too(home: Home) -> None:
    """Its declared powers can be read, and another one fixed that suits better."""
    patient = patient_of(home, 0)
    work = begun(home, patient)
    check_grounds(work)
    pin(work, under(0.2).plan)
    decide(home, work.case, DecisionKind.WITHDRAWN, "dpo")
    assert "plannedBefore" not in stated(home, work.case)["request"]
    again = stated(home, audited(begun(home, patient), under(0.5)))
    plan = load_case(home, work.case).plan
    assert plan is not None
    named = {"case": work.case, "plan": str(plan.plan), "margin": "0.2000"}
    assert again["request"]["plannedBefore"] == [named]
    assert "auditedBefore" not in again["request"]
    (line,) = [line for line in again["summary"] if work.case in line]
    assert "no model was audited by it" in line and "margin of 20 %" in line


def test_another_name_for_the_same_weights_hides_no_look(home: Home) -> None:
    patient, weights = patient_of(home, 0), home.root / "weights.safetensors"
    first = audited(begun(home, patient), under(0.1))
    decide(home, first, DecisionKind.WITHDRAWN, "dpo")
    weights.write_bytes(home.store.get(require_model(home, MODEL).current.weights))
    other = f"{MODEL}-b"
    register_trained(
        home,
        model=other,
        manifest=divided_as(manifest_in(home), load_scene(home, MODEL).split),
        recipe=RECIPE,
        weights=weights,
        notice=lambda _: None,
    )
    again = stated(home, audited(begun(home, patient, model=other), under(0.5)))
    assert [item["case"] for item in again["request"]["auditedBefore"]] == [first]
