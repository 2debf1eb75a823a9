"""Signed notes and the keys that sign them (C2SP signed-note v1.0.0, tlog-cosignature v1.0.1).

    text, one or more lines
                                                        (empty line)
    — example.com/ledger Az3grlgtz...cTOAYQ8=           key name, base64(key id || signature)
    — witness.example/w1 jWbPPwAAAABk...ZX+qnA==        cosignature: key id || time || signature

A verifier key ("vkey") is ``name+hex key id+base64(type || public key)``. Three types are used:

    0x01   Ed25519 over the text: how a log signs
    0x04   Ed25519 over time and text: how a witness may cosign
    0x06   ML-DSA-44 over a struct of names, time, size and root, not over the text: how a log and a
           witness sign for the time after Ed25519
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from auditor.errors import ProofError
from auditor.proof.signing import ED25519, ML_DSA_44, Verifier, load_verifier
from auditor.proof.strict_json import as_base64

LARGEST_NOTE = 1 << 18  # octets; room for the 64 cosignatures of 3 kB that a log policy may ask for
MOST_SIGNATURES = 96  # those, the log's own and some of strangers; signed-note: at least 16

NOTE_ED25519 = 0x01
COSIGNATURE_ED25519 = 0x04
COSIGNATURE_ML_DSA_44 = 0x06

_ALGORITHMS: Mapping[int, str] = {
    NOTE_ED25519: ED25519,
    COSIGNATURE_ED25519: ED25519,
    COSIGNATURE_ML_DSA_44: ML_DSA_44,
}
_KEY_ID_BYTES = 4
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """A public key as notes name it.

    Attributes:
        name: of whoever signs; for a log its origin.
        type: one of the signature types above.
        public: raw public key.
    """

    name: str
    type: int
    public: bytes
    verifier: Verifier = field(repr=False, compare=False)

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name, newline, type, public key); tells keys apart only."""
        named = f"{self.name}\n".encode() + bytes([self.type]) + self.public
        return hashlib.sha256(named).digest()[:_KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The verifier key as text."""
        encoded = b64encode(bytes([self.type]) + self.public).decode("ascii")
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


Signed: TypeAlias = tuple[str, bytes]
"""A signature line: key name, and key id || signature."""


def note_key(name: str, type_: int, public: bytes) -> NoteKey:
    """A key of that name and type.

    Raises:
        ProofError: not a key name, not a type of ours, or not such a public key.
    """
    _check_name(name)
    if type_ not in _ALGORITHMS:
        raise ProofError("the verifier key is neither an Ed25519 nor an ML-DSA-44 one")
    return NoteKey(
        name=name, type=type_, public=public, verifier=load_verifier(_ALGORITHMS[type_], public)
    )


def parse_vkey(text: str) -> NoteKey:
    """Read a verifier key.

    Raises:
        ProofError: another form, another type of key, or a key id that doesn't match.
    """
    match = _VKEY.fullmatch(text)
    if match is None:
        raise ProofError("not a verifier key; expected name+key id+base64")
    name, stated, encoded = match.groups()
    raw = as_base64(encoded, "the verifier key")
    key = note_key(name, raw[0] if raw else 0, raw[1:])
    if key.key_id.hex() != stated:
        raise ProofError("the verifier key doesn't match its key id")
    return key


def split_note(text: str) -> tuple[str, Sequence[Signed]]:
    """The signed text, final newline included, and the signature lines.

    Raises:
        ProofError: not a note.
    """
    if not _is_lines(text) or len(text.encode("utf-8")) > LARGEST_NOTE:
        raise ProofError("the checkpoint is not a signed note: too large, or control characters")
    head, separator, tail = text.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise ProofError("the checkpoint is not a signed note: no signatures, or cut off")
    lines = tail[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise ProofError(f"the checkpoint has more than {MOST_SIGNATURES} signatures")
    return f"{head}\n", [_signature_line(line) for line in lines]


def signature_line(key: NoteKey, signature: bytes) -> str:
    """One signature as a line, newline included."""
    return f"— {key.name} {b64encode(key.key_id + signature).decode('ascii')}\n"


def find_signature(signed: Sequence[Signed], key: NoteKey) -> bytes | None:
    """The signature that claims to be this key's; None where there is none.

    Lines of other keys are ignored, also such as share this key's name or id but not both.

    Raises:
        ProofError: the key stands under the note twice, so that it isn't clear what it said.
    """
    ours = [
        value[_KEY_ID_BYTES:]
        for name, value in signed
        if name == key.name and value[:_KEY_ID_BYTES] == key.key_id
    ]
    if len(ours) > 1:
        raise ProofError(f"the checkpoint has two signatures by one key of {key.name}")
    return ours[0] if ours else None


def is_line(text: str) -> bool:
    """Whether the text can be a line of a note: not empty, no control characters, Unicode."""
    return bool(text) and "\n" not in text and _is_lines(text)


def _check_name(name: str) -> None:
    if not is_line(name) or "+" in name or any(character.isspace() for character in name):
        raise ProofError("a key name has no spaces, no plus and no control characters")


def _signature_line(line: str) -> Signed:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—":
        raise ProofError("the checkpoint has a line that is no signature")
    _check_name(parts[1])
    signed = as_base64(parts[2], "a signature of the checkpoint")
    if len(signed) <= _KEY_ID_BYTES:
        raise ProofError("the checkpoint has an empty signature")
    return parts[1], signed


def _is_lines(text: str) -> bool:
    """Whether the text is UTF-8 without control characters other than newline (signed-note)."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can carry
        return False
    return not _CONTROL.search(text.replace("\n", ""))
