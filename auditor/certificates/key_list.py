"""The signed list of keys: a newer trust file that follows from the one a verifier holds.

A trust file lists every statement and approval key with its days and its revocation. Each change of
it is an entry of the ledger, so the log's keys, and the witnesses that the verifier asks for, vouch
for the newer one: keys can be rotated and revoked without telling a fingerprint anew. Statement
keys have no say in it; whoever steals one can't add another.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime

from auditor.certificates.asked import asked_otherwise
from auditor.domain.artefact import Digest
from auditor.domain.event import HomeCreated, TrustChanged, event_from
from auditor.errors import InvalidCertificateError
from auditor.proof.checkpoint import Checkpoint, parse_checkpoint
from auditor.proof.log_policy import require_quorum
from auditor.proof.tlog_proof import carried_entry, examine_tlog_proof
from auditor.proof.trust import StatementKey, TrustFile, trust_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChanges:
    """How a newer trust file differs from the one at hand.

    Attributes:
        entry: the newer one's, in the ledger.
        added: ids of statement keys, as those of `ended` and `revoked`.
        asked: what else it asks for otherwise, a line each (`auditor.certificates.asked`).
    """

    entry: int
    added: tuple[str, ...]
    ended: tuple[str, ...]
    revoked: tuple[str, ...]
    asked: tuple[str, ...]


def listed_as(trust: TrustFile) -> Digest:
    """What the ledger knows a trust file by: its digest without the checkpoint, which moves."""
    return Digest.of(trust_bytes(replace(trust, checkpoint="")))


def verify_key_list(held: TrustFile, offered: TrustFile, proof: str, now: datetime) -> KeyChanges:
    """Does a newer trust file follow from the one at hand?

    A witness, a quorum, a root or a seal level may rightly be given up. So an older file can't be
    told by what it asks for, but by its place: every change that the checkpoint of the file at hand
    covers is in that file already, or was undone before it.

    Args:
        proof: that the newer one stands in the ledger, which lies beside it.

    Raises:
        ProofError: the proof doesn't hold by the keys of the file at hand.
        InvalidCertificateError: it is about another file, or the file takes back an end or a
            revocation, or leaves a key out, or is no newer: an older one, put back.
    """
    entry = carried_entry(proof)
    index, found = examine_tlog_proof(proof, entry, held.policy, int(now.timestamp()))
    require_quorum(found, held.policy)
    if _trust_of(entry) != listed_as(offered):
        raise InvalidCertificateError("the ledger's entry is about another trust file")
    newer = {key.key_id: key for key in offered.statement_keys}
    for key in held.statement_keys:
        if not _follows(key, newer.get(key.key_id)):
            raise InvalidCertificateError(
                f"the newer file takes back what is known of {key.algorithm} key {key.key_id}"
            )
    if listed_as(offered) != listed_as(held):
        _require_later(held, index, found.checkpoint)
    older = {key.key_id: key for key in held.statement_keys}
    return KeyChanges(
        entry=index,
        added=tuple(name for name in newer if name not in older),
        ended=tuple(n for n, key in older.items() if not key.valid_until and newer[n].valid_until),
        revoked=tuple(n for n, key in older.items() if not key.revoked_at and newer[n].revoked_at),
        asked=asked_otherwise(held, offered),
    )


def _require_later(held: TrustFile, entry: int, proved_in: Checkpoint) -> None:
    covered = parse_checkpoint(held.checkpoint).size if held.checkpoint else 0
    if entry < covered or proved_in.origin != held.log_origin:
        raise InvalidCertificateError(
            f"that file isn't newer than yours: it stands in entry {entry}, and yours is from when "
            f"the ledger had {covered} entries; get the newest one and its proof"
        )


def _follows(old: StatementKey, new: StatementKey | None) -> bool:
    """The same key; an end or a revocation may have come, none may have gone."""
    if new is None:
        return False
    kept = replace(
        new,
        valid_until=old.valid_until and new.valid_until,
        revoked_at=old.revoked_at and new.revoked_at,
    )
    return kept == old


def _trust_of(entry: bytes) -> Digest:
    try:
        fields = json.loads(entry)
        event = event_from(fields["kind"], fields["data"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidCertificateError("the ledger's entry can't be read") from None
    if not isinstance(event, (HomeCreated, TrustChanged)):
        raise InvalidCertificateError("the ledger's entry is about something else than keys")
    return event.trust
