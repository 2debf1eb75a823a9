"""A quarter's plans in the order of the ledger: what a case's level across cases hangs on.

The order is that of entries already written, so cases that run at the same time never take the same
place, and no place changes afterwards.
"""

from __future__ import annotations

from auditor.domain import event as ev
from auditor.domain.entry import Recorded
from auditor.ledger.ledger import Ledger
from auditor.workflow.record import CASE_PREFIX


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
