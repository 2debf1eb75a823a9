"""A case's last audit, as a bundle that a third party can replay."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.domain import event as ev
from auditor.errors import MisuseError
from auditor.verification.bundle import Manifest
from auditor.verification.plan import Pinned
from auditor.workflow.audit.bundling import stored_outcome
from auditor.workflow.desk.desk import require_case
from auditor.workflow.desk.quarter_plans import place_among_plans
from auditor.workflow.documents.notary import prove_event
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream
from auditor.workflow.homes.steps import last_audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What goes into a bundle (`pack_bundle`).

    Attributes:
        scores: None where they are withheld.
    """

    manifest: Manifest
    scores: bytes | None


def export_audit(home: Home, case: str, *, with_scores: bool) -> Exported:
    """The audit that decided a case, for a bundle.

    Args:
        with_scores: hand over every model's scores on every image, too; they tell who was in the
            training set.

    Raises:
        MisuseError: no such case, no audit, or no scores were kept.
        CertificateError: too few witnesses answer for the proof.
    """
    state = require_case(home, case)
    audited = last_audit(state)
    if audited is None:
        raise MisuseError(f"case {case} has no audit to export")
    scores = next(
        (
            item.scores
            for item in state.kept_scores
            if (item.attempt, item.role) == (audited.attempt, audited.role)
        ),
        None,
    )
    if with_scores and scores is None:
        raise MisuseError(
            f"no scores of case {case} are here; they are kept where `auditor run` is told "
            "--keep-scores, until their last day"
        )
    evidence, decision = stored_outcome(home.store.get(audited.evidence))
    pinned = _pinned(home, case)
    return Exported(
        manifest=Manifest(
            plan=pinned.plan,
            place=pinned.place,
            recorded=audited.evidence,
            evidence=evidence,
            decision=decision,
            proof=prove_event(home, case, audited),
        ),
        scores=home.store.get(scores) if with_scores and scores else None,
    )


def _pinned(home: Home, case: str) -> Pinned:
    for entry in home.ledger.replay(case_stream(case)):
        if isinstance(entry.event, ev.PlanPinned):
            place = place_among_plans(home.ledger, entry)
            return Pinned.read(entry, home.store.get(entry.event.plan), place=place)
    raise MisuseError(f"case {case} has no pinned plan")
