"""Checks on what the desk did, and when."""

from __future__ import annotations

from datetime import date

from auditor.domain import event as ev
from auditor.domain.request import DecisionKind, Ground
from auditor.domain.verdict import Basis
from auditor.errors import PolicyError
from auditor.policies.dates import (
    Deadline,
    calendar_deadline,
    eu_deadline,
    in_words,
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
    Ground.AUTHORISATION_REVOKED: "a HIPAA authorisation was revoked",
    Ground.OWN_POLICY: "the covered entity's own policy provides for erasure",
}


def request_granted(papers: Papers) -> Observation:
    """The desk granted what was asked; whether it was right to is not for the record."""
    facts = papers.facts
    asked = f"The request ({facts.request}) states that {_GROUNDS[facts.ground]}"
    decided = facts.decided
    if facts.has_decided(DecisionKind.GRANTED) and decided is not None:
        text = f"{asked}; it was granted on {in_words(decided.day)} ({decided})."
        return supports(text, facts.request, decided)
    if facts.has_decided(DecisionKind.REFUSED, DecisionKind.WITHDRAWN) and decided is not None:
        text = f"{asked}; it was {decided.event.decision.value} ({decided})."
        return for_a_person(text, facts.request, decided)
    return missing(f"{asked}; it has not been granted or refused yet.", facts.request)


def ground_of_regime(papers: Papers) -> Observation:
    """The request names a basis that its own regime knows."""
    request = papers.facts.request
    said = f"The request ({request}) states that {_GROUNDS[papers.facts.ground]}"
    if papers.facts.ground.value.startswith(papers.facts.regime.value):
        return supports(f"{said}.", request)
    return contradicts(f"{said}, which is no basis under {papers.facts.regime.upper()}.", request)


def answered_in_time(papers: Papers) -> Observation:
    """Granted and carried out within the limit, or within its timely extension."""
    facts = papers.facts
    deadline, extension = deadline_in_force(papers), _extension(papers)
    ends = _ends(deadline, facts.as_of)
    before = (facts.request, *([extension] if extension is not None else []))
    done = _carried_out(facts)
    if done is not None:
        granted, acted = done
        text = f"{_received(facts)}, granted on {in_words(granted.day)} ({granted})"
        text = f"{text} and carried out on {in_words(acted.day)} ({acted})"
        if max(granted.day, acted.day) <= deadline.day:
            return supports(
                f"{text}, within the time limit, which {ends}.", *before, granted, acted
            )
        return contradicts(f"{text}, after the time limit, which {ends}.", *before, granted, acted)
    open_ = f"{_received(facts)}; no completed erasure is on record"
    if facts.as_of > deadline.day:
        return contradicts(f"{open_}, and the time limit {ends}.", *before)
    return missing(f"{open_} yet; the time limit {ends}.", *before)


def refused_in_time(papers: Papers) -> Observation:
    """Refused within the first limit; Art. 12(4) knows no extension."""
    facts, limit = papers.facts, _required_limit(papers)
    deadline = _counted(limit, facts, limit.length)
    ends = f"the time limit, which {_ends(deadline, facts.as_of)}"
    refused = facts.find_decision(DecisionKind.REFUSED)
    if refused is None:
        return missing(f"{_received(facts)}; no refusal is on record.", facts.request)
    text = f"{_received(facts)} and refused on {in_words(refused.day)} ({refused})"
    if refused.day <= deadline.day:
        return supports(f"{text}, within {ends}.", facts.request, refused)
    return contradicts(f"{text}, after {ends}.", facts.request, refused)


def extended_in_time(papers: Papers) -> Observation:
    """The extension was decided before the first limit ended."""
    facts, limit = papers.facts, _required_limit(papers)
    deadline = _counted(limit, facts, limit.length)
    extended = facts.find_decision(DecisionKind.EXTENDED)
    if extended is None:
        return missing(f"{_received(facts)}; no extension is on record.", facts.request)
    text = f"{_received(facts)}; the time limit was extended on {in_words(extended.day)}"
    text = f"{text} ({extended})"
    if extended.day <= deadline.day:
        text = f"{text}, before the first one ended on {in_words(deadline.day)}."
        return supports(text, facts.request, extended)
    text = f"{text}, when the first one had already ended on {in_words(deadline.day)}."
    return contradicts(text, facts.request, extended)


def kept_until(papers: Papers) -> Observation:
    """Until when the record is to be kept, as things stand; the future is not on record."""
    facts, limit = papers.facts, _required_limit(papers)
    last = facts.last
    until = keep_until(facts.request.day, max(last.day, facts.as_of), limit.length)
    text = f"The record of this case runs from {facts.request} to {last}; counted from"
    text = f"{text} {in_words(facts.as_of)}, it is to be kept until at least {in_words(until)}."
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


def _received(facts: CaseFacts) -> str:
    return f"The request was received on {in_words(facts.received)} ({facts.request})"


def _ends(deadline: Deadline, as_of: date) -> str:
    verb = "ended" if deadline.day < as_of else "ends"
    text = f"{verb} on {in_words(deadline.day)}"
    if deadline.day != deadline.counted:
        text = f"{text} (moved from {in_words(deadline.counted)}, not a working day)"
    return text
