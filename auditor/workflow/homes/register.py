"""The register of cases: one line each, for lists and reports.

A projection of the ledger (`auditor.ledger.projection`): what is signed is never read from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from auditor.domain import event as ev
from auditor.domain.entry import Recorded
from auditor.domain.request import DecisionKind, Ground, IdentityResult, Outcome, Regime
from auditor.domain.verdict import Verdict
from auditor.errors import MisuseError
from auditor.ledger.projection import Projection, State, project
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, case_stream

# Where a case stands only ever moves on; decisions change it while it hasn't begun.
_RUNNING, _VERDICT, _CLOSED = "running", "verdict reached", "closed"
_SUPERSEDED, _WITHDRAWN = "superseded", "withdrawn"
_ORDER = {_RUNNING: 1, _VERDICT: 2, _CLOSED: 3, _SUPERSEDED: 4, _WITHDRAWN: 5}


_YES, _LIFTED = "yes", "lifted"


class WaitsFor(StrEnum):
    """Who has to do something next."""

    REQUESTER = "requester"
    DESK = "desk"
    SECOND = "second pair of eyes"
    OPERATOR = "operator"
    APPROVER = "approver"
    RECIPIENTS = "recipients"
    NOBODY = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLine:
    """One line of the register.

    Attributes:
        course: all that the day depends on by which the case is to be answered, signatures
            included, as what nobody vouches for moves no day; cases of one course have one day.
        paused: the time limit stands still (Art. 12A UK GDPR).
        restricted: processing of the subjects' data is held (Art. 18 GDPR).
        ever_restricted: it is, or was once.
    """

    case: str
    received: date
    regime: Regime
    ground: Ground
    model: str
    state: str
    verdict: Verdict | None
    outcome: Outcome | None
    waits_for: WaitsFor
    course: str
    paused: bool
    restricted: bool
    ever_restricted: bool


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
            return _filed(event, recorded)
        case ev.RequestDecided():
            return _decided(state, event, recorded)
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
            return _fold_desk(state, recorded)


def _fold_desk(state: State, recorded: Recorded) -> State:
    match recorded.event:
        case ev.DecisionProposed():
            return {**state, "proposed": _YES}
        case ev.IdentityChecked() as checked:
            return {**state, "identity": checked.result.value}
        case ev.ClockStopped() as stopped:
            word = f"stopped {stopped.on} {stopped.signature}"
            return {**_on_course(state, word), "paused": _YES}
        case ev.ClockResumed() as resumed:
            word = f"resumed {resumed.on} {resumed.signature}"
            return {**_on_course(state, word), "paused": ""}
        case ev.PoliciesRepinned() as repinned:
            return _on_course(state, f"repinned {repinned.after} {repinned.signature}")
        case ev.ProcessingRestricted():
            return {**state, "restricted": _YES}
        case ev.RestrictionLifted():
            return {**state, "restricted": _LIFTED}
        case ev.RecipientRecorded() as recipient:
            left = f"{state['uninformed']} {recipient.recipient}"
            return {**state, "uninformed": left.strip()}
        case ev.RecipientInformed() as informed:
            names = state["uninformed"].split()
            left = " ".join(name for name in names if name != informed.recipient)
            return {**state, "uninformed": left}
        case ev.ApprovalRequested():
            return {**state, "drafted": _YES}
        case ev.ApprovalDeclined() | ev.StatementApproved():
            return {**state, "drafted": ""}
        case _:
            return state


def _filed(event: ev.ErasureRequested, recorded: Recorded) -> State:
    course = (event.policies, event.regime.value, event.ground.value, event.received)
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
        "decision": "",
        "proposed": "",
        "identity": "",
        "paused": "",
        "restricted": "",
        "uninformed": "",
        "drafted": "",
        "course": " ".join(map(str, (*course, event.time_zone, _day(recorded)))),
    }


def _decided(state: State, event: ev.RequestDecided, recorded: Recorded) -> State:
    """An extension moves a day and nothing else."""
    if event.decision is DecisionKind.EXTENDED:
        return _on_course(state, f"extended {_day(recorded)} {event.signature}")
    return {**_moved(state, event.decision.value), "decision": event.decision.value, "proposed": ""}


def _on_course(state: State, word: str) -> State:
    return {**state, "course": f"{state['course']}; {word}"}


def _day(recorded: Recorded) -> str:
    """To the hour: where it counts as another day depends on the zone."""
    return recorded.recorded_at[:13]


def _moved(state: State, to: str) -> State:
    behind = _ORDER.get(to, 0) < _ORDER.get(state["state"], 0)
    return state if behind else {**state, "state": to}


def _waits_for(state: State) -> WaitsFor:
    if state["outcome"]:
        return WaitsFor.RECIPIENTS if state["uninformed"] else WaitsFor.NOBODY
    if state["drafted"]:
        return WaitsFor.APPROVER
    if state["proposed"]:
        return WaitsFor.SECOND
    if state["decision"] in (DecisionKind.REFUSED, DecisionKind.WITHDRAWN):
        return WaitsFor.OPERATOR
    if state["paused"] or state["identity"] == IdentityResult.DOUBTED:
        return WaitsFor.REQUESTER
    return WaitsFor.OPERATOR if state["decision"] == DecisionKind.GRANTED else WaitsFor.DESK


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
        waits_for=_waits_for(state),
        course=state["course"],
        paused=state["paused"] != "",
        restricted=state["restricted"] == _YES,
        ever_restricted=state["restricted"] != "",
    )


REGISTER = Projection(name="register/v3", key=_key, fold=_fold)
