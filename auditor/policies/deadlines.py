"""Until when a request is to be answered, and whether it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from auditor.domain.verdict import Finding, FindingStatus
from auditor.policies.checks_desk import deadline_in_force
from auditor.policies.evaluate import evaluate
from auditor.policies.facts import CaseFacts
from auditor.policies.observation import Papers
from auditor.policies.pinning import packs_digest
from auditor.policies.rule import Check, RulePack

_ANSWER = frozenset({Check.ANSWERED_IN_TIME, Check.REFUSED_IN_TIME})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The day the limit ends, a timely extension counted, and what the rule found."""

    due: date
    finding: Finding


def answer_of(packs: Sequence[RulePack], facts: CaseFacts) -> Answer | None:
    """The time limit of a case's answer, by the one rule that applies to it; None without one."""
    rules = {rule.id: rule for pack in packs for rule in pack.rules if _ANSWER & {*rule.requires}}
    for finding in evaluate(packs, facts):
        if finding.rule_id in rules and finding.status is not FindingStatus.NOT_APPLICABLE:
            papers = Papers(facts=facts, rule=rules[finding.rule_id], packs=packs_digest(packs))
            return Answer(due=deadline_in_force(papers).day, finding=finding)
    return None
