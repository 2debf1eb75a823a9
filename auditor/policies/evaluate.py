"""Laying the record beside the rules. Pure: facts in, findings out.

A finding is MET only where every check of the rule is supported by entries of the ledger, and it
names them. It says that there is evidence for a provision; whether the law is satisfied is for
people to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from auditor.domain import event as ev
from auditor.domain.language import ENGLISH, Language
from auditor.domain.request import DecisionKind, Regime
from auditor.domain.verdict import Finding, FindingStatus
from auditor.policies.checks import CHECKS
from auditor.policies.checks_time import find_deadline
from auditor.policies.facts import CaseFacts
from auditor.policies.observation import Bearing, Observation, Papers
from auditor.policies.pinning import packs_digest, require_distinct
from auditor.policies.rule import Rule, RulePack
from auditor.policies.vocabulary import JudgedBy

__all__ = ["CaseFacts", "evaluate"]

_LAWS = {
    Regime.GDPR: "the GDPR",
    Regime.UK_GDPR: "the UK GDPR",
    Regime.HIPAA: "HIPAA",
    Regime.CCPA: "the CCPA",
}


def evaluate(
    packs: Sequence[RulePack], facts: CaseFacts, language: Language = ENGLISH
) -> tuple[Finding, ...]:
    """One finding per rule, in the packs' order.

    Args:
        packs: the rule packs in use; their digest is compared with the one pinned on receipt.
        facts: one case.
        language: what titles and explanations are worded in; what its catalogue doesn't know, such
            as the rules of a pack of your own, stays as it is.

    Raises:
        PolicyError: two packs of one name or with one rule id, or no calendar of public holidays
            for the controller's country.
    """
    require_distinct(packs)
    digest = packs_digest(packs)
    rules = [rule for pack in packs for rule in pack.rules]
    return tuple(
        find_out(Papers(facts=facts, rule=rule, packs=digest, language=language)) for rule in rules
    )


def find_out(papers: Papers) -> Finding:
    """What the record shows for one rule.

    Raises:
        PolicyError: no calendar of public holidays for the controller's country.
    """
    rule, facts = papers.rule, papers.facts
    obstacle = _why_not_applicable(papers)
    if obstacle is None:
        seen = tuple(CHECKS[check](papers) for check in rule.requires)
        return _finding(papers, _status(rule, seen), seen)
    if rule.banner is None:
        text = papers.say("Does not apply here: {obstacle}.", obstacle=obstacle)
        return _written(papers, FindingStatus.NOT_APPLICABLE, (), text)
    text = papers.say(
        "Here {obstacle}. For a person to decide: {left}",
        obstacle=obstacle,
        left=papers.say(rule.left_to_a_person),
    )
    return _written(papers, FindingStatus.HUMAN_DECISION, (facts.request.number,), text)


def _why_not_applicable(papers: Papers) -> str | None:
    rule, facts, say = papers.rule, papers.facts, papers.say
    applies = rule.applies
    if not rule.in_force(facts.received):
        text = say("the rule was not in force on {day}", day=facts.received)
        if rule.effective_to is None or rule.effective_to >= facts.received:  # it hadn't begun
            return text
        ended = say("(it ended on {day})", day=rule.effective_to)
        return f"{text} {ended}"
    if applies.regimes and facts.regime not in applies.regimes:
        return say("the request is handled under {law}", law=say(_LAWS[facts.regime]))
    if applies.grounds and facts.ground not in applies.grounds:
        return say("the request does not rely on this ground")
    if applies.decided and not facts.has_decided(*applies.decided):
        return say("the request was not {decided}", decided=_either(papers, applies.decided))
    if applies.ever_decided and not any(map(facts.find_decision, applies.ever_decided)):
        return say("the request was never {decided}", decided=_either(papers, applies.ever_decided))
    if applies.reasons and not any(
        leaf.event.reason in applies.reasons for leaf in facts.not_overruled
    ):
        return say("no decision relies on this reason")
    if applies.identity and not any(
        leaf.event.result in applies.identity for leaf in facts.all(ev.IdentityChecked)
    ):
        return say("no check of identity ended like this")
    if facts.decided is not None and facts.has_decided(*applies.unless_decided):
        return say("the request was {decided}", decided=say(facts.decided.event.decision.value))
    if applies.unless_nothing_to_unlearn and facts.nothing_found is not None:
        return say("there was nothing to unlearn ({entry})", entry=facts.nothing_found)
    return None


def _either(papers: Papers, decisions: Sequence[DecisionKind]) -> str:
    return papers.say(" or ").join(papers.say(decision.value) for decision in decisions)


def _status(rule: Rule, seen: Sequence[Observation]) -> FindingStatus:
    bearings = {observation.bearing for observation in seen}
    if Bearing.CONTRADICTS in bearings:
        return FindingStatus.NOT_MET
    if rule.judged_by is JudgedBy.PERSON or Bearing.FOR_A_PERSON in bearings:
        return FindingStatus.HUMAN_DECISION
    return FindingStatus.INSUFFICIENT if Bearing.MISSING in bearings else FindingStatus.MET


def _finding(papers: Papers, status: FindingStatus, seen: Sequence[Observation]) -> Finding:
    """Say first what decided the status, then what remains."""
    deciding = {
        FindingStatus.NOT_MET: (Bearing.CONTRADICTS,),
        FindingStatus.INSUFFICIENT: (Bearing.MISSING,),
    }.get(status, tuple(Bearing))
    told = [observation for observation in seen if observation.bearing in deciding]
    sentences = " ".join(dict.fromkeys(observation.sentence for observation in told))
    leaves = tuple(sorted({leaf for observation in told for leaf in observation.leaves}))
    text = _explained(papers, status).format(
        citation=papers.say(papers.rule.citation),
        sentences=sentences,
        left=papers.say(papers.rule.left_to_a_person),
        remedy=papers.say(papers.rule.remedy),
    )
    return replace(
        _written(papers, status, leaves, text.lstrip()),
        found=_sentences(seen, Bearing.SUPPORTS, Bearing.FOR_A_PERSON),
        missing=_sentences(seen, Bearing.MISSING, Bearing.CONTRADICTS),
    )


def _sentences(seen: Sequence[Observation], *bearings: Bearing) -> tuple[str, ...]:
    told = [observation.sentence for observation in seen if observation.bearing in bearings]
    return tuple(dict.fromkeys(told))


def _explained(papers: Papers, status: FindingStatus) -> str:
    match status:
        case FindingStatus.MET:
            return papers.say("Evidence for {citation}: {sentences} Left to a person: {left}")
        case FindingStatus.NOT_MET:
            return papers.say("Evidence against {citation}: {sentences} {remedy}")
        case FindingStatus.INSUFFICIENT:
            return papers.say("Not enough evidence for {citation}: {sentences} {remedy}")
        case _:
            return papers.say("{sentences} For a person to decide: {left}")


def _written(
    papers: Papers, status: FindingStatus, leaves: tuple[int, ...], explanation: str
) -> Finding:
    rule = papers.rule
    if rule.banner is not None:
        explanation = f"{papers.say(rule.banner)} {explanation}"
    applies = status is not FindingStatus.NOT_APPLICABLE
    if applies and rule.unchecked:
        mark = papers.say("Rule unchecked.")
        explanation = f"{explanation} {mark}"
    deadline = find_deadline(papers) if applies else None
    return Finding(
        rule_id=rule.id,
        citation=papers.say(rule.citation),
        title=papers.say(rule.title),
        status=status,
        leaves=leaves,
        explanation=explanation,
        asked=papers.say(rule.text),
        due=date.max if deadline is None else deadline.day,
        unchecked=rule.unchecked,
    )
