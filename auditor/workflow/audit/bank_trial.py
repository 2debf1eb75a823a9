"""Trials of a shared bank: how often it FAILS a true retrain, and how far it shifts their rho.

A bank of random subsets may decide only after this (DESIGN section 4 point 6). Patients are drawn
at random; for each a model is trained without them, and audited against what the bank gives for
them, by the whole plan. Trained only for this, those models are destroyed at its end.

Given the bank, the retrains of a trial are independent of one another, so a bound holds on its rate
of false alarms over patients drawn this way, and it holds however many trials are added
(`auditor.verification.anytime`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain
from auditor.domain.evidence import CandidateRole, Estimate
from auditor.domain.verdict import Verdict
from auditor.errors import EvidenceError, MisuseError
from auditor.learning.progress import Progress
from auditor.policies.load import load_packs
from auditor.policies.pinning import packs_digest
from auditor.verification.engine import assess, draw_up
from auditor.verification.measurements import Measurements
from auditor.verification.plan import Origin
from auditor.verification.readiness import prepare
from auditor.workflow.audit.false_alarms import ALPHA, millionths
from auditor.workflow.audit.references import (
    layout_for,
    measure_all,
    measure_block,
    thin_classes,
    train_models,
)
from auditor.workflow.audit.scene import Scene, derive_seed, load_module, load_scene
from auditor.workflow.audit.shared_bank import Member, present_members, sides_of
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import model_stream, record
from auditor.workflow.models.shared_bank_book import (
    SharedBank,
    bank_store,
    clear_strays,
    require_bank,
    work_folder,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One true retrain against the bank: its verdict and its residual influence."""

    verdict: Verdict
    influence: Estimate


def try_shared_bank(
    home: Home,
    model: str,
    name: str,
    *,
    retrains: int,
    today: date,
    workers: int,
    progress: Progress,
) -> tuple[Tried, ...]:
    """Audit true retrains against a shared bank, and put on the books how many FAILED.

    Every trial draws other retrains, and all of them count.

    Raises:
        MisuseError: no such bank, or not of the version in service, or no retrains.
        EvidenceError: the bank has too few models of a patient, or too few images of a class.
        HomeError: another process trains or unlearns in this home.
        TamperedError: the ledger is read-only.
    """
    if retrains < 1:
        raise MisuseError("a trial takes at least one retrain")
    with alone(home):
        require_writable(home.root, home.ledger)
        scene, bank = load_scene(home, model), require_bank(home, model, name)
        found = present_members(home, bank)
        if not found or bank.planned.destroy_by < today:
            raise MisuseError(f"shared bank {name} isn't there, or its last day is over")
        if bank.planned.weights != scene.version.weights:
            raise MisuseError(f"shared bank {name} is of a version that isn't in service")
        outcomes = _try(home, scene, bank, found, retrains, workers=workers, progress=progress)
        findings = canonical_bytes([plain(outcome) for outcome in outcomes])
        event = ev.SharedBankTried(
            model=model,
            bank=bank.name,
            retrains=retrains,
            failed=sum(outcome.verdict is Verdict.FAILED for outcome in outcomes),
            findings=home.store.put(findings),
            margin_millionths=millionths(home.config.margin),
        )
        number = len(bank.tried) + 1
        record(home, model_stream(model), event, f"bank-tried-{bank.name.value}-{number}")
        clear_strays(home)
    return outcomes


def _try(
    home: Home,
    scene: Scene,
    bank: SharedBank,
    found: Sequence[Member],
    retrains: int,
    *,
    workers: int,
    progress: Progress,
) -> tuple[Tried, ...]:
    seed = f"bank-trial/{bank.name}/{len(bank.tried)}"
    asked = _draw(scene, retrains, derive_seed(seed))
    contents = train_models(
        replace(scene, folder=work_folder(home, bank.name)),
        "retrain",
        [scene.without(scene.of_subjects([patient])) for patient in asked],
        seed,
        workers=workers,
        progress=progress,
    )
    store = bank_store(home)
    measured = dict(
        zip(
            found,
            measure_block(scene, [store.get(item.weights) for item in found]).measured,
            strict=True,
        )
    )
    original = measure_all(scene, load_module(home, scene, scene.version.weights))
    outcomes = []
    for number, (patient, content) in enumerate(zip(asked, contents, strict=True)):
        outcomes.append(_outcome(home, scene, bank, patient, content, measured, original))
        progress("auditing retrains", number + 1, retrains)
    return tuple(outcomes)


def _draw(scene: Scene, retrains: int, seed: int) -> list[str]:
    """Patients without whom there are enough images of each class; all once before any twice."""
    everyone = sorted({scene.images.subjects[index] for index in scene.training})
    fit = [
        patient
        for patient in everyone
        if not thin_classes(scene, scene.without(scene.of_subjects([patient])))
    ]
    if not fit:
        raise EvidenceError("no patient can be left out: too few images of a class remain")
    draw = random.Random(seed)
    rounds = -(-retrains // len(fit))
    return [patient for _ in range(rounds) for patient in draw.sample(fit, len(fit))][:retrains]


def _outcome(
    home: Home,
    scene: Scene,
    bank: SharedBank,
    patient: str,
    content: bytes,
    measured: dict[Member, Measurements],
    original: Measurements,
) -> Tried:
    """Audit one retrain as a request of this patient's would be audited."""
    about = scene.of_subjects([patient])
    sides = sides_of(tuple(measured), frozenset({patient}))
    origin = Origin(
        model=scene.version.weights,
        data=scene.commitment,
        recipe=scene.recipe.digest,
        bank=bank.name,
    )
    readiness = prepare(
        origin=origin,
        out=[measured[member] for member in sides.out],
        untouched=[measured[member] for member in sides.untouched],
        original=original,
        layout=layout_for(scene, about, apart=(), unseen=scene.split.test),
        margin=home.config.margin,
        alpha=ALPHA,
    )
    plan = draw_up(
        readiness,
        case="trial",
        origin=origin,
        request=bank.planned.inclusion,
        policies=packs_digest(load_packs()),
        required_power=home.config.required_power,
        seeds=(),
        ladder=(),
    )
    (candidate,) = measure_block(scene, [content]).measured
    evidence, decision = assess(
        plan,
        readiness,
        candidate,
        role=CandidateRole.RETRAIN,
        by_recipe=True,
        weights=Digest.of(content),
    )
    return Tried(verdict=decision.verdict, influence=evidence.influence.equivalence)
