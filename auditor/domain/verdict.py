"""Verdicts, the reasons they carry, bases of assurance and rule findings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Verdict(StrEnum):
    """Three-valued: what the data can't tell is INDETERMINATE (DESIGN section 2)."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    INDETERMINATE = "INDETERMINATE"


class ReasonCode(StrEnum):
    """Why a verdict is what it is; every verdict carries at least one."""

    EQUIVALENT = "influence-within-margin"
    INFLUENCE_OUTSIDE = "influence-outside-margin"
    INTERVAL_STRADDLES = "interval-straddles-margin"
    GAP_NOT_ESTABLISHED = "gap-not-established"
    PATIENT_OUTSIDE = "patient-outside-margin"  # of earlier versions
    PATIENT_TOLD_APART = "patient-told-apart"
    CONTROL_NOT_DETECTED = "positive-control-not-detected"
    POWER_TOO_LOW = "declared-power-too-low"
    AUC_NON_INFERIOR = "auc-non-inferior"
    AUC_INFERIOR = "auc-inferior"
    AUC_UNDECIDED = "auc-undecided"
    AUC_MARGIN_REFUSED = "auc-margin-refused"
    SECONDARY_REJECTED = "secondary-test-rejected"
    SECONDARY_DOUBTED = "secondary-test-in-doubt"
    RECIPE_MISMATCH = "recipe-mismatch"
    NOT_BY_RECIPE = "not-by-recipe"
    NO_MODEL_POSSIBLE = "no-model-possible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A machine-readable code with a sentence that holds the numbers."""

    code: ReasonCode
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict that explains itself."""

    verdict: Verdict
    reasons: tuple[Reason, ...]

    def __post_init__(self) -> None:
        if not self.reasons:
            raise ValueError("a verdict without a reason")


class Basis(StrEnum):
    """Basis of assurance a certificate rests on (DESIGN section 4 point 10)."""

    EXACT = "exact"
    STATISTICAL_INDIVIDUAL = "statistical-individual"
    STATISTICAL_COHORT = "statistical-cohort"
    NONE = "none"


class FindingStatus(StrEnum):
    """Outcome of laying the evidence beside one rule."""

    MET = "MET"
    NOT_MET = "NOT_MET"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    INSUFFICIENT = "INSUFFICIENT"
    HUMAN_DECISION = "HUMAN_DECISION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's outcome, with the ledger leaves that support it.

    Attributes:
        explanation: the parts below in a few sentences, as documents print them.
        asked: what the provision says, in plain words.
        found: what the record shows for it, or for a person to judge.
        missing: what it lacks, or shows against it.
        due: last day of the time limit, 9999-12-31 where the rule sets none that runs here.
        unchecked: nobody has read the rule beside the law.
    """

    rule_id: str
    citation: str
    title: str
    status: FindingStatus
    leaves: tuple[int, ...]
    explanation: str
    asked: str = ""
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    due: date = date.max
    unchecked: bool = False
