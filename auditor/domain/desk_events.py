"""Events of the request desk; `auditor.domain.event` is where all kinds are found.

`actor` is a key id of the trust file, or a role's name where the desk has no keys; `signature` is
the digest of the stored envelope by which that key signed the event's other fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.kind import Event, named
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    DocumentKind,
    IdentityResult,
    LetterKind,
    PauseReason,
    RecipientOutcome,
)

UNSIGNED = Digest.of(canonical_bytes({}))
"""What stands for a signature where there is none: decisions of a desk that has no keys."""


@named("request-decided/v2")
@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDecided(Event):
    """The desk's decision and the reason that the law knows for it.

    `review` is the day by which an exemption relied on is looked at again, 9999-12-31 for none.
    """

    case: str
    decision: DecisionKind
    reason: DecisionReason = DecisionReason.NONE
    review: date = date.max
    actor: str
    signature: Digest = UNSIGNED


@named("decision-proposed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionProposed(Event):
    """The first of two pairs of eyes would decide so; nothing moves until another key agrees."""

    case: str
    decision: DecisionKind
    reason: DecisionReason
    review: date
    actor: str
    signature: Digest


@named("identity-checked/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityChecked(Event):
    """Whether the person who asked is the person concerned (Art. 12(6), 11(2) GDPR)."""

    case: str
    result: IdentityResult
    on: date
    actor: str
    signature: Digest


@named("clock-stopped/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStopped(Event):
    """The time limit doesn't run from that day on (Art. 12A UK GDPR); not known to the GDPR."""

    case: str
    reason: PauseReason
    on: date
    actor: str
    signature: Digest


@named("clock-resumed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClockResumed(Event):
    """What the clock was stopped for came in on that day."""

    case: str
    on: date
    actor: str
    signature: Digest


@named("processing-restricted/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingRestricted(Event):
    """No training on the subjects' data and no inference from it meanwhile (Art. 18 GDPR)."""

    case: str
    on: date
    actor: str
    signature: Digest


@named("restriction-lifted/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictionLifted(Event):
    """The restriction ended; the subject is told before (Art. 18(3) GDPR)."""

    case: str
    on: date
    actor: str
    signature: Digest


@named("letter-sent/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class LetterSent(Event):
    """A letter left on that day; `document` commits to its bytes in the vault.

    `language` is a BCP 47 tag.
    """

    case: str
    letter: LetterKind
    language: str
    document: Digest
    on: date
    actor: str


@named("recipient-recorded/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRecorded(Event):
    """Someone was given the subjects' data, or a model trained on it.

    `recipient` is a random id, `details` commits to the name and address in the vault.
    """

    case: str
    recipient: str
    details: Digest


@named("recipient-informed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientInformed(Event):
    """What came of telling a recipient (Art. 19 GDPR); `letter` commits to what was sent."""

    case: str
    recipient: str
    outcome: RecipientOutcome
    letter: Digest
    on: date
    actor: str


@named("document-filed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFiled(Event):
    """A document of the controller's own is in the file; `document` commits to it in the vault.

    In a case's stream it concerns that case; `case` is ``all`` where it concerns every case, such
    as the record of processing. It is in force from one day to another, both included.
    """

    case: str
    document_kind: DocumentKind
    document: Digest
    in_force_from: date
    in_force_until: date
    actor: str


@named("policies-repinned/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class PoliciesRepinned(Event):
    """From here on the case is laid beside other rule packs than those of the day of receipt."""

    case: str
    before: Digest
    after: Digest
    actor: str
    signature: Digest
