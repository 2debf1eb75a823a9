"""The plan: everything a verdict depends on, fixed and hashed into the ledger before the run."""

from __future__ import annotations

import json
from dataclasses import dataclass

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain, typed
from auditor.domain.entry import Recorded
from auditor.domain.event import PlanPinned
from auditor.domain.evidence import Power
from auditor.errors import EvidenceError

LARGEST_MARGIN = 0.5
SHARES = 3  # alpha is shared by rho, AUC and the secondary family (DESIGN section 4 point 4)
MULTIPLICITY = (
    "alpha / rungs / 3 to each of influence, AUC and secondary family; Holm in the family, whose "
    "p-values allow for heavy tails; nothing PASSED that the family, or the look at each patient, "
    "tells apart at alpha under normal tails; across a quarter's cases alpha spent by place"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a bank was trained for; a verdict rests on it only where the plan names the same.

    Attributes:
        model: weights of the model in service.
        data: the ledger's commitment to the data set.
        recipe: by which its models were trained.
        bank: the list of all its models.
    """

    model: Digest
    data: Digest
    recipe: Digest
    bank: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A pre-registration.

    Attributes:
        request: the ledger's commitment to the list of subjects.
        policies: rule packs as they stood when the request came.
        code: what decides, see `engine_digest`.
        margin: of residual influence; at most 0.5.
        alpha: chance that a true retrain is FAILED, and that a fake is PASSED that keeps the
            margin's share of the forgotten patients' influence, taken together.
        rungs: statistical rungs of the ladder among which alpha is split.
        multiplicity: how alpha is shared, in words.
        auc_margin: of AUC non-inferiority, from the bank.
        power: declared from the bank alone.
        detect_one: power, declared likewise, to tell apart one patient who is untouched while the
            others were forgotten; in the mean of them, and of no use where one alone is forgotten.
        tests: the secondary family.
        rank_references: OUT models from which ranks alone decide that family; with fewer, ranks
            are description.
        seeds: by what they are for: each method, and the fresh retrain that is the control.
        ladder: methods in order, each with the digest of its parameters.
    """

    case: str
    origin: Origin
    request: Digest
    policies: Digest
    code: Digest
    margin: float
    alpha: float
    rungs: int
    multiplicity: str = MULTIPLICITY
    required_power: float
    auc_margin: float
    auc_margin_refused: bool
    power: Power
    detect_one: float
    tests: tuple[str, ...]
    rank_references: int
    seeds: tuple[tuple[str, int], ...]
    ladder: tuple[tuple[str, Digest], ...]

    def __post_init__(self) -> None:
        if not 0 < self.margin <= LARGEST_MARGIN:
            raise EvidenceError(f"margin {self.margin} refused; it lies in (0, {LARGEST_MARGIN}]")
        if not 0 < self.alpha <= 0.1 or self.rungs < 1:
            raise EvidenceError("alpha lies in (0, 0.1], and at least one rung is counted")

    def canonical_bytes(self) -> bytes:
        """What is hashed; `Pinned.read` reads it back."""
        return canonical_bytes(plain(self))

    @property
    def digest(self) -> Digest:
        """What the ledger pins."""
        return Digest.of(self.canonical_bytes())

    @property
    def equivalence_level(self) -> float:
        """Level of the interval that must lie inside the margin: two one-sided tests."""
        return 1 - 2 * self.alpha / self.rungs

    @property
    def rejection_alpha(self) -> float:
        """Share of alpha each of rho, AUC and the secondary family may spend."""
        return self.alpha / self.rungs / SHARES

    @property
    def doubt_alpha(self) -> float:
        """Chance that the secondary family withholds its PASSED from a true retrain.

        Were models normally distributed. How far they are from it the bank's own models tell, and
        the declared power allows for it (`clear_power`).
        """
        return self.alpha

    @property
    def within_reach(self) -> bool:
        """Whether a statistical verdict can be expected at the required power."""
        least = min(self.power.detect_untouched, self.power.pass_retrain)
        return least >= self.required_power and not self.auc_margin_refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A plan, and the ledger's entry that fixed it before the run.

    The engine audits under nothing else. Entries come from the ledger, so the steward alone can
    show one.

    Attributes:
        place: of the entry among the plans that were pinned in the same quarter, from 1.
    """

    plan: Plan
    entry: Recorded
    place: int

    def __post_init__(self) -> None:
        event, plan = self.entry.event, self.plan
        if not isinstance(event, PlanPinned):
            raise EvidenceError(f"ledger entry {self.entry.sequence} pins no plan; pin one first")
        said = (event.case, event.plan, event.bank, event.ladder)
        if said != (
            plan.case,
            plan.digest,
            plan.origin.bank,
            tuple(name for name, _ in plan.ladder),
        ):
            raise EvidenceError(
                f"this plan isn't the one that ledger entry {self.entry.sequence} pins; "
                "an audit takes the pinned one"
            )

    @classmethod
    def read(cls, entry: Recorded, stored: bytes, *, place: int) -> Pinned:
        """Read the plan that ``entry`` pins from the store's bytes.

        Raises:
            EvidenceError: other bytes, or a plan of another version of auditor.
        """
        try:
            plan = typed(Plan, json.loads(stored))
        except ValueError:
            raise EvidenceError(
                f"the plan of ledger entry {entry.sequence} was written by another version of "
                "auditor; finish the case with that version, or withdraw and file it anew"
            ) from None
        return cls(plan=plan, entry=entry, place=place)
