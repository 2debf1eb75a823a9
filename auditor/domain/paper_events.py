"""Events of a case's document; `auditor.domain.event` is where all kinds are found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.artefact import Digest
from auditor.domain.kind import Event, named
from auditor.domain.request import Outcome


class WithdrawalReason(StrEnum):
    """Why a document is no longer vouched for."""

    ISSUED_IN_ERROR = "issued-in-error"
    EVIDENCE_DISPROVED = "evidence-disproved"
    MODEL_ROLLED_BACK = "model-rolled-back"
    KEY_COMPROMISED = "key-compromised"


@named("approval-requested/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(Event):
    """The performer has signed a statement and waits for another's signature under it."""

    case: str
    outcome: Outcome
    envelope: Digest


@named("approval-declined/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDeclined(Event):
    """The statement isn't approved, or can't be issued any more; the next run signs another."""

    case: str
    envelope: Digest


@named("statement-approved/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class StatementApproved(Event):
    """An approver has signed, too; `approved` is the envelope with both, `actor` the key's id."""

    case: str
    envelope: Digest
    approved: Digest
    actor: str


@named("certificate-prepared/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePrepared(Event):
    """A signed statement stands; `envelope` is the digest of the DSSE bytes."""

    case: str
    outcome: Outcome
    envelope: Digest


@named("certificate-issued/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateIssued(Event):
    """The sealed PDF stands; `pdf` is its digest. Last word on the case."""

    case: str
    outcome: Outcome
    pdf: Digest


@named("certificate-withdrawn/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateWithdrawn(Event):
    """A certificate is no longer vouched for."""

    case: str
    pdf: Digest
    reason: str


@named("certificate-superseded/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSuperseded(Event):
    """Another document, that of the case `successor`, took the place of this one."""

    case: str
    pdf: Digest
    successor: str
    by: Digest
