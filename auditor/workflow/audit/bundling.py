"""Evidence bundles: made from a case's last audit, and held against the ledger's proof of it."""

from __future__ import annotations

import json
from datetime import datetime

from auditor.domain import event as ev
from auditor.domain.codec import typed
from auditor.domain.evidence import Evidence
from auditor.domain.verdict import Decision
from auditor.errors import InvalidCertificateError, ProofError
from auditor.proof.tlog_proof import carried_entry, examine_tlog_proof
from auditor.proof.trust import TrustFile
from auditor.verification.bundle import Manifest


def verify_manifest(manifest: Manifest, trust: TrustFile, now: datetime) -> ev.CandidateVerified:
    """See that plan, evidence and decision are what the ledger holds of the audit.

    Args:
        trust: of the home that exported it, had by another way than the bundle.

    Raises:
        InvalidCertificateError: the ledger holds no such audit, or another one.
    """
    try:
        entry = carried_entry(manifest.proof)
        examine_tlog_proof(manifest.proof, entry, trust.policy, int(now.timestamp()))
        fields = json.loads(entry)
        event = ev.event_from(fields["kind"], fields["data"])
    except (ProofError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidCertificateError(f"the bundle's ledger proof doesn't hold: {error}") from None
    if not isinstance(event, ev.CandidateVerified):
        raise InvalidCertificateError("the bundle's ledger proof is of no audit")
    said = (event.case, event.plan, event.evidence, event.verdict, event.weights, event.role)
    evidence = manifest.evidence
    if said != (
        manifest.plan.case,
        manifest.plan.digest,
        manifest.recorded,
        manifest.decision.verdict,
        evidence.weights,
        evidence.role,
    ):
        raise InvalidCertificateError("the bundle isn't of the audit that the ledger holds")
    return event


def stored_outcome(content: bytes) -> tuple[Evidence, Decision]:
    """Evidence and decision as `outcome_bytes` wrote them."""
    stored = json.loads(content)
    return typed(Evidence, stored["evidence"]), typed(Decision, stored["decision"])
