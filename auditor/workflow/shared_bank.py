"""Shared reference banks: trained for many requests, and what they give for one of them.

OUT and IN models of a patient are read off the lists of who is in which model, over all banks of a
model: one that was trained without a quarter's patients is OUT for them, and IN for whoever asks in
the next (DESIGN section 4 point 13). Only models trained without exactly the forgotten patients are
exchangeable with a retrain. Those of random subsets are trained on fewer patients, so what is
measured by them is approximate, and they decide nothing before trials with true retrains have shown
how often they err (point 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from auditor.domain.artefact import Digest
from auditor.domain.bank_events import BankDesign
from auditor.domain.canonical import canonical_bytes
from auditor.errors import EvidenceError, MisuseError
from auditor.learning.progress import Progress
from auditor.verification.clopper_pearson import clopper_pearson
from auditor.verification.influence import LEAST_IN, LEAST_OUT
from auditor.workflow.alone import alone
from auditor.workflow.bank import Bank
from auditor.workflow.desk import subjects_of
from auditor.workflow.guard import require_writable
from auditor.workflow.home import Home
from auditor.workflow.inclusion import Inclusion, leave_cohort_out, random_subsets
from auditor.workflow.lineage import under_way
from auditor.workflow.record import CASE_PREFIX, load_case
from auditor.workflow.references import Block, measure_block, train_models
from auditor.workflow.scene import Scene, derive_seed, load_scene
from auditor.workflow.shared_bank_book import (
    SharedBank,
    bank_store,
    destroy_due,
    enter_models,
    members,
    open_inclusion,
    plan_bank,
    shared_banks,
    work_folder,
)

_LEVEL = 0.95  # one-sided, of the bound on how often a bank fails a true retrain


def train_shared_bank(
    home: Home,
    model: str,
    design: BankDesign,
    *,
    models: int,
    parts: int,
    today: date,
    workers: int,
    progress: Progress,
) -> SharedBank:
    """Train a shared bank of the model in service, or go on with one that isn't finished.

    Args:
        design: without the patients of all granted requests that wait, or random subsets.
        parts: of the patients, of which each model of random subsets leaves out one.

    Raises:
        MisuseError: a case is under way, numbers that don't fit, or nobody waits to be left out.
        HomeError: another process trains or unlearns in this home.
        TamperedError: the ledger is read-only.
    """
    with alone(home):
        require_writable(home.root, home.ledger)
        for case, _ in under_way(home, model):
            raise MisuseError(f"case {case} is under way on the same model; finish it first")
        destroy_due(home, today)
        scene = load_scene(home, model)
        bank = next((bank for bank in shared_banks(home, model) if bank.unfinished), None)
        if bank is None:
            inclusion = _draw(home, scene, design, models=models, parts=parts)
            bank = plan_bank(home, model, inclusion, today=today)
        return _finish(home, scene, bank, workers=workers, progress=progress)


def _draw(home: Home, scene: Scene, design: BankDesign, *, models: int, parts: int) -> Inclusion:
    patients = _patients(scene, scene.training)
    if design is BankDesign.LEAVE_COHORT_OUT:
        return leave_cohort_out(patients, _waiting(home, scene), models)
    earlier = len(shared_banks(home, scene.version.model))
    seed = derive_seed("subsets", scene.version.weights, earlier)
    return random_subsets(patients, models=models, parts=parts, seed=seed)


def _waiting(home: Home, scene: Scene) -> frozenset[str]:
    """Patients of granted requests that haven't begun."""
    named: set[str] = set()
    for stream in home.ledger.streams(CASE_PREFIX):
        case = load_case(home, stream.removeprefix(CASE_PREFIX))
        if case.requested is None or case.requested.model != scene.version.model:
            continue
        if case.granted and case.scope is None and case.prepared is None:
            named.update(subjects_of(home, case.requested))
    return scene.images.patients_of(named) & _patients(scene, scene.training)


def _finish(
    home: Home, scene: Scene, bank: SharedBank, *, workers: int, progress: Progress
) -> SharedBank:
    if bank.planned.weights != scene.version.weights:
        raise MisuseError(
            f"shared bank {bank.name.value[:16]} was planned for a version that is no longer in "
            "service; destroy it"
        )
    indices = [
        [index for index in scene.training if scene.images.subjects[index] in patients]
        for patients in open_inclusion(home, bank).models
    ]
    contents = train_models(
        replace(scene, folder=work_folder(home, bank.name)),
        "shared",
        indices,
        f"shared-bank/{bank.name}",
        workers=workers,
        progress=progress,
    )
    return enter_models(home, bank, contents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model of a shared bank, and the patients it was trained on."""

    weights: Digest
    patients: frozenset[str]


def present_members(home: Home, model: str) -> tuple[Member, ...]:
    """Models of the model's shared banks that are here."""
    store, found = bank_store(home), list[Member]()
    for bank in shared_banks(home, model):
        if bank.trained is not None and not bank.destroyed:
            lists = open_inclusion(home, bank).models
            found += [
                Member(weights=weights, patients=patients)
                for weights, patients in zip(members(home, bank), lists, strict=True)
                if store.has(weights)
            ]
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Members that are OUT and IN for some patients."""

    design: BankDesign
    out: tuple[Member, ...]
    untouched: tuple[Member, ...]


def choose_sides(
    found: Sequence[Member], everyone: frozenset[str], forgotten: frozenset[str]
) -> Sides:
    """OUT and IN models for the forgotten patients; those that are exact where there are enough.

    Args:
        everyone: patients the model in service was trained on.

    Raises:
        EvidenceError: too few.
    """
    out = tuple(member for member in found if member.patients.isdisjoint(forgotten))
    untouched = tuple(member for member in found if member.patients >= forgotten)
    exact_out = tuple(member for member in out if member.patients == everyone - forgotten)
    exact_in = tuple(member for member in untouched if member.patients == everyone)
    if len(exact_out) >= LEAST_OUT and len(exact_in) >= LEAST_IN:
        return Sides(design=BankDesign.LEAVE_COHORT_OUT, out=exact_out, untouched=exact_in)
    if len(out) < LEAST_OUT or len(untouched) < LEAST_IN:
        raise EvidenceError(
            f"the shared banks hold {len(out)} OUT and {len(untouched)} IN models for these "
            f"patients; at least {LEAST_OUT} and {LEAST_IN} are needed: train a larger bank"
        )
    return Sides(design=BankDesign.RANDOM_SUBSETS, out=out, untouched=untouched)


def serve(home: Home, scene: Scene, forgotten: Sequence[int]) -> Bank:
    """What the shared banks give for these training images.

    There are no surrogates in it, so no method can be tuned on it.

    Raises:
        EvidenceError: too few models for these patients.
    """
    found = present_members(home, scene.version.model)
    sides = choose_sides(found, _patients(scene, scene.training), _patients(scene, forgotten))
    out, untouched = (_measured(home, scene, side) for side in (sides.out, sides.untouched))
    listing = canonical_bytes(
        {
            "design": sides.design.value,
            "recipe": str(scene.recipe.digest),
            "weights": str(scene.version.weights),
            "shared-out": [str(item) for item in out.weights],
            "shared-in": [str(item) for item in untouched.weights],
        }
    )
    return Bank(
        forgotten=tuple(forgotten),
        surrogates=(),
        out=out,
        untouched=untouched,
        listing=listing,
        design=sides.design,
    )


def _measured(home: Home, scene: Scene, side: Sequence[Member]) -> Block:
    store = bank_store(home)
    return measure_block(scene, [store.get(member.weights) for member in side])


def require_decisive(bank: Bank, *, retrains: int, failed: int, alpha: float) -> None:
    """Refuse a verdict by a bank of which it isn't shown how often it fails a true retrain.

    Args:
        retrains: true leave-out retrains that were audited against the bank.
        failed: so many of them it FAILED.
        alpha: share of them that it may fail.

    Raises:
        EvidenceError: naming what was shown, and how many retrains would do.
    """
    if bank.design is BankDesign.LEAVE_COHORT_OUT:
        return
    bound = 1.0
    if retrains:
        bound = clopper_pearson(failed, retrains, 2 * _LEVEL - 1).upper
    if bound > alpha:
        raise EvidenceError(
            f"a bank of random subsets decides nothing until true retrains have shown that it "
            f"fails at most {alpha:.0%} of them; {failed} of {retrains} FAILED, which shows "
            f"{bound:.1%}; {retrains_needed(alpha)} are needed if it fails none"
        )


def retrains_needed(alpha: float) -> int:
    """True retrains that show a false-alarm rate of at most alpha if none of them FAILED.

    >>> retrains_needed(0.05)
    59
    """
    count = 1
    while (1 - alpha) ** count > 1 - _LEVEL:
        count += 1
    return count


def _patients(scene: Scene, images: Sequence[int]) -> frozenset[str]:
    return frozenset(scene.images.subjects[index] for index in images)
