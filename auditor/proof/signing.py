"""Keys that sign statements and checkpoints: Ed25519 (RFC 8032) and ML-DSA (FIPS 204).

A statement needs a signature by Ed25519 and one by ML-DSA-65, a checkpoint one by Ed25519 and one
by ML-DSA-44 (tlog-cosignature's choice), so that they stand as long as either algorithm does. Keys
travel as PKCS#8 PEM (private) and as raw bytes (public); `key_id` names one without a registry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from auditor.errors import ProofError

ED25519 = "ed25519"
ML_DSA_44 = "ml-dsa-44"
ML_DSA_65 = "ml-dsa-65"

_PrivateKey: TypeAlias = Ed25519PrivateKey | MLDSA44PrivateKey | MLDSA65PrivateKey
_PublicKey: TypeAlias = Ed25519PublicKey | MLDSA44PublicKey | MLDSA65PublicKey

_PRIVATE: Mapping[str, type[_PrivateKey]] = {
    ED25519: Ed25519PrivateKey,
    ML_DSA_44: MLDSA44PrivateKey,
    ML_DSA_65: MLDSA65PrivateKey,
}
_PUBLIC: Mapping[str, type[_PublicKey]] = {
    ED25519: Ed25519PublicKey,
    ML_DSA_44: MLDSA44PublicKey,
    ML_DSA_65: MLDSA65PublicKey,
}

_Kind = TypeVar("_Kind")

_KEY_ID_DIGITS = 32

_FIELD = 2**255 - 19
# y of the points whose order divides 8 (RFC 8032 section 5.1: the curve's cofactor): under such a
# key one signature fits many messages.
_Y_OF_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = frozenset({0, 1, _FIELD - 1, _Y_OF_ORDER_8, _FIELD - _Y_OF_ORDER_8})


class Signer(Protocol):
    """A private key, wherever it lies."""

    @property
    def key_id(self) -> str:
        """Identifies the public half, 32 hex digits."""

    @property
    def algorithm(self) -> str:
        """``ed25519``, ``ml-dsa-44`` or ``ml-dsa-65``."""

    def sign(self, data: bytes) -> bytes:
        """Raw signature over ``data``."""

    def public_bytes(self) -> bytes:
        """Raw public key: 32 bytes (Ed25519), 1,312 (ML-DSA-44) or 1,952 (ML-DSA-65)."""


class Verifier(Protocol):
    """A public key."""

    @property
    def key_id(self) -> str:
        """Identifies the key, 32 hex digits."""

    @property
    def algorithm(self) -> str:
        """``ed25519``, ``ml-dsa-44`` or ``ml-dsa-65``."""

    def verify(self, signature: bytes, data: bytes) -> None:
        """Return if the signature is this key's over ``data``, else raise ProofError."""

    def public_bytes(self) -> bytes:
        """Raw public key."""


def key_id(algorithm: str, public: bytes) -> str:
    """SHA-256 of ``algorithm:`` and the raw public key, first 32 hex digits."""
    return hashlib.sha256(f"{algorithm}:".encode() + public).hexdigest()[:_KEY_ID_DIGITS]


def generate_private_key(algorithm: str, passphrase: bytes | None = None) -> bytes:
    """A fresh key as PKCS#8 PEM, encrypted where a passphrase is given.

    Raises:
        ProofError: an algorithm that isn't one of ours.
    """
    key = _known(_PRIVATE, algorithm).generate()
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def load_signer(pem: bytes, passphrase: bytes | None = None) -> Signer:
    """Read a private key.

    Raises:
        ProofError: not a PKCS#8 PEM key of a known algorithm, or another passphrase.
    """
    try:
        key = load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ProofError("the private key can't be read; check its file and passphrase") from None
    for algorithm, kind in _PRIVATE.items():
        if isinstance(key, kind):
            public = key.public_key().public_bytes_raw()
            return _KeySigner(algorithm=algorithm, public=public, key=key)
    raise ProofError(f"the private key is none of {', '.join(_PRIVATE)}; make a new one")


def load_verifier(algorithm: str, public: bytes) -> Verifier:
    """Read a raw public key.

    Raises:
        ProofError: unknown algorithm, not a key, or an Ed25519 key of small order.
    """
    kind = _known(_PUBLIC, algorithm)
    if algorithm == ED25519:
        _refuse_weak_point(public)
    try:
        key = kind.from_public_bytes(public)
    except ValueError:
        raise ProofError(f"{len(public)} bytes are no {algorithm} public key") from None
    return _KeyVerifier(algorithm=algorithm, public=public, key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeySigner:
    algorithm: str
    public: bytes
    key: _PrivateKey = field(repr=False)

    @property
    def key_id(self) -> str:
        return key_id(self.algorithm, self.public)

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)

    def public_bytes(self) -> bytes:
        return self.public


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyVerifier:
    algorithm: str
    public: bytes
    key: _PublicKey = field(repr=False)

    @property
    def key_id(self) -> str:
        return key_id(self.algorithm, self.public)

    def verify(self, signature: bytes, data: bytes) -> None:
        try:
            self.key.verify(signature, data)
        except InvalidSignature:
            raise ProofError(f"the {self.algorithm} signature doesn't hold") from None

    def public_bytes(self) -> bytes:
        return self.public


def _known(table: Mapping[str, _Kind], algorithm: str) -> _Kind:
    if algorithm not in table:
        raise ProofError(f"unknown signature algorithm; use one of {', '.join(_PRIVATE)}")
    return table[algorithm]


def _refuse_weak_point(public: bytes) -> None:
    y = int.from_bytes(public, "little") & ~(1 << 255)  # the top bit is the sign of x
    if y >= _FIELD or y in _SMALL_ORDER:
        raise ProofError("the ed25519 public key is weak: of small order, or not canonical")
