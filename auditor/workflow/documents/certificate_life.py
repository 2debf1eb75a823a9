"""A document after it was issued: withdrawn, superseded, verified again; and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from auditor.certificates.statement import PAYLOAD_TYPE
from auditor.certificates.status import State, StatusFacts, status_bytes
from auditor.certificates.verify import VerificationReport, verify_certificate
from auditor.domain.case import ErasureCase
from auditor.domain.event import CertificateIssued, CertificateSuperseded, CertificateWithdrawn
from auditor.domain.paper_events import WithdrawalReason
from auditor.domain.request import Outcome
from auditor.errors import MisuseError
from auditor.proof.dsse import sign_envelope
from auditor.workflow.desk.desk import require_case
from auditor.workflow.documents.notary import certificate_path, proof_of_issue
from auditor.workflow.homes.guard import read_file
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, record
from auditor.workflow.homes.registry import require_model
from auditor.workflow.homes.steps import outcome_of
from auditor.workflow.log.checkpoints import record_checkpoint


class Service(StrEnum):
    """What became of the model that a document speaks of."""

    IN_SERVICE = "in-service"
    REPLACED = "replaced-since"
    RETIRED = "out-of-service"
    ROLLED_BACK = "rolled-back"
    """Weights from before the erasure are in service again."""
    NOT_CONCERNED = "not-concerned"
    """The document certifies no weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverified:
    """A document verified again, as a regulator with the newest files would.

    Attributes:
        report: of the offline verification, with the proof and the status.
        proof: fresh, of the issued leaf.
        status: fresh and signed.
        service: what became of the model.
    """

    report: VerificationReport
    proof: str
    status: bytes
    service: Service


def state_of(case: ErasureCase) -> State:
    """What the issuer says of a case's document."""
    if case.withdrawn is not None:
        return State.WITHDRAWN
    return State.GOOD if case.superseded is None else State.SUPERSEDED


def withdraw(home: Home, case: str, reason: WithdrawalReason) -> CertificateWithdrawn:
    """Vouch for a document no more; it stays where it is, each later status says so.

    Raises:
        MisuseError: no such document, or withdrawn already.
    """
    state, issued = _issued(home, case)
    if state.withdrawn is not None:
        raise MisuseError(f"the document of case {case} is withdrawn already")
    event = CertificateWithdrawn(case=case, pdf=issued.pdf, reason=reason.value)
    record(home, case_stream(case), event, "withdrawn")
    return event


def supersede(home: Home, case: str, successor: str) -> CertificateSuperseded:
    """Put the document of a later case in the place of this one's.

    Raises:
        MisuseError: one of the two isn't issued or isn't good, they are about different models, or
            the successor was issued before.
    """
    (old, issued), (new, later) = _issued(home, case), _issued(home, successor)
    if case == successor:
        raise MisuseError("a document can't take its own place")
    for name, state in ((case, old), (successor, new)):
        if state_of(state) is not State.GOOD:
            raise MisuseError(f"the document of case {name} is {state_of(state).value}")
    if old.requested is None or new.requested is None or old.requested.model != new.requested.model:
        raise MisuseError("the two documents are about different models")
    if _place_of(home, successor) < _place_of(home, case):
        raise MisuseError(f"the document of case {successor} was issued before that of {case}")
    event = CertificateSuperseded(case=case, pdf=issued.pdf, successor=successor, by=later.pdf)
    record(home, case_stream(case), event, "superseded")
    return event


def sign_status(home: Home, case: str, now: datetime) -> tuple[StatusFacts, bytes]:
    """What is to be said of a document now, and that in a signed envelope.

    Raises:
        MisuseError: no such document.
        TamperedError: the ledger is read-only; what it says can't be vouched for.
    """
    state, issued = _issued(home, case)
    as_of = now.replace(microsecond=0)
    successor = None if state.superseded is None else state.superseded.by
    facts = StatusFacts(
        case=case,
        pdf=issued.pdf,
        state=state_of(state),
        as_of=as_of,
        fresh_until=as_of + timedelta(days=home.config.status_days),
        ledger=record_checkpoint(home).found.checkpoint,
        reason="" if state.withdrawn is None else state.withdrawn.reason,
        superseded_by=None if state.withdrawn is not None else successor,
    )
    return facts, sign_envelope(PAYLOAD_TYPE, status_bytes(facts), home.statement_signers)


def reverify(home: Home, case: str, now: datetime) -> Reverified:
    """Verify a document again: file, fresh proof of issue, fresh status, model in service.

    Raises:
        MisuseError: no such document.
        HomeError: its file is missing.
        TamperedError: the ledger is read-only, or the certified weights are stored but changed.
        CertificateError: too few witnesses answer.
    """
    state, _ = _issued(home, case)
    pdf, proof = read_file(certificate_path(home, case)), proof_of_issue(home, case)
    _, status = sign_status(home, case, now)
    report = verify_certificate(pdf, home.trust, sidecar=proof, statuses=[status], now=now)
    return Reverified(report=report, proof=proof, status=status, service=service_of(home, state))


def service_of(home: Home, state: ErasureCase) -> Service:
    """What became of the weights that a case's document certifies.

    Raises:
        TamperedError: they are in service, but stored otherwise than certified.
    """
    if (
        state.requested is None
        or state.reached is None
        or outcome_of(state) is not Outcome.CERTIFIED
    ):
        return Service.NOT_CONCERNED
    certified, model = state.reached.weights, require_model(home, state.requested.model)
    if model.in_service is None:
        return Service.RETIRED
    order = [version.weights for version in model.versions]
    if order.index(model.in_service) < order.index(certified):
        return Service.ROLLED_BACK
    if model.in_service != certified:
        return Service.REPLACED
    home.store.get(certified)
    return Service.IN_SERVICE


def _issued(home: Home, case: str) -> tuple[ErasureCase, CertificateIssued]:
    state = require_case(home, case)
    if state.issued is None:
        raise MisuseError(f"case {case} has no document yet; run: auditor run --case {case}")
    return state, state.issued


def _place_of(home: Home, case: str) -> int:
    return next(
        item.sequence
        for item in home.ledger.replay(case_stream(case))
        if isinstance(item.event, CertificateIssued)
    )
