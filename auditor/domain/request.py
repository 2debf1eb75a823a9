"""Erasure requests: who may ask, on which ground, under which regime."""

from __future__ import annotations

from enum import StrEnum


class Regime(StrEnum):
    """The body of law a request is handled under."""

    GDPR = "gdpr"
    HIPAA = "hipaa"


class Ground(StrEnum):
    """Grounds of Art. 17(1) GDPR, and the bases a HIPAA entity may act on.

    HIPAA has no general right of erasure; a covered entity acts on a revoked authorisation
    (45 CFR 164.508(b)(5)) or on its own policy.
    """

    NO_LONGER_NECESSARY = "gdpr-17-1-a"
    CONSENT_WITHDRAWN = "gdpr-17-1-b"
    OBJECTION = "gdpr-17-1-c"
    UNLAWFUL = "gdpr-17-1-d"
    LEGAL_OBLIGATION = "gdpr-17-1-e"
    CHILD_SERVICE = "gdpr-17-1-f"
    AUTHORISATION_REVOKED = "hipaa-508-b-5"
    OWN_POLICY = "hipaa-own-policy"


class DecisionKind(StrEnum):
    """What the desk decided on a request."""

    GRANTED = "granted"
    REFUSED = "refused"
    EXTENDED = "extended"
    HELD = "held"
    WITHDRAWN = "withdrawn"


class Outcome(StrEnum):
    """How a case ended."""

    CERTIFIED = "certified"
    NOT_ERASED = "not-erased"
    NOTHING_TO_UNLEARN = "nothing-to-unlearn"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
