"""Time limits of laws that no case is handled under yet, such as Brazil's and India's: data alone.

They find nothing in a case; `auditor policy due` counts them, as it counts any rule's.
"""

from __future__ import annotations

from functools import cache

from pydantic.dataclasses import dataclass

from auditor.policies.limit import STRICT, TimeLimit
from auditor.policies.load import parse_file
from auditor.policies.rule import Day, Prose, RuleId
from auditor.shipped import shipped

_FILE = "elsewhere.yaml"


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class LimitElsewhere:
    """One period of a law without a pack; `unchecked` as of a rule."""

    id: RuleId
    law: Prose
    citation: Prose
    title: Prose
    time_limit: TimeLimit
    effective_from: Day
    unchecked: bool


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class _File:
    limits: tuple[LimitElsewhere, ...]


@cache
def load_elsewhere() -> tuple[LimitElsewhere, ...]:
    """The shipped periods, in the file's order.

    Raises:
        PolicyError: the file is damaged.
    """
    return parse_file(_File, _FILE, (shipped("policies") / _FILE).read_bytes()).limits
