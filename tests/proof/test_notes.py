"""Checkpoints, proofs and envelopes: good ones pass, each forged twin is refused."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ProofError
from auditor.proof.dsse import pre_authentication_encoding, sign_envelope, verify_envelope
from auditor.proof.merkle import hashes_of, inclusion_path, leaf_hash, root_of
from auditor.proof.note import Checkpoint, parse_vkey, sign_checkpoint, verify_checkpoint, vkey
from auditor.proof.signing import (
    ED25519,
    ML_DSA_65,
    Signer,
    Verifier,
    generate_private_key,
    load_signer,
    load_verifier,
)
from auditor.proof.tlog_proof import carried_entry, format_proof, verify_proof_at

NAME = "example.com/ledger"
ED = load_signer(generate_private_key(ED25519))
OTHER = load_signer(generate_private_key(ED25519))
PQ = load_signer(generate_private_key(ML_DSA_65))
VKEY = vkey(NAME, ED.public_bytes())
ENTRIES = [f"entry {number}".encode() for number in range(9)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
NOTE = sign_checkpoint(Checkpoint(origin=NAME, size=9, root=root_of(LEAVES)), ED, NAME)


def verifier(signer: Signer) -> Verifier:
    return load_verifier(signer.algorithm, signer.public_bytes())


def test_a_checkpoint_is_read_back() -> None:
    found = verify_checkpoint(NOTE, VKEY)
    assert (found.origin, found.size, found.root) == (NAME, 9, root_of(LEAVES))
    assert parse_vkey(VKEY).name == NAME


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n9\n", "\n8\n"),
        ("\n9\n", "\n09\n"),
        (f"{NAME}\n9", "example.com/other\n9"),
        ("— ", "- "),
        ("\n\n", "\n"),
        ("\n9\n", "\n9\n\x00"),
    ],
)
def test_a_changed_checkpoint_is_refused(old: str, new: str) -> None:
    assert old in NOTE
    with pytest.raises(ProofError):
        verify_checkpoint(NOTE.replace(old, new, 1), VKEY)


def test_a_checkpoint_of_another_log_or_key_is_refused() -> None:
    for key in (vkey(NAME, OTHER.public_bytes()), vkey("example.com/else", ED.public_bytes())):
        with pytest.raises(ProofError):
            verify_checkpoint(NOTE, key)
    with pytest.raises(ProofError):
        sign_checkpoint(Checkpoint(origin=NAME, size=0, root=bytes(32)), PQ, NAME)
    for text in ("", "name+00000000+AAAA", VKEY.replace("+", "-", 1), VKEY[:-4]):
        with pytest.raises(ProofError):
            parse_vkey(text)


@given(st.integers(0, 8), st.integers(0, 8))
def test_a_proof_fits_its_entry_alone(index: int, other: int) -> None:
    path = inclusion_path(hashes_of(LEAVES), index, 9)
    text = format_proof(index, path, NOTE, extra=ENTRIES[index])
    assert carried_entry(text) == ENTRIES[index]
    assert verify_proof_at(text, ENTRIES[index], VKEY)[0] == index
    if other != index:
        with pytest.raises(ProofError):
            verify_proof_at(text, ENTRIES[other], VKEY)
        with pytest.raises(ProofError):
            verify_proof_at(text.replace(f"index {index}", f"index {other}"), ENTRIES[index], VKEY)


@given(st.text(max_size=200))
def test_no_text_is_mistaken_for_a_proof(text: str) -> None:
    with pytest.raises(ProofError):
        verify_proof_at(text, b"entry", VKEY)
    with pytest.raises(ProofError):
        verify_checkpoint(text, VKEY)


def test_the_published_example_of_the_encoding() -> None:
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_an_envelope_needs_every_key() -> None:
    envelope = sign_envelope("text/plain", b"payload", [ED, PQ])
    opened = verify_envelope(envelope, [verifier(ED), verifier(PQ)])
    assert (opened.payload_type, opened.payload) == ("text/plain", b"payload")
    assert verify_envelope(envelope, [verifier(PQ)]).payload == b"payload"
    with pytest.raises(ProofError, match=r"ed25519"):
        verify_envelope(envelope, [verifier(OTHER)])
    for keys in ([], [verifier(ED), verifier(ED)]):
        with pytest.raises(ProofError):
            verify_envelope(envelope, keys)
    for signers in ([], [ED, ED]):
        with pytest.raises(ProofError):
            sign_envelope("text/plain", b"", signers)


def forged(**changes: object) -> bytes:
    fields = json.loads(sign_envelope("text/plain", b"payload", [ED, PQ]))
    return json.dumps({**fields, **changes}).encode()


@pytest.mark.parametrize(
    "envelope",
    [
        forged(payload=b64encode(b"another").decode()),
        forged(payloadType="text/html"),
        forged(payloadType=""),
        forged(signatures=[]),
        forged(signatures="none"),
        forged(extra=1),
        forged(payload="***"),
        b"{}",
        b"[]",
        b"\xff",
        b"",
    ],
)
def test_a_forged_envelope_is_refused(envelope: bytes) -> None:
    with pytest.raises(ProofError):
        verify_envelope(envelope, [verifier(ED), verifier(PQ)])


def test_dropping_or_bending_one_signature_is_noticed() -> None:
    fields = json.loads(sign_envelope("text/plain", b"payload", [ED, PQ]))
    for position in (0, 1):
        kept = [fields["signatures"][position]]
        with pytest.raises(ProofError):
            verify_envelope(forged(signatures=kept), [verifier(ED), verifier(PQ)])
        bent = json.loads(json.dumps(fields["signatures"]))
        raw = bytearray(b64decode(bent[position]["sig"]))
        raw[7] ^= 1
        bent[position]["sig"] = b64encode(bytes(raw)).decode()
        with pytest.raises(ProofError):
            verify_envelope(forged(signatures=bent), [verifier(ED), verifier(PQ)])


def test_keys_under_a_passphrase_open_with_it_alone() -> None:
    pem = generate_private_key(ML_DSA_65, b"a passphrase")
    assert load_signer(pem, b"a passphrase").algorithm == ML_DSA_65
    for wrong in (None, b"another"):
        with pytest.raises(ProofError):
            load_signer(pem, wrong)
    with pytest.raises(ProofError):
        load_signer(b"no key")
    with pytest.raises(ProofError):
        generate_private_key("rsa-512")
    with pytest.raises(ProofError):
        load_verifier(ED25519, bytes(31))
