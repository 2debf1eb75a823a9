"""FHIR R4 resources: what tells of a withdrawal or asks, and whatever doesn't."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import date
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.consent import Consent
from fhir.resources.R4B.task import Task

from auditor.domain.request import Ground, Regime
from auditor.policies.deadlines import in_law_since
from auditor.policies.load import load_packs
from auditor.workflow.desk.intake import IntakeError, Known, read_rows
from auditor.workflow.desk.intake_fhir import GROUND_SYSTEM, Setting, read_fhir

BERLIN = Setting(model="detector", regime=Regime.GDPR, zone="Europe/Berlin")
KNOWN = Known(
    models={"detector"},
    subjects={"p1", "mrn-7"},
    today=date(2026, 11, 20),
    since={regime: in_law_since(load_packs(), regime) for regime in Regime},
)
CONSENT: dict[str, Any] = {
    "resourceType": "Consent",
    "id": "c-17",
    "meta": {"lastUpdated": "2026-11-01T23:30:00Z"},
    "status": "inactive",
    "scope": {"coding": [{"code": "research"}]},
    "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
    "patient": {"reference": "Patient/p1"},
    "policyRule": {"coding": [{"code": "OPTIN"}]},
}
TASK: dict[str, Any] = {
    "resourceType": "Task",
    "id": "t-1",
    "status": "requested",
    "intent": "order",
    "code": {"coding": [{"system": GROUND_SYSTEM, "code": "gdpr-17-1-c"}]},
    "for": {"reference": "https://fhir.example/r4/Patient/p1", "identifier": {"value": "MRN-7"}},
    "authoredOn": "2026-11-02",
}
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"resource": CONSENT}, {"resource": TASK}],
}


def rows(resource: Any, setting: Setting = BERLIN) -> list[tuple[int, Any]]:
    return list(read_fhir(json.dumps(resource).encode(), setting))


def flaws(resource: Any, setting: Setting = BERLIN) -> list[tuple[int, str]]:
    with pytest.raises(IntakeError) as refused:
        rows(resource, setting)
    return [(flaw.row, flaw.column) for flaw in refused.value.flaws]


def test_our_examples_are_fhir() -> None:
    Consent.model_validate(CONSENT)
    Task.model_validate(TASK)
    Bundle.model_validate(BUNDLE)


def test_a_bundle_of_both_is_taken_in() -> None:
    consent, task = read_rows(rows(BUNDLE), KNOWN)
    assert (consent.external_id, consent.subject_id) == ("Consent/c-17", "p1")
    assert (consent.regime, consent.ground) == (Regime.GDPR, Ground.CONSENT_WITHDRAWN)
    assert consent.received == date(2026, 11, 2)  # half past midnight in Berlin
    assert (task.external_id, task.subject_id) == ("Task/t-1", "MRN-7")
    assert (task.ground, task.received) == (Ground.OBJECTION, date(2026, 11, 2))


@pytest.mark.parametrize(
    ("regime", "ground"),
    [
        (Regime.UK_GDPR, Ground.UK_CONSENT_WITHDRAWN),
        (Regime.HIPAA, Ground.AUTHORISATION_REVOKED),
        (Regime.CCPA, Ground.DELETION_REQUESTED),
    ],
)
def test_a_withdrawn_consent_is_a_ground_of_the_regime_it_is_handled_under(
    regime: Regime, ground: Ground
) -> None:
    setting = Setting(model="detector", regime=regime, zone="UTC", received=date(2026, 10, 5))
    (asked,) = read_rows(rows(CONSENT, setting), KNOWN)
    assert (asked.regime, asked.ground, asked.received) == (regime, ground, date(2026, 10, 5))


@pytest.mark.parametrize("ground", Ground)
def test_a_task_may_ask_on_every_ground(ground: Ground) -> None:
    task = {**TASK, "code": {"coding": [{"system": GROUND_SYSTEM, "code": ground.value}]}}
    (asked,) = read_rows(rows(task), KNOWN)
    assert asked.ground is ground


@pytest.mark.parametrize(
    ("status", "provision", "withdrawn"),
    [
        ("inactive", None, True),
        ("inactive", {"type": "permit"}, True),
        ("inactive", {"type": "deny"}, False),  # the denial has ended
        ("active", {"type": "deny"}, True),
        ("active", {"type": "permit"}, False),
        ("active", None, False),
        ("draft", {"type": "deny"}, False),
        ("entered-in-error", {"type": "deny"}, False),
        ("rejected", None, False),
        (None, None, False),
    ],
)
def test_which_consents_are_withdrawn(
    status: str | None, provision: dict[str, str] | None, withdrawn: bool
) -> None:
    consent = {**CONSENT, "status": status}
    if provision is not None:
        consent["provision"] = provision
    if withdrawn:
        assert len(rows(consent)) == 1
    else:
        assert flaws(consent) == [(1, "Consent.status")]


def changed(resource: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    made = deepcopy(resource)
    *before, last = path.split(".")
    place = made
    for name in before:
        place = place[name]
    place[last] = value
    return made


@pytest.mark.parametrize(
    ("resource", "path", "value", "named"),
    [
        *[
            (CONSENT, "patient", value, "Consent.patient")
            for value in (
                *(None, {}, "Patient/p1", {"reference": "Group/p1"}, {"reference": "Patient/"}),
                *({"reference": "urn:uuid:x"}, {"reference": 7}, {"identifier": {"value": 7}}),
            )
        ],
        *[
            (CONSENT, "meta.lastUpdated", value, "Consent.meta.lastUpdated")
            for value in (None, "2026", "2026-11", "2026-11-02T10:00:00", "2026-02-30", 20261102)
        ],
        (CONSENT, "meta", None, "Consent.meta.lastUpdated"),
        *[(CONSENT, "id", value, "Consent.id") for value in (None, "", "a b", "x" * 65, 7)],
        *[(TASK, "status", value, "Task.status") for value in (None, "completed", ["requested"])],
        *[
            (TASK, "code", value, "Task.code")
            for value in (
                *(None, {}, [], {"coding": 7}, {"coding": [7]}),
                {"coding": [{"system": GROUND_SYSTEM, "code": "whim"}]},
                {"coding": [{"system": "urn:other", "code": "gdpr-17-1-a"}]},
                {"coding": [{"system": GROUND_SYSTEM, "code": "gdpr-17-1-a"}] * 2},
            )
        ],
        (TASK, "authoredOn", "2026-13-01T00:00:00Z", "Task.authoredOn"),
        (TASK, "for", {"reference": "p1"}, "Task.for"),
        *[
            (TASK, "resourceType", value, "resourceType")
            for value in (None, "Patient", 7, ["Task"])
        ],
    ],
)
def test_what_cannot_be_read_is_named_by_its_path(
    resource: dict[str, Any], path: str, value: Any, named: str
) -> None:
    bad = changed(resource, path, value)
    bundle = {**BUNDLE, "entry": [{"resource": CONSENT}, {"resource": bad}]}
    assert flaws(bundle) == [(2, named)]


@pytest.mark.parametrize("entries", [7, [7], [{}], [{"resource": BUNDLE}], [{"resource": None}]])
def test_a_bundle_holds_resources_and_no_bundles(entries: Any) -> None:
    assert flaws({**BUNDLE, "entry": entries})[0][0] == 1


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"a": 1, "a": 2}', b"\xff", b"[" * 100_000, b"7"])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(IntakeError):
        read_fhir(data, BERLIN)


def test_an_empty_bundle_is_no_request() -> None:
    with pytest.raises(IntakeError, match="no request"):
        read_rows(rows({**BUNDLE, "entry": []}), KNOWN)
