"""Whatever the desk enters, in whatever order: every rule says something sound about it."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from auditor.domain import event as ev
from auditor.domain.kind import Event
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    DocumentKind,
    Ground,
    IdentityResult,
    LetterKind,
    RecipientOutcome,
    Regime,
)
from auditor.domain.verdict import FindingStatus
from auditor.policies.deadlines import answer_of
from auditor.policies.evaluate import evaluate
from auditor.policies.facts import CaseFacts
from auditor.policies.vocabulary import JudgedBy
from tests.policies import papers, road
from tests.policies.road import RECEIVED, RULES, packs_for, recorded

DAYS = st.integers(-40, 500)


def event_on(day: int) -> st.SearchStrategy[Event]:
    """Anything that a desk may enter, on that day."""
    on = RECEIVED + timedelta(day)
    return st.one_of(
        st.builds(
            papers.decision,
            st.sampled_from(DecisionKind),
            st.sampled_from(DecisionReason),
            st.sampled_from([date.max, on, on + timedelta(300), on + timedelta(400)]),
        ),
        st.builds(papers.letter, st.sampled_from(LetterKind), st.just(day)),
        st.builds(
            papers.document,
            st.sampled_from(DocumentKind),
            case=st.sampled_from(["all", road.CASE]),
            start=st.sampled_from([date.min, on, date.max]),
            end=st.sampled_from([date.min, on, date.max]),
        ),
        st.builds(papers.identity, st.sampled_from(IdentityResult)),
        st.builds(papers.recipient, st.sampled_from("ab")),
        st.builds(papers.informed, st.sampled_from("ab"), st.sampled_from(RecipientOutcome)),
        st.builds(papers.stopped, st.just(day)),
        st.builds(papers.resumed, st.just(day)),
        st.builds(papers.restricted),
        st.builds(papers.lifted, st.just(day)),
        st.just(papers.EXCLUDED),
    )


@st.composite
def records(draw: st.DrawFn) -> CaseFacts:
    """A piece of a road, with entries of the desk thrown in anywhere behind the request."""
    regime = draw(st.sampled_from(Regime))
    made = road.road(regime=regime, ground=draw(st.sampled_from(Ground)))
    made = made[: draw(st.integers(2, len(made)))]
    for day in draw(st.lists(DAYS, max_size=12)):
        event = draw(event_on(day))
        at = draw(st.integers(2, len(made)))
        stream = "documents" if getattr(event, "case", "") == "all" else f"case:{road.CASE}"
        made.insert(at, (stream, RECEIVED + timedelta(max(day, 0)), event))
    as_of = RECEIVED + timedelta(draw(st.integers(0, 600)))
    return CaseFacts(records=recorded(made), as_of=as_of, country=draw(st.sampled_from(["", "DE"])))


@given(records())
def test_every_rule_says_something_sound_of_any_record(given_: CaseFacts) -> None:
    assert isinstance(given_.records[1].event, ev.ErasureRequested)
    places = {record.sequence for record in given_.records}
    packs = packs_for(given_.regime)
    for item in evaluate(packs, given_):
        rule = RULES[item.rule_id]
        assert set(item.leaves) <= places
        assert item.explanation.isprintable() and item.explanation.endswith(".")
        assert "{" not in item.explanation and "  " not in item.explanation
        if item.status is FindingStatus.MET:
            assert rule.judged_by is JudgedBy.RECORD
            assert item.found and item.leaves and not item.missing
        if item.status in (FindingStatus.NOT_MET, FindingStatus.INSUFFICIENT):
            assert item.missing
    answer = answer_of(packs, given_)
    if answer is not None:
        assert answer.due > given_.received
        assert answer.finding in evaluate(packs, given_)
