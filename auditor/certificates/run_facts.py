"""What one run tried and measured, and what it concluded, as a document tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.artefact import Digest
from auditor.domain.evidence import CandidateRole, Evidence
from auditor.domain.verdict import Basis, Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the laboratory measured on one model, and what it decided."""

    evidence: Evidence
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRung:
    """A rung of the ladder that was out of reach before it was tried; ``reason`` is a token."""

    method: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedRung:
    """One attempt. ``weights``, ``record`` and ``audit`` are None where there is no model.

    ``exact`` says that the method's model is one that never saw the patient by construction;
    ``replayed`` that it was made a second time and came out the same bit for bit.
    """

    attempt: int
    method: str
    exact: bool
    parameters: Mapping[str, str]
    milliseconds: int
    replayed: bool = False
    weights: Digest | None = None
    record: Digest | None = None
    audit: Audit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The same audit over a model whose answer is known: the untouched one, a fresh retrain."""

    role: CandidateRole
    audit: Audit


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedQualification:
    """The method's signed report that a cohort's basis rests on, and how often it was tried.

    Attributes:
        number: of this qualification among all of this method on this model, from 1.
        short: how many of those before it found a shortfall, or were never ended.
    """

    report: Digest
    number: int
    short: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """The verdict the case ended with, and the basis of assurance a certificate may name."""

    decision: Decision
    basis: Basis
    qualification: CitedQualification | None = None
