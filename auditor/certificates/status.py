"""Signed status statements: what the issuer says of a document after it was issued.

A PDF can't tell whether it was withdrawn since. A status can, for a while: an in-toto Statement v1
about the PDF's digest in a DSSE envelope by the statement keys, with the moment it speaks of, the
moment until which it counts as fresh, and the ledger's size then (docs/status.md).

    envelope = sign_envelope(PAYLOAD_TYPE, status_bytes(facts), signers)
    held, detail = judge_statuses([envelope], trust, document, now=now)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from auditor.certificates.signatures import PERFORMER, require_in_force, signed_by
from auditor.certificates.statement import PAYLOAD_TYPE, STATEMENT_TYPE
from auditor.domain.artefact import Digest
from auditor.domain.canonical import Canonical, canonical_bytes
from auditor.errors import CertificateError, InvalidCertificateError, ProofError
from auditor.proof.checkpoint import Checkpoint, parse_checkpoint
from auditor.proof.dsse import verify_envelope
from auditor.proof.log_policy import CLOCK_TOLERANCE
from auditor.proof.trust import TrustFile

STATUS_TYPE = "urn:auditor:certificate-status:v1"
LARGEST_STATUS = 1 << 16
LONGEST_FRESH = 92
"""Days; nobody may declare for longer than about a quarter that nothing will change."""

_ANOTHER = "the status is about another document"
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The document in question, as it stands in a ledger of the trust file.

    Attributes:
        pdf: of its bytes.
    """

    case: str
    pdf: Digest


class State(StrEnum):
    """What the issuer says of a document."""

    GOOD = "good"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFacts:
    """What one status says.

    Attributes:
        pdf: of the document's bytes.
        as_of: the moment it speaks of, UTC, whole seconds, by the issuer's clock.
        fresh_until: the moment after which it tells nothing of a good document any more.
        ledger: the newest checkpoint at that moment.
        reason: a token, where withdrawn; else empty.
        superseded_by: of the document that took its place.
    """

    case: str
    pdf: Digest
    state: State
    as_of: datetime
    fresh_until: datetime
    ledger: Checkpoint
    reason: str = ""
    superseded_by: Digest | None = None

    def __post_init__(self) -> None:
        """Refuse a state without what it needs, or a window that is too long (CertificateError)."""
        window = self.fresh_until - self.as_of
        if not timedelta(0) < window <= timedelta(days=LONGEST_FRESH):
            raise CertificateError(f"a status is fresh for at most {LONGEST_FRESH} days")
        if (self.state is State.WITHDRAWN) != bool(self.reason):
            raise CertificateError("exactly a withdrawn document's status names a reason")
        if (self.state is State.SUPERSEDED) != (self.superseded_by is not None):
            raise CertificateError("exactly a superseded document's status names its successor")


def status_bytes(facts: StatusFacts) -> bytes:
    """Canonical bytes of a status, to be signed."""
    predicate: dict[str, Canonical] = {
        "case": facts.case,
        "state": facts.state.value,
        "asOf": facts.as_of.strftime(_INSTANT),
        "freshUntil": facts.fresh_until.strftime(_INSTANT),
        "ledger": {
            "origin": facts.ledger.origin,
            "size": facts.ledger.size,
            "root": facts.ledger.root.hex(),
        },
    }
    if facts.reason:
        predicate["reason"] = facts.reason
    if facts.superseded_by is not None:
        predicate["supersededBy"] = str(facts.superseded_by)
    return canonical_bytes(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {
                    "name": f"{facts.case}.pdf",
                    "digest": {facts.pdf.algorithm: facts.pdf.value},
                }
            ],
            "predicateType": STATUS_TYPE,
            "predicate": predicate,
        }
    )


def parse_status(payload: bytes) -> StatusFacts:
    """Read a status, refusing whatever `status_bytes` couldn't have written.

    Raises:
        CertificateError: it isn't one.
    """
    try:
        facts = _facts(json.loads(payload.decode("utf-8")))
        same = status_bytes(facts) == payload
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ProofError):
        raise CertificateError("this is no status of a document") from None
    if not same:
        raise CertificateError("this is no status of a document")
    return facts


def judge_status(
    envelope: bytes, trust: TrustFile, document: Document, *, now: datetime
) -> tuple[bool | None, str]:
    """What a status that came with a document says of it.

    One that is forged, stale or about something else says nothing, neither good nor bad: whoever
    hands it over could have left it out. But a case has one document, and a true status of the
    same case about another file says that this one isn't it, whichever of the trust file's origins
    each stands under: they are names of one ledger.

    Returns:
        True where the document is good and the status fresh, None where nothing can be told; and
        why.

    Raises:
        InvalidCertificateError: the document was withdrawn or superseded, or another file is the
            document of its case; that doesn't grow stale.
    """
    try:
        facts = _trusted(envelope, trust)
    except (ProofError, CertificateError) as error:
        return None, f"the status can't be relied on: {error}"
    if facts.pdf != document.pdf:
        if facts.case != document.case:
            return None, _ANOTHER
        raise InvalidCertificateError("the issuer's status of this case is about another file")
    if facts.state is State.WITHDRAWN:
        raise InvalidCertificateError(f"withdrawn by its issuer: {facts.reason}")
    if facts.state is State.SUPERSEDED:
        raise InvalidCertificateError(f"superseded by {facts.superseded_by}")
    stale = _why_stale(facts, trust, now)
    return (None, f"{stale}; ask for a fresh status") if stale else (True, _good(facts))


def judge_statuses(
    envelopes: Sequence[bytes], trust: TrustFile, document: Document, *, now: datetime
) -> tuple[bool | None, str]:
    """What all statuses at hand say of one document: a good one counts only if none is bad.

    Returns:
        As `judge_status`; where nothing can be told, why not by one that is about this document,
        if there is any.

    Raises:
        InvalidCertificateError: as `judge_status`, by any of them.
    """
    told = [judge_status(envelope, trust, document, now=now) for envelope in envelopes]
    told.sort(key=lambda each: (each[0] is None, each[1] == _ANOTHER))
    return told[0] if told else (None, "no status at hand (verify --status FILE)")


def _trusted(envelope: bytes, trust: TrustFile) -> StatusFacts:
    if len(envelope) > LARGEST_STATUS:
        raise CertificateError("it is larger than any that is ever signed")
    keys = signed_by(envelope, trust, PERFORMER)
    opened = verify_envelope(envelope, [key.verifier() for key in keys])
    if opened.payload_type != PAYLOAD_TYPE:
        raise CertificateError("the envelope holds something other than a statement")
    facts = parse_status(opened.payload)
    require_in_force(keys, facts.as_of.date().isoformat())
    if not trust.policy.keys_of(facts.ledger.origin):
        raise CertificateError("it speaks of another ledger")
    return facts


def _why_stale(facts: StatusFacts, trust: TrustFile, now: datetime) -> str:
    if facts.as_of > now + timedelta(seconds=CLOCK_TOLERANCE):
        return f"the status is of {facts.as_of.strftime(_INSTANT)}, which is yet to come"
    if now > facts.fresh_until:
        return f"the status was fresh until {facts.fresh_until.strftime(_INSTANT)}"
    if facts.ledger.origin != trust.log_origin:
        return (
            f"the status is of when the ledger was {facts.ledger.origin}, the trust file has it "
            f"go on as {trust.log_origin}"
        )
    if trust.checkpoint:
        known = parse_checkpoint(trust.checkpoint)
        if known.origin == facts.ledger.origin and known.size > facts.ledger.size:
            return (
                f"the status is of when the ledger had {facts.ledger.size} entries, the trust "
                f"file's checkpoint has {known.size}"
            )
    return ""


def _good(facts: StatusFacts) -> str:
    until = facts.fresh_until.strftime(_INSTANT)
    return f"good as of {facts.as_of.strftime(_INSTANT)}, fresh until {until}"


def _facts(statement: Mapping[str, Any]) -> StatusFacts:
    ((subject,), said) = statement["subject"], statement["predicate"]
    ledger, successor = said["ledger"], said.get("supersededBy")
    return StatusFacts(
        case=said["case"],
        pdf=Digest(value=subject["digest"]["sha256"]),
        state=State(said["state"]),
        as_of=_instant(said["asOf"]),
        fresh_until=_instant(said["freshUntil"]),
        ledger=Checkpoint(
            origin=ledger["origin"], size=ledger["size"], root=bytes.fromhex(ledger["root"])
        ),
        reason=said.get("reason", ""),
        superseded_by=None if successor is None else Digest.parse(successor),
    )


def _instant(text: str) -> datetime:
    return datetime.strptime(text, _INSTANT).replace(tzinfo=UTC)
