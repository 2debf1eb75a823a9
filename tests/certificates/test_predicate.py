"""Document, JSON Schema and what is signed: each field of one is a field of the others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from auditor.certificates.facts import (
    Approval,
    DocumentFacts,
)
from auditor.certificates.run_facts import Audit
from auditor.certificates.statement import statement_bytes
from auditor.domain.artefact import ArtefactFate, ArtefactKind, ItemStatus, item_status
from auditor.domain.evidence import CandidateRole, Power
from auditor.domain.request import Ground, Outcome, Regime
from auditor.domain.verdict import Basis, FindingStatus, Verdict
from auditor.errors import CertificateError
from tests.certificates import examples

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "templates" / "erasure-certificate-v1.schema.json").read_text())
DOCUMENT = (ROOT / "docs" / "predicate.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<field>[\w.\[\]]+)` \| (?P<type>[^|]+) \| (?P<meaning>[^|]+) \|$", re.M)
LISTED = ("reasons", "aucComparisons")  # shapes that are lists themselves

Node = Mapping[str, Any]


def type_of(node: Node) -> str:
    """What the document calls a schema's type."""
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        named = {"yesNo": "yes or no", "verdict": "token"} | {n: f"list of {n}" for n in LISTED}
        return named.get(name, name)
    if "enum" in node or "const" in node:
        return "token"
    if node["type"] == "array":
        return f"list of {type_of(node['items'])}"
    if node["type"] == "object":
        return "map" if "properties" in node else "map of text"
    return "count" if node["type"] == "integer" else "text"


def fields_of(node: Node, path: str) -> Iterator[tuple[str, str, Node]]:
    if node.get("type") == "array":
        yield from fields_of(node["items"], f"{path}[]")
        return
    for name, inner in node.get("properties", {}).items():
        field = f"{path}.{name}" if path else name
        yield field, type_of(inner) + ("" if name in node["required"] else ", optional"), inner
        yield from fields_of(inner, field)


def schema_fields() -> list[tuple[str, str, Node]]:
    shapes = [fields_of(node, name) for name, node in SCHEMA["$defs"].items()]
    return [*fields_of(SCHEMA, ""), *(field for shape in shapes for field in shape)]


def test_the_document_describes_every_field_of_the_schema_and_no_other() -> None:
    described = [(row["field"], row["type"]) for row in ROW.finditer(DOCUMENT)]
    assert len(set(described)) == len(described)
    assert set(described) == {(field, kind) for field, kind, _ in schema_fields()}


def test_the_document_names_every_token_of_the_schema() -> None:
    meanings = {row["field"]: row["meaning"] for row in ROW.finditer(DOCUMENT)}
    for field, _, node in schema_fields():
        tokens = node.get("enum", [node["const"]] if "const" in node else [])
        assert all(f"`{token}`" in meanings[field] for token in tokens), field


def signed_fields(value: object, node: Node, path: str) -> Iterator[str]:
    """Fields found in a statement, by the names that the schema gives them."""
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        yield from signed_fields(value, SCHEMA["$defs"][name], name)
    elif isinstance(value, list):
        for item in value:
            yield from signed_fields(item, node["items"], f"{path}[]")
    elif isinstance(value, dict) and "properties" in node:
        for name, item in value.items():
            field = f"{path}.{name}" if path else name
            yield field
            yield from signed_fields(item, node["properties"][name], field)


def test_every_field_of_the_schema_is_signed_in_some_document() -> None:
    """That no other is signed is what `additionalProperties` says (test_statement)."""
    signed = {
        field
        for make in examples.ALL.values()
        for field in signed_fields(json.loads(statement_bytes(make()))["predicate"], SCHEMA, "")
    }
    assert signed == {field for field, _, _ in schema_fields()}


def test_what_was_decided_after_local_midnight_can_be_issued_before_that_of_utc() -> None:
    facts = examples.refused()

    def decided(days: int) -> DocumentFacts:
        day = facts.issued + timedelta(days=days)
        return replace(facts, request=replace(facts.request, decided=day))

    assert json.loads(statement_bytes(decided(1)))["predicate"]["issued"] == str(facts.issued)
    with pytest.raises(CertificateError, match="before its request was decided"):
        decided(2)


def test_no_power_is_told_higher_than_it_was_declared() -> None:
    power = Power(detect_untouched=0.99999, pass_retrain=0.7999999)
    facts = examples.cohort()
    facts = replace(facts, plan=replace(examples.PLAN, power=power, detect_one=0.89996))
    said = json.loads(statement_bytes(facts))["predicate"]
    plan = said["plan"]
    assert (plan["detectUntouched"], plan["passRetrain"]) == ("0.9999", "0.7999")
    assert plan["detectOne"] == "0.8999"
    (line,) = [line for line in said["summary"] if "Declared before the run" in line]
    assert "probability 0.99, and" in line and "probability 0.79." in line
    assert any("told apart with probability 0.89," in line for line in said["nonClaims"])


def test_a_qualification_that_was_not_the_first_says_how_the_others_went() -> None:
    def concluded(number: int, short: int) -> Any:
        facts = examples.cohort()
        assert facts.conclusion is not None
        cited = replace(examples.CITED, number=number, short=short)
        facts = replace(facts, conclusion=replace(facts.conclusion, qualification=cited))
        return json.loads(statement_bytes(facts))["predicate"]["conclusion"]

    third, first = concluded(3, 1), concluded(1, 0)
    assert (third["qualificationNumber"], third["qualificationsShort"]) == (3, 1)
    assert third["basisExplanation"].endswith("of those before it: 1.")
    assert "number 3 of this method's" in third["basisExplanation"]
    assert first["basisExplanation"].endswith("was current.")
    with pytest.raises(CertificateError, match="fewer qualifications"):
        concluded(3, 3)


def test_no_map_of_the_schema_is_open() -> None:
    def maps(node: object) -> Iterator[Mapping[str, Any]]:
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield node
            for inner in node.values():
                yield from maps(inner)

    for found in maps(SCHEMA):
        assert "additionalProperties" in found
        assert found["additionalProperties"] in (False, {"type": "string"})


@pytest.mark.parametrize(
    ("field", "enum"),
    [
        ("outcome", Outcome),
        ("approval", Approval),
        ("request.regime", Regime),
        ("request.ground", Ground),
        ("inventory[].kind", ArtefactKind),
        ("inventory[].fate", ArtefactFate),
        ("inventory[].status", ItemStatus),
        ("findings[].status", FindingStatus),
        ("conclusion.basis", Basis),
    ],
)
def test_tokens_are_those_of_the_code(field: str, enum: type[StrEnum]) -> None:
    nodes = {name: node for name, _, node in schema_fields()}
    assert nodes[field]["enum"] == [item.value for item in enum]


def test_verdicts_and_roles_are_those_of_the_code() -> None:
    assert SCHEMA["$defs"]["verdict"]["enum"] == [item.value for item in Verdict]
    roles = SCHEMA["properties"]["controls"]["items"]["properties"]["role"]["enum"]
    assert set(roles) == set(CandidateRole) - {CandidateRole.REQUEST}


def test_each_copy_has_a_status_of_its_own() -> None:
    assert item_status(ArtefactFate.DESTROYED, "no-longer-needed") is ItemStatus.ERASED
    assert item_status(ArtefactFate.RETAINED, "medical-record-retention") is ItemStatus.EXCEPTED
    assert item_status(ArtefactFate.RETAINED, "erasure-not-established") is ItemStatus.NOT_ERASED
    statuses = {
        make: {item["status"] for item in predicate(make())["inventory"]}
        for make in (examples.passed, examples.failed)
    }
    assert statuses[examples.passed] == {"erased", "with-exceptions"}
    assert statuses[examples.failed] == {"erased", "with-exceptions", "not-erased"}


def predicate(facts: DocumentFacts) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(statement_bytes(facts))["predicate"]
    return read


@pytest.mark.parametrize(("members", "told"), [(1, False), (4, False), (5, True), (24, True)])
def test_what_an_attack_finds_among_few_patients_is_not_told(members: int, told: bool) -> None:
    facts = examples.passed()
    rung = facts.attempts[0]
    assert rung.audit is not None
    evidence = rung.audit.evidence
    attack = replace(evidence.membership[0], members=members)
    audit = Audit(evidence=replace(evidence, membership=(attack,)), decision=rung.audit.decision)
    found = predicate(replace(facts, attempts=(replace(rung, audit=audit),)))["audit"]["membership"]
    assert [item["members"] for item in found["attacks"]] == [members] * told
    assert found["tooFew"] == [] if told else ["loss-threshold"]
