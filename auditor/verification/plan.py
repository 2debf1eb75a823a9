"""The plan: everything a verdict depends on, fixed and hashed into the ledger before the run."""

from __future__ import annotations

import json
from dataclasses import dataclass

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain, typed
from auditor.domain.evidence import Power
from auditor.errors import EvidenceError

LARGEST_MARGIN = 0.5
SHARES = 3  # alpha is shared by rho, AUC and the secondary family (DESIGN section 4 point 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A pre-registration.

    Attributes:
        margin: of residual influence; at most 0.5.
        alpha: chance that a true retrain is FAILED, and that a fake is PASSED.
        rungs: statistical rungs of the ladder among which alpha is split.
        auc_margin: of AUC non-inferiority, from the bank.
        ladder: methods in order, each with the digest of its parameters.
    """

    case: str
    model: Digest
    data: Digest
    recipe: Digest
    bank: Digest
    policies: Digest
    code: Digest
    margin: float
    alpha: float
    rungs: int
    required_power: float
    auc_margin: float
    auc_margin_refused: bool
    power: Power
    tests: tuple[str, ...]
    ladder: tuple[tuple[str, Digest], ...]

    def __post_init__(self) -> None:
        if not 0 < self.margin <= LARGEST_MARGIN:
            raise EvidenceError(f"margin {self.margin} refused; it lies in (0, {LARGEST_MARGIN}]")
        if not 0 < self.alpha <= 0.1 or self.rungs < 1:
            raise EvidenceError("alpha lies in (0, 0.1], and at least one rung is counted")

    def canonical_bytes(self) -> bytes:
        """What is hashed; `from_bytes` reads it back."""
        return canonical_bytes(plain(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """Read a pinned plan."""
        return typed(cls, json.loads(data))

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
    def within_reach(self) -> bool:
        """Whether a statistical verdict can be expected at the required power."""
        least = min(self.power.detect_untouched, self.power.pass_retrain)
        return least >= self.required_power and not self.auc_margin_refused
