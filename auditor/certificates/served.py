"""Which weights an endpoint says it serves: its own signed answer to a challenge.

The challenge is a digest over the case, the weights and the moment, so that an answer fits no other
document. It is the endpoint's word at that moment, by keys of the role ``serving``: that it works
with those weights, and goes on doing so, can't be seen from here.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from auditor.certificates.signatures import ENDPOINT, require_in_force, signed_by
from auditor.domain.artefact import Digest, digest_of
from auditor.domain.canonical import canonical_bytes
from auditor.errors import InvalidCertificateError
from auditor.proof.dsse import verify_envelope
from auditor.proof.trust import TrustFile

ANSWER_TYPE = "application/vnd.auditor.served+json"
INSTANT = "%Y-%m-%dT%H:%M:%SZ"

_FORMAT = "auditor-served/v1"


def challenge_of(case: str, weights: Digest, asked: datetime) -> str:
    """What an endpoint is asked to sign along: 64 hex digits."""
    said = {"case": case, "weights": str(weights), "asked": asked.strftime(INSTANT)}
    return digest_of({"format": _FORMAT, **said}).value


def answer_bytes(model: str, challenge: str, weights: Digest) -> bytes:
    """What the endpoint signs: the model asked for, the challenge, the weights it serves."""
    return canonical_bytes(
        {"format": _FORMAT, "model": model, "challenge": challenge, "weights": str(weights)}
    )


def verify_answer(
    answer: bytes, trust: TrustFile, *, model: str, challenge: str, weights: Digest, day: str
) -> str:
    """See that the endpoint has signed that it serves exactly these weights.

    Returns:
        The keys that signed.

    Raises:
        ProofError: it hasn't, or its keys weren't in force on that day.
        InvalidCertificateError: it answered something else.
    """
    keys = signed_by(answer, trust, ENDPOINT)
    require_in_force(keys, day)
    opened = verify_envelope(answer, [key.verifier() for key in keys])
    if opened.payload_type != ANSWER_TYPE:
        raise InvalidCertificateError("the endpoint has signed something other than an answer")
    if opened.payload != answer_bytes(model, challenge, weights):
        raise InvalidCertificateError(
            f"the endpoint doesn't say that it serves {weights} as {model}, or not when asked"
        )
    return ", ".join(f"{key.algorithm} {key.key_id}" for key in keys)


def verify_served(predicate: Mapping[str, Any], trust: TrustFile) -> str:
    """Check the answer that a certificate's statement holds against what it certifies.

    Returns:
        By which keys it was signed, and when it was asked for.

    Raises:
        ProofError: the answer's signatures don't hold.
        InvalidCertificateError: it can't be read, or speaks of something else.
    """
    try:
        served, model = predicate["served"], predicate["model"]
        asked, weights = (
            datetime.strptime(served["asked"], INSTANT),
            Digest.parse(served["weights"]),
        )
        answer = b64decode(served["answer"], validate=True)
        certified = model["after"]["weights"]
        challenge = challenge_of(predicate["request"]["case"], weights, asked)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise InvalidCertificateError("what is served can't be read") from None
    if str(weights) != certified:
        raise InvalidCertificateError("other weights are served than are certified")
    day = str(predicate["issued"])
    if served["asked"][:10] != day:
        raise InvalidCertificateError("the endpoint was asked on another day than that of issue")
    keys = verify_answer(
        answer, trust, model=model["name"], challenge=challenge, weights=weights, day=day
    )
    return f"asked {served['asked']}; {keys}"
