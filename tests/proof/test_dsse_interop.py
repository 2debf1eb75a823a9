"""Our envelopes: as the protocol has them, read by securesystemslib, and no forged twin opens."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from auditor.errors import ProofError
from auditor.proof.dsse import EnvelopeKey, add_signatures, sign_envelope, verify_envelope
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
_FORM = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SIGNERS = [load_signer(key.private_bytes(*_FORM)) for key in KEYS]
STRANGERS = [load_signer(generate_private_key(name)) for name in (ED25519, ML_DSA_65)]
GOOD = sign_envelope(KIND, b"payload", SIGNERS)


def encoded(kind: str, payload: bytes) -> bytes:
    """The protocol's formula, written down once more."""
    name = kind.encode()
    head = f"DSSEv1 {len(name)} ".encode() + name
    return head + f" {len(payload)} ".encode() + payload


@given(
    kind=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    payload=st.binary(max_size=300),
)
def test_an_envelope_is_what_the_protocol_says(kind: str, payload: bytes) -> None:
    signature = KEYS[0].sign(encoded(kind, payload))
    written = {
        "payload": b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"keyid": IDS[0], "sig": b64encode(signature).decode()}],
    }
    stored = json.dumps(written, ensure_ascii=False, separators=(",", ":")).encode()
    assert sign_envelope(kind, payload, SIGNERS[:1]) == stored
    opened = verify_envelope(stored, OURS[:1])
    assert (opened.payload_type, opened.payload) == (kind, payload)


def test_both_algorithms_sign_the_encoding_alone() -> None:
    """Their own ML-DSA puts a prefix before it; such a signature isn't DSSE's."""
    signatures = [b64decode(item["sig"]) for item in json.loads(GOOD)["signatures"]]
    for key, signature in zip(KEYS, signatures, strict=True):
        key.public_key().verify(signature, encoded(KIND, b"payload"))
    envelope = Envelope(b"{}", KIND, {})
    envelope.sign(CryptoSigner(KEYS[1], THEIRS[1]))
    with pytest.raises(ProofError, match="ml-dsa-65"):
        verify_envelope(json.dumps(envelope.to_dict()).encode(), OURS[1:])


def test_they_accept_what_we_sign_and_nothing_less() -> None:
    whole = Envelope.from_dict(json.loads(GOOD))
    assert set(whole.verify([THEIRS[0]], 1)) == {IDS[0]}
    assert (whole.payload, whole.payload_type) == (b"payload", KIND)
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


def test_a_key_of_ours_goes_through_their_form() -> None:
    for verifier in OURS:
        key = EnvelopeKey(verifier.key_id, verifier)
        again = EnvelopeKey.from_dict(key.keyid, key.to_dict())
        assert again == key
        Envelope.from_dict(json.loads(GOOD)).verify([again], 1)


Change = Callable[[list[dict[str, Any]]], object]


def _spare_bits(items: list[dict[str, Any]]) -> None:
    """Another text for the same 64 bytes: the four bits that base64 leaves over are set."""
    text = items[0]["sig"]
    assert text.endswith("==")
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    items[0]["sig"] = f"{text[:-3]}{digits[digits.index(text[-3]) + 1]}=="
    assert b64decode(items[0]["sig"]) == b64decode(text)


FORGERIES: dict[str, Change] = {
    "no key id": lambda items: items[0].pop("keyid"),
    "key id empty": lambda items: items[0].update(keyid=""),
    "key id of a stranger": lambda items: items[1].update(keyid=STRANGERS[1].key_id),
    "key id in other letters": lambda items: items[0].update(keyid=IDS[0].upper() + " "),
    "key id no text": lambda items: items[0].update(keyid=7),
    "key id a list": lambda items: items[0].update(keyid=[IDS[0]]),
    "key ids exchanged": lambda items: [
        item.update(keyid=name) for item, name in zip(items, IDS[::-1], strict=True)
    ],
    "one key id twice, the good one first": lambda items: items.append(
        {**items[0], "sig": items[1]["sig"]}
    ),
    "one key id twice, the good one last": lambda items: items.insert(
        0, {**items[0], "sig": items[1]["sig"]}
    ),
    "one signature twice": lambda items: items.append(items[0]),
    "no signature": lambda items: items[0].pop("sig"),
    "signature empty": lambda items: items[1].update(sig=""),
    "signature no text": lambda items: items[1].update(sig=1),
    "signature not base64": lambda items: items[1].update(sig="***"),
    "signature with blanks": lambda items: items[0].update(sig=items[0]["sig"] + "\n"),
    "signature with spare bits": _spare_bits,
    "a further member": lambda items: items[0].update(cert="x"),
    "not a map": lambda items: items.append("x"),
    "too many": lambda items: items.extend(
        {"keyid": str(number), "sig": "AAAA"} for number in range(15)
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_no_forged_list_of_signatures_opens(name: str) -> None:
    fields = json.loads(GOOD)
    FORGERIES[name](fields["signatures"])
    forged = json.dumps(fields).encode()
    with pytest.raises(ProofError):
        verify_envelope(forged, OURS)


def test_a_member_given_twice_is_refused_wherever_it_stands() -> None:
    keyid = f'"keyid":"{IDS[0]}"'
    for once in (keyid, f'"payloadType":"{KIND}"'):
        twice = GOOD.replace(once.encode(), f"{once},{once}".encode(), 1)
        assert twice != GOOD
        with pytest.raises(ProofError, match="well-formed"):
            verify_envelope(twice, OURS)


def test_either_alphabet_is_read_and_a_strangers_signature_is_ignored() -> None:
    fields = json.loads(GOOD)
    for item in fields["signatures"]:
        item["sig"] = item["sig"].replace("+", "-").replace("/", "_")
    fields["signatures"].insert(0, {"keyid": "stranger", "sig": "AAAA"})
    assert verify_envelope(json.dumps(fields).encode(), OURS).payload == b"payload"


def test_signatures_added_later_are_over_the_same_payload() -> None:
    both = add_signatures(GOOD, STRANGERS)
    theirs = [load_verifier(signer.algorithm, signer.public_bytes()) for signer in STRANGERS]
    assert verify_envelope(both, [*OURS, *theirs]) == verify_envelope(GOOD, OURS)
    assert both.startswith(GOOD[:-2] + b",")  # what was there stays as it was
    with pytest.raises(ProofError):
        verify_envelope(GOOD, theirs)
    for nonsense in (b"", b"{}", GOOD[:-1]):
        with pytest.raises(ProofError):
            add_signatures(nonsense, STRANGERS)
    with pytest.raises(ProofError, match="own key"):
        add_signatures(GOOD, [STRANGERS[0], STRANGERS[0]])
    with pytest.raises(ProofError, match="at least one"):
        add_signatures(GOOD, [])
    with pytest.raises(ProofError, match="has signed it already"):
        add_signatures(GOOD, SIGNERS[:1])
    many = GOOD
    for _ in range(14):
        many = add_signatures(many, [load_signer(generate_private_key(ED25519))])
    with pytest.raises(ProofError, match="more than 16"):
        add_signatures(many, STRANGERS[:1])
