"""Until when a request is to be answered, and whether it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from auditor.domain.request import Regime
from auditor.domain.verdict import Finding, FindingStatus
from auditor.policies.checks_time import deadline_in_force
from auditor.policies.evaluate import find_out
from auditor.policies.facts import CaseFacts
from auditor.policies.observation import Papers
from auditor.policies.pinning import packs_digest
from auditor.policies.rule import Rule, RulePack
from auditor.policies.vocabulary import Check

_ANSWER = frozenset({Check.ANSWERED_IN_TIME, Check.REFUSED_IN_TIME})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The day the limit ends, a timely extension counted, and what the rule found."""

    due: date
    finding: Finding


def in_law_since(packs: Sequence[RulePack], regime: Regime) -> date:
    """The first day on which a request under a regime could come in.

    Before it the regime's own pack sets no limit to the answer, and a case would have no deadline.
    HIPAA sets none at all; there it is the first day of any of the pack's rules.
    """
    law = [pack for pack in packs if pack.name == regime.value]
    named = [rule for pack in law for rule in pack.rules if regime in rule.applies.regimes]
    timed = [rule for rule in named if _ANSWER & {*rule.requires}]
    return min((rule.effective_from for rule in timed or named), default=date.min)


def answer_of(packs: Sequence[RulePack], facts: CaseFacts) -> Answer | None:
    """The time limit of a case's answer, by the one rule that applies to it; None without one.

    Where the regime's own pack limits the answer, no rule of another pack stands in for it, though
    it find something in the case: a house rule may well be stricter than the law, but isn't it.
    """
    digest = packs_digest(packs)
    for rule in _answering(packs, facts.regime):
        papers = Papers(facts=facts, rule=rule, packs=digest)
        finding = find_out(papers)
        if finding.status is not FindingStatus.NOT_APPLICABLE:
            return Answer(due=deadline_in_force(papers).day, finding=finding)
    return None


def _answering(packs: Sequence[RulePack], regime: Regime) -> list[Rule]:
    law = [pack for pack in packs if pack.name == regime.value]
    return _limiting(law) or _limiting(packs)


def _limiting(packs: Sequence[RulePack]) -> list[Rule]:
    return [rule for pack in packs for rule in pack.rules if _ANSWER & {*rule.requires}]
