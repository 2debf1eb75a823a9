"""The closed vocabulary of rules: what may be asked of the record, and who concludes."""

from __future__ import annotations

from enum import StrEnum


class Check(StrEnum):
    """What can be asked of the record. `checks.CHECKS` holds one function for each."""

    REQUEST_GRANTED = "request-granted"
    GROUND_OF_REGIME = "ground-of-regime"
    REASON_STATED = "reason-stated"
    EXEMPTION_REVIEWED = "exemption-reviewed"
    ACTORS_AUTHENTICATED = "actors-authenticated"
    ANSWERED_IN_TIME = "answered-in-time"
    REFUSED_IN_TIME = "refused-in-time"
    EXTENDED_IN_TIME = "extended-in-time"
    LETTER_IN_TIME = "letter-in-time"
    CLOCK_EXPLAINED = "clock-explained"
    KEPT_UNTIL = "kept-until"
    DOCUMENT_FILED = "document-filed"
    IDENTITY_RESOLVED = "identity-resolved"
    RESTRICTED_WHILE_PENDING = "restricted-while-pending"
    LIFTING_ANNOUNCED = "lifting-announced"
    RECIPIENTS_INFORMED = "recipients-informed"
    EXCLUDED_FROM_TRAINING = "excluded-from-training"
    CONCLUDED = "concluded"
    AFFECTED_ACCOUNTED = "affected-accounted"
    DERIVED_ACCOUNTED = "derived-accounted"
    AFFECTED_OUT_OF_SERVICE = "affected-out-of-service"
    ERASURE_ESTABLISHED = "erasure-established"
    PRE_REGISTERED = "pre-registered"
    DIGESTS_AGREE = "digests-agree"
    STREAM_UNBROKEN = "stream-unbroken"
    RULES_PINNED = "rules-pinned"
    CASE_ID_OPAQUE = "case-id-opaque"
    RETAINED_LISTED = "retained-listed"
    SOURCE_RECORDS_KEPT = "source-records-kept"


TIMED = frozenset(
    {
        Check.ANSWERED_IN_TIME,
        Check.REFUSED_IN_TIME,
        Check.EXTENDED_IN_TIME,
        Check.LETTER_IN_TIME,
    }
)
"""Checks that need a time limit which runs from receipt."""


class JudgedBy(StrEnum):
    """Who concludes: the record alone, or a person with the record at hand."""

    RECORD = "record"
    PERSON = "person"
