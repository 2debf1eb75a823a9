"""Checkpoints as signed notes (C2SP signed-note v1.0.0, tlog-checkpoint v1.0.0).

    example.com/ledger                              origin: the log's name
    42                                              tree size
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=    RFC 6962 root
                                                    (empty line)
    — example.com/ledger Az3grlgtz...cTOAYQ8=       key name, base64(key id || signature)

A verifier key ("vkey") is ``name+hex key id+base64(0x01 || Ed25519 public key)``.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import dataclass

from auditor.errors import ProofError
from auditor.proof.merkle import HASH_BYTES
from auditor.proof.signing import ED25519, Signer, Verifier, load_verifier
from auditor.proof.strict_json import as_base64

LARGEST_NOTE = 1 << 18  # room for dozens of cosignatures of 5 kB
MOST_SIGNATURES = 32  # signed-note: at least 16 must be accepted

_TYPE_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_ED25519_PUBLIC_BYTES = 32
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's state: that the first ``size`` entries hash to ``root``."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin or _CONTROL.search(self.origin):
            raise ProofError("a checkpoint's origin is one line of text")
        if self.size < 0 or len(self.root) != HASH_BYTES:
            raise ProofError("a checkpoint has a size of at least 0 and a root of 32 bytes")

    def text(self) -> str:
        """The signed part of the note, final newline included."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode('ascii')}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A key as notes name it: the pair of name and key id."""

    name: str
    key_id: bytes
    verifier: Verifier


def vkey(name: str, public: bytes) -> str:
    """The verifier key of an Ed25519 public key (32 raw bytes) under a name.

    Raises:
        ProofError: not a key name, or not such a key.
    """
    _check_name(name)
    load_verifier(ED25519, public)
    encoded = b64encode(_TYPE_ED25519 + public).decode("ascii")
    return f"{name}+{_key_id(name, public).hex()}+{encoded}"


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key.

    Raises:
        ProofError: another form, another type of key, or a key id that doesn't match.
    """
    match = _VKEY.fullmatch(text)
    if match is None:
        raise ProofError("not a verifier key; expected name+key id+base64")
    name, stated, encoded = match.groups()
    _check_name(name)
    raw = as_base64(encoded, "the verifier key")
    if raw[:1] != _TYPE_ED25519 or len(raw) != 1 + _ED25519_PUBLIC_BYTES:
        raise ProofError("the verifier key is not an Ed25519 one")
    if _key_id(name, raw[1:]).hex() != stated:
        raise ProofError("the verifier key doesn't match its key id")
    return VerifierKey(
        name=name, key_id=_key_id(name, raw[1:]), verifier=load_verifier(ED25519, raw[1:])
    )


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer, name: str) -> str:
    """The checkpoint as a note with one signature line.

    Raises:
        ProofError: not an Ed25519 key, or not a key name.
    """
    if signer.algorithm != ED25519:
        raise ProofError("checkpoints are signed with an ed25519 key")
    _check_name(name)
    text = checkpoint.text()
    signed = _key_id(name, signer.public_bytes()) + signer.sign(text.encode("utf-8"))
    return f"{text}\n— {name} {b64encode(signed).decode('ascii')}\n"


def verify_checkpoint(text: str, vkey: str) -> Checkpoint:
    """Read a checkpoint that this key has signed and whose origin is the key's name.

    Lines of other keys are ignored; a bad line of this key spoils the note (signed-note).

    Raises:
        ProofError: not a note, not a checkpoint, another log's, or no good signature by the key.
    """
    key = parse_vkey(vkey)
    body, signatures = _split(text)
    ours = [signed for name, signed in signatures if name == key.name and _id(signed) == key.key_id]
    if not ours:
        raise ProofError(f"the checkpoint isn't signed by {key.name}; is it another log's?")
    for signed in ours:
        key.verifier.verify(signed[_KEY_ID_BYTES:], body.encode("utf-8"))
    checkpoint = _parse_body(body)
    if checkpoint.origin != key.name:
        raise ProofError(f"the checkpoint is another log's, not that of {key.name}")
    return checkpoint


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(f"{name}\n".encode() + _TYPE_ED25519 + public).digest()[:_KEY_ID_BYTES]


def _id(signed: bytes) -> bytes:
    return signed[:_KEY_ID_BYTES]


def _check_name(name: str) -> None:
    spaced = any(character.isspace() for character in name)
    if not name or spaced or "+" in name or _CONTROL.search(name) or not _is_unicode(name):
        raise ProofError("a key name has no spaces, no plus and no control characters")


def _split(text: str) -> tuple[str, list[tuple[str, bytes]]]:
    if len(text) > LARGEST_NOTE or _CONTROL.search(text) or not _is_unicode(text):
        raise ProofError("the checkpoint is not a signed note: too large, or control characters")
    head, separator, tail = text.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise ProofError("the checkpoint is not a signed note: no signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise ProofError(f"the checkpoint has more than {MOST_SIGNATURES} signatures")
    return f"{head}\n", [_signature_line(line) for line in lines]


def _signature_line(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—":
        raise ProofError("the checkpoint has a line that is no signature")
    signed = as_base64(parts[2], "a signature of the checkpoint")
    if not parts[1] or len(signed) <= _KEY_ID_BYTES:
        raise ProofError("the checkpoint has an empty signature")
    return parts[1], signed


def _parse_body(body: str) -> Checkpoint:
    lines = body[:-1].split("\n")
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):
        raise ProofError("the note is not a checkpoint: origin, size and root expected")
    return Checkpoint(
        origin=lines[0], size=int(lines[1]), root=as_base64(lines[2], "the checkpoint's root")
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
