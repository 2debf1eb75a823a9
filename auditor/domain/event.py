"""Events: the only things the ledger holds.

Each class is one stable kind and version; a stored kind is never renamed, a changed shape gets a
new version. Fields are ids, enums, digests, integers and dates: no free text, no identifier of a
person, so that leaves hold no personal data (DESIGN section 6). `docs/events.md` is their table.
Kinds of data sets and models stand in `model_events`, those of the desk in `desk_events`, those of
shared banks in `bank_events`, those of an audit in `audit_events`, those of documents in
`paper_events`, those of many cases at once in `report_events`, and are found here, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.audit_events import AuditStarted as AuditStarted
from auditor.domain.audit_events import CandidateVerified as CandidateVerified
from auditor.domain.audit_events import PlanPinned as PlanPinned
from auditor.domain.audit_events import ScoresKept as ScoresKept
from auditor.domain.audit_events import WeightsHandedOver as WeightsHandedOver
from auditor.domain.audit_events import WeightsTakenBack as WeightsTakenBack
from auditor.domain.bank_events import SharedBankDestroyed as SharedBankDestroyed
from auditor.domain.bank_events import SharedBankPlanned as SharedBankPlanned
from auditor.domain.bank_events import SharedBankTrained as SharedBankTrained
from auditor.domain.bank_events import SharedBankTried as SharedBankTried
from auditor.domain.codec import typed
from auditor.domain.desk_events import ClockResumed as ClockResumed
from auditor.domain.desk_events import ClockStopped as ClockStopped
from auditor.domain.desk_events import DecisionProposed as DecisionProposed
from auditor.domain.desk_events import DocumentFiled as DocumentFiled
from auditor.domain.desk_events import IdentityChecked as IdentityChecked
from auditor.domain.desk_events import LetterSent as LetterSent
from auditor.domain.desk_events import PoliciesRepinned as PoliciesRepinned
from auditor.domain.desk_events import ProcessingRestricted as ProcessingRestricted
from auditor.domain.desk_events import RecipientInformed as RecipientInformed
from auditor.domain.desk_events import RecipientRecorded as RecipientRecorded
from auditor.domain.desk_events import RequestDecided as RequestDecided
from auditor.domain.desk_events import RestrictionLifted as RestrictionLifted
from auditor.domain.kind import KINDS, Event, named
from auditor.domain.model_events import CurvatureCached as CurvatureCached
from auditor.domain.model_events import DataRegistered as DataRegistered
from auditor.domain.model_events import ModelDeployed as ModelDeployed
from auditor.domain.model_events import ModelRegistered as ModelRegistered
from auditor.domain.model_events import ModelRetired as ModelRetired
from auditor.domain.model_events import StartingWeightsDeclared as StartingWeightsDeclared
from auditor.domain.model_events import StartingWeightsWithdrawn as StartingWeightsWithdrawn
from auditor.domain.model_events import TrainingRecorded as TrainingRecorded
from auditor.domain.paper_events import ApprovalDeclined as ApprovalDeclined
from auditor.domain.paper_events import ApprovalRequested as ApprovalRequested
from auditor.domain.paper_events import CertificateIssued as CertificateIssued
from auditor.domain.paper_events import CertificatePrepared as CertificatePrepared
from auditor.domain.paper_events import CertificateSuperseded as CertificateSuperseded
from auditor.domain.paper_events import CertificateWithdrawn as CertificateWithdrawn
from auditor.domain.paper_events import StatementApproved as StatementApproved
from auditor.domain.qualification import CohortCleared as CohortCleared
from auditor.domain.qualification import MethodQualified as MethodQualified
from auditor.domain.qualification import QualificationStarted as QualificationStarted
from auditor.domain.report_events import BatchFiled as BatchFiled
from auditor.domain.report_events import QuarterReported as QuarterReported
from auditor.domain.request import Ground, Regime
from auditor.domain.route import Due, Obstacle
from auditor.domain.scope_events import CopyDeclared as CopyDeclared
from auditor.domain.scope_events import SubjectsExcluded as SubjectsExcluded
from auditor.domain.scope_events import SubjectsReadmitted as SubjectsReadmitted
from auditor.domain.upcast import UNRECORDED, UPCASTERS, upcast
from auditor.domain.verdict import Basis, Verdict


def event_from(kind: str, data: Mapping[str, object]) -> Event:
    """Rebuild an event from its kind and stored fields; older kinds are lifted (`upcast`).

    Raises:
        ValueError: unknown kind, unknown or missing field, or a value of the wrong type.
    """
    kind, data = upcast(kind, data)
    cls = KINDS.get(kind)
    if cls is None:
        raise ValueError(f"unknown event kind {kind}")
    return typed(cls, data)


def is_known(kind: object) -> bool:
    """Whether this version can read events of that kind."""
    return kind in KINDS or kind in UPCASTERS


# The home ----------------------------------------------------------------------------------------


@named("home-created/v2")
@dataclass(frozen=True, slots=True, kw_only=True)
class HomeCreated(Event):
    """A home was made; `trust` is its first trust file's digest, `origin` the ledger's name."""

    code_version: str
    trust: Digest
    origin: str


@named("trust-changed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class TrustChanged(Event):
    """Regulators are told to trust other keys; `trust`: the new trust file without checkpoint."""

    trust: Digest


@named("origin-opened/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OriginOpened(Event):
    """The ledger goes on under a new name: what was signed under the old can't be continued.

    `signed` entries with root `signed_root` were signed last under the old name; of these `kept`
    entries with root `kept_root` are here.
    """

    origin: str
    previous: str
    signed: int
    signed_root: Digest
    kept: int
    kept_root: Digest


@named("payload-forgotten/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadForgotten(Event):
    """A payload of the vault is destroyed; written before, so that a restore can be undone."""

    payload: Digest


# The desk --------------------------------------------------------------------------------------


@named("erasure-requested/v2")
@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRequested(Event):
    """A request arrived. `payload` commits to the subject list in the vault.

    `policies` pins the rule packs as they stood on the day of receipt. Days are those of
    `time_zone`, by the IANA database of version `tzdata`; `holidays` is the ISO 3166-1 code of the
    country whose public holidays count, `none` for weekends only.
    """

    case: str
    regime: Regime
    ground: Ground
    received: date
    model: str
    subjects: int
    payload: Digest
    policies: Digest
    time_zone: str = "UTC"
    tzdata: str = UNRECORDED
    holidays: str = UNRECORDED


@named("grounds-checked/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class GroundsChecked(Event):
    """The request was laid beside the rule packs before anything was done.

    `findings` is the digest of all findings; `against` counts those that speak against it.
    """

    case: str
    policies: Digest
    findings: Digest
    against: int


@named("scope-established/v2")
@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeEstablished(Event):
    """Inventory made: how many of the subjects' images trained the model in service.

    `held_out_images` are theirs, too, but set apart from training; `earlier` are cases that made
    the model forget some of these subjects before.
    """

    case: str
    weights: Digest
    training_images: int
    held_out_images: int
    earlier: tuple[str, ...]
    obstacle: Obstacle
    affected: tuple[Digest, ...]


# One erasure -----------------------------------------------------------------------------------


@named("bank-trained/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class BankTrained(Event):
    """Reference models stand: `bank` is the digest over recipe, data, cohort and weights."""

    case: str
    bank: Digest
    out_models: int
    in_models: int


@named("method-calibrated/v2")
@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCalibrated(Event):
    """A method was tuned on surrogate patients, never on this request's own.

    `findings` holds all that was measured; `parameters` are those chosen, empty where none suited.
    """

    case: str
    weights: Digest
    method: str
    parameters: Digest
    findings: Digest


@named("case-routed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRouted(Event):
    """The methods this case will try, in order, of which `rungs` share the level alpha.

    `tail_patients` are memorised too strongly for a single step; `steps` approximate erasures lie
    behind the model since its last exact training, and `due` says why the next one has to be exact.
    """

    case: str
    ladder: tuple[str, ...]
    rungs: int
    tail_patients: int
    steps: int
    due: tuple[Due, ...]


@named("rung-skipped/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class RungSkipped(Event):
    """A method was left out of the ladder, or out of reach before it was tried."""

    case: str
    method: str
    reason: str


@named("attempt-started/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(Event):
    """A rung was stepped on. Written before the method runs, so no attempt can be hidden."""

    case: str
    attempt: int
    method: str
    plan: Digest


@named("unlearning-completed/v2")
@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearningCompleted(Event):
    """A method produced a candidate; `record` is the digest of the run's record."""

    case: str
    attempt: int
    method: str
    before: Digest
    after: Digest
    parameters: Digest
    device: str
    milliseconds: int
    record: Digest


@named("audit-ruled-out/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRuledOut(Event):
    """Before any method ran, the model, a reference or a control couldn't be measured."""

    case: str
    obstacle: Obstacle


@named("attempt-failed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed(Event):
    """A method refused or produced no usable model, or one that can't be audited."""

    case: str
    attempt: int
    method: str


@named("replay-confirmed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayConfirmed(Event):
    """An exact method ran a second time and gave the same weights bit for bit."""

    case: str
    attempt: int
    weights: Digest


@named("verdict-reached/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictReached(Event):
    """The ladder ended: the verdict and the basis of assurance a certificate may name."""

    case: str
    verdict: Verdict
    basis: Basis
    weights: Digest


@named("artefact-accounted/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ArtefactAccounted(Event):
    """What became of one artefact in the case's inventory; a ground token where retained."""

    case: str
    artefact: Digest
    artefact_kind: ArtefactKind
    fate: ArtefactFate
    ground: str
