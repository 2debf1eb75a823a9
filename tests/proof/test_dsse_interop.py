"""Our envelopes and securesystemslib's: each reads, and refuses, what the other signed."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from auditor.errors import ProofError
from auditor.proof.dsse import (
    add_signatures,
    pre_authentication_encoding,
    sign_envelope,
    verify_envelope,
)
from auditor.proof.signing import (
    ED25519,
    ML_DSA_65,
    generate_private_key,
    key_id,
    load_signer,
    load_verifier,
)

KIND = "application/vnd.in-toto+json"
KEYS = (Ed25519PrivateKey.generate(), MLDSA65PrivateKey.generate())
IDS = tuple(
    key_id(algorithm, key.public_key().public_bytes_raw())
    for algorithm, key in zip((ED25519, ML_DSA_65), KEYS, strict=True)
)
THEIRS = tuple(
    SSlibKey.from_crypto(key.public_key(), keyid=name) for key, name in zip(KEYS, IDS, strict=True)
)
OURS = tuple(
    load_verifier(algorithm, key.public_key().public_bytes_raw())
    for algorithm, key in zip((ED25519, ML_DSA_65), KEYS, strict=True)
)


def signers() -> list:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return [load_signer(key.private_bytes(*form)) for key in KEYS]


@given(kind=st.text(min_size=1, max_size=30), payload=st.binary(max_size=300))
def test_the_signed_bytes_are_the_same(kind: str, payload: bytes) -> None:
    try:
        kind.encode("utf-8")
    except UnicodeEncodeError:
        return
    assert Envelope(payload, kind, {}).pae() == pre_authentication_encoding(kind, payload)


def test_they_accept_what_we_sign_and_nothing_less() -> None:
    whole = Envelope.from_dict(json.loads(sign_envelope(KIND, b"{}", signers())))
    assert set(whole.verify([THEIRS[0]], 1)) == {IDS[0]}
    assert (whole.payload, whole.payload_type) == (b"{}", KIND)
    whole.payload = b"[]"
    with pytest.raises(VerificationError):
        whole.verify([THEIRS[0]], 1)


def test_we_accept_what_they_sign_and_nothing_less() -> None:
    envelope = Envelope(b"{}", KIND, {})
    envelope.sign(CryptoSigner(KEYS[0], THEIRS[0]))
    theirs = json.dumps(envelope.to_dict()).encode()
    assert verify_envelope(theirs, OURS[:1]).payload == b"{}"
    with pytest.raises(ProofError, match="ml-dsa-65"):
        verify_envelope(theirs, OURS)


def test_their_ml_dsa_signs_other_bytes_than_the_protocol_says() -> None:
    """A prefix of their own before the encoding; ours are the encoding alone, as DSSE has it."""
    envelope = Envelope(b"{}", KIND, {})
    envelope.sign(CryptoSigner(KEYS[1], THEIRS[1]))
    with pytest.raises(ProofError, match="ml-dsa-65"):
        verify_envelope(json.dumps(envelope.to_dict()).encode(), OURS[1:])
    message = pre_authentication_encoding(KIND, b"{}")
    signature = signers()[1].sign(message)
    KEYS[1].public_key().verify(signature, message)


def test_signatures_added_later_are_over_the_same_payload() -> None:
    others = [load_signer(generate_private_key(name)) for name in (ED25519, ML_DSA_65)]
    first = sign_envelope(KIND, b"payload", signers())
    both = add_signatures(first, others)
    theirs = [load_verifier(signer.algorithm, signer.public_bytes()) for signer in others]
    assert verify_envelope(both, [*OURS, *theirs]) == verify_envelope(first, OURS)
    found = Envelope.from_dict(json.loads(both))
    assert set(found.verify([THEIRS[0]], 1)) == {IDS[0]} and len(found.signatures) == 4
    with pytest.raises(ProofError):
        verify_envelope(first, theirs)
    for nonsense in (b"", b"{}", first[:-1]):
        with pytest.raises(ProofError):
            add_signatures(nonsense, others)
    with pytest.raises(ProofError, match="own key"):
        add_signatures(first, [others[0], others[0]])
    with pytest.raises(ProofError, match="at least one"):
        add_signatures(first, [])
