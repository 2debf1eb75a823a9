"""DSSE envelopes (github.com/secure-systems-lab/dsse, protocol and envelope v1).

    {"payload": base64, "payloadType": text, "signatures": [{"keyid": text, "sig": base64}, ...]}

A signature is over the pre-authentication encoding of type and payload, so neither can be
exchanged under it. DSSE by itself accepts any one trusted signature; here every key asked for must
have signed, so that dropping the signature of one algorithm is noticed.

Encoding, signing and the search for a key's signature are securesystemslib's. It forgives in
reading, so what a stranger wrote is held to one form first, and its own keys put a prefix before
what ML-DSA signs, so it is handed keys of ours. It finds a signature by its key id: no two may have
one, and a signature under another's id is none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Key, Signature

from auditor.errors import ProofError
from auditor.proof.signing import Signer, Verifier, load_verifier
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


def sign_envelope(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> bytes:
    """Sign a payload with every signer.

    Returns:
        The envelope as JSON, UTF-8.

    Raises:
        ProofError: no signer, one key twice, or no payload type.
    """
    if not payload_type:
        raise ProofError("an envelope needs a payload type")
    return _signed(Envelope(payload, payload_type, {}), signers)


def add_signatures(envelope: bytes, signers: Sequence[Signer]) -> bytes:
    """The envelope with further signatures over the same payload, those it has staying first.

    Raises:
        ProofError: not an envelope, no signer, one twice or one that has signed it already, or too
            many signatures.
    """
    return _signed(_read(envelope), signers)


def verify_envelope(envelope: bytes, verifiers: Sequence[Verifier]) -> Opened:
    """Open an envelope that *every* one of these keys has signed.

    Signatures by other keys are ignored.

    Raises:
        ProofError: not an envelope, no key given or one given twice, or a key without a good
            signature.
    """
    _require_distinct([verifier.key_id for verifier in verifiers])
    found = _read(envelope)
    for verifier in verifiers:
        try:
            found.verify([EnvelopeKey(verifier.key_id, verifier)], threshold=1)
        except VerificationError:
            raise ProofError(
                f"the envelope has no good {verifier.algorithm} signature by key {verifier.key_id}"
            ) from None
    return Opened(payload_type=found.payload_type, payload=found.payload)


class EnvelopeKey(Key):
    """A public key of ours as securesystemslib asks for it: over the encoding alone."""

    def __init__(self, keyid: str, verifier: Verifier) -> None:
        """Call the key ``keyid`` in envelopes."""
        public = {"public": verifier.public_bytes().hex()}
        super().__init__(keyid, verifier.algorithm, verifier.algorithm, public)
        self.verifier = verifier

    @classmethod
    def from_dict(cls, keyid: str, key_dict: dict[str, Any]) -> EnvelopeKey:
        """Read what `to_dict` wrote."""
        _, algorithm, public = cls._from_dict(key_dict)
        return cls(keyid, load_verifier(algorithm, bytes.fromhex(public["public"])))

    def to_dict(self) -> dict[str, Any]:
        """Algorithm and raw public key, hexadecimal."""
        return self._to_dict()

    def verify_signature(self, signature: Signature, data: bytes) -> None:
        """Return if the signature is this key's over ``data``, else UnverifiedSignatureError."""
        try:
            self.verifier.verify(bytes.fromhex(signature.signature), data)
        except ProofError as error:
            raise UnverifiedSignatureError(str(error)) from None


def _signed(envelope: Envelope, signers: Sequence[Signer]) -> bytes:
    _require_distinct([signer.key_id for signer in signers])
    message = envelope.pae()
    for signer in signers:
        if signer.key_id in envelope.signatures:
            raise ProofError(f"{signer.algorithm} key {signer.key_id} has signed it already")
        signature = Signature(signer.key_id, signer.sign(message).hex())
        envelope.signatures[signature.keyid] = signature
    _require_few(envelope.signatures)
    return json.dumps(envelope.to_dict(), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _read(envelope: bytes) -> Envelope:
    """What the envelope claims to hold, no signature verified."""
    fields = read_object(envelope, "the envelope", LARGEST_ENVELOPE)
    exact_fields(fields, {"payload", "payloadType", "signatures"}, "the envelope")
    kind = as_text(fields["payloadType"], "the envelope's payload type")
    if not kind:
        raise ProofError("the envelope has no payload type")
    listed = as_list(fields["signatures"], "the envelope's signatures")
    _require_few(listed)
    signatures = [_signature(item) for item in listed]
    if len({signature["keyid"] for signature in signatures}) != len(signatures):
        raise ProofError("the envelope has two signatures under one key id")
    payload = _standard(fields["payload"], "the envelope's payload")
    return Envelope.from_dict({"payload": payload, "payloadType": kind, "signatures": signatures})


def _signature(value: object) -> dict[str, str]:
    fields = as_object(value, "a signature of the envelope")
    exact_fields(fields, {"keyid", "sig"}, "a signature of the envelope")
    return {
        "keyid": as_text(fields["keyid"], "a key id of the envelope"),
        "sig": _standard(fields["sig"], "a signature of the envelope"),
    }


def _standard(value: object, what: str) -> str:
    """Base64 in its one form, in the standard alphabet; DSSE allows both."""
    text = as_text(value, what).replace("-", "+").replace("_", "/")
    as_base64(text, what)
    return text


def _require_distinct(key_ids: Sequence[str]) -> None:
    if not key_ids:
        raise ProofError("an envelope needs at least one key")
    if len(set(key_ids)) != len(key_ids):
        raise ProofError("the same key is given for two signatures; every role has its own key")


def _require_few(signatures: Sized) -> None:
    if len(signatures) > MOST_SIGNATURES:
        raise ProofError(f"the envelope has more than {MOST_SIGNATURES} signatures")
