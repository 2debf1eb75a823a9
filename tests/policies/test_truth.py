"""The truth table of every shipped rule, situation by situation (`truth.txt`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from auditor.domain.kind import Event
from auditor.domain.request import Regime
from auditor.domain.verdict import Finding, FindingStatus
from auditor.policies.evaluate import evaluate
from auditor.policies.pinning import concerning
from auditor.policies.rule import Applicability, Rule
from auditor.policies.vocabulary import JudgedBy
from tests.policies import road
from tests.policies.papers import PAPERS, Situation
from tests.policies.road import PACKS, RULES, both, packs_for
from tests.policies.situations import SITUATIONS

STATUS = {
    "M": FindingStatus.MET,
    "N": FindingStatus.NOT_MET,
    "i": FindingStatus.INSUFFICIENT,
    "p": FindingStatus.HUMAN_DECISION,
    "-": FindingStatus.NOT_APPLICABLE,
}


_LEGEND = re.compile(r"  ([a-zA-Z]) (\S.*)")


def read_table() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Situations by their letter, and for each rule what it finds in each."""
    lines = (Path(__file__).parent / "truth.txt").read_text().splitlines()
    legend = dict(found.groups() for line in lines if (found := _LEGEND.fullmatch(line)))
    header = next(line.split() for line in lines if line.split()[:3] == ["a", "b", "c"])
    legend = {letter: legend[letter] for letter in header}
    rows = [line.split() for line in lines if line[:1].isupper() and line.split()[0] in RULES]
    assert len({row[0] for row in rows}) == len(rows)
    return legend, {name: dict(zip(header, cells, strict=True)) for name, *cells in rows}


LEGEND, TABLE = read_table()


def found(rule: Rule, situation: Situation) -> Finding:
    """What the rule finds, laid beside it together with all of its packs."""
    applies = rule.applies
    alike = Applicability(regimes=applies.regimes, grounds=applies.grounds, reasons=applies.reasons)
    return laid(situation, alike)[rule.id]


@cache
def laid(situation: Situation, applies: Applicability) -> Mapping[str, Finding]:
    """Findings by rule; of a rule, a situation looks at nothing but what is in ``applies``."""
    findings = evaluate(packs_for(applies.regimes[0]), situation.facts(applies))
    return {item.rule_id: item for item in findings}


def test_every_rule_has_its_row_and_every_situation_its_column() -> None:
    assert set(TABLE) == set(RULES)
    assert list(LEGEND.values()) == list(SITUATIONS)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_truth(rule: Rule) -> None:
    seen = {letter: found(rule, SITUATIONS[name]).status for letter, name in LEGEND.items()}
    assert seen == {letter: STATUS[cell] for letter, cell in TABLE[rule.id].items()}


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_every_rule_is_seen_from_both_sides(rule: Rule) -> None:
    """Judged by the record: met and not. Judged by a person: never met."""
    cells = set(TABLE[rule.id].values())
    if rule.judged_by is JudgedBy.RECORD:
        assert "M" in cells and cells & {"N", "i"}
    else:
        assert "p" in cells and "M" not in cells


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_each_narrowing_of_a_rule_keeps_it_off_some_case(rule: Rule) -> None:
    applies = rule.applies
    narrowed = (applies.decided, applies.ever_decided, applies.unless_decided, applies.reasons)
    if any(narrowed) or applies.identity or applies.unless_nothing_to_unlearn:
        assert "-" in {TABLE[rule.id][letter] for letter in LEGEND if LEGEND[letter] != "before"}


@pytest.mark.parametrize("regime", Regime)
def test_rules_of_other_laws_are_silent_and_none_of_their_packs_is_pinned(regime: Regime) -> None:
    """All but the banner, which whoever lays HIPAA's pack beside a case is shown."""
    mine = {rule.id for pack in concerning(PACKS, regime) for rule in pack.rules}
    rule = next(rule for rule in RULES.values() if rule.applies.regimes[0] is regime)
    findings = evaluate(PACKS, SITUATIONS["in order"].facts(rule.applies))
    for item in findings:
        if item.rule_id not in mine and item.rule_id != "HIPAA-NO-ERASURE":
            assert item.status is FindingStatus.NOT_APPLICABLE
    assert {item.status for item in findings if item.rule_id in mine} > {FindingStatus.MET}


def test_a_document_of_another_case_is_no_evidence_here() -> None:
    rule = RULES["GDPR-35-DPIA"]

    def elsewhere(entries: list[road.Entry]) -> list[road.Entry]:
        return [
            (stream, day, _of_case(event, road.OTHER_CASE) if stream == "documents" else event)
            for stream, day, event in entries
        ]

    assert found(rule, SITUATIONS["in order"]).status is FindingStatus.MET
    moved = Situation(edit=lambda _: both(PAPERS, elsewhere))
    assert found(rule, moved).status is FindingStatus.INSUFFICIENT


def _of_case(event: Event, case: str) -> Event:
    return replace(event, case=case)  # type: ignore[call-arg]  # documents all name one


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_parts_and_explanation_tell_the_same(rule: Rule) -> None:
    for name, situation in SITUATIONS.items():
        item = found(rule, situation)
        assert item.asked == rule.text
        if item.status is FindingStatus.NOT_APPLICABLE:
            assert (item.found, item.missing) == ((), ())
            assert "unchecked" not in item.explanation
            continue
        assert item.explanation.endswith(" Rule unchecked.")
        if item.status is FindingStatus.MET:
            assert item.found and item.leaves and not item.missing
        if item.status in (FindingStatus.NOT_MET, FindingStatus.INSUFFICIENT):
            assert item.missing, name
        else:
            assert all(said in item.explanation for said in item.found + item.missing)


SPARE = {
    "UK-12A-CLOCK": "a clock that never stopped needs no entry but the request's",
    "CCPA-130-ACK": "another letter will do",
}


@pytest.mark.parametrize("regime", Regime)
@pytest.mark.parametrize("name", ["in order", "refused", "extended", "paused", "nothing"])
def test_leaves_resolve_and_met_falls_when_they_are_taken_away(regime: Regime, name: str) -> None:
    packs = packs_for(regime)
    given = SITUATIONS[name].facts(Applicability(regimes=(regime,)))
    places = {record.sequence for record in given.records}
    for item in evaluate(packs, given):
        assert set(item.leaves) <= places
        cited = set(item.leaves) - {given.request.number}
        if item.status is not FindingStatus.MET or not cited or item.rule_id in SPARE:
            continue
        left = tuple(record for record in given.records if record.sequence not in cited)
        without = {found.rule_id: found for found in evaluate(packs, replace(given, records=left))}
        assert without[item.rule_id].status is not FindingStatus.MET, item.rule_id
