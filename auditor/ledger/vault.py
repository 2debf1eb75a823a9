"""The erasable payload vault: what ledger entries commit to but must not hold.

    commitment = SHA-256(nonce || payload)         nonce: 32 random bytes

Nonce and payload lie encrypted (AES-256-GCM, NIST SP 800-38D) under a key of the subject's own,
which lies wrapped under the home's key-encryption key. Forgetting a subject deletes rows, nonces
and key; the ledger's entries still verify, and nobody can confirm a guess at what they commit to
(EDPB Guidelines 01/2025). Rows are found by HMAC-SHA-256 of the subject under a secret of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine
from sqlmodel import Field, Session, SQLModel, col, delete, select

from auditor.domain.artefact import Digest
from auditor.errors import LedgerError, TamperedError
from auditor.ledger.database import empty_write_ahead_log, open_database, reading, writing

_NONCE_BYTES = 32
_IV_BYTES = 12  # SP 800-38D section 5.2.1.1: the recommended length
_KEY_BITS = 256


class VaultKeyRow(SQLModel, table=True):
    """A subject's key, wrapped."""

    __tablename__ = "vault_key"

    lookup: str = Field(primary_key=True)
    wrapped: bytes


class VaultPayloadRow(SQLModel, table=True):
    """One sealed payload."""

    __tablename__ = "vault_payload"

    commitment: str = Field(primary_key=True)
    lookup: str = Field(index=True, foreign_key="vault_key.lookup")
    sealed: bytes


class Vault:
    """Payloads by commitment; one key per subject."""

    def __init__(self, path: Path, *, key_encryption_key: bytes, lookup_key: bytes) -> None:
        """Address the vault in a database file; both keys are 32 bytes."""
        self._path = path
        self._wrapping = AESGCM(key_encryption_key)
        self._lookup_key = lookup_key

    def seal(self, subject: str, payload: bytes) -> Digest:
        """Keep a payload under a subject's key.

        Returns:
            The commitment that may stand in the ledger.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        commitment = Digest.of(nonce + payload)
        lookup = self._lookup(subject)
        with writing(self._engine) as session:
            key = AESGCM(self._key(session, lookup))
            sealed = _sealed(key, nonce + payload, commitment.value)
            session.add(VaultPayloadRow(commitment=commitment.value, lookup=lookup, sealed=sealed))
        return commitment

    def open(self, commitment: Digest) -> bytes:
        """The payload behind a commitment.

        Raises:
            LedgerError: it was erased, or never here.
            TamperedError: what lies here isn't what was committed to.
        """
        with reading(self._engine) as session:
            row = session.get(VaultPayloadRow, commitment.value)
            key = None if row is None else session.get(VaultKeyRow, row.lookup)
            if row is None or key is None:
                raise LedgerError("the vault holds nothing for this commitment; it was erased")
            sealed, lookup, wrapped = row.sealed, row.lookup, key.wrapped
        secret = _opened(self._wrapping, wrapped, lookup)
        content = _opened(AESGCM(secret), sealed, commitment.value)
        if not hmac.compare_digest(hashlib.sha256(content).hexdigest(), commitment.value):
            raise TamperedError("a payload of the vault isn't what the ledger commits to")
        return content[_NONCE_BYTES:]

    def commitments(self, subject: str) -> tuple[Digest, ...]:
        """What is kept under a subject."""
        query = select(VaultPayloadRow.commitment).where(
            VaultPayloadRow.lookup == self._lookup(subject)
        )
        with reading(self._engine) as session:
            return tuple(Digest(value) for value in sorted(session.exec(query)))

    def forget(self, subject: str) -> int:
        """Destroy a subject's payloads, nonces and key, also in the database's own log.

        Returns:
            How many payloads there were.
        """
        lookup = self._lookup(subject)
        found = len(self.commitments(subject))
        with writing(self._engine) as session:
            session.exec(delete(VaultPayloadRow).where(col(VaultPayloadRow.lookup) == lookup))
            session.exec(delete(VaultKeyRow).where(col(VaultKeyRow.lookup) == lookup))
        empty_write_ahead_log(self._engine)
        return found

    def close(self) -> None:
        """Let go of the database."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        engine = open_database(f"sqlite:///{self._path}")
        tables = [SQLModel.metadata.tables[name] for name in ("vault_key", "vault_payload")]
        with writing(engine) as session:
            SQLModel.metadata.create_all(session.connection(), tables=tables)
        return engine

    def _lookup(self, subject: str) -> str:
        return hmac.new(self._lookup_key, subject.encode("utf-8"), hashlib.sha256).hexdigest()

    def _key(self, session: Session, lookup: str) -> bytes:
        row = session.get(VaultKeyRow, lookup)
        if row is not None:
            return _opened(self._wrapping, row.wrapped, lookup)
        secret = AESGCM.generate_key(_KEY_BITS)
        session.add(VaultKeyRow(lookup=lookup, wrapped=_sealed(self._wrapping, secret, lookup)))
        session.flush()
        return secret


def _sealed(key: AESGCM, content: bytes, about: str) -> bytes:
    iv = secrets.token_bytes(_IV_BYTES)
    return iv + key.encrypt(iv, content, about.encode("ascii"))


def _opened(key: AESGCM, sealed: bytes, about: str) -> bytes:
    try:
        return key.decrypt(sealed[:_IV_BYTES], sealed[_IV_BYTES:], about.encode("ascii"))
    except (InvalidTag, ValueError):
        raise TamperedError(
            "a payload of the vault doesn't open: it was changed, or the home's keys were"
        ) from None
