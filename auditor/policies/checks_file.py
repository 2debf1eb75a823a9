"""The check on documents of the controller's own."""

from __future__ import annotations

from datetime import date

from dateutil.relativedelta import relativedelta

from auditor.domain import event as ev
from auditor.domain.request import DocumentKind
from auditor.policies.facts import CaseFacts, Leaf
from auditor.policies.observation import Observation, Papers, for_a_person, missing, supports
from auditor.policies.words import DOCUMENTS


def document_filed(papers: Papers) -> Observation:
    """Each document that the rule names is on file, and in force on the day that counts.

    That is the day the case's plan was pinned, which began its run; without one, the day of
    judgement. The record can't tell that a document doesn't exist, so none on file is missing
    evidence and not evidence against; nor whether one that was entered later, with an earlier day
    on it, was there on that day.
    """
    facts, rule, say = papers.facts, papers.rule, papers.say
    day = _day_that_counts(facts)
    found = {kind: _in_force(papers, kind, day) for kind in rule.documents}
    leaves = [leaf for leaf in found.values() if leaf is not None]
    left = [kind for kind, leaf in found.items() if leaf is None]
    late = [kind for kind, leaf in found.items() if leaf is not None and leaf.day > day]
    if not (left or late):
        listed = ", ".join(
            say("{document} ({entry})", document=say(DOCUMENTS[kind]), entry=leaf)
            for kind, leaf in found.items()
        )
        text = say("On file and in force on {day}: {documents}.", day=day, documents=listed)
        return supports(text, *leaves)
    stale = [kind for kind in left if _filed(facts, kind)]
    lines = []
    if late:
        lines.append(
            say(
                "In force on {day} by the days on them, but entered only later: {documents}.",
                day=day,
                documents=_named(papers, late),
            )
        )
    if stale:
        lines.append(
            say(
                "On file, but not in force on {day}: {documents}.",
                day=day,
                documents=_named(papers, stale),
            )
        )
    if none := [kind for kind in left if kind not in stale]:
        lines.append(say("Not on file: {documents}.", documents=_named(papers, none)))
    observed = missing if left else for_a_person
    return observed(" ".join(lines), *leaves, *(_filed(facts, kind)[-1] for kind in stale))


def _named(papers: Papers, kinds: list[DocumentKind]) -> str:
    return ", ".join(papers.say(DOCUMENTS[kind]) for kind in kinds)


def _in_force(papers: Papers, kind: DocumentKind, day: date) -> Leaf[ev.DocumentFiled] | None:
    """The newest document of that kind in force on a day, of those entered by then if any was."""
    months = papers.rule.renewed_within
    found = [
        leaf
        for leaf in _filed(papers.facts, kind)
        if leaf.event.in_force_from <= day <= leaf.event.in_force_until
        and (months is None or day <= leaf.event.in_force_from + relativedelta(months=months))
    ]
    in_time = [leaf for leaf in found if leaf.day <= day]
    return next(reversed(in_time or found), None)


def _filed(facts: CaseFacts, kind: DocumentKind) -> list[Leaf[ev.DocumentFiled]]:
    return [leaf for leaf in facts.all(ev.DocumentFiled) if leaf.event.document_kind is kind]


def _day_that_counts(facts: CaseFacts) -> date:
    plans = facts.all(ev.PlanPinned)
    return plans[0].day if plans else facts.as_of
