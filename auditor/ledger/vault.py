"""The erasable payload vault: what ledger entries commit to but must not hold.

    commitment = SHA-256(nonce || payload)         nonce: 32 random bytes

Nonce and payload lie encrypted (AES-256-GCM, NIST SP 800-38D) under a key of the subject's own,
which lies wrapped under a key-encryption key. Forgetting a subject deletes rows, nonces and key;
the ledger's entries still verify, and nobody can confirm a guess at what they commit to (EDPB
Guidelines 01/2025). Rows are found by HMAC-SHA-256 of the subject under a secret of its own.

Backups made before still hold the rows, with the subject's key wrapped. Once the key-encryption
key was rotated and the old one destroyed, those copies open no more; no leaf changes by that.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from sqlalchemy import Engine
from sqlmodel import Field, Session, SQLModel, col, delete, select

from auditor.domain.artefact import Digest
from auditor.errors import LedgerError, TamperedError
from auditor.ledger.database import reading, writing
from auditor.ledger.erasing import erase_left_traces, erasing
from auditor.ledger.schema import ready_database
from auditor.ledger.wrapping import KEY_BITS, KeyWrapping, decrypted, encrypted

_NONCE_BYTES = 32
_LOOKUPS_AT_ONCE = 500  # SQLite's limit on values in one statement was 999 once


class VaultKeyRow(SQLModel, table=True):
    """A subject's key, wrapped; empty ``wrapped_by``: written before keys had names."""

    __tablename__ = "vault_key"

    lookup: str = Field(primary_key=True)
    wrapped: bytes
    wrapped_by: str = Field(default="", sa_column_kwargs={"server_default": ""})


class VaultPayloadRow(SQLModel, table=True):
    """One sealed payload."""

    __tablename__ = "vault_payload"

    commitment: str = Field(primary_key=True)
    lookup: str = Field(index=True, foreign_key="vault_key.lookup")
    sealed: bytes


class Vault:
    """Payloads by commitment; one key per subject."""

    def __init__(
        self,
        url: str,
        *,
        wrapping: KeyWrapping,
        lookup_key: bytes,
        retired: Sequence[KeyWrapping] = (),
        newest: Callable[[], bool] = lambda: True,
    ) -> None:
        """Address the vault in a database.

        Args:
            wrapping: the key-encryption key that new subjects' keys are wrapped under.
            lookup_key: 32 bytes, the secret of the look-up.
            retired: key-encryption keys of before, until `rotate` has come to its end.
            newest: whether ``wrapping`` still is the newest key there is; asked before anything
                goes under it that a rotation by another process might have missed.
        """
        self._url = url
        self._wrapping = wrapping
        self._lookup_key = lookup_key
        self._retired = tuple(retired)
        self._newest = newest

    @property
    def key_name(self) -> str:
        """Name of the key-encryption key of now."""
        return self._wrapping.name

    def seal(self, subject: str, payload: bytes) -> Digest:
        """Keep a payload under a subject's key.

        Returns:
            The commitment that may stand in the ledger.

        Raises:
            LedgerError: the key-encryption key was rotated since the vault was opened.
        """
        (commitment,) = self.seal_all([(subject, payload)])
        return commitment

    def seal_all(self, payloads: Sequence[tuple[str, bytes]]) -> tuple[Digest, ...]:
        """Keep payloads, each under the key of the subject before it, all or none.

        Returns:
            Their commitments in order.

        Raises:
            LedgerError: as `seal`.
        """
        lookups = [self._lookup(subject) for subject, _ in payloads]
        with writing(self._engine) as session:
            keys = self._keys(session, lookups)
            rows = [
                _sealed(payload, lookup, keys[lookup])
                for lookup, (_, payload) in zip(lookups, payloads, strict=True)
            ]
            commitments = tuple(Digest(row.commitment) for row in rows)
            session.add_all(rows)
        return commitments

    def pseudonym(self, kind: str, text: str) -> str:
        """A keyed name (HMAC-SHA-256, hexadecimal) of something that isn't to be told.

        Args:
            kind: of name, so that no two kinds can be matched with each other.
        """
        return self._lookup(f"{kind}\0{text}")  # no subject has a NUL

    def open(self, commitment: Digest) -> bytes:
        """The payload behind a commitment.

        Raises:
            LedgerError: it was erased, or never here.
            TamperedError: what lies here isn't what was committed to.
        """
        return opened_payload(self.opening(commitment))

    def opening(self, commitment: Digest) -> bytes:
        """Nonce and payload: whoever is handed them can see what the ledger commits to.

        Raises:
            LedgerError, TamperedError: as `open`.
        """
        query = (
            select(VaultKeyRow, VaultPayloadRow.sealed)
            .join(VaultPayloadRow, col(VaultPayloadRow.lookup) == col(VaultKeyRow.lookup))
            .where(VaultPayloadRow.commitment == commitment.value)
        )
        with reading(self._engine) as session:
            found = session.exec(query).first()
            if found is None:
                raise LedgerError("the vault holds nothing for this commitment; it was erased")
            key, sealed = found
            secret = self._unwrapped(key)
        content = decrypted(secret, _as_bytes(sealed), commitment.value)
        if not hmac.compare_digest(hashlib.sha256(content).hexdigest(), commitment.value):
            raise TamperedError("a payload of the vault isn't what the ledger commits to")
        return content

    def holds(self, commitment: Digest) -> bool:
        """Whether there is something behind a commitment."""
        with reading(self._engine) as session:
            return session.get(VaultPayloadRow, commitment.value) is not None

    def commitments(self, subject: str) -> tuple[Digest, ...]:
        """What is kept under a subject."""
        query = select(VaultPayloadRow.commitment).where(
            VaultPayloadRow.lookup == self._lookup(subject)
        )
        with reading(self._engine) as session:
            return tuple(Digest(value) for value in sorted(session.exec(query)))

    def forget(self, subject: str) -> int:
        """Destroy a subject's payloads, nonces and key, also in the database's own files.

        Returns:
            How many payloads there were.
        """
        return self.forget_all([subject])

    def forget_all(self, subjects: Sequence[str]) -> int:
        """Destroy all of these subjects' payloads, nonces and keys, as `forget` does one's.

        Returns:
            How many payloads there were.

        Raises:
            LedgerError: on SQLite they are gone, but traces are left while another process reads;
                done again it clears them, and so does whoever opens the vault next when nobody
                reads. On PostgreSQL nothing is forgotten while another session reads the vault.
        """
        lookups, found = [self._lookup(subject) for subject in subjects], 0
        with erasing(self._engine) as session:
            for some in _in_parts(lookups):
                rows = delete(VaultPayloadRow).where(col(VaultPayloadRow.lookup).in_(some))
                found += session.exec(rows).rowcount
                session.exec(delete(VaultKeyRow).where(col(VaultKeyRow.lookup).in_(some)))
        return found

    def forget_payload(self, commitment: Digest) -> None:
        """Destroy one payload, and its subject's key where nothing else lies under it.

        Raises:
            LedgerError: as `forget_all`.
        """
        with erasing(self._engine) as session:
            row = session.get(VaultPayloadRow, commitment.value)
            if row is not None:
                session.delete(row)
                session.flush()
                same = VaultPayloadRow.lookup == row.lookup
                if session.exec(select(VaultPayloadRow.commitment).where(same)).first() is None:
                    session.exec(delete(VaultKeyRow).where(col(VaultKeyRow.lookup) == row.lookup))

    def rotate(self) -> int:
        """Wrap every subject's key under the key-encryption key of now, all or none.

        Payloads, commitments and so the ledger's leaves stay as they are. When it has returned,
        the retired keys can be destroyed.

        Returns:
            How many keys were wrapped anew; the others were already.
        """
        with erasing(self._engine) as session:
            query = select(VaultKeyRow).where(VaultKeyRow.wrapped_by != self._wrapping.name)
            rows = session.exec(query).all()
            for row in rows:
                row.wrapped = self._wrapping.wrap(self._unwrapped(row), row.lookup)
                row.wrapped_by = self._wrapping.name
                session.add(row)
        return len(rows)

    def close(self) -> None:
        """Let go of the database."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        engine = ready_database(self._url)
        erase_left_traces(engine)  # of somebody who forgot while others read
        return engine

    def _lookup(self, subject: str) -> str:
        return hmac.new(self._lookup_key, subject.encode("utf-8"), hashlib.sha256).hexdigest()

    def _keys(self, session: Session, lookups: Sequence[str]) -> Mapping[str, bytes]:
        """Each subject's key by its look-up; made where there is none yet."""
        found: dict[str, bytes] = {}
        for some in _in_parts(list(dict.fromkeys(lookups))):
            query = select(VaultKeyRow).where(col(VaultKeyRow.lookup).in_(some))
            found |= {row.lookup: self._unwrapped(row) for row in session.exec(query)}
        missing = [lookup for lookup in dict.fromkeys(lookups) if lookup not in found]
        if missing and not self._newest():
            # a rotation holds the lock that we hold: it's before us, or after
            raise LedgerError("the vault's key was rotated meanwhile; run the command again")
        for lookup in missing:
            secret = secrets.token_bytes(KEY_BITS // 8)
            wrapped = self._wrapping.wrap(secret, lookup)
            session.add(VaultKeyRow(lookup=lookup, wrapped=wrapped, wrapped_by=self._wrapping.name))
            found[lookup] = secret
        session.flush()
        return found

    def _unwrapped(self, row: VaultKeyRow) -> bytes:
        """A subject's key; a row without a name is tried under each key there is."""
        keys = (self._wrapping, *self._retired)
        fitting = [key for key in keys if row.wrapped_by in (key.name, "")]
        for key in fitting:
            try:
                return key.unwrap(_as_bytes(row.wrapped), row.lookup)
            except TamperedError:
                if key is fitting[-1]:
                    raise
        raise TamperedError(
            "a payload of the vault doesn't open: its key is wrapped under one that isn't here; "
            "restore the home's keys"
        )


def _sealed(payload: bytes, lookup: str, key: bytes) -> VaultPayloadRow:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    commitment = hashlib.sha256(nonce + payload).hexdigest()
    sealed = encrypted(key, nonce + payload, commitment)
    return VaultPayloadRow(commitment=commitment, lookup=lookup, sealed=sealed)


def _in_parts(lookups: Sequence[str]) -> Iterator[Sequence[str]]:
    return (
        lookups[start : start + _LOOKUPS_AT_ONCE]
        for start in range(0, len(lookups), _LOOKUPS_AT_ONCE)
    )


def opened_payload(opening: bytes) -> bytes:
    """The payload of what `Vault.opening` gave; its digest is the commitment."""
    return opening[_NONCE_BYTES:]


def _as_bytes(value: object) -> bytes:
    if type(value) is not bytes:  # SQLite holds a value of any type in any column
        raise TamperedError("a row of the vault was changed: it isn't of its own type")
    return value
