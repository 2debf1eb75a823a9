"""What a rule is: a citation, when it applies, and what the record must show.

The vocabulary is closed: a rule names checks that exist in `checks.CHECKS`, and can't compute.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import field
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass

from auditor.domain.artefact import Digest
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    DocumentKind,
    Ground,
    IdentityResult,
    LetterKind,
    Regime,
)
from auditor.policies.limit import STRICT, Length, RunsFrom, TimeLimit
from auditor.policies.vocabulary import TIMED, Check, JudgedBy

_LONGEST = 1200
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _prose(text: str) -> str:
    folded = " ".join(text.split())
    if not folded or len(folded) > _LONGEST:
        raise ValueError(f"must be text of 1 to {_LONGEST} characters")
    if any(unicodedata.category(character).startswith("C") for character in folded):
        raise ValueError("holds control, formatting or unassigned characters")
    if "complian" in folded.lower():
        raise ValueError('a rule finds evidence; it never says "compliant" or "compliance"')
    return folded


def _written_out(day: object) -> object:
    if isinstance(day, str) and not _DAY.fullmatch(day):  # a number would count seconds
        raise ValueError("must be a day, as 2027-01-31")
    return day


Day = Annotated[date, BeforeValidator(_written_out)]
Prose = Annotated[str, AfterValidator(_prose)]
RuleId = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]*(-[A-Za-z0-9]+)+$", max_length=40)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Applicability:
    """When a rule concerns a case; what is left empty doesn't narrow it.

    Attributes:
        regimes: the request is handled under one of these.
        decided: the desk's last decision is one of these.
        ever_decided: one of the desk's decisions is one of these.
        unless_decided: not when the desk's last decision is one of these.
        reasons: one of the desk's decisions gives one of these.
        identity: one of the checks of identity ended like this.
        unless_nothing_to_unlearn: not when the inventory found no image of the subject.
    """

    regimes: tuple[Regime, ...] = ()
    grounds: tuple[Ground, ...] = ()
    decided: tuple[DecisionKind, ...] = ()
    ever_decided: tuple[DecisionKind, ...] = ()
    unless_decided: tuple[DecisionKind, ...] = ()
    reasons: tuple[DecisionReason, ...] = ()
    identity: tuple[IdentityResult, ...] = ()
    unless_nothing_to_unlearn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Checked:
    """Who read the rule beside the law.

    Attributes:
        by: whoever did, by office or by name.
        source: the text it was read beside.
    """

    by: Prose
    source: Prose
    date: Day


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Rule:
    """One rule of a pack.

    Attributes:
        citation: the provision, as a lawyer cites it.
        title: what the rule asks, in plain words.
        text: what the provision says, in plain words.
        applies: when the rule concerns a case.
        requires: checks that the record must all support.
        documents: those that `Check.DOCUMENT_FILED` looks for; each of them is needed.
        renewed_within: months after which such a document no longer counts.
        letters: those that `Check.LETTER_IN_TIME` looks for; one of them will do.
        judged_by: a person concludes wherever the record can't, unless it contradicts the rule.
        left_to_a_person: what the record can't show.
        remedy: what to do when the rule is not met or evidence is missing.
        banner: printed with every finding of this rule; such a rule is never silent.
        checked: who read the rule beside the law; a rule that nobody has says `unchecked`.
    """

    id: RuleId
    citation: Prose
    title: Prose
    text: Prose
    applies: Applicability
    judged_by: JudgedBy
    left_to_a_person: Prose
    remedy: Prose
    effective_from: Day
    requires: tuple[Check, ...] = ()
    documents: tuple[DocumentKind, ...] = ()
    renewed_within: Length | None = None
    letters: tuple[LetterKind, ...] = ()
    time_limit: TimeLimit | None = None
    effective_to: Day | None = None
    banner: Prose | None = None
    checked: Checked | None = None
    unchecked: bool = False

    def __post_init__(self) -> None:
        if self.judged_by is JudgedBy.RECORD and not self.requires:
            raise ValueError("a rule judged by the record must require at least one check")
        if len(set(self.requires)) != len(self.requires):
            raise ValueError("a check is required twice")
        if self.unchecked is (self.checked is not None):
            raise ValueError("say who checked the rule, or unchecked: true")
        self._check_papers()
        self._check_time_limit()
        if self.effective_to is not None and self.effective_to < self.effective_from:
            raise ValueError("effective_to lies before effective_from")

    def _check_papers(self) -> None:
        if (Check.DOCUMENT_FILED in self.requires) != bool(self.documents):
            raise ValueError("document-filed and documents go together")
        if (Check.LETTER_IN_TIME in self.requires) != bool(self.letters):
            raise ValueError("letter-in-time and letters go together")
        if self.renewed_within is not None and not self.documents:
            raise ValueError("renewed_within needs documents")
        if Check.EXEMPTION_REVIEWED in self.requires and not self.applies.reasons:
            raise ValueError("exemption-reviewed needs applies.reasons, the exemptions it is about")

    def _check_time_limit(self) -> None:
        limit = self.time_limit
        if Check.KEPT_UNTIL in self.requires and (
            limit is None or limit.runs_from is not RunsFrom.LAST_RECORD or limit.unit == "days"
        ):
            raise ValueError(
                "the check kept-until needs a time_limit in months or years from last-record"
            )
        if set(self.requires) & TIMED and (
            limit is None or limit.unit == "years" or limit.runs_from is not RunsFrom.RECEIPT
        ):
            raise ValueError("a check of time needs a time_limit that runs from receipt")

    def in_force(self, day: date) -> bool:
        """The rule is law on that day; both ends included."""
        return self.effective_from <= day and (
            self.effective_to is None or day <= self.effective_to
        )


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PackHead:
    """The file `pack.yaml`: which pack this is."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    title: Prose
    version: Annotated[str, Field(pattern=r"^\d{4}\.\d{1,2}\.\d{1,3}$")]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
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
