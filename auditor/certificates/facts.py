"""All that one certificate or signed record says, as frozen values.

Whoever fills these in has looked everything up; nothing here reads a ledger or a model. A document
with outcome ``certified`` is a certificate; every other outcome gives a signed record. No field
can hold a per-image score, a weight delta or an identifier of a person (DESIGN section 4 point 14).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from auditor.certificates.run_facts import Conclusion, Control, SkippedRung, TriedRung
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.evidence import Power
from auditor.domain.model_events import MadeOf
from auditor.domain.printable import flaw_of
from auditor.domain.request import DecidedBy, Ground, Outcome, Regime
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, Finding, Verdict
from auditor.errors import CertificateError

LARGEST_MARGIN = 0.5  # DESIGN section 4 point 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Names from the configuration: the controller (Art. 4(7) GDPR) and its DPO (Art. 37)."""

    controller: str
    dpo: str

    def __post_init__(self) -> None:
        """Refuse names that can't be printed as what they are (CertificateError)."""
        require_printable("controller", self.controller)
        require_printable("dpo", self.dpo)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierAudit:
    """Another case in which a plan was fixed for some of the same subjects, to no certificate.

    ``margin`` is the plan's; ``audited`` whether models were audited by it.
    """

    case: str
    plan: Digest
    margin: float
    audited: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """The request: an opaque case id, counts, the days of receipt and decision, and by whose hand.

    ``training_images`` is None where nobody looked them up: the request was refused or withdrawn
    before. ``held_out_images`` are the subjects', set apart from training; ``earlier`` are cases in
    which the request, or part of it, was settled before; ``audited_before`` those that looked and
    settled nothing. ``time_zone`` is that of the calendar which both days are of, "" unknown.
    """

    case: str
    regime: Regime
    ground: Ground
    received: date
    decided: date
    subjects: int
    training_images: int | None
    held_out_images: int = 0
    earlier: tuple[str, ...] = ()
    audited_before: tuple[EarlierAudit, ...] = ()
    obstacle: Obstacle = Obstacle.NONE
    decided_by: DecidedBy = DecidedBy.UNSIGNED
    time_zone: str = ""

    def __post_init__(self) -> None:
        """Refuse impossible dates or counts (CertificateError)."""
        require_printable("case", self.case)
        if self.decided < self.received:
            raise CertificateError("a request can't be decided before it was received")
        if self.subjects < 1 or (self.training_images or 0) < 0:
            raise CertificateError("a request concerns at least one person and no negative count")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of the model: how many images trained it, and its weights by digest."""

    version: int
    training_images: int
    weights: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFacts:
    """Weights of before that every training of the model starts from, as the controller has them.

    ``withdrawn``: it doesn't declare any more what they were made of.
    """

    weights: Digest
    name: str
    made_of: MadeOf
    declared: date
    withdrawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """The model in service on receipt, and its successor where there is one.

    ``start`` is None where its trainings draw all weights from a seed.
    """

    name: str
    architecture: str
    recipe: Digest
    before: ModelVersion
    after: ModelVersion | None = None
    start: StartFacts | None = None

    def __post_init__(self) -> None:
        """Refuse names that can't be printed (CertificateError)."""
        if self.start is not None:
            require_printable("name of the weights to start from", self.start.name)
        require_printable("model name", self.name)
        require_printable("architecture", self.architecture)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPack:
    """A rule pack as pinned on receipt; ``foreign`` are its rules' ids, of a shipped one none."""

    name: str
    digest: Digest
    foreign: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFacts:
    """What was pinned in the ledger before the run (DESIGN section 4 point 9).

    ``margin`` is in units of residual influence; ``alpha`` is the family-wise error over all
    statistical rungs of the ``ladder``. ``detect_one`` is the power to tell apart one of several
    subjects who is untouched; none where there is one, and plans of earlier versions declare none.
    """

    plan: Digest
    bank: Digest
    margin: float
    alpha: float
    power: Power
    detect_one: float | None
    out_models: int
    in_models: int
    ladder: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a margin above 0.5 or an alpha outside (0, 1) (CertificateError)."""
        if not 0 < self.margin <= LARGEST_MARGIN:
            raise CertificateError(f"margin {self.margin} lies outside (0, {LARGEST_MARGIN}]")
        if not 0 < self.alpha < 1:
            raise CertificateError(f"alpha {self.alpha} lies outside (0, 1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountedArtefact:
    """One copy that carried the influence. ``ground`` is a token; ``review`` where retained."""

    artefact: Digest
    kind: ArtefactKind
    fate: ArtefactFate
    ground: str
    review: date | None = None


class Approval(StrEnum):
    """Who besides the performer has to sign before a document may be issued."""

    NONE = "none"
    FOUR_EYES = "four-eyes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedFacts:
    """Which weights an endpoint says it serves: when it was asked, and its signed answer."""

    asked: datetime
    weights: Digest
    answer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealFacts:
    """What the verifier must find: PAdES level, and whether trusted time is expected."""

    level: str = "B-B"
    trusted_time: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFacts:
    """Everything one document states.

    Attributes:
        locale: language of the document, one of `catalogue.LOCALES`.
        issued: day of issue by the issuer's clock; also the PDF's creation date.
        synthetic: the images are drawn phantoms, not patients.
        code_version: of this software.
        device: what the run was computed on, e.g. ``cpu`` or the accelerator's name; None where
            nothing was run.
        plan: None where the case ended before one was pinned.
        attempts: every rung tried, in order; the last audited one decides.
        conclusion: None where no verdict was reached (refused, withdrawn, nothing to unlearn).
        served: what the endpoint answered; None where none was asked.
        approval: whether an approver's signature must stand beside the performer's.
    """

    outcome: Outcome
    parties: Parties
    request: RequestFacts
    issued: date
    synthetic: bool
    model: ModelFacts
    code_version: str
    device: str | None
    packs: tuple[PolicyPack, ...]
    findings: tuple[Finding, ...]
    plan: PlanFacts | None = None
    skipped: tuple[SkippedRung, ...] = ()
    attempts: tuple[TriedRung, ...] = ()
    controls: tuple[Control, ...] = ()
    conclusion: Conclusion | None = None
    inventory: tuple[AccountedArtefact, ...] = ()
    seal: SealFacts = field(default_factory=SealFacts)
    served: ServedFacts | None = None
    approval: Approval = Approval.NONE
    locale: str = "en"

    def __post_init__(self) -> None:
        """Hold the document to DESIGN section 4 point 10 (CertificateError where it breaks it)."""
        # a day of UTC, and one of the request's time zone, which is ahead by 14 hours at most
        if self.issued + timedelta(days=1) < self.request.decided:
            raise CertificateError("a document can't be issued before its request was decided")
        require_printable("code version", self.code_version)
        if self.device is not None:
            require_printable("device", self.device)
        settled = self.outcome in (Outcome.REFUSED, Outcome.WITHDRAWN)
        if self.request.training_images is None and not settled:
            raise CertificateError("what was looked for and found isn't told without a count")
        judged = self.outcome in (Outcome.CERTIFIED, Outcome.NOT_ERASED)
        if judged != (self.conclusion is not None):
            raise CertificateError(f"outcome {self.outcome} and its conclusion don't fit together")
        if (self.outcome is Outcome.CERTIFIED) != (self.model.after is not None):
            raise CertificateError("exactly a certificate names the weights that replaced the old")
        after = None if self.model.after is None else self.model.after.weights
        if self.served is not None and self.served.weights != after:
            raise CertificateError("the endpoint serves other weights than are certified")
        if self.conclusion is not None:
            self._check_conclusion(self.conclusion)

    @property
    def decisive(self) -> TriedRung | None:
        """The attempt the conclusion speaks of: the last one the laboratory audited."""
        audited = [rung for rung in self.attempts if rung.audit is not None]
        return audited[-1] if audited else None

    def _check_conclusion(self, conclusion: Conclusion) -> None:
        if self.outcome is Outcome.NOT_ERASED:
            if conclusion.basis is not Basis.NONE:
                raise CertificateError("a record of attempt rests on no basis of assurance")
            return
        decisive, verdict = self.decisive, conclusion.decision.verdict
        if self.plan is None or decisive is None or self.model.after is None:
            raise CertificateError("a certificate needs a pinned plan and an audited attempt")
        if decisive.weights != self.model.after.weights:
            raise CertificateError("the certified weights are not those the laboratory audited")
        if conclusion.basis is Basis.NONE or verdict is Verdict.FAILED:
            raise CertificateError("a failed verdict, or one without a basis, is never certified")
        if conclusion.basis is Basis.EXACT and not (decisive.exact and decisive.replayed):
            raise CertificateError("the exact basis needs an exact method, replayed bit for bit")
        if conclusion.basis is not Basis.EXACT and verdict is not Verdict.PASSED:
            raise CertificateError("a statistical basis needs the verdict PASSED")
        cohort = conclusion.basis is Basis.STATISTICAL_COHORT
        if cohort != (conclusion.qualification is not None):
            raise CertificateError("a cohort's basis, and no other, cites a qualification")
        cited = conclusion.qualification
        if cited is not None and not 0 <= cited.short < cited.number:
            raise CertificateError("fewer qualifications were tried than fell short")


def require_printable(name: str, text: str) -> None:
    """Refuse text that could be read as something other than what it is.

    Raises:
        CertificateError: naming the field, never the text (see `auditor.domain.printable`).
    """
    if flaw := flaw_of(text):
        raise CertificateError(f"{name} {flaw}")
