"""Key-encryption keys: what the subjects' keys in the vault lie wrapped under.

A file of the home by default, or an AES key that never leaves a PKCS#11 token (OASIS PKCS#11 v3).
Each has a name, so that the vault knows which rows a rotation still has before it.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditor.errors import LedgerError, TamperedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IV_BYTES = 12  # SP 800-38D section 5.2.1.1: the recommended length
KEY_BITS = 256

_NAME_DIGITS = 16
_TAG_BITS = 128
_TRIAL = "trial"


class KeyWrapping(Protocol):
    """A key-encryption key, wherever it lies."""

    @property
    def name(self) -> str:
        """Tells this key from others, without saying anything about it."""

    def wrap(self, secret: bytes, about: str) -> bytes:
        """A secret, encrypted and bound to what it is about."""

    def unwrap(self, wrapped: bytes, about: str) -> bytes:
        """What `wrap` was given.

        Raises:
            TamperedError: it was wrapped under another key, about something else, or changed.
        """


@dataclass(frozen=True, slots=True)
class AesKey:
    """A key of 32 bytes that the home keeps in a file (AES-256-GCM, NIST SP 800-38D)."""

    key: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """See `KeyWrapping.name`."""
        digest = hashlib.sha256(b"auditor vault key\0" + self.key).hexdigest()
        return f"file-{digest[:_NAME_DIGITS]}"

    def wrap(self, secret: bytes, about: str) -> bytes:
        """See `KeyWrapping.wrap`."""
        return encrypted(self.key, secret, about)

    def unwrap(self, wrapped: bytes, about: str) -> bytes:
        """See `KeyWrapping.unwrap`."""
        return decrypted(self.key, wrapped, about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Key:
    """An AES key on a token; it is used there and can't be read out.

    Attributes:
        module: the token's PKCS#11 library.
        token: label of the token.
        pin: of its user.
        label: of the key.
    """

    module: Path
    token: str
    pin: str = field(repr=False)
    label: str

    @property
    def name(self) -> str:
        """See `KeyWrapping.name`."""
        digest = hashlib.sha256(f"{self.token}\0{self.label}".encode()).hexdigest()
        return f"pkcs11-{digest[:_NAME_DIGITS]}"

    def make(self) -> None:
        """Make the key on the token: sensitive, not extractable.

        Raises:
            LedgerError: the token can't be used, or has a key of that label.
        """
        if not self.ensure():
            raise LedgerError("the token has a key of that label; name another")

    def ensure(self) -> bool:
        """Make the key unless the token has it, and try it; whether it was made.

        Raises:
            LedgerError: the token can't be used, or what it has of that label is no key for a
                vault: not one AES key of 256 bits that encrypts, decrypts and can't be read out.
        """
        with self._session() as (pkcs11, session), _told(pkcs11):
            found = list(session.get_objects(self._template(pkcs11)))
            if found and (why := _unfit(pkcs11, found)):
                raise LedgerError(
                    f"the PKCS#11 token's key of that label {why}; name another in auditor.toml"
                )
            if not found:
                attribute = pkcs11.Attribute
                session.generate_key(
                    pkcs11.KeyType.AES,
                    KEY_BITS,
                    label=self.label,
                    store=True,
                    template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
                )
        self._try()
        return not found

    def wrap(self, secret: bytes, about: str) -> bytes:
        """See `KeyWrapping.wrap`."""
        iv = secrets.token_bytes(IV_BYTES)
        with self._session() as (pkcs11, session), _told(pkcs11):
            key = self._key(pkcs11, session)
            sealed = key.encrypt(
                secret,
                mechanism=pkcs11.Mechanism.AES_GCM,
                mechanism_param=pkcs11.GCMParams(iv, about.encode("ascii"), _TAG_BITS),
            )
        return iv + bytes(sealed)

    def unwrap(self, wrapped: bytes, about: str) -> bytes:
        """See `KeyWrapping.unwrap`."""
        iv, sealed = wrapped[:IV_BYTES], wrapped[IV_BYTES:]
        with self._session() as (pkcs11, session), _told(pkcs11):
            key = self._key(pkcs11, session)
            try:
                return bytes(
                    key.decrypt(
                        sealed,
                        mechanism=pkcs11.Mechanism.AES_GCM,
                        mechanism_param=pkcs11.GCMParams(iv, about.encode("ascii"), _TAG_BITS),
                    )
                )
            except pkcs11.PKCS11Error:
                raise _unopened() from None

    def _try(self) -> None:
        secret = secrets.token_bytes(KEY_BITS // 8)
        try:
            same = self.unwrap(self.wrap(secret, _TRIAL), _TRIAL) == secret
        except TamperedError:
            same = False
        if not same:
            raise LedgerError("the PKCS#11 token doesn't decrypt what it encrypted by AES-GCM")

    @contextmanager
    def _session(self) -> Iterator[tuple[Any, Any]]:
        try:
            import pkcs11
        except ModuleNotFoundError:
            raise LedgerError(
                "a key on a token needs its library; install it: pip install 'auditor[hsm]'"
            ) from None
        try:
            token = pkcs11.lib(str(self.module)).get_token(token_label=self.token)
            session = token.open(user_pin=self.pin, rw=True)
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise LedgerError(
                f"the PKCS#11 token can't be opened ({type(error).__name__}); check module, token "
                "label and PIN"
            ) from None
        with session:
            yield pkcs11, session

    def _key(self, pkcs11: Any, session: Any) -> Any:
        aes = {pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES}
        keys = list(session.get_objects({**self._template(pkcs11), **aes}))
        if not keys:
            raise LedgerError(
                "the PKCS#11 token has no AES key of that label; make it: auditor keys rotate vault"
            )
        if len(keys) > 1:
            raise LedgerError(
                "the PKCS#11 token has several AES keys of that label; have its administrator "
                "give all but the vault's another"
            )
        if not _encrypts(keys[0]):
            raise LedgerError("the PKCS#11 token's key of that label may not encrypt and decrypt")
        return keys[0]

    def _template(self, pkcs11: Any) -> dict[Any, Any]:
        return {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
            pkcs11.Attribute.LABEL: self.label,
        }


@contextmanager
def _told(pkcs11: Any) -> Iterator[None]:
    """Tell what fails on the token as an error of ours."""
    try:
        yield
    except pkcs11.PKCS11Error as error:
        raise LedgerError(
            f"the PKCS#11 token failed ({type(error).__name__}); see that it is there and knows "
            "AES-GCM"
        ) from None


def _unfit(pkcs11: Any, keys: Sequence[Any]) -> str:
    """Why what a token has of a label is no key for a vault; empty if it is one."""
    key, attribute = keys[0], pkcs11.Attribute
    if len(keys) > 1:
        return "is there several times"
    if key.key_type != pkcs11.KeyType.AES or key.key_length != KEY_BITS:
        return f"isn't an AES key of {KEY_BITS} bits"
    if key[attribute.EXTRACTABLE] or not key[attribute.SENSITIVE]:
        return "can be read out"
    return "" if _encrypts(key) else "may not encrypt and decrypt"


def _encrypts(key: Any) -> bool:
    return hasattr(key, "encrypt") and hasattr(key, "decrypt")  # as its attributes allow it


def encrypted(key: bytes, content: bytes, about: str) -> bytes:
    """AES-256-GCM under a fresh initialisation vector, which goes before the ciphertext."""
    iv = secrets.token_bytes(IV_BYTES)
    return iv + AESGCM(key).encrypt(iv, content, about.encode("ascii"))


def decrypted(key: bytes, sealed: bytes, about: str) -> bytes:
    """What `encrypted` was given.

    Raises:
        TamperedError: another key, about something else, or changed.
    """
    try:
        return AESGCM(key).decrypt(sealed[:IV_BYTES], sealed[IV_BYTES:], about.encode("ascii"))
    except (InvalidTag, ValueError):
        raise _unopened() from None


def _unopened() -> TamperedError:
    return TamperedError(
        "a payload of the vault doesn't open: it was changed, or the home's keys were"
    )
