"""What a rule is: a citation, when it applies, and what the record must show.

The vocabulary is closed: a rule names checks that exist in `checks.CHECKS`, and can't compute.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import field
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from auditor.domain.artefact import Digest
from auditor.domain.request import DecisionKind, Ground, Regime

_STRICT = ConfigDict(extra="forbid")
_LONGEST = 1200


def _prose(text: str) -> str:
    folded = " ".join(text.split())
    if not folded or len(folded) > _LONGEST:
        raise ValueError(f"must be text of 1 to {_LONGEST} characters")
    if any(unicodedata.category(character).startswith("C") for character in folded):
        raise ValueError("holds control, formatting or unassigned characters")
    if "complian" in folded.lower():
        raise ValueError('a rule finds evidence; it never says "compliant" or "compliance"')
    return folded


Prose = Annotated[str, AfterValidator(_prose)]
RuleId = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]*(-[A-Za-z0-9]+)+$", max_length=40)]
Length = Annotated[int, Field(ge=1, le=120)]


class Check(StrEnum):
    """What can be asked of the record. `checks.CHECKS` holds one function for each."""

    REQUEST_GRANTED = "request-granted"
    GROUND_OF_REGIME = "ground-of-regime"
    ANSWERED_IN_TIME = "answered-in-time"
    REFUSED_IN_TIME = "refused-in-time"
    EXTENDED_IN_TIME = "extended-in-time"
    CONCLUDED = "concluded"
    AFFECTED_ACCOUNTED = "affected-accounted"
    DERIVED_ACCOUNTED = "derived-accounted"
    AFFECTED_OUT_OF_SERVICE = "affected-out-of-service"
    ERASURE_ESTABLISHED = "erasure-established"
    PRE_REGISTERED = "pre-registered"
    DIGESTS_AGREE = "digests-agree"
    STREAM_UNBROKEN = "stream-unbroken"
    RULES_PINNED = "rules-pinned"
    CASE_ID_OPAQUE = "case-id-opaque"
    RETAINED_LISTED = "retained-listed"
    SOURCE_RECORDS_KEPT = "source-records-kept"
    KEPT_UNTIL = "kept-until"


class JudgedBy(StrEnum):
    """Who concludes: the record alone, or a person with the record at hand."""

    RECORD = "record"
    PERSON = "person"


class Counting(StrEnum):
    """How a period is counted (see `dates`)."""

    REGULATION_1182_71 = "regulation-1182-71"
    CALENDAR = "calendar"


class RunsFrom(StrEnum):
    """The event a period runs from; all but the first two lie outside the case."""

    RECEIPT = "receipt"
    LAST_RECORD = "last-record"
    ACCESS_REQUEST = "access-request"
    AMENDMENT_REQUEST = "amendment-request"
    ACCOUNTING_REQUEST = "accounting-request"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class TimeLimit:
    """A period; ``extended`` is its whole length after an extension, from the same start."""

    length: Length
    unit: Literal["days", "months", "years"]
    runs_from: RunsFrom
    counting: Counting
    extended: Length | None = None

    def __post_init__(self) -> None:
        if (self.unit == "months") != (self.counting is Counting.REGULATION_1182_71):
            raise ValueError("months are counted by regulation-1182-71, days and years by calendar")
        if self.extended is not None and self.extended <= self.length:
            raise ValueError("extended is the whole length and must exceed length")


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Applicability:
    """When a rule concerns a case; what is left empty doesn't narrow it.

    Attributes:
        regimes: the request is handled under one of these.
        decided: the desk's last decision is one of these.
        ever_decided: one of the desk's decisions is one of these.
        unless_decided: not when the desk's last decision is one of these.
        unless_nothing_to_unlearn: not when the inventory found no image of the subject.
    """

    regimes: tuple[Regime, ...] = ()
    grounds: tuple[Ground, ...] = ()
    decided: tuple[DecisionKind, ...] = ()
    ever_decided: tuple[DecisionKind, ...] = ()
    unless_decided: tuple[DecisionKind, ...] = ()
    unless_nothing_to_unlearn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Rule:
    """One rule of a pack.

    Attributes:
        citation: the provision, as a lawyer cites it.
        title: what the rule asks, in plain words.
        text: what the provision says, in plain words.
        applies: when the rule concerns a case.
        requires: checks that the record must all support.
        judged_by: a person concludes wherever the record can't, unless it contradicts the rule.
        left_to_a_person: what the record can't show.
        remedy: what to do when the rule is not met or evidence is missing.
        banner: printed with every finding of this rule; such a rule is never silent.
    """

    id: RuleId
    citation: Prose
    title: Prose
    text: Prose
    applies: Applicability
    judged_by: JudgedBy
    left_to_a_person: Prose
    remedy: Prose
    effective_from: date
    requires: tuple[Check, ...] = ()
    time_limit: TimeLimit | None = None
    effective_to: date | None = None
    banner: Prose | None = None

    def __post_init__(self) -> None:
        if self.judged_by is JudgedBy.RECORD and not self.requires:
            raise ValueError("a rule judged by the record must require at least one check")
        if len(set(self.requires)) != len(self.requires):
            raise ValueError("a check is required twice")
        self._check_time_limit()
        if self.effective_to is not None and self.effective_to < self.effective_from:
            raise ValueError("effective_to lies before effective_from")

    def _check_time_limit(self) -> None:
        limit = self.time_limit
        if Check.KEPT_UNTIL in self.requires and (limit is None or limit.unit != "years"):
            raise ValueError("the check kept-until needs a time_limit in years")
        if set(self.requires) & _DEADLINES and (
            limit is None or limit.unit == "years" or limit.runs_from is not RunsFrom.RECEIPT
        ):
            raise ValueError("a check of time needs a time_limit that runs from receipt")

    def in_force(self, day: date) -> bool:
        """The rule is law on that day; both ends included."""
        return self.effective_from <= day and (
            self.effective_to is None or day <= self.effective_to
        )


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class PackHead:
    """The file `pack.yaml`: which pack this is."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    title: Prose
    version: Annotated[str, Field(pattern=r"^\d{4}\.\d{1,2}\.\d{1,3}$")]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class RuleFile:
    """Every other file of a pack: a list of rules."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePack:
    """A loaded pack; ``digest`` is taken over the names and bytes of its files."""

    name: str
    title: str
    version: str
    digest: Digest
    rules: tuple[Rule, ...]
    files: Mapping[str, bytes] = field(repr=False)


_DEADLINES = frozenset({Check.ANSWERED_IN_TIME, Check.REFUSED_IN_TIME, Check.EXTENDED_IN_TIME})
