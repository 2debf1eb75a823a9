"""Events of an audit; `auditor.domain.event` is where all kinds are found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from auditor.domain.artefact import Digest
from auditor.domain.evidence import CandidateRole
from auditor.domain.kind import Event, named
from auditor.domain.verdict import Verdict


@named("plan-pinned/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPinned(Event):
    """Pre-registration: everything the verdict depends on, fixed before the run."""

    case: str
    plan: Digest
    bank: Digest
    ladder: tuple[str, ...]


@named("audit-started/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStarted(Event):
    """A candidate's audit was begun, for the `number`-th time. Written before it is measured."""

    case: str
    attempt: int
    number: int
    role: CandidateRole
    weights: Digest
    plan: Digest


@named("scores-kept/v2")
@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresKept(Event):
    """All models' scores in one audit are kept, so that it can be replayed; never published.

    The first run after `destroy_by` destroys them, once the case is closed.
    """

    case: str
    attempt: int
    role: CandidateRole
    scores: Digest
    destroy_by: date


@named("weights-handed-over/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsHandedOver(Event):
    """Copies of these models left the home, for the `number`-th time; written before they do.

    They go to someone who measures them again. While they are out the case isn't closed.
    """

    case: str
    number: int
    weights: tuple[Digest, ...]


@named("weights-taken-back/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsTakenBack(Event):
    """The controller's word that none of the copies is left that were handed over up to then."""

    case: str
    number: int


@named("candidate-verified/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateVerified(Event):
    """One audit under the pinned plan; controls (untouched, retrain) are recorded the same way."""

    case: str
    attempt: int
    role: CandidateRole
    weights: Digest
    plan: Digest
    evidence: Digest
    verdict: Verdict
