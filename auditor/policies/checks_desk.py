"""Checks on what the desk decided: why, by whom, and whether the law knows such a ground."""

from __future__ import annotations

from dateutil.relativedelta import relativedelta

from auditor.domain import event as ev
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, DecisionReason
from auditor.policies.facts import CaseFacts, Leaf
from auditor.policies.observation import (
    Observation,
    Papers,
    contradicts,
    for_a_person,
    missing,
    supports,
)
from auditor.policies.rule import Applicability
from auditor.policies.words import GROUNDS, REASONS

LONGEST_REVIEW = 12
"""Months after which an exemption is looked at again: our own rule, not the law's."""


def request_granted(papers: Papers) -> Observation:
    """The desk granted what was asked; whether it was right to is not for the record."""
    facts = papers.facts
    asked, say, decided = _asked(papers), papers.say, facts.decided
    if facts.has_decided(DecisionKind.GRANTED) and decided is not None:
        text = say(
            "{asked}; it was granted on {day} ({entry}).",
            asked=asked,
            day=decided.day,
            entry=decided,
        )
        return supports(text, facts.request, decided)
    if facts.has_decided(DecisionKind.REFUSED, DecisionKind.WITHDRAWN) and decided is not None:
        how = say(decided.event.decision.value)
        text = say("{asked}; it was {decided} ({entry}).", asked=asked, decided=how, entry=decided)
        return for_a_person(text, facts.request, decided)
    text = say("{asked}; it has not been granted or refused yet.", asked=asked)
    return missing(text, facts.request)


def ground_of_regime(papers: Papers) -> Observation:
    """The request names a basis that its own regime knows."""
    request, asked = papers.facts.request, _asked(papers)
    if papers.facts.ground.value.startswith(papers.facts.regime.value):
        return supports(f"{asked}.", request)
    law = papers.say(papers.facts.regime.upper())
    text = papers.say("{asked}, which is no basis under {law}.", asked=asked, law=law)
    return contradicts(text, request)


def reason_stated(papers: Papers) -> Observation:
    """The decision that the rule is about gives a reason that the law knows."""
    say, decided = papers.say, _decision(papers.facts, papers.rule.applies)
    if decided is None:
        return missing(say("No such decision is on record yet."), papers.facts.request)
    if decided.event.reason is DecisionReason.NONE:
        return missing(say("The decision ({entry}) gives no reason.", entry=decided), decided)
    text = say(
        "The reason given is: {reason} ({entry}).",
        reason=say(REASONS[decided.event.reason]),
        entry=decided,
    )
    return supports(text, decided)


def exemption_reviewed(papers: Papers) -> Observation:
    """An exemption relied on has a day of review, at most twelve months on, that isn't past."""
    facts, say = papers.facts, papers.say
    decided = _decision(facts, papers.rule.applies)
    if decided is None:
        return missing(say("No such decision is on record yet."), facts.request)
    day, review = decided.day, decided.event.review
    named = say(
        "The exemption ({reason}) was relied on by the decision of {day} ({entry})",
        reason=say(REASONS[decided.event.reason]),
        day=day,
        entry=decided,
    )
    if review.year == review.max.year:
        return missing(say("{text}; no day of review is set.", text=named), decided)
    text = say("{text} and is to be reviewed by {day}.", text=named, day=review)
    if review > day + relativedelta(months=LONGEST_REVIEW):
        return contradicts(say("{text} That is more than a year on.", text=text), decided)
    if review < facts.as_of:
        return missing(say("{text} That day is past.", text=text), decided)
    return supports(text, decided)


def actors_authenticated(papers: Papers) -> Observation:
    """Every decision of the desk carries the signature of a key."""
    facts, say = papers.facts, papers.say
    made: list[Leaf[Event]] = [leaf for kind in _SIGNED for leaf in facts.all(kind)]
    unsigned = [leaf for leaf in made if getattr(leaf.event, "signature", UNSIGNED) == UNSIGNED]
    if not made:
        return missing(say("No decision of the desk is on record yet."), facts.request)
    if unsigned:
        text = say(
            "Of {count} entries of the desk {left} carry no signature.",
            count=len(made),
            left=len(unsigned),
        )
        return missing(text, *unsigned)
    text = say("Entries of the desk that carry the signature of a key: {count}.", count=len(made))
    return supports(text, *made)


def _decision(facts: CaseFacts, applies: Applicability) -> Leaf[ev.RequestDecided] | None:
    """The last decision of those that the rule is about."""
    kinds = (*applies.decided, *applies.ever_decided)
    found = [
        leaf
        for leaf in facts.all(ev.RequestDecided)
        if (not kinds or leaf.event.decision in kinds)
        and (not applies.reasons or leaf.event.reason in applies.reasons)
    ]
    return found[-1] if found else None


def _asked(papers: Papers) -> str:
    request, ground = papers.facts.request, papers.say(GROUNDS[papers.facts.ground])
    return papers.say("The request ({entry}) states that {ground}", entry=request, ground=ground)


_SIGNED = (
    ev.RequestDecided,
    ev.IdentityChecked,
    ev.ClockStopped,
    ev.ClockResumed,
    ev.ProcessingRestricted,
    ev.RestrictionLifted,
    ev.PoliciesRepinned,
    ev.SubjectsReadmitted,
)
