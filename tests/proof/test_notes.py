"""Checkpoints, proofs and envelopes: good ones pass, each forged twin is refused."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ProofError
from auditor.proof.checkpoint import Checkpoint, key_of, sign_checkpoint
from auditor.proof.dsse import sign_envelope, verify_envelope
from auditor.proof.log_policy import LogPolicy, examine_checkpoint, parse_policy
from auditor.proof.merkle import hashes_of, inclusion_path, leaf_hash, root_of
from auditor.proof.note import parse_vkey
from auditor.proof.signing import (
    ED25519,
    ML_DSA_44,
    ML_DSA_65,
    Signer,
    Verifier,
    generate_private_key,
    load_signer,
    load_verifier,
)
from auditor.proof.tlog_proof import carried_entry, format_proof, verify_tlog_proof

NAME = "example.com/ledger"
ED = load_signer(generate_private_key(ED25519))
OTHER = load_signer(generate_private_key(ED25519))
PQ = load_signer(generate_private_key(ML_DSA_65))
PQ_LOG = load_signer(generate_private_key(ML_DSA_44))
VKEY = key_of(ED, NAME, witness=False).vkey


def policy_of(*signers: Signer, name: str = NAME) -> LogPolicy:
    keys = [key_of(signer, name, witness=False).vkey for signer in signers]
    return parse_policy("".join(f"log {key}\n" for key in keys) + "quorum none\n")


POLICY = policy_of(ED, PQ_LOG)
NOW = 1_795_000_000
ENTRIES = [f"entry {number}".encode() for number in range(9)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
STATE = Checkpoint(origin=NAME, size=9, root=root_of(LEAVES))
NOTE = sign_checkpoint(STATE, [ED, PQ_LOG], NOW)


def verifier(signer: Signer) -> Verifier:
    return load_verifier(signer.algorithm, signer.public_bytes())


def test_a_checkpoint_is_read_back() -> None:
    found = examine_checkpoint(NOTE, POLICY, NOW)
    assert (found.checkpoint, found.signed, found.quorum) == (STATE, NOW, True)
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
        examine_checkpoint(NOTE.replace(old, new, 1), POLICY, NOW)


def test_a_checkpoint_of_another_log_or_key_is_refused() -> None:
    for policy in (policy_of(OTHER, PQ_LOG), policy_of(ED, PQ_LOG, name="example.com/else")):
        with pytest.raises(ProofError):
            examine_checkpoint(NOTE, policy, NOW)
    for signers in ([], [ED, PQ]):
        with pytest.raises(ProofError):
            sign_checkpoint(STATE, signers, NOW)
    for text in ("", "name+00000000+AAAA", VKEY.replace("+", "-", 1), VKEY[:-4]):
        with pytest.raises(ProofError):
            parse_vkey(text)


@given(st.integers(0, 8), st.integers(0, 8))
def test_a_proof_fits_its_entry_alone(index: int, other: int) -> None:
    path = inclusion_path(hashes_of(LEAVES), index, 9)
    text = format_proof(index, path, NOTE, extra=ENTRIES[index])
    assert carried_entry(text) == ENTRIES[index]
    assert verify_tlog_proof(text, ENTRIES[index], POLICY, NOW)[0] == index
    if other != index:
        with pytest.raises(ProofError):
            verify_tlog_proof(text, ENTRIES[other], POLICY, NOW)
        with pytest.raises(ProofError):
            verify_tlog_proof(
                text.replace(f"index {index}", f"index {other}"), ENTRIES[index], POLICY, NOW
            )


@given(st.text(max_size=200))
def test_no_text_is_mistaken_for_a_proof(text: str) -> None:
    with pytest.raises(ProofError):
        verify_tlog_proof(text, b"entry", POLICY, NOW)
    with pytest.raises(ProofError):
        examine_checkpoint(text, POLICY, NOW)


def test_the_published_example_of_the_encoding() -> None:
    signed = json.loads(sign_envelope("http://example.com/HelloWorld", b"hello world", [ED, PQ]))
    encoded = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    for signer, signature in zip((ED, PQ), signed["signatures"], strict=True):
        verifier(signer).verify(b64decode(signature["sig"]), encoded)


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
