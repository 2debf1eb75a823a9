"""Where a day more or less, or another entry, turns a finding over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactKind, Digest
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.kind import Event
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    DocumentKind,
    IdentityResult,
    LetterKind,
    Outcome,
    RecipientOutcome,
    Regime,
)
from auditor.domain.verdict import Finding, FindingStatus
from auditor.errors import PolicyError
from auditor.policies.deadlines import answer_of, in_law_since
from auditor.policies.evaluate import evaluate
from auditor.policies.facts import CaseFacts
from auditor.policies.limit import Counting, RunsFrom, TimeLimit
from auditor.policies.rule import Applicability, RulePack
from auditor.policies.vocabulary import Check
from tests.policies import papers, road
from tests.policies.papers import (
    after_request,
    at_end,
    decision,
    document,
    identity,
    informed,
    lifted,
    recipient,
    restricted,
    resumed,
    stopped,
)
from tests.policies.papers import letter as letter_on
from tests.policies.road import RECEIVED, Edit, Entry, both, changed, facts, later, packs_for, until

MET = FindingStatus.MET
NOT_MET = FindingStatus.NOT_MET
MISSING = FindingStatus.INSUFFICIENT
PERSON = FindingStatus.HUMAN_DECISION


def entries(edit: Edit, regime: Regime = Regime.GDPR) -> list[Entry]:
    return edit(road.road(regime=regime, ground=papers.GROUNDS[regime]))


def found(rule: str, given: CaseFacts) -> Finding:
    findings = {item.rule_id: item for item in evaluate(packs_for(given.regime), given)}
    return findings[rule]


def laid(
    rule: str, edit: Edit, regime: Regime = Regime.GDPR, as_of: date | None = None
) -> FindingStatus:
    return found(rule, facts(entries(edit, regime), as_of=as_of)).status


# Letters: the first month ends on Monday, 1 March 2027, 29 days after receipt ---------------------


@pytest.mark.parametrize(
    ("sent", "entered", "status"),
    [(29, 29, MET), (30, 30, NOT_MET), (29, 30, PERSON), (0, 29, MET), (30, 60, NOT_MET)],
)
def test_a_letter_counts_by_its_day_and_by_the_day_it_was_entered(
    sent: int, entered: int, status: FindingStatus
) -> None:
    edit = at_end(letter_on(LetterKind.GRANTED, sent), days=entered)
    assert laid("GDPR-12-3-INFORM", edit) is status


def test_the_first_of_two_letters_counts_and_another_kind_does_not() -> None:
    late, early = letter_on(LetterKind.CLOSED, 40), letter_on(LetterKind.GRANTED, 3)
    assert laid("GDPR-12-3-INFORM", at_end(late, early, days=3)) is MET
    assert laid("GDPR-12-3-INFORM", at_end(late, days=40)) is NOT_MET
    other = letter_on(LetterKind.ACKNOWLEDGED)
    assert laid("GDPR-12-3-INFORM", at_end(other)) is MISSING


@pytest.mark.parametrize(
    ("extended", "told", "done", "status"),
    [
        (29, 29, 80, MET),
        (29, 30, 80, PERSON),
        (29, None, 80, PERSON),
        (29, None, 29, MET),
        (30, 29, 80, NOT_MET),
        (29, 29, 89, MET),
        (29, 29, 90, NOT_MET),
    ],
)
def test_an_extension_gives_more_time_if_it_came_in_time_and_was_told(
    extended: int, told: int | None, done: int, status: FindingStatus
) -> None:
    """Three months end on Friday, 30 April 2027, 89 days after receipt."""
    letters = [] if told is None else [letter_on(LetterKind.EXTENDED, told)]
    edit = both(
        later(ev.ScopeEstablished, done),
        at_end(letter_on(LetterKind.GRANTED, done), days=done),
        after_request(
            decision(DecisionKind.EXTENDED, DecisionReason.COMPLEXITY), *letters, days=extended
        ),
    )
    for rule in ("GDPR-12-3-INFORM", "GDPR-12-3-RESPOND"):
        assert laid(rule, edit) is status


def test_a_letter_of_extension_that_was_entered_too_late_shows_nothing() -> None:
    """Dated back to within the first month, and entered when the answer was late already."""
    extended = decision(DecisionKind.EXTENDED, DecisionReason.COMPLEXITY)
    edit = both(
        later(ev.ScopeEstablished, 80),
        after_request(extended, days=20),
        at_end(letter_on(LetterKind.EXTENDED, 20), days=80),
    )
    assert laid("GDPR-12-3-RESPOND", edit) is PERSON


@pytest.mark.parametrize(
    ("served", "as_of", "status"),
    [(29, None, MET), (30, None, NOT_MET), (None, 29, MISSING), (None, 30, NOT_MET)],
)
def test_an_erasure_is_carried_out_when_the_new_model_is_in_service(
    served: int | None, as_of: int | None, status: FindingStatus
) -> None:
    """A verdict alone leaves the old model where it was."""
    edit = until(ev.VerdictReached) if served is None else later(ev.ModelRetired, served)
    day = None if as_of is None else RECEIVED + timedelta(as_of)
    assert laid("GDPR-12-3-RESPOND", edit, as_of=day) is status


@pytest.mark.parametrize(("again", "status"), [(20, MET), (29, MET), (30, PERSON)])
def test_a_refusal_that_was_taken_back_and_repeated_too_late_is_for_a_person(
    again: int, status: FindingStatus
) -> None:
    """The first, in time, is not the one that stands."""
    no = decision(DecisionKind.REFUSED, DecisionReason.NO_GROUND)
    edit = both(
        until(ev.ErasureRequested),
        at_end(no, letter_on(LetterKind.REFUSED, 3), days=3),
        at_end(decision(DecisionKind.HELD), days=10),
        at_end(no, days=again),
    )
    assert laid("GDPR-12-4-REFUSE", edit) is status


# Documents ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        (RECEIVED, RECEIVED, MET),
        (RECEIVED + timedelta(1), date(2030, 1, 1), MISSING),
        (date(2020, 1, 1), RECEIVED - timedelta(1), MISSING),
    ],
)
def test_a_document_is_in_force_on_the_day_of_the_plan_both_ends_included(
    first: date, last: date, status: FindingStatus
) -> None:
    filed = document(DocumentKind.IMPACT_ASSESSMENT, start=first, end=last)
    edit = after_request(filed)
    assert laid("GDPR-35-DPIA", edit, as_of=date(2027, 6, 1)) is status


def test_without_a_plan_it_is_the_day_of_judgement_that_counts() -> None:
    filed = document(DocumentKind.IMPACT_ASSESSMENT, start=RECEIVED, end=date(2027, 3, 31))
    edit = both(until(ev.RequestDecided), after_request(filed))
    assert laid("GDPR-35-DPIA", edit, as_of=date(2027, 3, 31)) is MET
    assert laid("GDPR-35-DPIA", edit, as_of=date(2027, 4, 1)) is MISSING


def test_a_newer_document_takes_the_place_of_an_older() -> None:
    old = document(DocumentKind.IMPACT_ASSESSMENT, start=date(2020, 1, 1), end=date(2020, 12, 31))
    new = document(DocumentKind.IMPACT_ASSESSMENT, case=road.CASE)
    assert laid("GDPR-35-DPIA", after_request(new, old)) is MET
    assert laid("GDPR-35-DPIA", after_request(old)) is MISSING


def test_a_copy_declared_after_a_statement_counts_where_that_was_sent_back() -> None:
    envelope = road.named("envelope")
    signed = ev.CertificatePrepared(case=road.CASE, outcome=Outcome.CERTIFIED, envelope=envelope)
    declared = ev.CopyDeclared(
        model="tb",
        weights=road.M,
        copy=road.named("copy"),
        copy_kind=ArtefactKind.MODEL,
        actor="dpo",
    )
    sent_back = ev.ApprovalDeclined(case=road.CASE, envelope=envelope)
    issued = ev.CertificateIssued(case=road.CASE, outcome=Outcome.CERTIFIED, pdf=road.named("pdf"))

    def laid_with(*events: Event) -> FindingStatus:
        return laid("GDPR-17-SCOPE", at_end(*events))

    assert laid_with(declared) is not MET
    assert laid_with(signed, declared) is MET  # a document of before it can't list it
    assert laid_with(signed, declared, sent_back) is not MET
    assert laid_with(signed, issued, declared, sent_back) is MET


def test_whether_a_document_entered_later_was_there_before_is_for_a_person() -> None:
    filed = document(DocumentKind.IMPACT_ASSESSMENT)

    def entered(days: int, *also: ev.DocumentFiled) -> FindingStatus:
        edit = both(after_request(*also), at_end(filed, days=days))
        return laid("GDPR-35-DPIA", edit, as_of=date(2027, 6, 1))

    assert (entered(0), entered(1)) == (MET, PERSON)
    assert entered(1, document(DocumentKind.IMPACT_ASSESSMENT, case=road.CASE)) is MET
    late = at_end(document(DocumentKind.BACKUP_PLAN), days=3)
    said = found("EDPB-CEF-2025", facts(entries(late), as_of=date(2027, 6, 1))).explanation
    assert "on them, but entered only later: " in said and "Not on file: " in said


@pytest.mark.parametrize(("renewed", "status"), [(0, MET), (-1, MISSING)])
def test_a_document_has_to_be_renewed_within_a_year(renewed: int, status: FindingStatus) -> None:
    start = date(2026, 1, 31) + timedelta(renewed)
    kinds = (
        DocumentKind.ERASURE_PROCEDURE,
        DocumentKind.RETENTION_SCHEDULE,
        DocumentKind.BACKUP_PLAN,
    )
    edit = after_request(*(document(kind, start=start) for kind in kinds))
    assert laid("EDPB-CEF-2025", edit) is status


def test_all_documents_of_a_rule_are_needed() -> None:
    kinds = (DocumentKind.ERASURE_PROCEDURE, DocumentKind.RETENTION_SCHEDULE)
    given = facts(entries(after_request(*map(document, kinds))))
    finding = found("EDPB-CEF-2025", given)
    assert finding.status is MISSING
    assert finding.missing == ("Not on file: plan for backups.",)


# Recipients, restriction, identity, exemptions, actors --------------------------------------------


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((), PERSON),
        ((recipient("a"),), MISSING),
        ((recipient("a"), informed("a", RecipientOutcome.INFORMED)), MET),
        ((recipient("a"), informed("b", RecipientOutcome.INFORMED)), MISSING),
        (
            (recipient("a"), recipient("b"), informed("a", RecipientOutcome.IMPOSSIBLE)),
            MISSING,
        ),
    ],
)
def test_each_recipient_is_told(events: Sequence[Event], status: FindingStatus) -> None:
    assert laid("GDPR-19-RECIPIENTS", at_end(*events)) is status


def during(*events: Event) -> Edit:
    """Entered before the verdict."""

    def edit(given: list[Entry]) -> list[Entry]:
        for event in events:
            given = road.inserted_before(ev.VerdictReached, event)(given)
        return given

    return edit


TOLD = letter_on(LetterKind.RESTRICTION_LIFTED)


@pytest.mark.parametrize(
    ("edit", "status"),
    [
        (during(restricted()), MET),
        (both(during(restricted()), at_end(TOLD, lifted())), MET),
        (both(during(restricted()), at_end(lifted())), MISSING),
        (
            both(
                during(restricted()),
                at_end(letter_on(LetterKind.RESTRICTION_LIFTED, 1), lifted()),
            ),
            NOT_MET,
        ),
        (during(restricted(), TOLD, lifted()), NOT_MET),
        (during(restricted(), TOLD, lifted(), restricted()), NOT_MET),
    ],
)
def test_a_restriction_holds_to_the_end_and_is_lifted_with_notice(
    edit: Edit, status: FindingStatus
) -> None:
    assert laid("GDPR-18-RESTRICT", edit) is status


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ((IdentityResult.DOUBTED, IdentityResult.CONFIRMED), MET),
        ((IdentityResult.CONFIRMED, IdentityResult.DOUBTED), NOT_MET),
        ((IdentityResult.NOT_IDENTIFIABLE,), PERSON),
    ],
)
def test_the_last_word_on_identity_counts(
    results: Sequence[IdentityResult], status: FindingStatus
) -> None:
    assert laid("GDPR-12-6-IDENTITY", after_request(*map(identity, results))) is status


def test_a_doubt_about_a_request_that_is_not_granted_yet_can_still_be_resolved() -> None:
    edit = both(until(ev.ErasureRequested), after_request(identity(IdentityResult.DOUBTED)))
    assert laid("GDPR-12-6-IDENTITY", edit) is MISSING


REFUSED_ON = RECEIVED + timedelta(9)


@pytest.mark.parametrize(
    ("review", "as_of", "status"),
    [
        (date(2028, 2, 9), REFUSED_ON, MET),
        (date(2028, 2, 10), REFUSED_ON, NOT_MET),
        (date(2027, 3, 1), date(2027, 3, 1), MET),
        (date(2027, 3, 1), date(2027, 3, 2), MISSING),
        (date.max, REFUSED_ON, MISSING),
    ],
)
def test_an_exemption_is_reviewed_within_a_year_and_not_forgotten(
    review: date, as_of: date, status: FindingStatus
) -> None:
    edit = papers.ends(DecisionKind.REFUSED, DecisionReason.RESEARCH, review, days=9)
    assert laid("GDPR-17-3-d", edit, as_of=as_of) is status


def test_an_extension_needs_a_reason() -> None:
    for reason, status in ((DecisionReason.COMPLEXITY, MET), (DecisionReason.NONE, MISSING)):
        edit = after_request(
            decision(DecisionKind.EXTENDED, reason), letter_on(LetterKind.EXTENDED), days=1
        )
        assert laid("GDPR-12-3-EXTEND", edit) is status


def test_an_exemption_is_judged_by_the_decision_that_relied_on_it() -> None:
    """A later refusal for another reason has no day of review, and needs none."""
    relied = decision(DecisionKind.REFUSED, DecisionReason.RESEARCH, date(2027, 12, 31))
    later_on = decision(DecisionKind.REFUSED, DecisionReason.NO_GROUND)
    head = both(until(ev.ErasureRequested), after_request(*papers.ALL_DOCUMENTS))
    assert laid("GDPR-17-3-d", both(head, at_end(relied, later_on))) is MET


def test_one_unsigned_entry_of_the_desk_is_enough() -> None:
    signed = both(changed(ev.RequestDecided, signature=papers.SIGNED), papers.PAPERS)
    assert laid("HIPAA-312-d", signed, Regime.HIPAA) is MET
    unsigned = both(signed, changed(ev.ProcessingRestricted, signature=UNSIGNED))
    assert laid("HIPAA-312-d", unsigned, Regime.HIPAA) is MISSING


def test_a_restriction_is_not_lifted_while_the_case_is_open() -> None:
    edit = both(until(ev.RequestDecided), after_request(restricted(), TOLD, lifted()))
    assert laid("GDPR-18-RESTRICT", edit) is NOT_MET


@pytest.mark.parametrize("rule", ["GDPR-18-RESTRICT", "UK-18-RESTRICT"])
def test_a_lifting_is_announced_by_a_letter_of_its_own_entered_before_it(rule: str) -> None:
    regime = Regime.UK_GDPR if rule.startswith("UK") else Regime.GDPR
    twice = [restricted(), TOLD, lifted()]
    again = during(restricted())
    assert laid(rule, both(again, at_end(TOLD, lifted())), regime) is MET
    assert laid(rule, both(again, at_end(lifted(), TOLD)), regime) is PERSON
    assert laid(rule, both(again, at_end(*twice[1:], *twice)), regime) is MET
    unannounced = at_end(*twice[1:], restricted(), lifted(20))
    assert laid(rule, both(again, unannounced), regime) is NOT_MET


def test_a_restriction_counts_from_the_day_it_was_entered() -> None:
    assert laid("GDPR-18-RESTRICT", at_end(restricted())) is PERSON  # the case was concluded
    pending = until(ev.PlanPinned)
    assert laid("GDPR-18-RESTRICT", both(pending, at_end(restricted()))) is MET
    assert laid("GDPR-18-RESTRICT", both(pending, at_end(restricted(), days=25))) is PERSON


def test_work_on_restricted_images_stands_beside_the_restriction() -> None:
    def said(edit: Edit) -> str:
        return found("GDPR-18-RESTRICT", facts(entries(edit))).explanation

    before = both(until(ev.PlanPinned), after_request(restricted()))
    assert "the case's own run worked with the images" in said(before)
    audited = both(until(ev.AttemptStarted), road.inserted_before(ev.AttemptStarted, restricted()))
    assert "the case's own run worked with the images" in said(audited)
    idle = both(until(ev.RequestDecided), after_request(restricted()))
    assert "the case's own run" not in said(idle)


def test_a_letter_of_a_decision_tells_of_that_which_stands() -> None:
    refused = decision(DecisionKind.REFUSED, DecisionReason.NO_GROUND)
    other = decision(DecisionKind.REFUSED, DecisionReason.EXCESSIVE)
    held, told = decision(DecisionKind.HELD), letter_on(LetterKind.REFUSED)
    head = both(until(ev.ErasureRequested), after_request(*papers.ALL_DOCUMENTS))

    def of(*events: Event, days: int = 0) -> FindingStatus:
        return laid("GDPR-12-4-REFUSE", both(head, at_end(*events, days=days)))

    assert of(refused, told) is MET
    assert of(refused, told, held, refused) is MET  # as it was decided and told
    assert of(refused, told, held, other) is PERSON
    assert of(refused, told, held, other, told) is MET
    assert of(refused, told, days=9) is PERSON  # of the day of receipt, before the decision
    granted = decision(DecisionKind.GRANTED)
    before = both(until(ev.ErasureRequested), at_end(granted, letter_on(LetterKind.GRANTED)))
    assert laid("GDPR-12-3-INFORM", before) is MET
    early = both(until(ev.ErasureRequested), at_end(granted, letter_on(LetterKind.GRANTED), days=9))
    assert laid("GDPR-12-3-INFORM", early) is PERSON


def test_an_exemption_is_not_relied_on_once_the_request_is_granted() -> None:
    relied = decision(DecisionKind.REFUSED, DecisionReason.RESEARCH, date(2027, 12, 31))
    head = both(until(ev.ErasureRequested), after_request(*papers.ALL_DOCUMENTS))
    assert laid("GDPR-17-3-d", both(head, at_end(relied))) is MET
    overruled = both(head, at_end(relied, decision(DecisionKind.GRANTED)))
    assert laid("GDPR-17-3-d", overruled) is FindingStatus.NOT_APPLICABLE


def test_an_identity_confirmed_on_an_earlier_day_than_it_was_entered_is_for_a_person() -> None:
    confirmed = identity(IdentityResult.CONFIRMED)
    assert laid("GDPR-12-6-IDENTITY", after_request(confirmed)) is MET
    assert laid("GDPR-12-6-IDENTITY", after_request(confirmed, days=9)) is PERSON


def test_recipients_are_told_of_a_grant_after_it() -> None:
    told = informed("r9", RecipientOutcome.INFORMED)
    before = both(until(ev.ErasureRequested), at_end(recipient("r9"), told))
    granted = decision(DecisionKind.GRANTED)
    assert laid("GDPR-19-RECIPIENTS", both(before, at_end(granted))) is MISSING
    assert laid("GDPR-19-RECIPIENTS", both(before, at_end(granted, told))) is MET


def test_rules_that_took_the_place_of_others_are_held_to_the_entry_that_says_so() -> None:
    """Laid beside the GDPR's packs of today in each case."""
    then, today = road.named("packs of then"), road.pinned(Regime.GDPR)

    def repinned(after: Digest) -> Edit:
        event = ev.PoliciesRepinned(
            case=road.CASE, before=then, after=after, actor="dpo", signature=UNSIGNED
        )
        return both(changed(ev.ErasureRequested, policies=then), after_request(event))

    assert laid("GDPR-5-2-ACCOUNT", repinned(today)) is MET
    assert laid("GDPR-5-2-ACCOUNT", repinned(road.named("packs of tomorrow"))) is NOT_MET
    assert laid("GDPR-5-2-ACCOUNT", changed(ev.ErasureRequested, policies=then)) is NOT_MET


@pytest.mark.parametrize(
    ("regime", "rule"),
    [
        (Regime.GDPR, "GDPR-5-2-ACCOUNT"),
        (Regime.UK_GDPR, "UK-5-2-ACCOUNT"),
        (Regime.CCPA, "CCPA-RECORD"),
        (Regime.HIPAA, "HIPAA-312-b"),
    ],
)
def test_rules_pinned_anew_are_told_under_every_law(regime: Regime, rule: str) -> None:
    event = ev.PoliciesRepinned(
        case=road.CASE,
        before=road.named("packs of then"),
        after=road.pinned(regime),
        actor="dpo",
        signature=UNSIGNED,
    )
    given = facts(entries(at_end(event), regime))
    assert "took the place of the ones pinned on receipt" in found(rule, given).explanation


def test_the_holidays_are_those_that_the_request_pinned() -> None:
    """One month from 26 February 2027 ends on Good Friday, in Germany on Easter Tuesday."""
    received = date(2027, 2, 26)
    for pinned, settings, due in (
        ("DE", "", date(2027, 3, 30)),
        ("none", "DE", date(2027, 3, 26)),
        ("unrecorded", "DE", date(2027, 3, 30)),
        ("unrecorded", "", date(2027, 3, 26)),
    ):
        edit = changed(ev.ErasureRequested, received=received, holidays=pinned)
        moved = [(stream, received, event) for stream, _, event in entries(edit)]
        assert found("GDPR-12-3-RESPOND", facts(moved, country=settings)).due == due


# The UK's clock -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "resume", "done", "status"),
    [(9, 14, 33, MET), (9, 14, 34, NOT_MET), (28, 38, 38, MET), (29, 38, 38, NOT_MET)],
)
def test_a_stop_moves_the_end_by_its_days(
    stop: int, resume: int, done: int, status: FindingStatus
) -> None:
    """The month ends on Sunday, 28 February 2027, 28 days after receipt."""
    edit = both(
        later(ev.ScopeEstablished, done), after_request(stopped(stop), resumed(resume), days=stop)
    )
    assert laid("UK-12-3-RESPOND", edit, Regime.UK_GDPR) is status


def test_a_clock_that_was_stopped_again_stands_still() -> None:
    once = both(after_request(resumed(14), days=14), after_request(stopped(9), days=9))
    again = both(after_request(stopped(20), days=20), once)
    assert laid("UK-12A-CLOCK", once, Regime.UK_GDPR) is MET
    assert laid("UK-12A-CLOCK", again, Regime.UK_GDPR) is MISSING


@pytest.mark.parametrize(
    ("entered", "answer", "clock"),
    [
        (9, MET, MET),
        (10, MET, PERSON),
        (28, MET, PERSON),
        (29, NOT_MET, PERSON),
        (60, NOT_MET, PERSON),
    ],
)
def test_a_stop_that_was_thought_of_later_is_for_a_person_and_too_late_moves_nothing(
    entered: int, answer: FindingStatus, clock: FindingStatus
) -> None:
    """The month ends 28 days after receipt; the stop of days 9 to 14 would end it 5 days later."""
    edit = both(
        later(ev.ScopeEstablished, 33), after_request(stopped(9), resumed(14), days=entered)
    )
    assert laid("UK-12-3-RESPOND", edit, Regime.UK_GDPR) is answer
    finding = found("UK-12A-CLOCK", facts(entries(edit, Regime.UK_GDPR)))
    assert finding.status is clock
    assert ("was entered only on" in finding.explanation) is (clock is PERSON)


def test_the_gdpr_knows_no_stop() -> None:
    edit = both(later(ev.ScopeEstablished, 33), after_request(stopped(9), resumed(14)))
    assert laid("GDPR-12-3-RESPOND", edit) is NOT_MET


def test_while_the_clock_stands_no_day_passes() -> None:
    given = facts(
        entries(both(until(ev.ErasureRequested), at_end(stopped(9))), Regime.UK_GDPR),
        as_of=date(2027, 8, 1),
    )
    answer = answer_of(packs_for(Regime.UK_GDPR), given)
    assert answer is not None
    assert answer.due == date(2027, 8, 1) + timedelta(28 - 9)
    assert answer.finding.status is MISSING
    assert answer.finding.due == answer.due
    assert "as the clock stood still" in answer.finding.explanation


def test_a_second_stop_or_resumption_in_a_row_changes_nothing() -> None:
    once = at_end(stopped(9), resumed(14))
    twice = at_end(stopped(9), stopped(12), resumed(14), resumed(20))
    for edit in (once, twice):
        given = facts(entries(both(until(ev.ErasureRequested), edit), Regime.UK_GDPR))
        answer = answer_of(packs_for(Regime.UK_GDPR), given)
        assert answer is not None and answer.due == date(2027, 3, 5)


def test_days_on_which_the_clock_stood_still_count_once() -> None:
    """Stopped again and again over the same days, or over some of them."""
    for again in (
        [stopped(9), resumed(14)] * 3,
        [stopped(11), resumed(13)],
        [stopped(2), resumed(14)],
    ):
        stops = at_end(stopped(9), resumed(14), *again)
        given = facts(entries(both(until(ev.ErasureRequested), stops), Regime.UK_GDPR))
        answer = answer_of(packs_for(Regime.UK_GDPR), given)
        assert answer is not None and answer.due == date(2027, 3, 5)
        assert "stood still for 5 days" in found("UK-12A-CLOCK", given).explanation


# Rules of the house beside the law's --------------------------------------------------------------


def house(regime: Regime) -> RulePack:
    """A pack of the hospital's own that limits the answer to five days, from 2027 on."""
    length = TimeLimit(
        length=5, unit="days", runs_from=RunsFrom.RECEIPT, counting=Counting.CALENDAR
    )
    rule = replace(
        road.RULES["GDPR-12-3-RESPOND"],
        id="OUR-DAYS",
        applies=Applicability(regimes=(regime,)),
        requires=(Check.ANSWERED_IN_TIME,),
        time_limit=length,
        effective_from=date(2027, 1, 1),
    )
    return RulePack(
        name="a-house", title="", version="", digest=road.named("house"), rules=(rule,), files={}
    )


def test_the_day_of_the_answer_is_that_of_the_laws_own_pack() -> None:
    given = facts(entries(until(ev.ErasureRequested)))
    for packs in ((house(Regime.GDPR), *packs_for(Regime.GDPR)), packs_for(Regime.GDPR)):
        answer = answer_of(packs, given)
        assert answer is not None
        assert (answer.due, answer.finding.rule_id) == (date(2027, 3, 1), "GDPR-12-3-RESPOND")


def test_a_withdrawn_request_is_owed_no_answer_by_the_rules_of_the_house() -> None:
    edit = both(until(ev.ErasureRequested), at_end(decision(DecisionKind.WITHDRAWN)))
    given = facts(entries(edit), as_of=date(2027, 6, 1))
    assert answer_of((*packs_for(Regime.GDPR), house(Regime.GDPR)), given) is None


def test_where_the_law_knows_no_limit_that_of_the_house_counts() -> None:
    given = facts(entries(until(ev.ErasureRequested), Regime.HIPAA))
    assert answer_of(packs_for(Regime.HIPAA), given) is None
    answer = answer_of((*packs_for(Regime.HIPAA), house(Regime.HIPAA)), given)
    assert answer is not None and answer.due == RECEIVED + timedelta(5)


@pytest.mark.parametrize("regime", Regime)
def test_no_rule_of_the_house_moves_the_day_from_which_requests_are_taken(regime: Regime) -> None:
    packs = packs_for(regime)
    of_old = house(regime)
    of_old = replace(of_old, rules=(replace(of_old.rules[0], effective_from=date(1999, 1, 1)),))
    for beside in (house(regime), of_old):
        assert in_law_since((*packs, beside), regime) == in_law_since(packs, regime)


# Days of the controller's zone --------------------------------------------------------------------


def in_zone(zone: str, at: str, recorded_at: str) -> CaseFacts:
    """Refused by an entry written at that instant, of a request received on that day."""
    received = date.fromisoformat(at)
    edit = both(
        papers.ends(DecisionKind.REFUSED, DecisionReason.NO_GROUND, date.max, days=0),
        changed(ev.ErasureRequested, received=received, time_zone=zone),
    )
    given = facts(entries(edit), as_of=date(2027, 12, 1))
    records = tuple(
        replace(item, recorded_at=recorded_at)
        if isinstance(item.event, ev.RequestDecided)
        else item
        for item in given.records
    )
    return replace(given, records=records)


@pytest.mark.parametrize(
    ("zone", "recorded_at", "late"),
    [
        # one month from 28 January 2027 ends on Sunday the 28th, so on Monday, 1 March
        ("UTC", "2027-03-01T23:30:00Z", False),
        ("Europe/Berlin", "2027-03-01T22:59:59Z", False),
        ("Europe/Berlin", "2027-03-01T23:00:00Z", True),
        ("America/Sao_Paulo", "2027-03-02T02:59:59Z", False),
        ("America/Sao_Paulo", "2027-03-02T03:00:00Z", True),
    ],
)
def test_the_last_hour_is_that_of_the_controllers_zone(
    zone: str, recorded_at: str, late: bool
) -> None:
    given = in_zone(zone, "2027-01-28", recorded_at)
    finding = found("GDPR-12-4-REFUSE", given)
    assert (finding.status is NOT_MET) is late


def test_a_time_without_its_zone_is_refused() -> None:
    records = facts(entries(road.as_it_is)).records
    broken = (*records[:1], replace(records[1], recorded_at="2027-01-31T09:00:00"), *records[2:])
    with pytest.raises(PolicyError, match="entry 1 carries a time without its zone"):
        evaluate(packs_for(Regime.GDPR), CaseFacts(records=broken, as_of=RECEIVED))
