"""The shipped JSON Schemas say what the classes say."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from auditor.domain.request import DecisionReason, DocumentKind, LetterKind
from auditor.policies.limit import Counting, RunsFrom
from auditor.policies.rule import PackHead, RuleFile
from auditor.policies.schema import pack_head_schema, rule_file_schema
from auditor.policies.vocabulary import Check
from auditor.shipped import shipped


def shipped_schema(name: str) -> Any:
    return json.loads((shipped("templates") / f"{name}-v1.schema.json").read_text("utf-8"))


def validator(name: str) -> Draft202012Validator:
    schema = shipped_schema(name)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker(["date"]))


RULES, HEADS = validator("rule-file"), validator("rule-pack")


def typed(text: str) -> Any:
    """As an editor reads YAML: numbers and truth values typed, days as text."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str))


FILES = {
    f"{pack.name}/{file.name}": typed(file.read_text("utf-8"))
    for pack in sorted(shipped("policies").iterdir(), key=lambda item: item.name)
    if pack.is_dir()
    for file in sorted(pack.iterdir(), key=lambda item: item.name)
}
ALL_RULES = [
    rule for name, file in FILES.items() if "pack.yaml" not in name for rule in file["rules"]
]


def is_known(kind: type, content: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(content)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "made"), [("rule-file", rule_file_schema), ("rule-pack", pack_head_schema)]
)
def test_what_is_shipped_is_what_the_classes_make(name: str, made: Any) -> None:
    """To renew: `auditor policy schema` is printed from the file, so write it from `schema`."""
    assert shipped_schema(name) == json.loads(json.dumps(made()))


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_file_fits_its_schema(name: str) -> None:
    head = name.endswith("pack.yaml")
    assert not list((HEADS if head else RULES).iter_errors(FILES[name]))
    assert is_known(PackHead if head else RuleFile, FILES[name])


def paths(content: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a rule."""
    if at:
        yield at
    if isinstance(content, dict):
        for key, value in content.items():
            yield from paths(value, (*at, key))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield from paths(value, (*at, number))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 130),
    st.builds(list),
    st.builds(dict),
    st.just("word"),
    st.sampled_from(["days", "months", "years", "2027-02-29", "2027-02-28", "record", "person"]),
    st.sampled_from([item.value for item in (*Check, *Counting, *RunsFrom)]),
    st.lists(st.sampled_from([item.value for item in Check]), max_size=3),
    st.lists(st.sampled_from([item.value for item in DocumentKind]), max_size=2),
    st.lists(st.sampled_from([item.value for item in LetterKind]), max_size=2),
    st.lists(st.sampled_from([item.value for item in DecisionReason]), max_size=2),
)
KEYS = st.sampled_from(
    [
        *("requires", "documents", "letters", "renewed_within", "time_limit", "unchecked"),
        *("checked", "judged_by", "applies", "effective_to", "banner", "colour"),
    ]
)
CHECKED = {"by": "Dr. Lex", "source": "OJ L 119", "date": "2026-11-01"}


@st.composite
def twins(draw: st.DrawFn) -> Any:
    """A shipped rule with something dropped, changed or added, which may leave it well."""
    rule = copy.deepcopy(draw(st.sampled_from(ALL_RULES)))
    for _ in range(draw(st.integers(1, 3))):
        match draw(st.sampled_from(["drop", "change", "add", "check"])):
            case "check":
                rule["checked"] = dict(CHECKED)
                if draw(st.booleans()):
                    rule.pop("unchecked", None)
            case "add":
                rule[draw(KEYS)] = draw(VALUES)
            case how:
                place = draw(st.sampled_from(list(paths(rule))))
                inside = rule
                for key in place[:-1]:
                    inside = inside[key]
                if how == "drop":
                    del inside[place[-1]]
                else:
                    inside[place[-1]] = draw(VALUES)
        if not rule:
            break
    return rule


def is_beyond_a_schema(rule: Any) -> bool:
    """What only the classes can tell: one day before another, one length before another."""
    limit = rule.get("time_limit")
    if isinstance(limit, dict):
        lengths = (limit.get("length"), limit.get("extended"))
        if all(type(item) is int for item in lengths) and lengths[1] <= lengths[0]:
            return True
    days = (rule.get("effective_from"), rule.get("effective_to"))
    return all(isinstance(item, str) for item in days) and days[1] < days[0]


def is_read_loosely(content: object) -> bool:
    """Numbers and truth values where the classes take either; YAML's text is all they see."""
    if isinstance(content, dict):
        for key, value in content.items():
            number = type(value) in (int, bool)
            truth = key in ("unchecked", "stops", "unless_nothing_to_unlearn")
            counted = key in ("length", "extended", "renewed_within")
            if number and not (type(value) is bool if truth else type(value) is int and counted):
                return True
            if is_read_loosely(value):
                return True
    return isinstance(content, list) and any(map(is_read_loosely, content))


@given(twins())
def test_schema_and_classes_take_and_refuse_the_same(rule: Any) -> None:
    if is_beyond_a_schema(rule) or is_read_loosely(rule):
        return
    content = {"rules": [rule]}
    errors = list(RULES.iter_errors(content))
    assert (not errors) == is_known(RuleFile, content), (rule, errors[:1])


@given(st.sampled_from(["name", "title", "version"]), VALUES)
def test_so_they_do_for_heads_of_packs(key: str, value: Any) -> None:
    head = {"name": "ours", "title": "Our rules", "version": "2026.12.1"}
    for broken in ({**head, key: value}, {k: v for k, v in head.items() if k != key}):
        if not is_read_loosely(broken):
            assert HEADS.is_valid(broken) == is_known(PackHead, broken)
