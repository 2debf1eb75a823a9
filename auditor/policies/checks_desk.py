"""Checks on what the desk did, and when."""

from __future__ import annotations

from auditor.domain import event as ev
from auditor.domain.request import DecisionKind, Ground
from auditor.domain.verdict import Basis
from auditor.errors import PolicyError
from auditor.policies.dates import (
    Deadline,
    calendar_deadline,
    eu_deadline,
    keep_until,
)
from auditor.policies.facts import CaseFacts, Leaf
from auditor.policies.observation import (
    Observation,
    Papers,
    contradicts,
    for_a_person,
    missing,
    supports,
)
from auditor.policies.rule import TimeLimit

_GROUNDS = {
    Ground.NO_LONGER_NECESSARY: "the data are no longer necessary",
    Ground.CONSENT_WITHDRAWN: "consent was withdrawn",
    Ground.OBJECTION: "the data subject objects",
    Ground.UNLAWFUL: "the processing was unlawful",
    Ground.LEGAL_OBLIGATION: "a legal obligation demands erasure",
    Ground.CHILD_SERVICE: "the data were collected from a child for an online service",
    Ground.UK_NO_LONGER_NECESSARY: "the data are no longer necessary",
    Ground.UK_CONSENT_WITHDRAWN: "consent was withdrawn",
    Ground.UK_OBJECTION: "the data subject objects",
    Ground.UK_UNLAWFUL: "the processing was unlawful",
    Ground.UK_LEGAL_OBLIGATION: "a legal obligation demands erasure",
    Ground.UK_CHILD_SERVICE: "the data were collected from a child for an online service",
    Ground.AUTHORISATION_REVOKED: "a HIPAA authorisation was revoked",
    Ground.OWN_POLICY: "the covered entity's own policy provides for erasure",
    Ground.DELETION_REQUESTED: "a consumer asked for deletion",
}


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


def answered_in_time(papers: Papers) -> Observation:
    """Granted and carried out within the limit, or within its timely extension."""
    facts, say = papers.facts, papers.say
    deadline, extension = deadline_in_force(papers), _extension(papers)
    received, ends = _received(papers), _ends(papers, deadline)
    before = (facts.request, *([extension] if extension is not None else []))
    done = _carried_out(facts)
    if done is not None:
        granted, acted = done
        text = say(
            "{received}, granted on {day} ({entry}) and carried out on {other_day} ({other_entry})",
            received=received,
            day=granted.day,
            entry=granted,
            other_day=acted.day,
            other_entry=acted,
        )
        if max(granted.day, acted.day) <= deadline.day:
            text = say("{text}, within the time limit, which {ends}.", text=text, ends=ends)
            return supports(text, *before, granted, acted)
        text = say("{text}, after the time limit, which {ends}.", text=text, ends=ends)
        return contradicts(text, *before, granted, acted)
    if facts.as_of > deadline.day:
        text = say(
            "{received}; no completed erasure is on record, and the time limit {ends}.",
            received=received,
            ends=ends,
        )
        return contradicts(text, *before)
    text = say(
        "{received}; no completed erasure is on record yet; the time limit {ends}.",
        received=received,
        ends=ends,
    )
    return missing(text, *before)


def refused_in_time(papers: Papers) -> Observation:
    """Refused within the first limit; Art. 12(4) knows no extension."""
    facts, limit, say = papers.facts, _required_limit(papers), papers.say
    deadline, received = _counted(limit, facts, limit.length), _received(papers)
    refused = facts.find_decision(DecisionKind.REFUSED)
    if refused is None:
        text = say("{received}; no refusal is on record.", received=received)
        return missing(text, facts.request)
    text = say(
        "{received} and refused on {day} ({entry})",
        received=received,
        day=refused.day,
        entry=refused,
    )
    ends = _ends(papers, deadline)
    if refused.day <= deadline.day:
        text = say("{text}, within the time limit, which {ends}.", text=text, ends=ends)
        return supports(text, facts.request, refused)
    text = say("{text}, after the time limit, which {ends}.", text=text, ends=ends)
    return contradicts(text, facts.request, refused)


def extended_in_time(papers: Papers) -> Observation:
    """The extension was decided before the first limit ended."""
    facts, limit, say = papers.facts, _required_limit(papers), papers.say
    deadline, received = _counted(limit, facts, limit.length), _received(papers)
    extended = facts.find_decision(DecisionKind.EXTENDED)
    if extended is None:
        text = say("{received}; no extension is on record.", received=received)
        return missing(text, facts.request)
    text = say(
        "{received}; the time limit was extended on {day} ({entry})",
        received=received,
        day=extended.day,
        entry=extended,
    )
    if extended.day <= deadline.day:
        text = say("{text}, before the first one ended on {day}.", text=text, day=deadline.day)
        return supports(text, facts.request, extended)
    text = say(
        "{text}, when the first one had already ended on {day}.", text=text, day=deadline.day
    )
    return contradicts(text, facts.request, extended)


def kept_until(papers: Papers) -> Observation:
    """Until when the record is to be kept, as things stand; the future is not on record."""
    facts, limit = papers.facts, _required_limit(papers)
    last = facts.last
    until = keep_until(facts.request.day, max(last.day, facts.as_of), limit.length)
    text = papers.say(
        "The record of this case runs from {first} to {last}; counted from {day}, it is to be kept "
        "until at least {until}.",
        first=facts.request,
        last=last,
        day=facts.as_of,
        until=until,
    )
    return for_a_person(text, facts.request, last)


def deadline_in_force(papers: Papers) -> Deadline:
    """End of the rule's time limit, or of its extension where one was taken in time."""
    limit = _required_limit(papers)
    extended = limit.extended if _extension(papers) is not None else None
    return _counted(limit, papers.facts, extended or limit.length)


def _extension(papers: Papers) -> Leaf[ev.RequestDecided] | None:
    """The extension, where the rule knows one; a late one extends nothing."""
    facts, limit = papers.facts, _required_limit(papers)
    extended = facts.find_decision(DecisionKind.EXTENDED)
    if limit.extended is None or extended is None:
        return None
    return extended if extended.day <= _counted(limit, facts, limit.length).day else None


def _required_limit(papers: Papers) -> TimeLimit:
    limit = papers.rule.time_limit
    if limit is None:
        raise PolicyError(f"rule {papers.rule.id} checks a time but states no time_limit")
    return limit


def _counted(limit: TimeLimit, facts: CaseFacts, length: int) -> Deadline:
    if limit.unit == "months":
        return eu_deadline(facts.received, length, facts.country)
    return calendar_deadline(facts.received, length)


def _carried_out(
    facts: CaseFacts,
) -> tuple[Leaf[ev.RequestDecided], Leaf[ev.VerdictReached] | Leaf[ev.ScopeEstablished]] | None:
    granted = facts.find_decision(DecisionKind.GRANTED)
    if granted is None or not facts.has_decided(DecisionKind.GRANTED):
        return None
    if facts.nothing_found is not None:
        return granted, facts.nothing_found
    reached = facts.find_last(ev.VerdictReached)
    if reached is None or reached.event.basis is Basis.NONE:
        return None
    return granted, reached


def _asked(papers: Papers) -> str:
    request, ground = papers.facts.request, papers.say(_GROUNDS[papers.facts.ground])
    return papers.say("The request ({entry}) states that {ground}", entry=request, ground=ground)


def _received(papers: Papers) -> str:
    facts = papers.facts
    return papers.say(
        "The request was received on {day} ({entry})", day=facts.received, entry=facts.request
    )


def _ends(papers: Papers, deadline: Deadline) -> str:
    over = deadline.day < papers.facts.as_of
    say, day = papers.say, deadline.day
    text = say("ended on {day}", day=day) if over else say("ends on {day}", day=day)
    if deadline.day == deadline.counted:
        return text
    return say("{text} (moved from {day}, not a working day)", text=text, day=deadline.counted)
