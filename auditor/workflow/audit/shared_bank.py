"""Shared reference banks: trained for many requests, and what they give for one of them.

OUT and IN models of a patient are read off the lists of who is in which model, over all banks of a
model: one that was trained without a quarter's patients is OUT for them, and IN for whoever asks in
the next (DESIGN section 4 point 13). Only models trained without exactly the forgotten patients are
exchangeable with a retrain. Those of random subsets are trained on fewer patients, so what is
measured by them is approximate, and they decide nothing before trials with true retrains have shown
how often they err (point 6).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from auditor.domain.artefact import Digest
from auditor.domain.bank_events import BankDesign
from auditor.domain.canonical import Canonical, canonical_bytes
from auditor.domain.evidence import LEAST_IN, LEAST_OUT
from auditor.errors import EvidenceError, MisuseError
from auditor.learning.progress import Progress
from auditor.workflow.audit.bank import Bank
from auditor.workflow.audit.false_alarms import (
    ALPHA,
    false_alarm_bound,
    millionths,
    require_decisive,
)
from auditor.workflow.audit.references import Block, measure_block, train_models
from auditor.workflow.audit.scene import Scene, derive_seed, load_scene, require_auditable
from auditor.workflow.desk.desk import subjects_of
from auditor.workflow.desk.signing import as_vouched
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.starts import require_start
from auditor.workflow.models.inclusion import Inclusion, leave_cohort_out, random_subsets
from auditor.workflow.models.lineage import cases_of
from auditor.workflow.models.shared_bank_book import (
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

SHARED_OUT, SHARED_IN = "shared-out", "shared-in"
_MARGIN = "margin-millionths"


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
        EvidenceError: the model can't be audited, so nothing could be measured by the bank.
        ModelError: nobody vouches for the weights that the model's trainings start from.
        HomeError: another process trains or unlearns in this home.
        TamperedError: the ledger is read-only.
    """
    with alone(home):
        require_writable(home.root, home.ledger)
        for case, state in cases_of(home, model):
            if state.scope is not None and state.prepared is None:  # its inventory is made
                raise MisuseError(f"case {case} is under way on the same model; finish it first")
        destroy_due(home, today)
        scene = load_scene(home, model)
        require_start(home, scene.recipe)
        bank = next((bank for bank in shared_banks(home, model) if bank.unfinished), None)
        if bank is None:
            require_auditable(home, scene)
            inclusion = _draw(home, scene, design, models=models, parts=parts)
            bank = plan_bank(home, model, inclusion, today=today)
        return _finish(home, scene, bank, workers=workers, progress=progress)


def _draw(home: Home, scene: Scene, design: BankDesign, *, models: int, parts: int) -> Inclusion:
    patients = patients_of(scene, scene.training)
    if design is BankDesign.LEAVE_COHORT_OUT:
        return leave_cohort_out(patients, _waiting(home, scene), models)
    earlier = len(shared_banks(home, scene.version.model))
    seed = derive_seed("subsets", scene.version.weights, earlier)
    return random_subsets(patients, models=models, parts=parts, seed=seed)


def _waiting(home: Home, scene: Scene) -> frozenset[str]:
    """Patients of granted requests that haven't begun."""
    named: set[str] = set()
    for case, state in cases_of(home, scene.version.model):
        waits = state.scope is None and state.prepared is None
        if state.requested and waits and (state.granted or as_vouched(home, case).granted):
            named.update(subjects_of(home, state.requested))
    return scene.images.patients_of(named)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Models that are OUT and IN for some patients."""

    out: tuple[Member, ...]
    untouched: tuple[Member, ...]

    @property
    def enough(self) -> bool:
        """Whether an audit can be made by them at all."""
        return len(self.out) >= LEAST_OUT and len(self.untouched) >= LEAST_IN


def present_members(home: Home, bank: SharedBank) -> tuple[Member, ...]:
    """Models of a finished bank that are here; of a destroyed one, none."""
    if bank.trained is None or bank.destroyed:
        return ()
    lists, store = open_inclusion(home, bank).models, bank_store(home)
    return tuple(
        Member(weights=weights, patients=patients)
        for weights, patients in zip(members(home, bank), lists, strict=True)
        if store.has(weights)
    )


def sides_of(found: Sequence[Member], forgotten: frozenset[str]) -> Sides:
    """Models trained with none of the forgotten patients, and with all of them."""
    return Sides(
        out=tuple(member for member in found if member.patients.isdisjoint(forgotten)),
        untouched=tuple(member for member in found if member.patients >= forgotten),
    )


def exact_sides(
    found: Sequence[Member], everyone: frozenset[str], forgotten: frozenset[str]
) -> Sides:
    """Models trained as a retrain would be, and as the model in service was.

    Args:
        everyone: patients the model in service was trained on.
    """
    return Sides(
        out=tuple(member for member in found if member.patients == everyone - forgotten),
        untouched=tuple(member for member in found if member.patients == everyone),
    )


def serve(home: Home, scene: Scene, forgotten: Sequence[int], scouts: Block) -> Bank:
    """What the shared banks give for these training images: exact models, else a tried bank's.

    There are no surrogates in it, so no method can be tuned on it.

    Raises:
        EvidenceError: too few models for these patients, or none that may decide yet.
    """
    banks = shared_banks(home, scene.version.model)
    found = [present_members(home, bank) for bank in banks]
    everyone, asked = patients_of(scene, scene.training), patients_of(scene, forgotten)
    design, sides = BankDesign.LEAVE_COHORT_OUT, exact_sides(sum(found, ()), everyone, asked)
    if not sides.enough:
        design = BankDesign.RANDOM_SUBSETS
        margin, offered = home.config.margin, [sides_of(each, asked) for each in found]
        sides = _tried_sides(banks, offered, patients=len(asked), margin=margin)
    listing: dict[str, Canonical] = {
        "recipe": str(scene.recipe.digest),
        "weights": str(scene.version.weights),
        "out": [],
        "in": [],
        "scouts": [str(item) for item in scouts.weights],
        "design": design.value,
        SHARED_OUT: [str(member.weights) for member in sides.out],
        SHARED_IN: [str(member.weights) for member in sides.untouched],
    }
    if design is BankDesign.RANDOM_SUBSETS:
        listing[_MARGIN] = millionths(home.config.margin)
    return serve_listed(home, scene, forgotten, canonical_bytes(listing))


def is_shared(listing: bytes) -> bool:
    """Whether a case's list of reference models is one of `serve`."""
    return SHARED_OUT in json.loads(listing)


def serve_listed(home: Home, scene: Scene, forgotten: Sequence[int], listing: bytes) -> Bank:
    """What `serve` gave when it listed these models, whatever other banks there are by now.

    Raises:
        EvidenceError: the margin was narrowed since.
        LedgerError: one of them was destroyed.
    """
    listed = json.loads(listing)
    if millionths(home.config.margin) < listed.get(_MARGIN, 0):  # older ones say nothing of it
        raise EvidenceError(
            "the case began with a shared bank that was tried at a wider margin than [audit] "
            "margin in auditor.toml is now; set it back"
        )
    out, untouched = (
        measure_block(scene, [bank_store(home).get(Digest.parse(text)) for text in listed[side]])
        for side in (SHARED_OUT, SHARED_IN)
    )
    return Bank(
        forgotten=tuple(forgotten),
        surrogates=(),
        out=out,
        untouched=untouched,
        listing=listing,
        design=BankDesign(listed["design"]),
    )


def _tried_sides(
    banks: Sequence[SharedBank], sides: Sequence[Sides], *, patients: int, margin: float
) -> Sides:
    """Of the newest bank that has enough models and may decide."""
    able = [
        (bank, side)
        for bank, side in zip(reversed(banks), reversed(sides), strict=True)
        if side.enough
    ]
    if able and patients > 1:
        raise EvidenceError(
            "banks of random subsets are tried by single patients and decide nothing about several "
            "together; train one without them (`auditor bank train --waiting`)"
        )
    for bank, side in able:
        if false_alarm_bound(bank.tried, margin) <= ALPHA:
            return side
    if able:
        newest, _ = able[0]
        require_decisive(newest.tried, ALPHA, margin)
    most = max(((len(side.out), len(side.untouched)) for side in sides), default=(0, 0))
    raise EvidenceError(
        f"no shared bank has enough models for these patients: {most[0]} OUT and {most[1]} IN at "
        f"most, at least {LEAST_OUT} and {LEAST_IN} are needed; train a larger one"
    )


def patients_of(scene: Scene, images: Sequence[int]) -> frozenset[str]:
    """Whose images these are."""
    return frozenset(scene.images.subjects[index] for index in images)
