"""Whose signatures an envelope holds: pairs of Ed25519 and ML-DSA-65 by keys of the trust file.

Every role has keys of its own: ``statement`` for whoever performs and states, ``approval`` for
whoever has looked at it besides, ``serving`` for what answers requests with the model, ``desk`` for
whoever decides on requests. A trust file lists no key twice, so no key has two roles.
"""

from __future__ import annotations

from auditor.errors import ProofError
from auditor.proof.dsse import verify_envelope
from auditor.proof.signing import ED25519, ML_DSA_65
from auditor.proof.trust import StatementKey, TrustFile

PERFORMER = "statement"
APPROVER = "approval"
ENDPOINT = "serving"
DESK = "desk"
ALGORITHMS = (ED25519, ML_DSA_65)


def signed_by(envelope: bytes, trust: TrustFile, role: str) -> tuple[StatementKey, ...]:
    """The role's keys whose signatures the envelope holds, one for each algorithm.

    Raises:
        ProofError: an algorithm's signature is missing, or its key is revoked.
    """
    return tuple(_signed_by(envelope, trust, role, algorithm) for algorithm in ALGORITHMS)


def in_force(key: StatementKey, day: str) -> bool:
    """Whether the key is not revoked and valid on a day (ISO 8601)."""
    until = key.valid_until[:10] or day
    return not key.revoked_at and key.valid_from[:10] <= day <= until


def require_in_force(keys: tuple[StatementKey, ...], day: str) -> None:
    """See that all of these keys may have signed on a day.

    Raises:
        ProofError: one mayn't.
    """
    for key in keys:
        if not in_force(key, day):
            raise ProofError(
                f"{key.algorithm} key {key.key_id} was not in force on the day of issue"
            )


def keys_in_force(trust: TrustFile, role: str, day: str) -> tuple[StatementKey, ...]:
    """Keys of a role that may have signed on a day."""
    return tuple(key for key in trust.statement_keys if key.role == role and in_force(key, day))


def _signed_by(envelope: bytes, trust: TrustFile, role: str, algorithm: str) -> StatementKey:
    revoked: StatementKey | None = None
    for key in trust.statement_keys:
        if (key.algorithm, key.role) != (algorithm, role) or not _has_signed(envelope, key):
            continue
        if not key.revoked_at:
            return key
        revoked = key
    if revoked is not None:
        # without trusted time nobody can tell a signature made before from one after
        raise ProofError(f"{algorithm} key {revoked.key_id} is revoked")
    of = "" if role == PERFORMER else f" of the role {role}"
    raise ProofError(f"no good {algorithm} signature by a key{of} of the trust file")


def _has_signed(envelope: bytes, key: StatementKey) -> bool:
    try:
        verify_envelope(envelope, [key.verifier()])
    except ProofError:
        return False
    return True
