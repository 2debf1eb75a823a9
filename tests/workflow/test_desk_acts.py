"""Identity, clock, restriction, recipients, documents: what can be recorded, and what can't."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from auditor.domain import event as ev
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    DocumentKind,
    Ground,
    IdentityResult,
    PauseReason,
    RecipientOutcome,
    Regime,
)
from auditor.errors import MisuseError
from auditor.policies.facts import CaseFacts
from auditor.workflow.desk.acts import check_identity, lift, restrict, resume_clock, stop_clock
from auditor.workflow.desk.desk import decide
from auditor.workflow.desk.library import case_facts
from auditor.workflow.desk.papers import (
    file_document,
    list_recipients,
    mark_recipient,
    record_recipient,
)
from auditor.workflow.desk.signing import Hand
from auditor.workflow.documents.notary import prepare_statement
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import load_case
from auditor.workflow.models.reerasure import came_back, forget_subject
from tests.cli.conftest import stocked as stocked
from tests.workflow.desks import RECEIVED, filed

BY = Hand()
BEFORE = RECEIVED - timedelta(days=1)


def test_more_time_takes_no_decision_back(stocked: Home) -> None:
    case = filed(stocked, received=datetime.now(UTC).date())
    decide(stocked, case, DecisionKind.GRANTED)
    decide(stocked, case, DecisionKind.EXTENDED, reason=DecisionReason.COMPLEXITY)
    facts = case_facts(stocked, case)
    assert facts.has_decided(DecisionKind.GRANTED) and load_case(stocked, case).granted
    assert facts.find_decision(DecisionKind.EXTENDED) is not None


def tomorrow() -> date:
    """As asked for: the suite may run past midnight."""
    return datetime.now(UTC).date() + timedelta(days=1)


def uk(home: Home) -> str:
    return filed(home, regime=Regime.UK_GDPR, ground=Ground.UK_CONSENT_WITHDRAWN)


@pytest.mark.parametrize("day", [lambda: BEFORE, tomorrow])
@pytest.mark.parametrize(
    "act",
    [
        lambda home, case, day: check_identity(home, case, IdentityResult.CONFIRMED, BY, day),
        lambda home, case, day: stop_clock(home, case, PauseReason.FEE, BY, day),
        lambda home, case, day: restrict(home, case, BY, day),
    ],
)
def test_nothing_is_done_before_receipt_or_tomorrow(
    stocked: Home, act: Callable[[Home, str, date], object], day: Callable[[], date]
) -> None:
    case = uk(stocked)
    size = stocked.ledger.size
    with pytest.raises(MisuseError, match=r"before receipt|in the future"):
        act(stocked, case, day())
    assert stocked.ledger.size == size


@pytest.mark.parametrize(
    ("regime", "ground"),
    [
        (Regime.GDPR, Ground.OBJECTION),
        (Regime.HIPAA, Ground.OWN_POLICY),
        (Regime.CCPA, Ground.DELETION_REQUESTED),
    ],
)
def test_the_clock_stops_under_the_uk_gdpr_alone(
    stocked: Home, regime: Regime, ground: Ground
) -> None:
    case = filed(stocked, regime=regime, ground=ground)
    with pytest.raises(MisuseError, match="only the UK GDPR"):
        stop_clock(stocked, case, PauseReason.IDENTITY, BY)


def test_the_clock_stops_and_goes_on_in_turn(stocked: Home) -> None:
    case = uk(stocked)
    with pytest.raises(MisuseError, match="runs"):
        resume_clock(stocked, case, BY)
    stop_clock(stocked, case, PauseReason.CLARIFICATION, BY, date(2026, 11, 5))
    with pytest.raises(MisuseError, match="still since 2026-11-05"):
        stop_clock(stocked, case, PauseReason.FEE, BY)
    with pytest.raises(MisuseError, match="can't go on before"):
        resume_clock(stocked, case, BY, date(2026, 11, 4))
    resume_clock(stocked, case, BY, date(2026, 11, 5))
    assert load_case(stocked, case).paused is None
    with pytest.raises(MisuseError, match="stopped again before"):
        stop_clock(stocked, case, PauseReason.FEE, BY, date(2026, 11, 4))
    stop_clock(stocked, case, PauseReason.FEE, BY)
    assert load_case(stocked, case).paused is not None


def test_who_is_in_doubt_is_not_granted_anything(stocked: Home) -> None:
    case = filed(stocked)
    check_identity(stocked, case, IdentityResult.DOUBTED, BY)
    with pytest.raises(MisuseError, match="isn't confirmed"):
        decide(stocked, case, DecisionKind.GRANTED)
    check_identity(stocked, case, IdentityResult.CONFIRMED, BY)
    decide(stocked, case, DecisionKind.GRANTED)
    assert load_case(stocked, case).granted


def test_a_restriction_is_put_and_lifted_once(stocked: Home) -> None:
    case = filed(stocked)
    with pytest.raises(MisuseError, match="isn't restricted"):
        lift(stocked, case, BY)
    restrict(stocked, case, BY, date(2026, 11, 5))
    with pytest.raises(MisuseError, match="since 2026-11-05"):
        restrict(stocked, case, BY)
    with pytest.raises(MisuseError, match="can't end before"):
        lift(stocked, case, BY, date(2026, 11, 4))
    lift(stocked, case, BY)
    assert load_case(stocked, case).restricted is None


def test_a_case_with_a_statement_is_past_all_that(stocked: Home) -> None:
    case = uk(stocked)
    restrict(stocked, case, BY)
    decide(stocked, case, DecisionKind.REFUSED, reason=DecisionReason.NO_GROUND)
    prepare_statement(stocked, case, load_case(stocked, case))
    for act in (
        lambda: check_identity(stocked, case, IdentityResult.CONFIRMED, BY),
        lambda: stop_clock(stocked, case, PauseReason.FEE, BY),
        lambda: restrict(stocked, case, BY),
    ):
        with pytest.raises(MisuseError, match="statement already"):
            act()
    lift(stocked, case, BY)  # the restriction ends after the refusal


def test_what_recipients_are_told_is_on_record_and_who_they_are_is_not(stocked: Home) -> None:
    case = filed(stocked)
    first = record_recipient(stocked, case, "Klinik Nord\nHafenstr. 1, Lübeck\n")
    second = record_recipient(stocked, case, "Registry of thorax images")
    mark_recipient(
        stocked, case, first, RecipientOutcome.INFORMED, role="dpo", letter=b"Dear colleagues"
    )
    assert load_case(stocked, case).uninformed == (second,)
    mark_recipient(stocked, case, second, RecipientOutcome.IMPOSSIBLE, role="dpo")
    mark_recipient(stocked, case, second, RecipientOutcome.INFORMED, role="dpo")
    lines = list_recipients(stocked, case)
    assert [(line.recipient, line.outcome) for line in lines] == [
        (first, RecipientOutcome.INFORMED),
        (second, RecipientOutcome.INFORMED),
    ]
    assert lines[0].details == "Klinik Nord\nHafenstr. 1, Lübeck"
    entries = b"".join(stocked.ledger.entries())
    assert not any(word in entries for word in (b"Klinik", b"Hafen", b"Registry", b"colleagues"))
    with pytest.raises(MisuseError, match="no recipient"):
        mark_recipient(stocked, case, "0" * 8, RecipientOutcome.INFORMED, role="dpo")
    with pytest.raises(MisuseError, match="before receipt"):
        mark_recipient(stocked, case, first, RecipientOutcome.INFORMED, role="dpo", on=BEFORE)


@pytest.mark.parametrize("details", ["", " \n", "x" * 2001, f"St.{chr(0x202E)}elpmaxE", "a\x00b"])
def test_details_that_cannot_be_read_are_refused(stocked: Home, details: str) -> None:
    case = filed(stocked)
    size = stocked.ledger.size
    with pytest.raises(MisuseError, match="recipient's details"):
        record_recipient(stocked, case, details)
    assert stocked.ledger.size == size


def documents(facts: CaseFacts) -> list[DocumentKind]:
    events = (item.event for item in facts.records)
    return [event.document_kind for event in events if isinstance(event, ev.DocumentFiled)]


def test_documents_are_filed_for_one_case_or_for_all(stocked: Home) -> None:
    one, other = filed(stocked), filed(stocked, "patient-2")
    year = (date(2026, 1, 1), date(2026, 12, 31))
    kinds = (DocumentKind.EXEMPTION_REASONS, DocumentKind.PROCESSING_RECORD)
    own = file_document(stocked, one, kinds[0], b"because", role="dpo", in_force=year)
    file_document(stocked, "all", kinds[1], b"record", role="dpo", in_force=year)
    assert stocked.vault.open(own) == b"because"
    assert set(documents(case_facts(stocked, one))) == set(kinds)
    assert set(documents(case_facts(stocked, other))) == {kinds[1]}
    assert b"because" not in b"".join(stocked.ledger.entries())
    for case, content, days in (
        ("0" * 16, b"x", year),
        (one, b"", year),
        (one, b"x", year[::-1]),
    ):
        with pytest.raises(MisuseError):
            file_document(stocked, case, kinds[0], content, role="dpo", in_force=days)


def test_papers_that_a_restore_lost_are_missed(stocked: Home) -> None:
    case = filed(stocked)
    record_recipient(stocked, case, "Klinik Nord")
    assert came_back(stocked, destroy=False) == ()
    stocked.vault.forget(f"case:{case}")
    lost = [item.artefact for item in came_back(stocked, destroy=False)]
    assert len(lost) == 2  # the subjects, and the recipient
    assert forget_subject(stocked, f"case:{case}") == 0
