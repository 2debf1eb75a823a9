"""Checks on the record itself: unbroken, pinned before the fact, and free of names."""

from __future__ import annotations

import re

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.kind import Event
from auditor.domain.verdict import Basis
from auditor.policies.facts import Leaf
from auditor.policies.observation import Observation, Papers, contradicts, missing, supports

_OPAQUE_ID = re.compile(r"[0-9a-f]{16,64}")


def concluded(papers: Papers) -> Observation:
    """How the case ended is on record."""
    facts = papers.facts
    end = facts.conclusion
    if end is None:
        return missing(papers.say("The case has not come to its end yet."), facts.request)
    text = papers.say(
        "What was asked and how it ended is on record, from {first} to {last} of {day}.",
        first=facts.request,
        last=end,
        day=end.day,
    )
    return supports(text, facts.request, end)


def pre_registered(papers: Papers) -> Observation:
    """One plan was pinned before the first attempt, and every attempt and audit kept to it."""
    facts, say = papers.facts, papers.say
    plans = facts.all(ev.PlanPinned)
    attempts = facts.all(ev.AttemptStarted)
    audits = facts.all(ev.CandidateVerified)
    end = facts.conclusion
    if not plans and not attempts and not audits:
        if end is None or isinstance(end.event, ev.VerdictReached):
            return missing(say("No plan of the audit is on record yet."))
        text = say(
            "The case ended without an audit ({entry}), so there was none to plan.", entry=end
        )
        return supports(text, end)
    if len({leaf.event.plan for leaf in plans}) != 1:
        text = say("Attempts or audits are on record without exactly one pinned plan.")
        return contradicts(text, *plans, *attempts, *audits)
    plan = plans[0]
    strays: list[Leaf[Event]] = [
        *(leaf for leaf in attempts if not _follows(plan, leaf, leaf.event.plan)),
        *(leaf for leaf in audits if not _follows(plan, leaf, leaf.event.plan)),
        *(leaf for leaf in attempts if leaf.event.method not in plan.event.ladder),
    ]
    if strays:
        text = say(
            "{entry} came before the pinned plan ({plan}) or departs from it.",
            entry=strays[0],
            plan=plan,
        )
        return contradicts(text[0].upper() + text[1:], plan, *strays)
    text = say(
        "The plan of the audit was pinned first ({entry}); {attempts} and {audits} that followed "
        "kept to it.",
        entry=plan,
        attempts=papers.language.count("{count} attempt", "{count} attempts", len(attempts)),
        audits=papers.language.count("{count} audit", "{count} audits", len(audits)),
    )
    return supports(text, plan, *attempts)


def digests_agree(papers: Papers) -> Observation:
    """Every model along the road is the one that the step before produced, by digest."""
    facts, say = papers.facts, papers.say
    scope, reached = facts.find_last(ev.ScopeEstablished), facts.find_last(ev.VerdictReached)
    if scope is None or reached is None:
        return missing(
            say("The erasure has reached no verdict whose models could be compared yet.")
        )
    produced = {leaf.event.attempt: leaf for leaf in facts.all(ev.UnlearningCompleted)}
    strays: list[Leaf[Event]] = [
        leaf for leaf in produced.values() if leaf.event.before != scope.event.weights
    ]
    strays += [
        leaf
        for leaf in facts.all(ev.ReplayConfirmed)
        if _after(produced, leaf.event.attempt) != leaf.event.weights
    ]
    strays += [
        leaf
        for leaf in facts.verified
        if _after(produced, leaf.event.attempt) != leaf.event.weights
    ]
    if reached.event.basis is Basis.NONE:
        expected = {scope.event.weights}
    else:
        expected = {leaf.event.weights for leaf in facts.verified}
    if reached.event.weights not in expected:
        strays.append(reached)
    if strays:
        text = say(
            "The model named in {entry} is not the one that the step before it produced.",
            entry=strays[0],
        )
        return contradicts(text, scope, *strays)
    text = say(
        "From the inventory ({first}) to the verdict ({last}), the model named by each step is, by "
        "its SHA-256 digest, the one that the step before produced.",
        first=scope,
        last=reached,
    )
    return supports(text, scope, *produced.values(), reached)


def stream_unbroken(papers: Papers) -> Observation:
    """The case's entries are numbered without a gap, from the request on."""
    facts = papers.facts
    stream = facts.stream
    first, last = stream[0], facts.last
    expected = list(range(first.version, first.version + len(stream)))
    if [item.version for item in stream] != expected or first.sequence != facts.request.number:
        text = papers.say(
            "The entries of this case, from {first} on, are not numbered without a gap.",
            first=facts.request,
        )
        return contradicts(text, facts.request)
    text = papers.say(
        "The {count} entries of this case, from {first} to {last}, are numbered without a gap.",
        count=len(stream),
        first=facts.request,
        last=last,
    )
    return supports(text, facts.request, last)


def rules_pinned(papers: Papers) -> Observation:
    """The rules in use are those pinned when the request came in, or later by an entry."""
    request, repinned = papers.facts.request, papers.facts.find_last(ev.PoliciesRepinned)
    if repinned is not None and repinned.event.after == papers.packs:
        text = papers.say(
            "The rules used here are, by digest, those that took the place of the ones pinned on "
            "receipt, on {day} ({entry}).",
            day=repinned.day,
            entry=repinned,
        )
        return supports(text, request, repinned)
    if papers.facts.pinned == papers.packs:
        text = papers.say(
            "The rules used here are, by digest, those pinned on receipt ({entry}).", entry=request
        )
        return supports(text, request)
    text = papers.say(
        "The rules used here are not those pinned on receipt ({entry}).", entry=request
    )
    return contradicts(text, request)


def case_id_opaque(papers: Papers) -> Observation:
    """The case goes by an opaque id, and the subject list by a commitment."""
    request = papers.facts.request
    if not _OPAQUE_ID.fullmatch(request.event.case):
        text = papers.say("The case id of {entry} is not an opaque number.", entry=request)
        return contradicts(text, request)
    text = papers.say(
        "The ledger names the case by an opaque id and the subjects by a commitment ({entry}); "
        "entries hold numbers, digests and short codes only.",
        entry=request,
    )
    return supports(text, request)


def _follows(plan: Leaf[ev.PlanPinned], later: Leaf[Event], named: Digest) -> bool:
    return later.number > plan.number and named == plan.event.plan


def _after(produced: dict[int, Leaf[ev.UnlearningCompleted]], attempt: int) -> Digest | None:
    found = produced.get(attempt)
    return None if found is None else found.event.after
