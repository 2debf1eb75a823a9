"""What the desk does about a request besides deciding it: identity, clock, restriction."""

from __future__ import annotations

from datetime import date

from auditor.domain import event as ev
from auditor.domain.case import ErasureCase
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.entry import Recorded
from auditor.domain.request import IdentityResult, PauseReason, Regime
from auditor.errors import MisuseError
from auditor.workflow.desk.desk import require_case, today_of
from auditor.workflow.desk.signing import Hand, enter
from auditor.workflow.homes.home import Home


def check_identity(
    home: Home, case: str, result: IdentityResult, by: Hand, on: date | None = None
) -> Recorded:
    """Record whether the person who asked is the person concerned (Art. 12(6), 11(2) GDPR).

    Args:
        on: day of the check; None for today.

    Raises:
        MisuseError: unknown case, one with its document, or a day that can't be.
    """
    state = _open(home, case)
    event = ev.IdentityChecked(
        case=case, result=result, on=day_in(state, on), actor=by.role, signature=UNSIGNED
    )
    return enter(home, event, by)


def stop_clock(
    home: Home, case: str, reason: PauseReason, by: Hand, on: date | None = None
) -> Recorded:
    """Let the time limit stand still while something is asked of the requester (Art. 12A UK GDPR).

    Raises:
        MisuseError: another law than the UK GDPR, the clock stands still already, or it stood still
            on that day before.
    """
    state = _open(home, case)
    if state.requested is not None and state.requested.regime is not Regime.UK_GDPR:
        raise MisuseError(
            f"the clock stops for nobody under {state.requested.regime.value}; only the UK GDPR "
            "knows that"
        )
    if state.paused is not None:
        raise MisuseError(f"the clock of case {case} stands still since {state.paused.on}")
    day = day_in(state, on)
    if state.resumed is not None and day < state.resumed.on:
        raise MisuseError(
            f"the clock went on on {state.resumed.on}; it can't have been stopped again before"
        )
    event = ev.ClockStopped(case=case, reason=reason, on=day, actor=by.role, signature=UNSIGNED)
    return enter(home, event, by)


def resume_clock(home: Home, case: str, by: Hand, on: date | None = None) -> Recorded:
    """Let the time limit run on: what was asked for came in.

    Raises:
        MisuseError: the clock runs, or it stopped after that day.
    """
    state = _open(home, case)
    if state.paused is None:
        raise MisuseError(f"the clock of case {case} runs")
    day = day_in(state, on)
    if day < state.paused.on:
        raise MisuseError(f"the clock stopped on {state.paused.on}; it can't go on before")
    event = ev.ClockResumed(case=case, on=day, actor=by.role, signature=UNSIGNED)
    return enter(home, event, by)


def restrict(home: Home, case: str, by: Hand, on: date | None = None) -> Recorded:
    """Hold training on the subjects' data and inference from it (Art. 18 GDPR).

    Raises:
        MisuseError: it is held already.
    """
    state = _open(home, case)
    if state.restricted is not None:
        raise MisuseError(f"processing is restricted since {state.restricted.on} already")
    event = ev.ProcessingRestricted(
        case=case, on=day_in(state, on), actor=by.role, signature=UNSIGNED
    )
    return enter(home, event, by)


def lift(home: Home, case: str, by: Hand, on: date | None = None) -> Recorded:
    """End the restriction; the data subject is to be told before (Art. 18(3) GDPR).

    Raises:
        MisuseError: there is none, or it began after that day.
    """
    state = require_case(home, case)
    if state.restricted is None:
        raise MisuseError(f"processing isn't restricted in case {case}")
    day = day_in(state, on)
    if day < state.restricted.on:
        raise MisuseError(f"it was restricted on {state.restricted.on}; it can't end before")
    event = ev.RestrictionLifted(case=case, on=day, actor=by.role, signature=UNSIGNED)
    return enter(home, event, by)


def day_in(state: ErasureCase, on: date | None) -> date:
    """A day between receipt and today, by the controller's calendar; None for today.

    Raises:
        MisuseError: it lies before or after.
    """
    today = today_of(state)
    if on is None:
        return today
    if on > today:
        raise MisuseError(f"{on} lies in the future")
    if state.requested is not None and on < state.requested.received:
        raise MisuseError(f"{on} lies before receipt, {state.requested.received}")
    return on


def _open(home: Home, case: str) -> ErasureCase:
    state = require_case(home, case)
    if state.prepared is not None or state.drafted is not None:
        raise MisuseError(f"case {case} has its statement already")
    return state
