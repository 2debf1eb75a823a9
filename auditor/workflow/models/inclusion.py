"""Who is in which model of a bank. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

from auditor.domain.bank_events import BankDesign
from auditor.errors import MisuseError


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """The patients that each model of a bank is trained on."""

    design: BankDesign
    models: tuple[frozenset[str], ...]

    def without(self, patients: Collection[str]) -> tuple[int, ...]:
        """Models that hold none of these patients: OUT for them."""
        return tuple(k for k, own in enumerate(self.models) if own.isdisjoint(patients))

    def holding_all(self, patients: Collection[str]) -> tuple[int, ...]:
        """Models that hold all of these patients: IN for them."""
        return tuple(k for k, own in enumerate(self.models) if own.issuperset(patients))

    def holding_any(self, patients: Collection[str]) -> tuple[int, ...]:
        """Models that carry the influence of any of these patients."""
        return tuple(k for k, own in enumerate(self.models) if not own.isdisjoint(patients))


def leave_cohort_out(patients: Collection[str], cohort: Collection[str], models: int) -> Inclusion:
    """Every model on all patients but the cohort.

    Raises:
        MisuseError: the cohort is empty or leaves nobody.
    """
    kept = frozenset(patients) - frozenset(cohort)
    if not kept or len(kept) == len(set(patients)):
        raise MisuseError("a cohort to leave out is some of the training patients, and not all")
    return Inclusion(design=BankDesign.LEAVE_COHORT_OUT, models=(kept,) * models)


def random_subsets(patients: Collection[str], *, models: int, parts: int, seed: int) -> Inclusion:
    """Patients dealt at random into ``parts`` equal parts, of which each model leaves out one.

    They are dealt anew for every ``parts`` models. So each model is trained on the same share of
    the patients, and each patient is OUT of exactly one in ``parts`` models.

    Raises:
        MisuseError: fewer than two parts, more parts than patients, or models that don't go round.
    """
    if parts < 2 or parts > len(set(patients)):
        raise MisuseError("a bank leaves out one of 2 to as many parts as there are patients")
    if models < parts or models % parts:
        raise MisuseError(f"models are a multiple of {parts}, so that all patients fare alike")
    draw, everyone = random.Random(seed), sorted(set(patients))
    subsets: list[frozenset[str]] = []
    for _ in range(models // parts):
        dealt = draw.sample(everyone, len(everyone))
        subsets += [frozenset(everyone) - frozenset(dealt[k::parts]) for k in range(parts)]
    return Inclusion(design=BankDesign.RANDOM_SUBSETS, models=tuple(subsets))
