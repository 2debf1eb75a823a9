"""A home with a small recorded training, and cases that go through it without reference models."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.evidence import CandidateRole
from auditor.domain.request import DecisionKind, Ground, Regime
from auditor.domain.verdict import Basis, Verdict
from auditor.learning.datasets import Split, load_images, split_by_patient
from auditor.learning.manifest import read_manifest
from auditor.learning.order import BatchOrder, batch_order
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.workflow.audit.scene import Scene, load_scene, train_and_register
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.erasure.casework import Casework, RunSettings
from auditor.workflow.erasure.erasure import _replay, _unlearn
from auditor.workflow.erasure.scope import establish_scope
from auditor.workflow.homes.config import Config, write_config
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.homes.record import load_case
from auditor.workflow.models.accounting import account

MODEL = "detector"
RECIPE = Recipe(input_size=16, width=4, epochs=2, batch_size=4, train_images=24, slices=3)
ANY = Digest.of(b"any")
SEED = 20261201


def empty_home(root: Path) -> Home:
    """A home that keeps a checkpoint every second step, with a data set in it."""
    create_home(root, controller="St. Example", dpo="DPO office").close()
    config = Config(controller="St. Example", dpo="DPO office", checkpoint_spacing=2)
    write_config(root / "auditor.toml", config)
    draw_phantoms(root / "phantoms", seed=3, patients=40)
    return open_home(root)


def train_here(home: Home) -> None:
    """As `auditor model train` does."""
    train_and_register(
        home,
        model=MODEL,
        manifest=manifest_in(home),
        recipe=RECIPE,
        notice=lambda _: None,
        seed=SEED,
    )


def manifest_in(home: Home) -> Path:
    """Of the data set in a home."""
    return home.root / "phantoms" / "manifest.csv"


def divided(manifest: Path, recipe: Recipe) -> Path:
    """A manifest beside it that says which images train, as a model from elsewhere needs it."""
    return divided_as(
        manifest, split_by_patient(load_images(read_manifest(manifest), 16), recipe, 1)
    )


def divided_as(manifest: Path, split: Split) -> Path:
    """The same, dividing so."""
    parts = dict.fromkeys(split.validation, "validation") | dict.fromkeys(split.test, "test")
    head, *lines = manifest.read_text(encoding="utf-8").splitlines()
    lines = [f"{line},{parts.get(at, 'train')}" for at, line in enumerate(lines)]
    said = manifest.with_name("divided.csv")
    said.write_text("\n".join([f"{head},split", *lines, ""]), encoding="utf-8")
    return said


def phantom_scene(folder: Path, recipe: Recipe) -> Scene:
    """Phantoms without a home, divided, and a model of whom nobody asks for the weights."""
    images = load_images(read_manifest(draw_phantoms(folder, seed=4, patients=60)), 16)
    split = split_by_patient(images, recipe, 1)
    return Scene(
        version=ev.ModelRegistered(
            model="m",
            version=1,
            architecture=recipe.architecture,
            weights=ANY,
            recipe=ANY,
            data_set="d",
            training_images=len(split.train),
        ),
        recipe=recipe,
        images=images,
        split=split,
        training=split.train,
        commitment=ANY,
        folder=folder / "references",
    )


def order_of(scene: Scene) -> BatchOrder:
    """The batch order of the recorded training."""
    subjects, indices = scene.images.subjects, scene.split.train
    return batch_order(RECIPE, subjects, indices, SEED)


def masked(home: Home, subjects: Collection[str]) -> bytes:
    """The recorded training, from the start, without these patients."""
    scene = load_scene(home, MODEL)
    without = [i for i in scene.split.train if scene.images.subjects[i] in subjects]
    indices = scene.split.train
    return weights_bytes(train(RECIPE, scene.images, indices, SEED, without=without))


def patient_of(home: Home, number: int) -> str:
    """The patient of that slice whose first minibatch comes first."""
    scene = load_scene(home, MODEL)
    order = order_of(scene)
    first = {
        subject: order.first_step(scene.of_subjects([subject]))
        for subject in {scene.images.subjects[i] for i in scene.training}
    }
    inside = [name for name, step in first.items() if step in order.fresh[number]]
    return min(inside, key=lambda name: (first[name], name))


class Work(Casework):
    """A case whose bank nobody trained and whose plan has one rung."""

    bank: Any = SimpleNamespace(digest=ANY)
    plan: Any = SimpleNamespace(ladder=(("rewind", Digest.of(canonical_bytes({}))),))


def begun(home: Home, *subjects: str, model: str = MODEL) -> Work:
    """A granted case with its inventory."""
    case = file_request(
        home,
        model=model,
        subjects=subjects,
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=date(2026, 11, 2),
    )
    decide(home, case, DecisionKind.GRANTED, "dpo")
    work = Work(home, case, RunSettings(), lambda *_: None)
    home.store.put(canonical_bytes({}))
    establish_scope(work)
    return work


def attempt(work: Work, method: str) -> None:
    """An attempt: by rewind, run and replayed as the road does; else some other weights."""
    number = len(work.state.attempts) + 1
    work.write(
        ev.AttemptStarted(case=work.case, attempt=number, method=method, plan=ANY),
        f"attempt-{number}-started",
    )
    if method == "rewind":
        _unlearn(work, work.state.attempts[-1])
        made = work.state.attempts[-1]
        assert made.completed is not None
        _replay(work, made, made.completed)
        return
    module = train(RECIPE, work.scene.images, work.scene.without(work.forgotten), number)
    completed = ev.UnlearningCompleted(
        case=work.case,
        attempt=number,
        method=method,
        before=work.scene.version.weights,
        after=work.home.store.put(weights_bytes(module)),
        parameters=Digest.of(canonical_bytes({})),
        device="cpu",
        milliseconds=1,
        record=ANY,
    )
    work.write(completed, f"attempt-{number}-completed")


def conclude(work: Work, basis: Basis) -> None:
    """A verdict on the last attempt."""
    made = work.state.attempts[-1]
    assert made.completed is not None
    verdict = Verdict.FAILED if basis is Basis.NONE else Verdict.PASSED
    verified = ev.CandidateVerified(
        case=work.case,
        attempt=made.started.attempt,
        role=CandidateRole.REQUEST,
        weights=made.completed.after,
        plan=ANY,
        evidence=ANY,
        verdict=verdict,
    )
    work.write(verified, f"verified-{made.started.attempt}-request")
    after = work.scene.version.weights if basis is Basis.NONE else made.completed.after
    reached = ev.VerdictReached(case=work.case, verdict=verdict, basis=basis, weights=after)
    work.write(reached, "verdict")


def settle(work: Work) -> None:
    """Account for everything; another case may begin."""
    account(work.home, work.case, work.state)
    prepared = ev.CertificatePrepared(case=work.case, outcome=_outcome(work), envelope=ANY)
    work.write(prepared, "prepared")


def _outcome(work: Work) -> Any:
    from auditor.workflow.homes.steps import outcome_of

    return outcome_of(load_case(work.home, work.case))


def erase(home: Home, subject: str, method: str, basis: Basis) -> Work:
    """A whole case, as far as training histories go."""
    work = begun(home, subject)
    attempt(work, method)
    conclude(work, basis)
    settle(work)
    return work
