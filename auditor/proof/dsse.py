"""DSSE envelopes (github.com/secure-systems-lab/dsse, protocol and envelope v1).

    {"payload": base64, "payloadType": text, "signatures": [{"keyid": text, "sig": base64}, ...]}

A signature is over the pre-authentication encoding of type and payload, so neither can be
exchanged under it. DSSE by itself accepts any one trusted signature; here every key asked for must
have signed, so that dropping the signature of one algorithm is noticed. The envelope is read here
and not by securesystemslib, which finds a signature by its key id, though DSSE doesn't authenticate
that, and signs other bytes than DSSE's with ML-DSA; tests hold the two to each other for Ed25519.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.errors import ProofError
from auditor.proof.signing import Signer, Verifier
from auditor.proof.strict_json import (
    as_base64,
    as_list,
    as_object,
    as_text,
    exact_fields,
    read_object,
)

LARGEST_ENVELOPE = 2 << 20
MOST_SIGNATURES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What an envelope held, all signatures asked for having been found good."""

    payload_type: str
    payload: bytes


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes a signature is over (DSSE protocol, PAE); lengths count bytes, not characters.

    >>> pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign_envelope(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> bytes:
    """Sign a payload with every signer.

    Returns:
        The envelope as JSON, UTF-8.

    Raises:
        ProofError: no signer, one key twice, or no payload type.
    """
    _require_distinct([signer.key_id for signer in signers])
    if not payload_type:
        raise ProofError("an envelope needs a payload type")
    message = pre_authentication_encoding(payload_type, payload)
    envelope = {
        "payload": b64encode(payload).decode("ascii"),
        "payloadType": payload_type,
        "signatures": [
            {"keyid": signer.key_id, "sig": b64encode(signer.sign(message)).decode("ascii")}
            for signer in signers
        ],
    }
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def add_signatures(envelope: bytes, signers: Sequence[Signer]) -> bytes:
    """The envelope with further signatures over the same payload, those it has staying first.

    Raises:
        ProofError: not an envelope, no signer or one twice, or too many signatures.
    """
    _require_distinct([signer.key_id for signer in signers])
    opened, _, _ = _read(envelope)
    further = json.loads(sign_envelope(opened.payload_type, opened.payload, signers))
    fields = json.loads(envelope)
    fields["signatures"] += further["signatures"]
    _signatures(fields["signatures"])
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def verify_envelope(envelope: bytes, verifiers: Sequence[Verifier]) -> Opened:
    """Open an envelope that *every* one of these keys has signed.

    Signatures by other keys are ignored. A key id in the envelope isn't authenticated, so it
    decides nothing (DSSE protocol): each key is tried on each signature.

    Raises:
        ProofError: not an envelope, no key given or one given twice, or a key without a good
            signature.
    """
    _require_distinct([verifier.key_id for verifier in verifiers])
    opened, message, signatures = _read(envelope)
    for verifier in verifiers:
        if not any(_holds(verifier, signature, message) for signature in signatures):
            raise ProofError(
                f"the envelope has no good {verifier.algorithm} signature by key {verifier.key_id}"
            )
    return opened


def _read(envelope: bytes) -> tuple[Opened, bytes, list[bytes]]:
    """What the envelope claims to hold, the bytes a signature is over, and the signatures."""
    fields = read_object(envelope, "the envelope", LARGEST_ENVELOPE)
    exact_fields(fields, {"payload", "payloadType", "signatures"}, "the envelope")
    opened = Opened(
        payload_type=as_text(fields["payloadType"], "the envelope's payload type"),
        payload=_decoded(fields["payload"], "the envelope's payload"),
    )
    if not opened.payload_type:
        raise ProofError("the envelope has no payload type")
    try:
        message = pre_authentication_encoding(opened.payload_type, opened.payload)
    except UnicodeEncodeError:
        raise ProofError("the envelope's payload type is not Unicode text") from None
    return opened, message, _signatures(fields["signatures"])


def _require_distinct(key_ids: Sequence[str]) -> None:
    if not key_ids:
        raise ProofError("an envelope needs at least one key")
    if len(set(key_ids)) != len(key_ids):
        raise ProofError("the same key is given for two signatures; every role has its own key")


def _signatures(value: object) -> list[bytes]:
    items = as_list(value, "the envelope's signatures")
    if len(items) > MOST_SIGNATURES:
        raise ProofError(f"the envelope has more than {MOST_SIGNATURES} signatures")
    signatures = []
    for item in items:
        fields = as_object(item, "a signature of the envelope")
        exact_fields({"keyid": "", **fields}, {"keyid", "sig"}, "a signature of the envelope")
        signatures.append(_decoded(fields["sig"], "a signature of the envelope"))
    return signatures


def _decoded(value: object, what: str) -> bytes:
    text = as_text(value, what)
    standard = text.replace("-", "+").replace("_", "/")  # both alphabets are allowed
    return as_base64(standard, what)


def _holds(verifier: Verifier, signature: bytes, message: bytes) -> bool:
    try:
        verifier.verify(signature, message)
    except ProofError:
        return False
    return True
