"""Checks on the record itself: unbroken, pinned before the fact, and free of names."""

from __future__ import annotations

import re

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind
from auditor.domain.verdict import Basis
from auditor.policies.dates import in_words
from auditor.policies.facts import CaseFacts, Leaf
from auditor.policies.observation import Observation, Papers, contradicts, missing, supports

_RANDOM_ID = re.compile(r"[0-9a-f]{16,64}")


def concluded(papers: Papers) -> Observation:
    """How the case ended is on record."""
    facts = papers.facts
    end = _conclusion(facts)
    if end is None:
        return missing("The case has not come to its end yet.", facts.request)
    return supports(
        f"What was asked and how it ended is on record, from {facts.request} to {end}"
        f" of {in_words(end.day)}.",
        facts.request,
        end,
    )


def pre_registered(papers: Papers) -> Observation:
    """One plan was pinned before the first attempt, and every attempt and audit kept to it."""
    facts = papers.facts
    plans = facts.all(ev.PlanPinned)
    attempts = facts.all(ev.AttemptStarted)
    audits = facts.all(ev.CandidateVerified)
    end = _conclusion(facts)
    if not plans and not attempts and not audits:
        if end is None or isinstance(end.event, ev.VerdictReached):
            return missing("No plan of the audit is on record yet.")
        return supports(f"The case ended without an audit ({end}), so there was none to plan.", end)
    if len({leaf.event.plan for leaf in plans}) != 1:
        text = "Attempts or audits are on record without exactly one pinned plan."
        return contradicts(text, *plans, *attempts, *audits)
    plan = plans[0]
    strays: list[Leaf[Event]] = [
        *(leaf for leaf in attempts if not _follows(plan, leaf, leaf.event.plan)),
        *(leaf for leaf in audits if not _follows(plan, leaf, leaf.event.plan)),
        *(leaf for leaf in attempts if leaf.event.method not in plan.event.ladder),
    ]
    if strays:
        text = f"{strays[0]} came before the pinned plan ({plan}) or departs from it."
        return contradicts(text[0].upper() + text[1:], plan, *strays)
    count = f"{len(attempts)} attempt{'s' if len(attempts) != 1 else ''}"
    text = f"The plan of the audit was pinned first ({plan}); {count} and {len(audits)} audits"
    return supports(f"{text} that followed kept to it.", plan, *attempts)


def digests_agree(papers: Papers) -> Observation:
    """Every model along the road is the one that the step before produced, by digest."""
    facts = papers.facts
    scope, reached = facts.find_last(ev.ScopeEstablished), facts.find_last(ev.VerdictReached)
    if scope is None or reached is None:
        return missing("The erasure has reached no verdict whose models could be compared yet.")
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
        text = f"The model named in {strays[0]} is not the one that the step before it produced."
        return contradicts(text, scope, *strays)
    text = f"From the inventory ({scope}) to the verdict ({reached}), the model named by each step"
    text = f"{text} is, by its SHA-256 digest, the one that the step before produced."
    return supports(text, scope, *produced.values(), reached)


def stream_unbroken(papers: Papers) -> Observation:
    """The case's entries are numbered without a gap, from the request on."""
    facts = papers.facts
    stream = facts.stream
    first, last = stream[0], facts.last
    expected = list(range(first.version, first.version + len(stream)))
    if [item.version for item in stream] != expected or first.sequence != facts.request.number:
        text = f"The entries of this case, from {facts.request} on, are not numbered without a gap."
        return contradicts(text, facts.request)
    text = f"The {len(stream)} entries of this case, from {facts.request} to {last},"
    return supports(f"{text} are numbered without a gap.", facts.request, last)


def rules_pinned(papers: Papers) -> Observation:
    """The rules in use are those pinned when the request came in."""
    request = papers.facts.request
    if request.event.policies == papers.packs:
        text = f"The rules used here are, by digest, those pinned on receipt ({request})."
        return supports(text, request)
    return contradicts(f"The rules used here are not those pinned on receipt ({request}).", request)


def case_id_opaque(papers: Papers) -> Observation:
    """The case goes by a random id, and the subject list by a commitment."""
    request = papers.facts.request
    if not _RANDOM_ID.fullmatch(request.event.case):
        return contradicts(f"The case id of {request} is not a random number.", request)
    text = f"The ledger names the case by a random id and the subjects by a commitment ({request})"
    return supports(f"{text}; entries hold numbers, digests and short codes only.", request)


def _conclusion(facts: CaseFacts) -> Leaf[Event] | None:
    if facts.has_decided(DecisionKind.REFUSED, DecisionKind.WITHDRAWN):
        return facts.decided
    return facts.nothing_found or facts.find_last(ev.VerdictReached)


def _follows(plan: Leaf[ev.PlanPinned], later: Leaf[Event], named: Digest) -> bool:
    return later.number > plan.number and named == plan.event.plan


def _after(produced: dict[int, Leaf[ev.UnlearningCompleted]], attempt: int) -> Digest | None:
    found = produced.get(attempt)
    return None if found is None else found.event.after
