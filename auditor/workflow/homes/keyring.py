"""The keys of a home: one file each, mode 0600, optionally under a passphrase.

Without a passphrase a file holds the key as it is (PEM, or 32 raw bytes) and the file system
guards it. With one it holds a small JSON envelope: AES-256-GCM (NIST SP 800-38D) under a key that
scrypt (RFC 7914) makes of the passphrase; the file's name is authenticated along, so that two key
files can't be swapped.
"""

from __future__ import annotations

import json
import os
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from auditor.errors import HomeError
from auditor.given import read_given
from auditor.learning.store import destroy_file
from auditor.workflow.homes.files import OWNER_ONLY, write_file

PASSPHRASE_VARIABLE = "AUDITOR_PASSPHRASE"

_FORMAT = "auditor-key/v1"
_LARGEST = 1 << 20
_SALT_BYTES = 16
_NONCE_BYTES = 12
_COST = 2**15  # RFC 7914 section 2; 32 MiB and about a tenth of a second per key


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """A folder of keys and the passphrase they are under, if any."""

    folder: Path
    passphrase: bytes | None = field(default=None, repr=False)
    variable: str = PASSPHRASE_VARIABLE

    @classmethod
    def from_environment(cls, folder: Path, variable: str = PASSPHRASE_VARIABLE) -> Keyring:
        """The keyring in ``folder``, with the passphrase of that variable if it is set."""
        text = os.environ.get(variable, "")
        return cls(folder=folder, passphrase=text.encode("utf-8") or None, variable=variable)

    def write(self, name: str, secret: bytes) -> None:
        """Keep a key.

        Raises:
            HomeError: the file can't be written.
        """
        stored = secret if self.passphrase is None else _sealed(name, secret, self.passphrase)
        write_file(self.folder / name, stored, mode=OWNER_ONLY)

    def read(self, name: str) -> bytes:
        """A key as it was given to `write`.

        Raises:
            HomeError: missing, readable by others, or under another passphrase.
        """
        path = self.folder / name
        try:
            mode, stored = path.stat().st_mode, read_given(path, _LARGEST)
        except OSError as error:
            raise HomeError(f"can't read key {path}: {error.strerror}") from None
        if mode & 0o077:
            raise HomeError(f"key {path} is open to others; run: chmod 600 '{path}'")
        if not stored.startswith(b'{"format": "' + _FORMAT.encode()):
            return stored
        if self.passphrase is None:
            raise HomeError(f"key {path} is under a passphrase; set {self.variable}")
        return self._opened(path, stored, self.passphrase)

    def destroy(self, name: str) -> None:
        """Overwrite and remove a key; nothing happens where there is none."""
        destroy_file(self.folder / name)

    def _opened(self, path: Path, stored: bytes, passphrase: bytes) -> bytes:
        try:
            envelope = json.loads(stored)
            salt, nonce, sealed = (b64decode(envelope[key]) for key in ("salt", "nonce", "sealed"))
            return AESGCM(_derived(passphrase, salt)).decrypt(nonce, sealed, path.name.encode())
        except InvalidTag:
            raise HomeError(f"{self.variable} doesn't open key {path}") from None
        except (ValueError, KeyError):
            raise HomeError(f"key {path} is damaged; restore it from a backup") from None


def _sealed(name: str, secret: bytes, passphrase: bytes) -> bytes:
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(_derived(passphrase, salt)).encrypt(nonce, secret, name.encode())
    fields = {"salt": salt, "nonce": nonce, "sealed": sealed}
    texts = {key: b64encode(value).decode("ascii") for key, value in fields.items()}
    return json.dumps({"format": _FORMAT, **texts}).encode("ascii")


def _derived(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_COST, r=8, p=1).derive(passphrase)
