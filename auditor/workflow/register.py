"""The register of cases: one line each, for lists and reports.

A projection of the ledger (`auditor.ledger.projection`): what is signed is never read from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from auditor.domain import event as ev
from auditor.domain.entry import Recorded
from auditor.domain.request import Ground, Outcome, Regime
from auditor.domain.verdict import Verdict
from auditor.errors import MisuseError
from auditor.ledger.projection import Projection, State, project
from auditor.workflow.home import Home
from auditor.workflow.record import CASE_PREFIX, case_stream

# Where a case stands only ever moves on; decisions change it while it hasn't begun.
_RUNNING, _VERDICT, _CLOSED = "running", "verdict reached", "closed"
_SUPERSEDED, _WITHDRAWN = "superseded", "withdrawn"
_ORDER = {_RUNNING: 1, _VERDICT: 2, _CLOSED: 3, _SUPERSEDED: 4, _WITHDRAWN: 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLine:
    """One line of the register."""

    case: str
    received: date
    regime: Regime
    ground: Ground
    model: str
    state: str
    verdict: Verdict | None
    outcome: Outcome | None


def list_cases(home: Home) -> tuple[CaseLine, ...]:
    """Every case, oldest first; from the snapshot and what was written since."""
    states = project(home.ledger, REGISTER, home.snapshots).values()
    return tuple(_line(state) for state in sorted(states, key=lambda state: int(state["filed"])))


def case_line(home: Home, case: str) -> CaseLine:
    """The line of one case, from its entries alone.

    Raises:
        MisuseError: no such case.
    """
    state: State | None = None
    for recorded in home.ledger.replay(case_stream(case)):
        state = _fold(state, recorded)
    if state is None:
        raise MisuseError(f"no case {case}; see `auditor request list`")
    return _line(state)


def _key(recorded: Recorded) -> str | None:
    is_case = recorded.stream.startswith(CASE_PREFIX)
    return recorded.stream.removeprefix(CASE_PREFIX) if is_case else None


def _fold(state: State | None, recorded: Recorded) -> State:
    event, state = recorded.event, state or {}
    match event:
        case ev.ErasureRequested():
            return {
                "filed": str(recorded.sequence),
                "case": event.case,
                "received": event.received.isoformat(),
                "regime": event.regime.value,
                "ground": event.ground.value,
                "model": event.model,
                "state": "received",
                "verdict": "",
                "outcome": "",
            }
        case ev.RequestDecided():
            return _moved(state, event.decision.value)
        case ev.PlanPinned():
            return _moved(state, _RUNNING)
        case ev.VerdictReached():
            return {**_moved(state, _VERDICT), "verdict": event.verdict.value}
        case ev.CertificateIssued():
            return {**_moved(state, _CLOSED), "outcome": event.outcome.value}
        case ev.CertificateWithdrawn():
            return _moved(state, _WITHDRAWN)
        case ev.CertificateSuperseded():
            return _moved(state, _SUPERSEDED)
        case _:
            return state


def _moved(state: State, to: str) -> State:
    behind = _ORDER.get(to, 0) < _ORDER.get(state["state"], 0)
    return state if behind else {**state, "state": to}


def _line(state: State) -> CaseLine:
    return CaseLine(
        case=state["case"],
        received=date.fromisoformat(state["received"]),
        regime=Regime(state["regime"]),
        ground=Ground(state["ground"]),
        model=state["model"],
        state=state["state"],
        verdict=Verdict(state["verdict"]) if state["verdict"] else None,
        outcome=Outcome(state["outcome"]) if state["outcome"] else None,
    )


REGISTER = Projection(name="register/v1", key=_key, fold=_fold)
