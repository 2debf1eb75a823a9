"""Whom a case waits for, and until when: through its life, and the soonest due first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from auditor.domain import event as ev
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.kind import Event
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    Ground,
    IdentityResult,
    Outcome,
    PauseReason,
    RecipientOutcome,
    Regime,
)
from auditor.policies.deadlines import answer_of
from auditor.workflow.desk import dashboard
from auditor.workflow.desk.acts import check_identity, resume_clock, stop_clock
from auditor.workflow.desk.dashboard import DeskLine, desk_lines
from auditor.workflow.desk.desk import decide
from auditor.workflow.desk.library import case_facts, packs_of
from auditor.workflow.desk.papers import mark_recipient, record_recipient
from auditor.workflow.desk.signing import Hand
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, record_at
from auditor.workflow.homes.register import WaitsFor, case_line
from tests.cli.conftest import stocked as stocked
from tests.workflow.desks import filed

BY, TODAY = Hand(), datetime.now(UTC).date()


def write(home: Home, event: Event, case: str) -> None:
    record_at(home, case_stream(case), event, home.ledger.version(case_stream(case)))


def proposed(home: Home, case: str) -> None:
    event = ev.DecisionProposed(
        case=case,
        decision=DecisionKind.GRANTED,
        reason=DecisionReason.NONE,
        review=date.max,
        actor="dpo",
        signature=UNSIGNED,
    )
    write(home, event, case)


def drafted(home: Home, case: str) -> None:
    write(home, ev.ApprovalRequested(case=case, outcome=Outcome.REFUSED, envelope=UNSIGNED), case)


def approved(home: Home, case: str) -> None:
    event = ev.StatementApproved(case=case, envelope=UNSIGNED, approved=UNSIGNED, actor="dpo")
    write(home, event, case)


def issued(home: Home, case: str) -> None:
    write(home, ev.CertificateIssued(case=case, outcome=Outcome.REFUSED, pdf=UNSIGNED), case)


def told(home: Home, case: str) -> None:
    (recipient,) = [
        item.event.recipient
        for item in home.ledger.replay(case_stream(case))
        if isinstance(item.event, ev.RecipientRecorded)
    ]
    mark_recipient(home, case, recipient, RecipientOutcome.INFORMED, role="dpo")


LIFE: list[tuple[Callable[[Home, str], object], WaitsFor, str]] = [
    (lambda home, case: None, WaitsFor.DESK, "received"),
    (
        lambda home, case: check_identity(home, case, IdentityResult.DOUBTED, BY),
        WaitsFor.REQUESTER,
        "received",
    ),
    (
        lambda home, case: check_identity(home, case, IdentityResult.CONFIRMED, BY),
        WaitsFor.DESK,
        "received",
    ),
    (
        lambda home, case: stop_clock(home, case, PauseReason.FEE, BY),
        WaitsFor.REQUESTER,
        "received",
    ),
    (lambda home, case: resume_clock(home, case, BY), WaitsFor.DESK, "received"),
    (lambda home, case: record_recipient(home, case, "Klinik Nord"), WaitsFor.DESK, "received"),
    (proposed, WaitsFor.SECOND, "received"),
    (lambda home, case: decide(home, case, DecisionKind.HELD), WaitsFor.DESK, "held"),
    (lambda home, case: decide(home, case, DecisionKind.GRANTED), WaitsFor.OPERATOR, "granted"),
    (
        lambda home, case: decide(
            home, case, DecisionKind.EXTENDED, reason=DecisionReason.COMPLEXITY
        ),
        WaitsFor.OPERATOR,
        "granted",
    ),
    (
        lambda home, case: decide(
            home, case, DecisionKind.REFUSED, reason=DecisionReason.NO_GROUND
        ),
        WaitsFor.OPERATOR,
        "refused",
    ),
    (drafted, WaitsFor.APPROVER, "refused"),
    (approved, WaitsFor.OPERATOR, "refused"),
    (issued, WaitsFor.RECIPIENTS, "closed"),
    (told, WaitsFor.NOBODY, "closed"),
]


def test_a_case_waits_for_one_after_another(stocked: Home) -> None:
    case = filed(stocked, regime=Regime.UK_GDPR, ground=Ground.UK_CONSENT_WITHDRAWN, received=TODAY)
    for act, waits, state in LIFE:
        act(stocked, case)
        line = case_line(stocked, case)
        assert (line.waits_for, line.state) == (waits, state)
        listed = [item.line for item in desk_lines(stocked, closed=True)]
        assert listed == [line]
        assert bool(desk_lines(stocked)) is (waits is not WaitsFor.NOBODY)


def due(home: Home) -> dict[str, date | None]:
    return {item.line.case: item.due for item in desk_lines(home)}


def test_every_day_is_the_rules_own_and_the_soonest_stands_first(stocked: Home) -> None:
    """Cases of one course are reckoned once; each by itself gives the same."""
    today = datetime.now(UTC).date()  # the suite may run past midnight
    days = [today - timedelta(days=back) for back in (40, 3, 3, 20)]
    cases = [filed(stocked, f"p{n}", received=day) for n, day in enumerate(days)]
    cases += [
        filed(stocked, regime=Regime.UK_GDPR, ground=Ground.UK_OBJECTION, received=day)
        for day in days[:2]
    ]
    timeless = filed(stocked, regime=Regime.HIPAA, ground=Ground.OWN_POLICY, received=days[0])
    decide(stocked, cases[1], DecisionKind.EXTENDED, reason=DecisionReason.NUMBER_OF_REQUESTS)
    stop_clock(stocked, cases[5], PauseReason.IDENTITY, BY, days[1])
    found = due(stocked)
    for case in (*cases, timeless):
        answer = answer_of(packs_of(stocked, case), case_facts(stocked, case))
        assert found[case] == (None if answer is None else answer.due)
    assert found[timeless] is None
    assert found[cases[1]] != found[cases[2]]
    lines = desk_lines(stocked)
    shown = [item.due or date.max for item in lines]
    assert shown == sorted(shown)
    assert [item.line.case for item in lines if item.late] == [
        case for case in found if (found[case] or date.max) < today
    ]
    assert all(item.left == (item.due - today).days for item in lines if item.due is not None)


def test_many_cases_of_one_course_are_reckoned_once(
    stocked: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        filed(stocked, f"p{number}")
    reckoned = list[str]()

    def counted(home: Home, case: str) -> object:
        reckoned.append(case)
        return case_facts(home, case)

    monkeypatch.setattr(dashboard, "case_facts", counted)
    assert len({item.due for item in desk_lines(stocked)}) == 1
    assert len(reckoned) <= 2  # two where the hour struck in between


@pytest.mark.parametrize(("left", "late"), [(-1, True), (0, False), (1, False), (None, False)])
def test_the_last_day_is_not_late(stocked: Home, left: int | None, late: bool) -> None:
    line = case_line(stocked, filed(stocked))
    assert DeskLine(line=line, due=TODAY, left=left).late is late


def test_closed_cases_come_last_and_have_no_day(stocked: Home) -> None:
    first, second = filed(stocked, "a"), filed(stocked, "b")
    issued(stocked, first)
    assert [item.line.case for item in desk_lines(stocked)] == [second]
    lines: tuple[DeskLine, ...] = desk_lines(stocked, closed=True)
    assert [item.line.case for item in lines] == [second, first]
    assert lines[1].due is None and not lines[1].late
