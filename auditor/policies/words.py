"""How sentences of the library call grounds, reasons, documents and what became of recipients."""

from __future__ import annotations

from auditor.domain.request import (
    DecisionReason,
    DocumentKind,
    Ground,
    LetterKind,
    RecipientOutcome,
)

GROUNDS = {
    Ground.NO_LONGER_NECESSARY: "the data are no longer necessary",
    Ground.CONSENT_WITHDRAWN: "consent was withdrawn",
    Ground.OBJECTION: "the data subject objects",
    Ground.UNLAWFUL: "the processing was unlawful",
    Ground.LEGAL_OBLIGATION: "a legal obligation demands erasure",
    Ground.CHILD_SERVICE: "the data were collected from a child for an online service",
    Ground.UK_NO_LONGER_NECESSARY: "the data are no longer necessary",
    Ground.UK_CONSENT_WITHDRAWN: "consent was withdrawn",
    Ground.UK_OBJECTION: "the data subject objects",
    Ground.UK_UNLAWFUL: "the processing was unlawful",
    Ground.UK_LEGAL_OBLIGATION: "a legal obligation demands erasure",
    Ground.UK_CHILD_SERVICE: "the data were collected from a child for an online service",
    Ground.AUTHORISATION_REVOKED: "a HIPAA authorisation was revoked",
    Ground.OWN_POLICY: "the covered entity's own policy provides for erasure",
    Ground.DELETION_REQUESTED: "a consumer asked for deletion",
}

REASONS = {
    DecisionReason.NONE: "none",
    DecisionReason.COMPLEXITY: "the request is complex",
    DecisionReason.NUMBER_OF_REQUESTS: "there are many requests",
    DecisionReason.EXPRESSION: "freedom of expression and information",
    DecisionReason.LEGAL_OBLIGATION_TO_KEEP: "a legal obligation to keep the data",
    DecisionReason.PUBLIC_HEALTH: "public interest in the area of public health",
    DecisionReason.RESEARCH: "archiving, research or statistics",
    DecisionReason.LEGAL_CLAIMS: "legal claims",
    DecisionReason.UNFOUNDED: "the request is manifestly unfounded",
    DecisionReason.EXCESSIVE: "the request is excessive",
    DecisionReason.IDENTITY_UNRESOLVED: "identity could not be established",
    DecisionReason.NOT_IDENTIFIABLE: "the data subject cannot be identified in the data",
    DecisionReason.NO_GROUND: "no ground for erasure is given",
    DecisionReason.RELIED_UPON: "the authorisation was relied upon",
    DecisionReason.RECORDS_LAW: "the law on medical records",
    DecisionReason.EXEMPT: "the data are exempt",
    DecisionReason.LEGAL_HOLD: "a legal hold",
    DecisionReason.IDENTITY_DOUBTED: "identity is doubted",
}

LETTERS = {
    LetterKind.ACKNOWLEDGED: "acknowledgement of receipt",
    LetterKind.GRANTED: "grant",
    LetterKind.EXTENDED: "notice of the extension",
    LetterKind.REFUSED: "refusal",
    LetterKind.CLOSED: "closing letter",
    LetterKind.RESTRICTION_LIFTED: "notice that the restriction is lifted",
    LetterKind.RECIPIENT_NOTICE: "notice to a recipient",
}

OUTCOMES = {
    RecipientOutcome.INFORMED: "informed",
    RecipientOutcome.IMPOSSIBLE: "impossible to inform",
    RecipientOutcome.DISPROPORTIONATE: "not informed, as the effort is disproportionate",
}

DOCUMENTS = {
    DocumentKind.WITHDRAWAL_OF_CONSENT: "withdrawal of consent",
    DocumentKind.OBJECTION_BALANCE: "balance of the objection against the controller's grounds",
    DocumentKind.EXEMPTION_REASONS: "reasons for the exemption",
    DocumentKind.RESTRICTION_EXCEPTION: "reasons for processing in spite of a restriction",
    DocumentKind.NON_IDENTIFIABILITY: "reasons why the person can't be identified",
    DocumentKind.IDENTITY_REQUEST: "request for proof of identity",
    DocumentKind.PROCESSOR_ATTESTATION: "processor's statement of deletion",
    DocumentKind.PROCESSING_RECORD: "record of processing activities",
    DocumentKind.IMPACT_ASSESSMENT: "impact assessment",
    DocumentKind.SPECIAL_CATEGORY_BASIS: "basis for processing health data",
    DocumentKind.ANONYMITY_ASSESSMENT: "assessment of anonymity",
    DocumentKind.ERASURE_PROCEDURE: "erasure procedure",
    DocumentKind.BACKUP_PLAN: "plan for backups",
    DocumentKind.RETENTION_SCHEDULE: "retention schedule",
    DocumentKind.SECURITY_MEASURES: "description of security measures",
    DocumentKind.AUTHORISATION_REVOCATION: "written revocation of the authorisation",
    DocumentKind.RELIANCE_EXCEPTION: "account of what was done in reliance",
    DocumentKind.IRB_WAIVER: "waiver by a review board",
    DocumentKind.MINIMUM_NECESSARY: "review of the minimum necessary",
    DocumentKind.DE_IDENTIFICATION: "de-identification determination",
    DocumentKind.DATA_USE_AGREEMENT: "data use agreement",
    DocumentKind.DISCLOSURE_ACCOUNTING: "accounting of disclosures",
    DocumentKind.ASSOCIATE_RETURN: "business associate's statement of return or destruction",
    DocumentKind.MEDIA_DISPOSAL: "record of disposal and reuse of media",
    DocumentKind.RISK_ANALYSIS: "risk analysis",
    DocumentKind.ACTIVITY_REVIEW: "review of system activity",
    DocumentKind.BREACH_ASSESSMENT: "breach assessment",
    DocumentKind.STATE_RECORDS_CHECK: "check against state law on records",
    DocumentKind.TECHNICAL_DOCUMENTATION: "technical documentation",
    DocumentKind.DATA_GOVERNANCE: "data governance documentation",
    DocumentKind.CHANGE_CONTROL: "change control record",
    DocumentKind.COMPLAINT: "complaint",
}
