"""Requests in every state that letters, exports and reports tell of."""

from __future__ import annotations

from datetime import UTC, date, datetime

from auditor.domain.request import DecisionKind, DecisionReason, Ground, Regime
from auditor.workflow.desk.desk import decide
from auditor.workflow.homes.home import Home
from tests.workflow import desks


def today() -> date:
    return datetime.now(UTC).date()


def filed(
    home: Home,
    subject: str = "patient-4711",
    *,
    regime: Regime = Regime.GDPR,
    ground: Ground = Ground.CONSENT_WITHDRAWN,
    received: date | None = None,
) -> str:
    """A request of today for the one model of `tests.cli.conftest.stock`."""
    return desks.filed(home, subject, regime=regime, ground=ground, received=received or today())


def refused(home: Home, case: str) -> str:
    decide(home, case, DecisionKind.REFUSED, reason=DecisionReason.NO_GROUND)
    return case
