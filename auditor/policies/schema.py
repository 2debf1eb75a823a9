"""The JSON Schema of rule files, for editors and for whoever writes packs without this software.

`templates/rule-file-v1.schema.json` and `templates/rule-pack-v1.schema.json` are what is shipped;
a test holds them to these functions, and both to the classes of `rule`. A schema can't tell that
prose holds a control character, or that one day comes before another: `auditor policy check` can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from auditor.policies.limit import Counting, RunsFrom
from auditor.policies.rule import PackHead, RuleFile
from auditor.policies.vocabulary import TIMED, Check, JudgedBy

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def rule_file_schema() -> Schema:
    """Of a rule file, once its YAML is read."""
    schema = _described(RuleFile, "A rule file of auditor, version 1")
    rule, limit = schema["$defs"]["Rule"], schema["$defs"]["TimeLimit"]
    rule["properties"]["requires"]["uniqueItems"] = True
    rule["oneOf"] = [
        {"required": ["checked"], "properties": {"unchecked": {"const": False}}},
        {
            "required": ["unchecked"],
            "properties": {"unchecked": {"const": True}, "checked": {"type": "null"}},
        },
    ]
    rule["allOf"] = [
        _when({"judged_by": {"const": JudgedBy.RECORD}}, {"requires": {"minItems": 1}}),
        *_together(Check.DOCUMENT_FILED, "documents"),
        *_together(Check.LETTER_IN_TIME, "letters"),
        _when({"renewed_within": {"type": "integer"}}, {"documents": {"minItems": 1}}),
        _when(
            _asks(Check.EXEMPTION_REVIEWED),
            {"applies": {"required": ["reasons"], "properties": {"reasons": {"minItems": 1}}}},
        ),
        _when(
            _asks(Check.KEPT_UNTIL), _limit({"const": RunsFrom.LAST_RECORD}, ("months", "years"))
        ),
        *(
            _when(_asks(check), _limit({"const": RunsFrom.RECEIPT}, ("days", "months")))
            for check in sorted(TIMED)
        ),
    ]
    limit["allOf"] = _counted()
    return schema


def pack_head_schema() -> Schema:
    """Of the file `pack.yaml`."""
    return _described(PackHead, "The head of a rule pack of auditor, version 1")


def _described(kind: type, title: str) -> Schema:
    made = TypeAdapter(kind).json_schema()
    return {"$schema": _DIALECT, **made, "title": title}


def _when(given: Mapping[str, Schema], then: Mapping[str, Schema]) -> Schema:
    """Where a rule has what is given, it also has the rest."""
    return {
        "if": {"required": list(given), "properties": dict(given)},
        "then": {"required": list(then), "properties": dict(then)},
    }


def _asks(check: Check) -> dict[str, Schema]:
    return {"requires": {"contains": {"const": check}}}


def _together(check: Check, papers: str) -> list[Schema]:
    """A check and what it looks for come together or not at all."""
    return [
        _when(_asks(check), {papers: {"minItems": 1}}),
        _when({papers: {"minItems": 1}}, {"requires": {"contains": {"const": check}}}),
    ]


def _limit(runs_from: Schema, units: Sequence[str]) -> dict[str, Schema]:
    inside = {"runs_from": runs_from, "unit": {"enum": list(units)}}
    return {"time_limit": {"type": "object", "properties": inside}}


def _counted() -> list[Schema]:
    """Which units go with which way of counting."""
    kept = {"runs_from": {"const": RunsFrom.LAST_RECORD}}
    months = [Counting.REGULATION_1182_71, Counting.CORRESPONDING_DATE]
    elsewhere: Schema = {"runs_from": {"not": {"const": RunsFrom.LAST_RECORD}}}
    return [
        _when(kept, {"counting": {"const": Counting.CALENDAR}}),
        _when({**elsewhere, "unit": {"const": "months"}}, {"counting": {"enum": months}}),
        _when({**elsewhere, "counting": {"enum": months}}, {"unit": {"const": "months"}}),
        _when({"counting": {"const": Counting.BUSINESS_DAYS}}, {"unit": {"const": "days"}}),
        _when({"stops": {"const": True}}, {"counting": {"const": Counting.CORRESPONDING_DATE}}),
    ]
