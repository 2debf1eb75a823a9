"""A statement is signed only while the weights it names lie in the store as they were measured."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest

from auditor.certificates.facts import ModelFacts, ModelVersion, Parties
from auditor.domain.artefact import Digest
from auditor.domain.request import DecisionKind, DecisionReason, Ground, Regime
from auditor.errors import CertificateError, TamperedError
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.documents import document, notary
from auditor.workflow.documents.notary import issue, prepare_statement
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import load_case
from auditor.workflow.homes.registry import deploy, register_version, require_model
from tests.cli.conftest import stocked as stocked


def refused(home: Home) -> str:
    case = file_request(
        home,
        model="detector",
        subjects=("p",),
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=date(2026, 11, 2),
    )
    decide(home, case, DecisionKind.REFUSED, "dpo", reason=DecisionReason.NO_GROUND)
    return case


def swap(home: Home, weights: Digest) -> None:
    (home.store.root / weights.value).write_bytes(b"other weights")


def test_a_file_swapped_after_the_verification_stops_the_signature(stocked: Home) -> None:
    case = refused(stocked)
    swap(stocked, require_model(stocked, "detector").current.weights)
    with pytest.raises(TamperedError) as caught:
        prepare_statement(stocked, case, load_case(stocked, case))
    assert caught.value.exit_code == 5
    assert load_case(stocked, case).prepared is None


def test_a_name_that_cannot_be_drawn_stops_the_signature_and_is_corrected(
    stocked: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once signed, a statement can't be changed: its case would have been stuck for good."""
    case = refused(stocked)
    monkeypatch.setattr(document, "Parties", lambda **_: Parties(controller="東京病院", dpo="DPO"))
    with pytest.raises(CertificateError, match="no verifier could read"):
        prepare_statement(stocked, case, load_case(stocked, case))
    assert load_case(stocked, case).prepared is None
    monkeypatch.undo()
    prepare_statement(stocked, case, load_case(stocked, case))
    issue(stocked, case, load_case(stocked, case))
    assert load_case(stocked, case).issued is not None


def test_what_replaced_the_model_is_read_once_more_and_must_be_in_service(
    stocked: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = refused(stocked)
    first = require_model(stocked, "detector").current
    second = register_version(
        stocked,
        model="detector",
        architecture="small-resnet",
        weights=stocked.store.put(b"new weights"),
        recipe=first.recipe,
        data_set=first.data_set,
        training_images=29,
    )
    model = ModelFacts(
        name="detector",
        architecture="small-resnet",
        recipe=first.recipe,
        before=ModelVersion(version=1, training_images=30, weights=first.weights),
        after=ModelVersion(version=2, training_images=29, weights=second.weights),
    )
    monkeypatch.setattr(notary, "document_facts", lambda *_: SimpleNamespace(model=model))
    with pytest.raises(CertificateError, match="the model in service isn't"):
        prepare_statement(stocked, case, load_case(stocked, case))
    deploy(stocked, second)
    swap(stocked, second.weights)
    with pytest.raises(TamperedError):
        prepare_statement(stocked, case, load_case(stocked, case))


def test_a_record_about_a_model_of_before_needs_no_weights(stocked: Home) -> None:
    case = refused(stocked)
    first = require_model(stocked, "detector").current
    second = register_version(
        stocked,
        model="detector",
        architecture="small-resnet",
        weights=stocked.store.put(b"new weights"),
        recipe=first.recipe,
        data_set=first.data_set,
        training_images=29,
    )
    deploy(stocked, second)
    stocked.store.destroy(first.weights)
    prepare_statement(stocked, case, load_case(stocked, case))
    assert load_case(stocked, case).prepared is not None
