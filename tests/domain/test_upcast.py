"""Older kinds stay readable for good."""

from __future__ import annotations

import copy
from datetime import date

import pytest

from auditor.domain.artefact import Digest
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.event import (
    HomeCreated,
    MethodCalibrated,
    RequestDecided,
    ScopeEstablished,
    ScoresKept,
    UnlearningCompleted,
    event_from,
    is_known,
)
from auditor.domain.kind import KINDS
from auditor.domain.request import DecisionKind, DecisionReason
from auditor.domain.route import Obstacle
from auditor.domain.upcast import UPCASTERS, upcast

TRUST = Digest.of(b"trust")

# One stored example of every kind that is no longer written.
STORED: dict[str, dict[str, object]] = {
    "home-created/v1": {"code_version": "0.1.0", "trust": str(TRUST)},
    "erasure-requested/v1": {
        "case": "c-1",
        "regime": "gdpr",
        "ground": "gdpr-17-1-b",
        "received": "2027-01-31",
        "model": "tb",
        "subjects": 1,
        "payload": str(TRUST),
        "policies": str(TRUST),
    },
    "method-calibrated/v1": {"case": "c-1", "method": "newton", "parameters": str(TRUST)},
    "request-decided/v1": {"case": "c-1", "decision": "granted", "actor": "dpo"},
    "scope-established/v1": {
        "case": "c-1",
        "weights": str(TRUST),
        "training_images": 3,
        "affected": [str(TRUST)],
    },
    "shared-bank-tried/v1": {
        "model": "m",
        "bank": str(TRUST),
        "retrains": 59,
        "failed": 0,
        "findings": str(TRUST),
    },
    "scores-kept/v1": {"case": "c-1", "attempt": 1, "role": "request", "scores": str(TRUST)},
    "unlearning-completed/v1": {
        "case": "c-1",
        "attempt": 1,
        "method": "newton",
        "before": str(TRUST),
        "after": str(TRUST),
        "parameters": str(TRUST),
        "device": "cpu",
        "milliseconds": 7,
    },
}


def test_there_is_an_example_of_every_older_kind() -> None:
    assert set(STORED) == set(UPCASTERS)
    assert not set(UPCASTERS) & set(KINDS)


@pytest.mark.parametrize("kind", STORED)
def test_what_was_stored_is_read_as_a_kind_of_now(kind: str) -> None:
    before = copy.deepcopy(STORED[kind])
    newest, fields = upcast(kind, STORED[kind])
    assert newest in KINDS
    assert newest.partition("/")[0] == kind.partition("/")[0]
    assert (newest, fields) == upcast(kind, STORED[kind])
    assert STORED[kind] == before
    assert type(event_from(kind, STORED[kind])) is KINDS[newest]
    assert is_known(kind)


def test_a_home_of_version_0_1_has_no_origin_on_record() -> None:
    assert event_from("home-created/v1", STORED["home-created/v1"]) == HomeCreated(
        code_version="0.1.0", trust=TRUST, origin="unrecorded"
    )


def test_a_scope_before_there_was_more_to_look_at_has_no_obstacle() -> None:
    kind = "scope-established/v1"
    lifted = event_from(kind, STORED[kind])
    assert isinstance(lifted, ScopeEstablished)
    assert (lifted.held_out_images, lifted.earlier) == (0, ())
    assert lifted.obstacle is Obstacle.NONE


def test_a_run_before_there_were_records_has_an_empty_one() -> None:
    kind = "unlearning-completed/v1"
    lifted = event_from(kind, STORED[kind])
    assert isinstance(lifted, UnlearningCompleted)
    assert lifted.record == Digest.of(b"{}")


def test_a_decision_before_there_were_reasons_is_unsigned() -> None:
    event = event_from("request-decided/v1", STORED["request-decided/v1"])
    assert isinstance(event, RequestDecided)
    assert event.decision is DecisionKind.GRANTED
    assert event.reason is DecisionReason.NONE
    assert event.signature == UNSIGNED
    assert event.review == date.max


def test_scores_that_were_promised_no_last_day_are_never_due() -> None:
    kind = "scores-kept/v1"
    lifted = event_from(kind, STORED[kind])
    assert isinstance(lifted, ScoresKept)
    assert lifted.destroy_by == date.max


def test_a_calibration_before_there_were_findings_belongs_to_no_version() -> None:
    kind = "method-calibrated/v1"
    lifted = event_from(kind, STORED[kind])
    assert isinstance(lifted, MethodCalibrated)
    assert (lifted.weights, lifted.findings) == (Digest.of(b"{}"), Digest.of(b"{}"))


@pytest.mark.parametrize("fields", [{}, {"code_version": "0.1.0"}, {"trust": 1, "extra": 2}])
def test_an_older_kind_with_other_fields_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        event_from("home-created/v1", fields)
