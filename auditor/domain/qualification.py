"""What the qualification of a method found: process validation on surrogate patients.

Counts, shares and numbers per model only: no patient, no image and no image's score. What is signed
are the canonical bytes of a `Qualification`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from auditor.domain.artefact import Digest
from auditor.domain.evidence import Estimate, MembershipAttack, Power
from auditor.domain.kind import Event, named


class Profile(StrEnum):
    """How much a qualification tries."""

    QUICK = "quick"
    FULL = "full"


class Shortfall(StrEnum):
    """Why a method isn't qualified."""

    FAKE_PASSED = "fake-passed"
    TAMPERING_ACCEPTED = "tampering-not-refused"
    FALSE_ALARMS = "false-alarms-above-alpha"
    POWER_TOO_LOW = "declared-power-too-low"
    METHOD_UNSUITED = "method-not-passed-by-most"
    NO_PARAMETERS = "no-parameters-within-bounds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Verdicts on candidates of one kind, each audited by the whole plan.

    Attributes:
        name: of the fake, or of the method, or ``retrain``.
        refused: candidates that couldn't be audited at all, such as constant outputs.
        passed_share: exact interval at 95 %; ``failed_share`` likewise.
        influence: rho of each candidate that could be audited.
        reasons: by code, of how many verdicts each was one.
    """

    name: str
    candidates: int
    passed: int
    failed: int
    indeterminate: int
    refused: int
    passed_share: Estimate
    failed_share: Estimate
    influence: tuple[float, ...]
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampering:
    """A forgery put to the code that has to refuse it."""

    name: str
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLine:
    """Power declared for the first of the surrogate patients and part of the references."""

    patients: int
    images: int
    out_models: int
    in_models: int
    power: Power


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualification:
    """The whole report.

    Attributes:
        model: its name; ``weights`` those in service, on whose data and recipe it was tried.
        data: the ledger's commitment to the data set; with ``recipe`` the model family.
        code: what decided, see `auditor.verification.engine_code`.
        number: of this qualification among all of this method on this model, from 1.
        parameters: of the method, tuned on other surrogates; empty where none suited.
        plan: what each candidate was judged by; ``bank`` the list of its reference models.
        patients: surrogates, chosen as those most memorised that nobody asked to erase.
        retrains: negative controls; FAILED is a false alarm.
        fakes: FAILED is a detection; PASSED is a fault of the laboratory.
        unlearned: what the method makes of models trained on the surrogates; empty where no
            parameters suited.
        u_lira: attack on these, by the model; empty where there are too few.
        milliseconds: median of one verdict, measuring included.
    """

    model: str
    method: str
    profile: Profile
    number: int
    weights: Digest
    architecture: str
    recipe: Digest
    data: Digest
    synthetic: bool
    code: Digest
    bank: Digest
    plan: Digest
    parameters: tuple[tuple[str, str], ...]
    patients: int
    images: int
    out_models: int
    in_models: int
    margin: float
    alpha: float
    required_power: float
    power: Power
    retrains: Tally
    fakes: tuple[Tally, ...]
    tampering: tuple[Tampering, ...]
    unlearned: tuple[Tally, ...]
    u_lira: tuple[MembershipAttack, ...]
    power_lines: tuple[PowerLine, ...]
    milliseconds: int
    valid_from: date
    valid_until: date

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """Why the method isn't qualified; empty where it is.

        A rate is held against alpha by its exact interval: few retrains can show that the rate
        lies above alpha, not that it lies below.
        """
        found = []
        if any(fake.passed for fake in self.fakes):
            found.append(Shortfall.FAKE_PASSED)
        if not all(item.refused for item in self.tampering):
            found.append(Shortfall.TAMPERING_ACCEPTED)
        if self.retrains.failed_share.lower > self.alpha:
            found.append(Shortfall.FALSE_ALARMS)
        if min(self.power.detect_untouched, self.power.pass_retrain) < self.required_power:
            found.append(Shortfall.POWER_TOO_LOW)
        if not self.unlearned:
            found.append(Shortfall.NO_PARAMETERS)
        elif any(2 * made.passed <= made.candidates for made in self.unlearned):
            found.append(Shortfall.METHOD_UNSUITED)
        return tuple(found)


@named("qualification-started/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class QualificationStarted(Event):
    """A method's qualification was begun. Written before anything is tried, so none is hidden."""

    model: str
    weights: Digest
    method: str
    profile: Profile
    number: int


@named("method-qualified/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class MethodQualified(Event):
    """A qualification ended; `report` is the digest of its signed report.

    `shortfalls` says why the method isn't qualified; empty where it is. It holds for models of
    that `recipe` and data under that `code`, until the day named.
    """

    model: str
    weights: Digest
    recipe: Digest
    commitment: Digest
    method: str
    profile: Profile
    number: int
    code: Digest
    report: Digest
    shortfalls: tuple[Shortfall, ...]
    valid_until: date


@named("cohort-cleared/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CohortCleared(Event):
    """The method's qualification is current; written before the verdict on a cohort's candidate.

    `report` is the qualification's.
    """

    case: str
    attempt: int
    method: str
    weights: Digest
    report: Digest
