"""A quarter's plans in the order of the ledger: what a case's level across cases hangs on.

The order is that of entries already written, so cases that run at the same time never take the same
place, and no place changes afterwards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from auditor.domain import event as ev
from auditor.domain.case import ErasureCase
from auditor.domain.codec import typed
from auditor.domain.entry import Recorded
from auditor.domain.evidence import AcrossCases
from auditor.domain.verdict import Verdict
from auditor.ledger.ledger import Ledger
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX
from auditor.workflow.homes.steps import last_audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a case's last audit adds to its quarter.

    Attributes:
        failed: its verdict was FAILED.
        alpha: chance that a true retrain's would have been.
        confirmed: FAILED also where alpha is spent over all of the quarter's cases.
    """

    failed: bool
    alpha: float
    confirmed: bool


def find_finding(home: Home, state: ErasureCase) -> Finding | None:
    """A case's finding; None where no candidate of it was audited."""
    audited = last_audit(state)
    if audited is None:
        return None
    failed = audited.verdict is Verdict.FAILED
    stored = json.loads(home.store.get(audited.evidence))["evidence"]
    known = "across" in stored  # earlier versions looked at each case alone
    confirmed = known and typed(AcrossCases, stored["across"]).confirmed
    alpha = float(json.loads(home.store.get(audited.plan))["alpha"])
    return Finding(failed=failed, alpha=alpha, confirmed=failed and confirmed)


def place_among_plans(ledger: Ledger, entry: Recorded) -> int:
    """Place of the entry among all that pinned a case's plan in its quarter, from 1."""
    return sum(
        isinstance(other.event, ev.PlanPinned)
        and other.sequence <= entry.sequence
        and _quarter(other) == _quarter(entry)
        for stream in ledger.streams(CASE_PREFIX)
        for other in ledger.replay(stream)
    )


def _quarter(entry: Recorded) -> tuple[str, int]:
    """Year and quarter by the writer's clock."""
    return entry.recorded_at[:4], (int(entry.recorded_at[5:7]) - 1) // 3
