"""Checkpoints: a log's state as a signed note (C2SP tlog-checkpoint v1.0.0).

    example.com/ledger                              origin: the log's name
    42                                              tree size
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=    RFC 6962 root

The log signs it with Ed25519 and cosigns it with ML-DSA-44; witnesses cosign it.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.errors import ProofError
from auditor.proof.merkle import HASH_BYTES
from auditor.proof.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    NOTE_ED25519,
    NoteKey,
    find_signature,
    is_line,
    note_key,
    signature_line,
    split_note,
)
from auditor.proof.signing import ED25519, ML_DSA_44, Signer
from auditor.proof.strict_json import as_base64

LARGEST_SIZE = 2**63 - 1
"""Most entries of a tree: proofs have at most 63 hashes (tlog-witness), and others use int64."""

_MOST_HASHES = 63
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_TIME_BYTES = 8
_LATEST = 2**63 - 1  # tlog-cosignature: a time must not exceed it
_LABEL = b"subtree/v1\n\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's state: that the first ``size`` entries hash to ``root``."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not is_line(self.origin):
            raise ProofError("a checkpoint's origin is one line of text")
        if not 0 <= self.size <= LARGEST_SIZE or len(self.root) != HASH_BYTES:
            raise ProofError("a checkpoint has a size from 0 to 2^63 - 1 and a root of 32 bytes")

    def text(self) -> str:
        """The note's text, final newline included."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode('ascii')}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's note *without* looking at its signatures: nothing to be believed.

    Raises:
        ProofError: not a note, or not a checkpoint.
    """
    lines = split_note(text)[0][:-1].split("\n")
    if len(lines) < 3 or not all(lines):  # more are extension lines, which say nothing to us
        raise ProofError("the note is not a checkpoint: origin, size and root expected")
    return Checkpoint(
        origin=lines[0],
        size=as_size(lines[1], "the checkpoint's size"),
        root=as_base64(lines[2], "the checkpoint's root"),
    )


def as_size(text: str, what: str) -> int:
    """A tree size or an entry's index: ASCII decimal in its one form, else ProofError."""
    if not _SIZE.fullmatch(text) or int(text) > LARGEST_SIZE:
        raise ProofError(f"{what} is no number from 0 to 2^63 - 1 without leading zeroes")
    return int(text)


def as_hashes(lines: Sequence[str], what: str) -> list[bytes]:
    """The hashes of a Merkle proof, base64 and one a line, else ProofError."""
    hashes = [as_base64(line, f"a hash of {what}") for line in lines]
    if len(hashes) > _MOST_HASHES or any(len(value) != HASH_BYTES for value in hashes):
        raise ProofError(f"{what} has at most {_MOST_HASHES} hashes of {HASH_BYTES} bytes")
    return hashes


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer], moment: int) -> str:
    """A checkpoint's note, signed by the log it names.

    Args:
        signers: Ed25519 keys sign the text; ML-DSA-44 ones cosign, and state the moment.
        moment: POSIX time at which this is the log's largest tree; 0 states none.

    Raises:
        ProofError: no key, an origin that is no key name, a key of another kind, or no such time.
    """
    if not signers:
        raise ProofError("a checkpoint needs a key to sign it")
    body = checkpoint.text()
    keys = [(signer, key_of(signer, checkpoint.origin, witness=False)) for signer in signers]
    return body + "\n" + "".join(_line(checkpoint, body, *pair, moment) for pair in keys)


def cosign_checkpoint(text: str, signers: Sequence[Signer], name: str, moment: int) -> str:
    """A witness's signature lines for a checkpoint's note.

    Args:
        text: the note; that it is the log's and consistent is the caller's to have checked.
        signers: keys of the witness, Ed25519 or ML-DSA-44.
        name: of the witness.
        moment: POSIX time at which this is the largest tree the witness saw of that log.

    Raises:
        ProofError: no checkpoint, no key name, a key of another kind, or no such time.
    """
    if moment == 0:  # tlog-witness: "the timestamp MUST NOT be zero"
        raise ProofError("a witness states the time at which it cosigns")
    checkpoint, body = parse_checkpoint(text), split_note(text)[0]
    keys = [(signer, key_of(signer, name, witness=True)) for signer in signers]
    return "".join(_line(checkpoint, body, *pair, moment) for pair in keys)


def key_of(signer: Signer, name: str, *, witness: bool) -> NoteKey:
    """The public half of a log's or a witness's key, as notes name it.

    Raises:
        ProofError: a key of another kind, or not a key name.
    """
    types = {
        ML_DSA_44: COSIGNATURE_ML_DSA_44,
        ED25519: COSIGNATURE_ED25519 if witness else NOTE_ED25519,
    }
    if signer.algorithm not in types:
        raise ProofError(f"checkpoints are signed with {' or '.join(types)} keys")
    return note_key(name, types[signer.algorithm], signer.public_bytes())


def find_verified(text: str, key: NoteKey) -> int | None:
    """The POSIX time at which this key vouched for a checkpoint's note; 0 where it states none.

    Returns:
        None where the key hasn't signed.

    Raises:
        ProofError: not a checkpoint, or a signature that claims to be the key's and isn't: that
            spoils the note (signed-note, "SHOULD reject the whole note").
    """
    body, signed = split_note(text)
    checkpoint, found = parse_checkpoint(text), find_signature(signed, key)
    if found is None:
        return None
    if key.type == NOTE_ED25519:
        key.verifier.verify(found, body.encode("utf-8"))
        return 0
    moment, signature = int.from_bytes(found[:_TIME_BYTES], "big"), found[_TIME_BYTES:]
    if moment > _LATEST:
        raise ProofError("a cosignature of the checkpoint states an impossible time")
    key.verifier.verify(signature, _cosigned(checkpoint, body, key, moment))
    return moment


def _line(checkpoint: Checkpoint, body: str, signer: Signer, key: NoteKey, moment: int) -> str:
    if not 0 <= moment <= _LATEST:
        raise ProofError("a checkpoint is signed at a time from 0 to 2^63 - 1")
    if key.type == NOTE_ED25519:
        return signature_line(key, signer.sign(body.encode("utf-8")))
    signature = signer.sign(_cosigned(checkpoint, body, key, moment))
    return signature_line(key, moment.to_bytes(_TIME_BYTES, "big") + signature)


def _cosigned(checkpoint: Checkpoint, body: str, key: NoteKey, moment: int) -> bytes:
    """The message a cosignature is over (tlog-cosignature, "signed message")."""
    if key.type == COSIGNATURE_ED25519:
        return f"cosignature/v1\ntime {moment}\n{body}".encode()
    # struct { uint8 label[12]; opaque cosigner_name<1..2^8-1>; uint64 timestamp;
    #          opaque log_origin<1..2^8-1>; uint64 start; uint64 end; uint8 hash[32]; }
    start = 0  # a checkpoint is the subtree that begins with the first leaf
    return b"".join(
        (
            _LABEL,
            _opaque(key.name),
            moment.to_bytes(8, "big"),
            _opaque(checkpoint.origin),
            start.to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def _opaque(text: str) -> bytes:
    data = text.encode("utf-8")
    if not 1 <= len(data) <= 255:
        raise ProofError("a name that cosigns or is cosigned has at most 255 bytes")
    return bytes([len(data)]) + data
