"""Erasure requests: who may ask, on which ground, under which regime."""

from __future__ import annotations

from enum import StrEnum


class Regime(StrEnum):
    """The body of law a request is handled under."""

    GDPR = "gdpr"
    UK_GDPR = "uk-gdpr"
    HIPAA = "hipaa"
    CCPA = "ccpa"


class Ground(StrEnum):
    """Grounds of Art. 17(1) GDPR, and the bases a HIPAA entity may act on.

    Those of Art. 17(1) UK GDPR are the same six. HIPAA has no general right of erasure; a covered
    entity acts on a revoked authorisation (45 CFR 164.508(b)(5)) or on its own policy. The CCPA
    knows a consumer's request to delete (Cal. Civ. Code 1798.105(a)).
    """

    NO_LONGER_NECESSARY = "gdpr-17-1-a"
    CONSENT_WITHDRAWN = "gdpr-17-1-b"
    OBJECTION = "gdpr-17-1-c"
    UNLAWFUL = "gdpr-17-1-d"
    LEGAL_OBLIGATION = "gdpr-17-1-e"
    CHILD_SERVICE = "gdpr-17-1-f"
    UK_NO_LONGER_NECESSARY = "uk-gdpr-17-1-a"
    UK_CONSENT_WITHDRAWN = "uk-gdpr-17-1-b"
    UK_OBJECTION = "uk-gdpr-17-1-c"
    UK_UNLAWFUL = "uk-gdpr-17-1-d"
    UK_LEGAL_OBLIGATION = "uk-gdpr-17-1-e"
    UK_CHILD_SERVICE = "uk-gdpr-17-1-f"
    AUTHORISATION_REVOKED = "hipaa-508-b-5"
    OWN_POLICY = "hipaa-own-policy"
    DELETION_REQUESTED = "ccpa-105"


class DecisionKind(StrEnum):
    """What the desk decided on a request."""

    GRANTED = "granted"
    REFUSED = "refused"
    EXTENDED = "extended"
    HELD = "held"
    WITHDRAWN = "withdrawn"


class DecisionReason(StrEnum):
    """Why the desk decided so, where the law asks for a reason."""

    NONE = "none"
    COMPLEXITY = "complexity"  # Art. 12(3) GDPR
    NUMBER_OF_REQUESTS = "number-of-requests"
    EXPRESSION = "gdpr-17-3-a"
    LEGAL_OBLIGATION_TO_KEEP = "gdpr-17-3-b"
    PUBLIC_HEALTH = "gdpr-17-3-c"
    RESEARCH = "gdpr-17-3-d"
    LEGAL_CLAIMS = "gdpr-17-3-e"
    UNFOUNDED = "gdpr-12-5-unfounded"
    EXCESSIVE = "gdpr-12-5-excessive"
    IDENTITY_UNRESOLVED = "gdpr-12-6-identity"
    NOT_IDENTIFIABLE = "gdpr-11-2-not-identifiable"
    NO_GROUND = "no-ground"
    RELIED_UPON = "hipaa-508-b-5-i-reliance"  # 45 CFR 164.508(b)(5)(i)
    RECORDS_LAW = "hipaa-records-law"
    EXEMPT = "ccpa-145-exempt"  # Cal. Civ. Code 1798.145(c): data under HIPAA
    LEGAL_HOLD = "legal-hold"
    IDENTITY_DOUBTED = "identity-doubted"


class DecidedBy(StrEnum):
    """By whose hand the desk's decision is."""

    UNSIGNED = "unsigned"
    KEY = "desk-key"
    TWO_KEYS = "two-desk-keys"


class IdentityResult(StrEnum):
    """What is known of the identity of whoever made a request."""

    DOUBTED = "doubted"
    CONFIRMED = "confirmed"
    NOT_IDENTIFIABLE = "not-identifiable"


class PauseReason(StrEnum):
    """What the controller waits for while the clock stands still (Art. 12A UK GDPR)."""

    IDENTITY = "identity"
    CLARIFICATION = "clarification"
    FEE = "fee"


class LetterKind(StrEnum):
    """What a letter says, to the data subject or to a recipient of the data."""

    ACKNOWLEDGED = "acknowledged"
    GRANTED = "granted"
    EXTENDED = "extended"
    REFUSED = "refused"
    CLOSED = "closed"
    RESTRICTION_LIFTED = "restriction-lifted"
    RECIPIENT_NOTICE = "recipient-notice"


class RecipientOutcome(StrEnum):
    """What came of telling a recipient (Art. 19 GDPR)."""

    INFORMED = "informed"
    IMPOSSIBLE = "impossible"
    DISPROPORTIONATE = "disproportionate"


class DocumentKind(StrEnum):
    """Documents that a controller files because a rule asks for them."""

    WITHDRAWAL_OF_CONSENT = "withdrawal-of-consent"
    OBJECTION_BALANCE = "objection-balance"  # Art. 21(1) GDPR
    EXEMPTION_REASONS = "exemption-reasons"  # Art. 17(3) GDPR
    RESTRICTION_EXCEPTION = "restriction-exception"  # Art. 18(2) GDPR
    NON_IDENTIFIABILITY = "non-identifiability"  # Art. 11(2) GDPR
    IDENTITY_REQUEST = "identity-request"  # Art. 12(6) GDPR
    PROCESSOR_ATTESTATION = "processor-attestation"  # Art. 28(3)(g) GDPR
    PROCESSING_RECORD = "processing-record"  # Art. 30 GDPR
    IMPACT_ASSESSMENT = "impact-assessment"  # Art. 35 GDPR
    SPECIAL_CATEGORY_BASIS = "special-category-basis"  # Art. 9(2), 89 GDPR
    ANONYMITY_ASSESSMENT = "anonymity-assessment"  # EDPB Opinion 28/2024
    ERASURE_PROCEDURE = "erasure-procedure"
    BACKUP_PLAN = "backup-plan"
    RETENTION_SCHEDULE = "retention-schedule"
    SECURITY_MEASURES = "security-measures"  # Art. 32 GDPR
    AUTHORISATION_REVOCATION = "authorisation-revocation"  # 45 CFR 164.508(b)(5)
    RELIANCE_EXCEPTION = "reliance-exception"
    IRB_WAIVER = "irb-waiver"  # 45 CFR 164.512(i)
    MINIMUM_NECESSARY = "minimum-necessary"  # 45 CFR 164.502(b)
    DE_IDENTIFICATION = "de-identification"  # 45 CFR 164.514(a)-(c)
    DATA_USE_AGREEMENT = "data-use-agreement"  # 45 CFR 164.514(e)
    DISCLOSURE_ACCOUNTING = "disclosure-accounting"  # 45 CFR 164.528
    ASSOCIATE_RETURN = "associate-return"  # 45 CFR 164.504(e)(2)(ii)(J)
    MEDIA_DISPOSAL = "media-disposal"  # 45 CFR 164.310(d)(2)
    RISK_ANALYSIS = "risk-analysis"  # 45 CFR 164.308(a)(1)(ii)(A)
    ACTIVITY_REVIEW = "activity-review"  # 45 CFR 164.308(a)(1)(ii)(D)
    BREACH_ASSESSMENT = "breach-assessment"  # 45 CFR 164.402
    STATE_RECORDS_CHECK = "state-records-check"
    TECHNICAL_DOCUMENTATION = "technical-documentation"  # Art. 11, 18 AI Act
    DATA_GOVERNANCE = "data-governance"  # Art. 10 AI Act
    CHANGE_CONTROL = "change-control"  # Annex IX MDR
    COMPLAINT = "complaint"


class Outcome(StrEnum):
    """How a case ended."""

    CERTIFIED = "certified"
    NOT_ERASED = "not-erased"
    NOTHING_TO_UNLEARN = "nothing-to-unlearn"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
