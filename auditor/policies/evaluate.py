"""Laying the record beside the rules. Pure: facts in, findings out.

A finding is MET only where every check of the rule is supported by entries of the ledger, and it
names them. It says that there is evidence for a provision; whether the law is satisfied is for
people to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from auditor.domain.request import DecisionKind, Regime
from auditor.domain.verdict import Finding, FindingStatus
from auditor.errors import PolicyError
from auditor.policies.checks import CHECKS
from auditor.policies.dates import in_words
from auditor.policies.facts import CaseFacts
from auditor.policies.load import packs_digest
from auditor.policies.observation import Bearing, Observation, Papers
from auditor.policies.rule import JudgedBy, Rule, RulePack

__all__ = ["CaseFacts", "evaluate"]

_LAWS = {Regime.GDPR: "the GDPR", Regime.HIPAA: "HIPAA"}


def evaluate(packs: Sequence[RulePack], facts: CaseFacts) -> tuple[Finding, ...]:
    """One finding per rule, in the packs' order.

    Args:
        packs: the rule packs in use; their digest is compared with the one pinned on receipt.
        facts: one case.

    Raises:
        PolicyError: two packs of one name or with one rule id, or no calendar of public holidays
            for the controller's country.
    """
    digest = packs_digest(packs)
    rules = [rule for pack in packs for rule in pack.rules]
    if len({rule.id for rule in rules}) != len(rules):
        raise PolicyError("two rule packs hold a rule of the same id; rename one")
    return tuple(_find(Papers(facts=facts, rule=rule, packs=digest)) for rule in rules)


def _find(papers: Papers) -> Finding:
    rule, facts = papers.rule, papers.facts
    obstacle = _why_not_applicable(rule, facts)
    if obstacle is None:
        seen = tuple(CHECKS[check](papers) for check in rule.requires)
        return _finding(rule, _status(rule, seen), seen)
    if rule.banner is None:
        text = f"Does not apply here: {obstacle}."
        return _written(rule, FindingStatus.NOT_APPLICABLE, (), text)
    text = f"{rule.banner} Here {obstacle}. For a person to decide: {rule.left_to_a_person}"
    return _written(rule, FindingStatus.HUMAN_DECISION, (facts.request.number,), text)


def _why_not_applicable(rule: Rule, facts: CaseFacts) -> str | None:
    applies = rule.applies
    if not rule.in_force(facts.received):
        return f"the rule was not in force on {in_words(facts.received)}{_until(rule.effective_to)}"
    if facts.regime is not applies.regime:
        return f"the request is handled under {_LAWS[facts.regime]}"
    if applies.grounds and facts.ground not in applies.grounds:
        return "the request does not rely on this ground"
    if applies.decided and not facts.has_decided(*applies.decided):
        return f"the request was not {_either(applies.decided)}"
    if applies.ever_decided and not any(map(facts.find_decision, applies.ever_decided)):
        return f"the request was never {_either(applies.ever_decided)}"
    if facts.decided is not None and facts.has_decided(*applies.unless_decided):
        return f"the request was {facts.decided.event.decision.value}"
    if applies.unless_nothing_to_unlearn and facts.nothing_found is not None:
        return f"there was nothing to unlearn ({facts.nothing_found})"
    return None


def _until(effective_to: date | None) -> str:
    return "" if effective_to is None else f" (it ended on {in_words(effective_to)})"


def _either(decisions: Sequence[DecisionKind]) -> str:
    return " or ".join(decision.value for decision in decisions)


def _status(rule: Rule, seen: Sequence[Observation]) -> FindingStatus:
    bearings = {observation.bearing for observation in seen}
    if Bearing.CONTRADICTS in bearings:
        return FindingStatus.NOT_MET
    if rule.judged_by is JudgedBy.PERSON or Bearing.FOR_A_PERSON in bearings:
        return FindingStatus.HUMAN_DECISION
    return FindingStatus.INSUFFICIENT if Bearing.MISSING in bearings else FindingStatus.MET


def _finding(rule: Rule, status: FindingStatus, seen: Sequence[Observation]) -> Finding:
    """Say first what decided the status, then what remains."""
    deciding = {
        FindingStatus.NOT_MET: (Bearing.CONTRADICTS,),
        FindingStatus.INSUFFICIENT: (Bearing.MISSING,),
    }.get(status, tuple(Bearing))
    told = [observation for observation in seen if observation.bearing in deciding]
    sentences = " ".join(dict.fromkeys(observation.sentence for observation in told))
    leaves = tuple(sorted({leaf for observation in told for leaf in observation.leaves}))
    left = rule.left_to_a_person
    text = {
        FindingStatus.MET: f"Evidence for {rule.citation}: {sentences} Left to a person: {left}",
        FindingStatus.NOT_MET: f"Evidence against {rule.citation}: {sentences} {rule.remedy}",
        FindingStatus.INSUFFICIENT: (
            f"Not enough evidence for {rule.citation}: {sentences} {rule.remedy}"
        ),
        FindingStatus.HUMAN_DECISION: f"{sentences} For a person to decide: {left}".lstrip(),
    }[status]
    return _written(rule, status, leaves, text if rule.banner is None else f"{rule.banner} {text}")


def _written(
    rule: Rule, status: FindingStatus, leaves: tuple[int, ...], explanation: str
) -> Finding:
    return Finding(
        rule_id=rule.id,
        citation=rule.citation,
        title=rule.title,
        status=status,
        leaves=leaves,
        explanation=explanation,
    )
