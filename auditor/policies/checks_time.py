"""Checks on time: what was done, sent and decided, and by when it had to be."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from auditor.domain import event as ev
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, LetterKind
from auditor.domain.verdict import Basis
from auditor.errors import PolicyError
from auditor.policies.counting import last_day
from auditor.policies.dates import Deadline, keep_until
from auditor.policies.facts import CaseFacts, Leaf
from auditor.policies.limit import RunsFrom, TimeLimit
from auditor.policies.observation import (
    Observation,
    Papers,
    contradicts,
    for_a_person,
    missing,
    supports,
)
from auditor.policies.words import LETTERS

_DECISIONS = {
    LetterKind.GRANTED: DecisionKind.GRANTED,
    LetterKind.REFUSED: DecisionKind.REFUSED,
}


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
            return _as_told(papers, max(granted.day, acted.day), text, *before, granted, acted)
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
    """Refused within the first limit; Art. 12(4) knows no extension.

    What was refused in time, taken back, and refused again later is for a person.
    """
    facts, limit, say = papers.facts, _required_limit(papers), papers.say
    deadline, received = _counted(limit, facts), _received(papers)
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
        last = facts.decided
        if last is None or last.day <= deadline.day or not facts.has_decided(DecisionKind.REFUSED):
            return supports(text, facts.request, refused)
        text = say(
            "{text} What stands was decided only on {day} ({entry}), after the time limit.",
            text=text,
            day=last.day,
            entry=last,
        )
        return for_a_person(text, facts.request, refused, last)
    text = say("{text}, after the time limit, which {ends}.", text=text, ends=ends)
    return contradicts(text, facts.request, refused)


def extended_in_time(papers: Papers) -> Observation:
    """The extension was decided before the first limit ended."""
    facts, limit, say = papers.facts, _required_limit(papers), papers.say
    deadline, received = _counted(limit, facts), _received(papers)
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


def letter_in_time(papers: Papers) -> Observation:
    """A letter of the kinds that the rule names left within the limit, or its timely extension."""
    facts, say = papers.facts, papers.say
    deadline = deadline_in_force(papers)
    received, ends = _received(papers), _ends(papers, deadline)
    kinds = papers.rule.letters
    sent = [leaf for leaf in facts.all(ev.LetterSent) if leaf.event.letter in kinds]
    if not sent:
        text = say(
            "{received}; no letter is on record: {letters}. The time limit {ends}.",
            received=received,
            letters=say(" or ").join(say(LETTERS[kind]) for kind in kinds),
            ends=ends,
        )
        return missing(text, facts.request)
    standing = _told_of(papers, kinds)
    telling = [
        leaf
        for leaf in sent
        if standing is None
        or leaf.event.letter not in _DECISIONS
        or (leaf.number > standing.number and leaf.event.on >= standing.day)
    ]
    first = min(telling or sent, key=lambda leaf: leaf.event.on)
    text = say(
        "{received}; a letter left on {day}: {letter} ({entry})",
        received=received,
        day=first.event.on,
        letter=say(LETTERS[first.event.letter]),
        entry=first,
    )
    if first.event.on > deadline.day:
        text = say("{text}, after the time limit, which {ends}.", text=text, ends=ends)
        return contradicts(text, facts.request, first)
    text = say("{text}, within the time limit, which {ends}.", text=text, ends=ends)
    if standing is not None and not telling:
        text = say(
            "{text} The decision that stands was made on {day} ({entry}): that letter left before "
            "it, or bears an earlier day.",
            text=text,
            day=standing.day,
            entry=standing,
        )
        return for_a_person(text, facts.request, first, standing)
    if first.day > deadline.day:
        text = say(
            "{text} It was entered only on {day}, after the time limit.", text=text, day=first.day
        )
        return for_a_person(text, facts.request, first)
    return _as_told(papers, first.event.on, text, facts.request, first)


def _told_of(papers: Papers, kinds: Collection[LetterKind]) -> Leaf[ev.RequestDecided] | None:
    """The decision that stands, where letters of these kinds tell of it.

    Where the desk had it held meanwhile and decided the same again, the first time counts.
    """
    standing = papers.facts.decided
    if standing is None or standing.event.decision not in map(_DECISIONS.get, kinds):
        return None
    said = (standing.event.decision, standing.event.reason)
    for leaf in reversed(papers.facts.all(ev.RequestDecided)):
        if (leaf.event.decision, leaf.event.reason) == said:
            standing = leaf
        elif leaf.event.decision not in (DecisionKind.HELD, DecisionKind.EXTENDED):
            break
    return standing


def clock_explained(papers: Papers) -> Observation:
    """The clock never stood still, or did so for what is on record, and runs again.

    A stop that was entered later than the day it names is for a person: once the limit is near or
    over, anybody could think of one.
    """
    facts, say = papers.facts, papers.say
    stopped, resumed = facts.all(ev.ClockStopped), facts.all(ev.ClockResumed)
    if not stopped:
        return supports(
            say("The clock has not been stopped ({entry}).", entry=facts.request), facts.request
        )
    if not resumed or resumed[-1].number < stopped[-1].number:
        text = say(
            "The clock has stood still since {day} ({entry}).",
            day=stopped[-1].event.on,
            entry=stopped[-1],
        )
        return missing(text, stopped[-1])
    text = say(
        "The clock stood still for {days} ({entries}).",
        days=papers.language.count(
            "{count} day", "{count} days", sum((stop.end - stop.start).days for stop in facts.stops)
        ),
        entries=", ".join(papers.entry(leaf) for leaf in (*stopped, *resumed)),
    )
    belated = [leaf for leaf in stopped if leaf.day > leaf.event.on]
    for leaf in belated:
        text = say(
            "{text} The stop of {other_day} was entered only on {day}; entered after the time "
            "limit, it moves nothing.",
            text=text,
            other_day=leaf.event.on,
            day=leaf.day,
        )
    if belated:
        return for_a_person(text, *stopped, *resumed)
    return supports(text, *stopped, *resumed)


def kept_until(papers: Papers) -> Observation:
    """Until when the record is to be kept, as things stand; the future is not on record."""
    facts, limit = papers.facts, _required_limit(papers)
    last = facts.last
    length = {limit.unit: limit.length}
    until = keep_until(
        facts.request.day,
        max(last.day, facts.as_of),
        years=length.get("years", 0),
        months=length.get("months", 0),
    )
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
    return _counted(limit, papers.facts, extended=_extension(papers) is not None)


def find_deadline(papers: Papers) -> Deadline | None:
    """The same for rules of every sort; None where their time limit lies outside the case."""
    limit = papers.rule.time_limit
    if limit is None or limit.runs_from is not RunsFrom.RECEIPT:
        return None
    return deadline_in_force(papers)


def _extension(papers: Papers) -> Leaf[ev.RequestDecided] | None:
    """The extension, where the rule knows one; a late one extends nothing."""
    facts, limit = papers.facts, _required_limit(papers)
    extended = facts.find_decision(DecisionKind.EXTENDED)
    if limit.extended is None or extended is None:
        return None
    return extended if extended.day <= _counted(limit, facts).day else None


def _as_told(papers: Papers, day: date, text: str, *leaves: Leaf[Event]) -> Observation:
    """Support; for a person where it rests on an extension that nobody is on record to have told.

    The person has to be told within the first limit (Art. 12(3) GDPR, Cal. Civ. Code
    1798.130(a)(2)(A)); a letter may have left without being entered, and one that was entered later
    may have been thought of then.
    """
    facts, limit = papers.facts, _required_limit(papers)
    first = _counted(limit, facts).day
    told = any(
        leaf.event.letter is LetterKind.EXTENDED and max(leaf.event.on, leaf.day) <= first
        for leaf in facts.all(ev.LetterSent)
    )
    if day <= first or told:
        return supports(text, *leaves)
    text = papers.say(
        "{text} It rests on the extension, of which no letter in time is on record.", text=text
    )
    return for_a_person(text, *leaves)


def _required_limit(papers: Papers) -> TimeLimit:
    limit = papers.rule.time_limit
    if limit is None:
        raise PolicyError(f"rule {papers.rule.id} checks a time but states no time_limit")
    return limit


def _counted(limit: TimeLimit, facts: CaseFacts, *, extended: bool = False) -> Deadline:
    return last_day(limit, facts.received, facts.holidays, facts.stops, extended=extended)


def _carried_out(facts: CaseFacts) -> tuple[Leaf[ev.RequestDecided], Leaf[Event]] | None:
    """The grant, and what carried it out: the verdict, once the new model is in service."""
    granted = facts.find_decision(DecisionKind.GRANTED)
    if granted is None or not facts.has_decided(DecisionKind.GRANTED):
        return None
    if facts.nothing_found is not None:
        return granted, facts.nothing_found
    reached = facts.find_last(ev.VerdictReached)
    if reached is None or reached.event.basis is Basis.NONE:
        return None
    weights = reached.event.weights
    served = [leaf for leaf in facts.all(ev.ModelDeployed) if leaf.event.weights == weights]
    if not served:
        return None
    since = next((leaf for leaf in served if leaf.number > reached.number), reached)
    return granted, since


def _received(papers: Papers) -> str:
    facts = papers.facts
    return papers.say(
        "The request was received on {day} ({entry})", day=facts.received, entry=facts.request
    )


def _ends(papers: Papers, deadline: Deadline) -> str:
    over = deadline.day < papers.facts.as_of
    say, day = papers.say, deadline.day
    text = say("ended on {day}", day=day) if over else say("ends on {day}", day=day)
    if deadline.stopped:
        return say(
            "{text} (moved from {day}, as the clock stood still)", text=text, day=deadline.counted
        )
    if deadline.day == deadline.counted:
        return text
    return say("{text} (moved from {day}, not a working day)", text=text, day=deadline.counted)
