"""The trust file: what a regulator has to know beforehand, as one small JSON document.

    {"format": "auditor-trust/v2", "log_origin": ..., "log_policy": ..., "statement_keys": [...],
     "seal_roots": [...], "minimum_seal_level": "B-B", "checkpoint": ...}

`timestamp_roots` stands there besides where seals are time-stamped.
It reaches the verifier by another way than the certificate; `fingerprint` is what both sides read
out to each other. Times are RFC 3339 UTC; an empty text means "none".
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from auditor.errors import ProofError
from auditor.proof.log_policy import END_OF_TIME, LogPolicy, examine_checkpoint, parse_policy
from auditor.proof.signing import Verifier, key_id, load_verifier
from auditor.proof.strict_json import (
    as_base64,
    as_list,
    as_object,
    as_text,
    exact_fields,
    read_object,
)

FORMAT = "auditor-trust/v2"
LARGEST_TRUST_FILE = 1 << 20
SEAL_LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")  # ETSI EN 319 142-1 baseline levels

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_PEM = re.compile(
    r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n?", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementKey:
    """A public key that may sign statements.

    Attributes:
        key_id: `auditor.proof.signing.key_id` of the key.
        algorithm: ``ed25519`` or ``ml-dsa-65``.
        public: raw public key, base64.
        role: what it may sign, e.g. ``statement``.
        valid_from: RFC 3339 UTC.
        valid_until: RFC 3339 UTC, or empty.
        revoked_at: RFC 3339 UTC, or empty.
    """

    key_id: str
    algorithm: str
    public: str
    role: str
    valid_from: str
    valid_until: str = ""
    revoked_at: str = ""

    def verifier(self) -> Verifier:
        """The key, ready to verify with."""
        return load_verifier(self.algorithm, b64decode(self.public))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFile:
    """Keys, roots and the newest known checkpoint.

    Attributes:
        log_origin: the ledger's name, first line of the checkpoints it signs now.
        log_policy: keys of the ledger and of its witnesses, and the quorum, as C2SP tlog-policy
            text; it may list origins that the ledger signed under before.
        statement_keys: every key that ever signed statements.
        seal_roots: PEM certificates that PDF seals must chain to.
        timestamp_roots: PEM certificates that the time stamps of seals must chain to.
        minimum_seal_level: least PAdES baseline level accepted.
        checkpoint: the newest known checkpoint as a signed note, or empty.
    """

    log_origin: str
    log_policy: str
    statement_keys: tuple[StatementKey, ...]
    seal_roots: tuple[str, ...]
    minimum_seal_level: str = "B-B"
    checkpoint: str = ""
    timestamp_roots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.policy.keys_of(self.log_origin):
            raise ProofError("the trust file's log policy has no key of the log's origin")
        if self.minimum_seal_level not in SEAL_LEVELS:
            raise ProofError(f"the trust file's seal level is none of {', '.join(SEAL_LEVELS)}")
        for key in self.statement_keys:
            _check_key(key)
        if len({key.public for key in self.statement_keys}) != len(self.statement_keys):
            raise ProofError("the trust file lists a statement key twice")
        if not all(_PEM.fullmatch(root) for root in (*self.seal_roots, *self.timestamp_roots)):
            raise ProofError("a root of the trust file is not one PEM certificate")
        if self.checkpoint:
            # dated by itself: whether its time lies ahead of the clock is the reader's to ask
            examine_checkpoint(self.checkpoint, self.policy, END_OF_TIME)

    @property
    def policy(self) -> LogPolicy:
        """The log policy, read."""
        return parse_policy(self.log_policy)


def parse_trust(data: bytes) -> TrustFile:
    """Read a trust file.

    Raises:
        ProofError: too large, not JSON, a field missing, unknown or of the wrong form, a key
            that doesn't match its id, or a checkpoint that the log didn't sign.
    """
    value = dict(read_object(data, "the trust file", LARGEST_TRUST_FILE))
    if value.pop("format", None) != FORMAT:
        raise ProofError(f"this is not a trust file ({FORMAT})")
    value.setdefault("timestamp_roots", [])
    exact_fields(value, {field.name for field in fields(TrustFile)}, "the trust file")
    texts = {
        name: as_text(value[name], f"the trust file's {name}")
        for name in ("log_origin", "log_policy", "minimum_seal_level", "checkpoint")
    }
    return TrustFile(
        statement_keys=tuple(
            _statement_key(as_object(item, "a statement key of the trust file"))
            for item in as_list(value["statement_keys"], "the trust file's statement_keys")
        ),
        seal_roots=tuple(
            as_text(item, "a seal root of the trust file")
            for item in as_list(value["seal_roots"], "the trust file's seal_roots")
        ),
        timestamp_roots=tuple(
            as_text(item, "a time stamp root of the trust file")
            for item in as_list(value["timestamp_roots"], "the trust file's timestamp_roots")
        ),
        **texts,
    )


def trust_bytes(trust: TrustFile) -> bytes:
    """The file's bytes: JSON with sorted keys, indented for reading, one newline at the end."""
    document: dict[str, object] = {
        "format": FORMAT,
        "log_origin": trust.log_origin,
        "log_policy": trust.log_policy,
        "statement_keys": [
            {field.name: getattr(key, field.name) for field in fields(StatementKey)}
            for key in trust.statement_keys
        ],
        "seal_roots": list(trust.seal_roots),
        "minimum_seal_level": trust.minimum_seal_level,
        "checkpoint": trust.checkpoint,
    }
    if trust.timestamp_roots:
        document["timestamp_roots"] = list(trust.timestamp_roots)
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True)
    return f"{text}\n".encode()


def fingerprint(data: bytes) -> str:
    """SHA-256 of what the file vouches for, in groups of four digits fit to be read out.

    The newest checkpoint is left out: it moves with every entry, and is itself signed by the log
    key, so the fingerprint told once stays good for as long as keys and roots do.

    Raises:
        ProofError: not a trust file.
    """
    document = dict(read_object(data, "the trust file", LARGEST_TRUST_FILE))
    parse_trust(data)
    del document["checkpoint"]
    lasting = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(lasting.encode("utf-8")).hexdigest()
    return " ".join(digest[start : start + 4] for start in range(0, len(digest), 4))


def _statement_key(value: Mapping[str, object]) -> StatementKey:
    what = "a statement key of the trust file"
    exact_fields(value, {field.name for field in fields(StatementKey)}, what)
    return StatementKey(**{name: as_text(item, what) for name, item in value.items()})


def _check_key(key: StatementKey) -> None:
    public = as_base64(key.public, "a statement key of the trust file")
    load_verifier(key.algorithm, public)
    if key.key_id != key_id(key.algorithm, public):
        raise ProofError("a statement key of the trust file doesn't match its key id")
    if not key.role:
        raise ProofError("a statement key of the trust file has no role")
    if not all(_is_instant(text) for text in (key.valid_from, key.valid_until, key.revoked_at)):
        raise ProofError("a statement key of the trust file has a time that isn't RFC 3339 UTC")
    if not key.valid_from:
        raise ProofError("a statement key of the trust file has no start of validity")


def _is_instant(text: str) -> bool:
    if not text:
        return True
    if not _INSTANT.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
