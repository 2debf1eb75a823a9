"""Every method beside an optimised retrain, on one model: cost, AUC, residual influence.

One recipe, one model, two cohorts: patients drawn at random, and the most memorised ones. For each
cohort a bank of reference models is trained, every tunable method is calibrated on surrogates as a
case would do it, then each method runs once in a process of its own, and what it made is audited.
Beside them stand plain fine-tuning and the loop of the `torchunlearn` package.

    python benchmarks/unlearning.py --data ../shared/data/nlm_tb_128/manifest.csv --folder build/nlm

Models are kept in the folder, so that a second run costs only the methods. Seconds are the
processor's where it all runs on one, since others may want the machine, too, else the wall's. Peak
memory counts what a run needs beyond what the process held before it, over what one training step
needs beyond it.
"""

from __future__ import annotations

import argparse
import copy
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from others import descend, fine_tuned, torchunlearn_loop
from scenes import ANY, scene_of
from torch import nn

from auditor.domain.artefact import Digest
from auditor.domain.evidence import CandidateRole
from auditor.errors import AuditorError
from auditor.learning.datasets import load_images, split_by_patient
from auditor.learning.determinism import one_thread
from auditor.learning.manifest import read_manifest
from auditor.learning.progress import silent
from auditor.learning.recipe import Recipe, read_recipe
from auditor.learning.training import train
from auditor.learning.weights import load_weights, weights_bytes
from auditor.unlearning.method import METHODS
from auditor.unlearning.stopwatch import PeakMemory
from auditor.unlearning.task import Cost, Need, Outsiders, Task
from auditor.verification.engine import assess, draw_up
from auditor.verification.measurements import Measurements
from auditor.verification.plan import Origin, Plan
from auditor.verification.readiness import Readiness, prepare
from auditor.workflow.audit.bank import Bank, train_bank
from auditor.workflow.audit.calibration import calibrate
from auditor.workflow.audit.references import layout_for, measure_all
from auditor.workflow.audit.scene import Scene, derive_seed
from auditor.workflow.audit.scouting import send_scouts
from auditor.workflow.audit.surrogates import match_surrogates

RECIPE = Recipe(epochs=25, batch_size=16, learning_rate=0.004, width=16, train_images=500)
COHORT = 24
TAIL = 0.05
"""Share of the training patients that counts as the most memorised."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """One cohort on one model, with all that a method is judged by."""

    scene: Scene
    module: nn.Module
    bank: Bank
    outsiders: Outsiders
    readiness: Readiness
    plan: Plan

    def task(self) -> Task:
        """What every method is given."""
        return Task(
            recipe=self.scene.recipe,
            module=self.module,
            images=self.scene.images,
            forget=self.bank.forgotten,
            retain=self.scene.without(self.bank.forgotten),
            seed=derive_seed("benchmark", self.bank.digest),
            unseen=self.scene.split.validation,
            outsiders=self.outsiders,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """A candidate with what it cost."""

    weights: bytes
    seconds: float
    memory: int


Maker = Callable[[Task, Mapping[str, str]], nn.Module]


def main() -> None:
    """Print one table per cohort."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="manifest")
    parser.add_argument("--folder", type=Path, required=True, help="where models are kept")
    parser.add_argument("--recipe", type=Path, help="TOML; else a small ResNet at 32 px")
    parser.add_argument("--references", type=int, default=16, help="OUT models, and IN models")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    recipe = RECIPE if asked.recipe is None else read_recipe(asked.recipe)
    scene, module = _scene(asked.data, asked.folder, recipe)
    workers = os.cpu_count() or 1
    scouts = send_scouts(scene, 16, workers=workers, progress=_tell)
    memorised = scouts.memorised
    for name, cohort in _cohorts(memorised).items():
        counts = {subject: len(scene.of_subjects([subject])) for subject in memorised}
        groups = match_surrogates(cohort, counts, memorised)
        bank = train_bank(
            scene,
            scene.of_subjects(cohort),
            [scene.of_subjects(group) for group in groups],
            scouts=scouts.block,
            seed=f"benchmark/{name}",
            out_models=asked.references,
            in_models=asked.references,
            workers=workers,
            progress=_tell,
        )
        _table(name, _ready(scene, module.to(asked.device), bank, scouts.outsiders), asked.folder)


def _scene(data: Path, folder: Path, recipe: Recipe) -> tuple[Scene, nn.Module]:
    manifest = read_manifest(data)
    images = load_images(manifest, recipe.input_size)
    folder.mkdir(parents=True, exist_ok=True)
    seed = derive_seed("split", manifest.digest)
    training = split_by_patient(images, recipe, seed).train
    module = train(recipe, images, training, derive_seed("model", recipe.digest))
    weights = Digest.of(weights_bytes(module))
    scene = scene_of(images, recipe, folder, weights=weights, seed=seed)
    return scene, module


def _cohorts(memorised: Mapping[str, float]) -> dict[str, list[str]]:
    subjects = sorted(memorised)
    by_rise = sorted(subjects, key=lambda subject: (-memorised[subject], subject))
    return {
        "random patients": random.Random(24).sample(subjects, COHORT),
        "most memorised": by_rise[: max(2, round(TAIL * len(subjects)))],
    }


def _ready(scene: Scene, module: nn.Module, bank: Bank, outsiders: Outsiders) -> Asked:
    apart = tuple(index for group in bank.surrogates for index in group)
    layout = layout_for(scene, bank.forgotten, apart=apart, unseen=scene.split.test)
    origin = Origin(
        model=scene.version.weights, data=ANY, recipe=scene.recipe.digest, bank=bank.digest
    )
    readiness = prepare(
        origin=origin,
        out=bank.out.measured,
        untouched=bank.untouched.measured,
        original=measure_all(scene, module),
        layout=layout,
    )
    plan = draw_up(
        readiness,
        case="benchmark",
        origin=origin,
        request=ANY,
        policies=ANY,
        required_power=0.8,
        seeds=(),
        ladder=(),
    )
    return Asked(
        scene=scene,
        module=module,
        bank=bank,
        outsiders=outsiders,
        readiness=readiness,
        plan=plan,
    )


def _table(name: str, asked: Asked, folder: Path) -> None:
    power = asked.plan.power
    images, scene = len(asked.bank.forgotten), asked.scene
    patients = len({scene.images.subjects[index] for index in asked.bank.forgotten})
    _write(
        f"\n### {name}: {patients} patients, {images} of {len(scene.training)} images; AUC margin "
        f"{asked.plan.auc_margin:.3f}; declared power {power.detect_untouched:.2f} of finding an "
        f"untouched model, {power.pass_retrain:.2f} of passing a retrain\n"
    )
    titles = (
        "method | seconds | retrain is slower by | memory / training step | AUC change | rho | "
        "retained loss | verdict"
    )
    _write(f"| {titles} |\n|{'---|' * 8}")
    step = _in_a_process(_training_step, asked.task())
    retrained = _in_a_process(_timed, METHODS["retrain"].run, asked.task(), {})
    _line("untouched", Made(weights=weights_bytes(asked.module), seconds=0, memory=0), asked, None)
    for method, parameters, made in _candidates(asked, retrained):
        label = " ".join([method, *(f"{key}={value}" for key, value in sorted(parameters.items()))])
        _line(label, made, asked, (retrained, step))


def _candidates(asked: Asked, retrained: Made) -> Iterator[tuple[str, Mapping[str, str], Made]]:
    yield "retrain", {}, retrained
    for method in METHODS.values():
        if method.cost is Cost.TRAINING or method.needs - {Need.UNSEEN}:
            continue
        started = time.monotonic()
        tuned = calibrate(
            asked.scene,
            asked.bank,
            asked.module,
            method,
            outsiders=asked.outsiders,
            progress=silent,
        )
        sys.stderr.write(f"calibrated {method.name} in {time.monotonic() - started:.0f} s\n")
        if tuned.parameters is None:
            _write(f"| {method.name} | every variant breaks a bound on the surrogates |{'|' * 6}")
            continue
        yield (
            method.name,
            tuned.parameters,
            _in_a_process(_timed, method.run, asked.task(), tuned.parameters),
        )
    for epochs in (2, 5):
        made = _in_a_process(_timed, fine_tuned, asked.task(), {"epochs": str(epochs)})
        yield "plain fine-tuning", {"epochs": str(epochs)}, made
    for kind, epochs in (("fine-tuning", 5), ("ascent", 1)):
        try:
            maker = partial(torchunlearn_loop, kind)
            made = _in_a_process(_timed, maker, asked.task(), {"epochs": str(epochs)})
        except (ImportError, AuditorError) as error:
            _write(f"| torchunlearn {kind} | {error} |{'|' * 6}")
            continue
        yield f"torchunlearn's loop, {kind}", {"epochs": str(epochs)}, made


def _line(label: str, made: Made, asked: Asked, against: tuple[Made, int] | None) -> None:
    scene = asked.scene
    try:
        measured = measure_all(scene, load_weights(scene.recipe, made.weights))
    except AuditorError as error:
        _write(f"| {label} | {made.seconds:.2f} | {error} |{'|' * 5}")
        return
    evidence, decision = assess(
        asked.plan,
        asked.readiness,
        measured,
        role=CandidateRole.REQUEST,
        by_recipe=False,
        weights=ANY,
    )
    rho, auc = evidence.influence.equivalence, evidence.auc.comparisons[0].difference
    costs = "- | - | -"
    if against is not None:
        retrained, step = against
        costs = (
            f"{made.seconds:.2f} | {retrained.seconds / made.seconds:.1f} x | "
            f"{made.memory / step:.2f}"
        )
    shown = f"{rho.point:.2f} [{rho.lower:.2f}, {rho.upper:.2f}]"
    if not evidence.influence.established:
        shown = "gap not established"
    _write(
        f"| {label} | {costs} | {auc.point:+.3f} [{auc.lower:+.3f}, {auc.upper:+.3f}] | {shown} | "
        f"{_loss(measured, scene.without(asked.bank.forgotten)):.3f} | {decision.verdict.value} |"
    )


def _timed(maker: Maker, task: Task, parameters: Mapping[str, str]) -> Made:
    """In a process of its own, warmed up on a network of nothing."""
    torch.set_num_threads(1)
    device = next(task.module.parameters()).device
    _warm_up(device)
    before, _ = PeakMemory(device).read()
    memory = PeakMemory(device)
    clock = time.monotonic if device.type == "cuda" else time.process_time
    started = clock()
    module = maker(task, parameters)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = clock() - started
    peak, _ = memory.read()
    return Made(weights=weights_bytes(module), seconds=seconds, memory=max(1, peak - before))


def _warm_up(device: torch.device) -> None:
    """What is loaded at the first step of a process is no method's cost."""
    module = nn.Sequential(nn.Conv2d(1, 1, 3), nn.GroupNorm(1, 1), nn.Flatten(), nn.Linear(4, 2))
    module.to(device)
    optimiser = torch.optim.AdamW(module.parameters())
    module(torch.zeros(2, 1, 4, 4, device=device)).sum().backward()
    optimiser.step()


def _training_step(task: Task) -> int:
    """Bytes that one training step needs beyond what the process held before it."""

    def step(task: Task, _: Mapping[str, str]) -> nn.Module:
        with one_thread():
            batch = torch.tensor(task.retain[: task.recipe.batch_size])
            optimiser = torch.optim.AdamW(task.module.train().parameters())
            descend(task, task.module, optimiser, batch)
        return task.module

    return _timed(step, task, {}).memory


def _in_a_process(function: Callable[..., _T], *arguments: object) -> _T:
    """So that one run's memory isn't another's; what travels are copies.

    A tensor that is sent is shared: what the other process writes into it, this one reads.
    """
    task = next(item for item in arguments if isinstance(item, Task))
    images = replace(
        task.images, images=task.images.images.clone(), labels=task.images.labels.clone()
    )
    own = replace(task, images=images, module=copy.deepcopy(task.module))
    sent = [own if item is task else item for item in arguments]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *sent).result()


def _loss(measured: Measurements, indices: Sequence[int]) -> float:
    return float(np.logaddexp(0.0, -measured.margins[list(indices)]).mean())


def _tell(phase: str, done: int, total: int, /) -> None:
    sys.stderr.write(f"\r{phase}: {done} of {total}" + ("\n" if done == total else ""))


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
