"""Reference banks: how much faster many models train at once, and how far random subsets shift rho.

    OMP_NUM_THREADS=1 python benchmarks/bank.py ratio
    OMP_NUM_THREADS=1 python benchmarks/bank.py shift --folder models

`ratio` trains the same models one after another, one process per core, as one stack, and as a stack
per core, by turns, and gives seconds against the first. Processor seconds count the workers, too;
on a machine that others use they say more than the clock.

`shift` scores true leave-out retrains of single patients against the bank of their own (trained
without exactly that patient) and against banks of random subsets, which leave out one in so many
patients. Models are kept in the folder.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scenes import scene_of

from auditor.learning.datasets import ImageSet, load_images
from auditor.learning.manifest import read_manifest
from auditor.learning.parallel import TrainingJob, Where, train_many
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import QUICK, Recipe
from auditor.verification.clopper_pearson import clopper_pearson
from auditor.verification.contrast import contrast_with
from auditor.verification.influence import estimate, fit_scale
from auditor.verification.layout import Numbers
from auditor.workflow.audit.references import Block, measure_block
from auditor.workflow.audit.scene import Scene, derive_seed
from auditor.workflow.audit.scouting import send_scouts
from auditor.workflow.models.inclusion import random_subsets

CORES = os.cpu_count() or 1
CPU = torch.device("cpu")
RECIPES = {
    "smallest, 16 px, batch 5": Recipe(input_size=16, width=4, epochs=12),
    "quick, 32 px, batch 5": replace(QUICK, epochs=10),
    "32 px, batch 32": replace(QUICK, epochs=20, batch_size=32),
    "64 px, batch 32": replace(QUICK, epochs=8, batch_size=32, input_size=64),
}
ROUNDS = 3

SMALL = Recipe(input_size=28, width=4, epochs=20, train_images=120)
PATIENTS, REFERENCES, RETRAINS = 16, 16, 8
PARTS = (2, 5, 10)
STRONG = 5.0
MARGIN, LEVEL = 0.35, 1 - 2 * 0.05 / 3


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["ratio", "shift"])
    parser.add_argument("--models", type=int, default=16, help="models that are trained at once")
    parser.add_argument("--folder", type=Path, help="where models of the shift are kept")
    asked = parser.parse_args()
    if asked.what == "ratio":
        _ratios(asked.models)
    elif asked.folder is None:
        parser.error("shift needs --folder")
    else:
        _shifts(asked.folder, SMALL)


# Ratio ------------------------------------------------------------------------------------------


def _ratios(models: int) -> None:
    ways = {
        "one after another": Where(device=CPU),
        f"{CORES} processes": Where(device=CPU, workers=CORES),
        "one stack": Where(device=CPU, stack=models),
        f"{CORES} stacks": Where(device=CPU, workers=CORES, stack=-(-models // CORES)),
    }
    gpu = torch.cuda.is_available()
    if gpu:
        device = torch.device("cuda")
        ways["GPU, one after another"] = Where(device=device)
        ways["GPU, one stack"] = Where(device=device, stack=models)
    sys.stdout.write(
        f"{models} models, torch {torch.__version__}, {CORES} cores; median of {ROUNDS} rounds; "
        f"GPU: {torch.cuda.get_device_name() if gpu else 'not measured'}\n\n"
        "| net | way | seconds | ratio | processor seconds | ratio |\n|---|---|---|---|---|---|\n"
    )
    for name, recipe in RECIPES.items():
        taken = {way: list[tuple[float, float]]() for way in ways}
        for turn in range(ROUNDS):
            for way, where in ways.items():
                taken[way].append(_seconds(recipe, models, where, turn))
        median = {way: np.median(np.array(rounds), axis=0) for way, rounds in taken.items()}
        first = median["one after another"]
        for way, (wall, cpu) in median.items():
            sys.stdout.write(
                f"| {name} | {way} | {wall:.2f} | {first[0] / wall:.2f} "
                f"| {cpu:.2f} | {first[1] / cpu:.2f} |\n"
            )
        sys.stdout.flush()


def _seconds(recipe: Recipe, models: int, where: Where, turn: int) -> tuple[float, float]:
    """Wall clock and processor seconds, starting the processes included."""
    images = _noise(100, recipe.input_size)
    jobs = [
        TrainingJob(name="m", recipe=recipe, indices=tuple(range(100)), seed=turn * models + number)
        for number in range(models)
    ]
    with tempfile.TemporaryDirectory() as folder:
        start, before = time.perf_counter(), _processor_seconds()
        train_many(jobs, images, folder=Path(folder), where=where, progress=lambda *_: None)
        return time.perf_counter() - start, _processor_seconds() - before


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def _noise(count: int, size: int) -> ImageSet:
    nothing = ("",) * count
    return ImageSet(
        images=torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(1)),
        labels=torch.arange(count) % 2,
        subjects=tuple(f"p{number}" for number in range(count)),
        sites=nothing,
        sexes=nothing,
        ages=nothing,
        splits=nothing,
    )


# Shift ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Measured models, and the images each was trained on."""

    block: Block
    indices: Sequence[Sequence[int]]

    def chosen(self, numbers: Sequence[int]) -> Models:
        """Some of them."""
        measured = tuple(self.block.measured[number] for number in numbers)
        return Models(
            block=Block(weights=(), measured=measured),
            indices=[self.indices[number] for number in numbers],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A patient's images, true retrains without them, and models that saw everybody."""

    about: Sequence[int]
    retrains: Models
    originals: Models


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Rho of a trial's models by one bank, whose gap is so many standard errors wide.

    Attributes:
        outside: for each retrain, whether its rejection interval lies outside the margin.
    """

    gap: float
    retrains: Sequence[float]
    originals: Sequence[float]
    outside: Sequence[bool]


def _shifts(folder: Path, recipe: Recipe) -> None:
    scene = _scene(folder, recipe)
    memorised = send_scouts(scene, 16, workers=CORES, progress=lambda *_: None).memorised
    asked = sorted(memorised, key=lambda subject: (-memorised[subject], subject))[:PATIENTS]
    whole = _trained(scene, "whole", [scene.training] * (REFERENCES + RETRAINS))
    everyone = sorted({scene.images.subjects[index] for index in scene.training})
    drawn = {
        parts: random_subsets(everyone, models=REFERENCES * parts, parts=parts, seed=parts)
        for parts in PARTS
    }
    banks = {
        parts: _trained(
            scene, f"subset-{parts}", [scene.of_subjects(sorted(own)) for own in inclusion.models]
        )
        for parts, inclusion in drawn.items()
    }
    rows: dict[str, list[Scored]] = {}
    for subject in asked:
        about = scene.of_subjects([subject])
        left = _trained(
            scene, f"without-{subject}", [scene.without(about)] * (REFERENCES + RETRAINS)
        )
        fresh = range(REFERENCES, REFERENCES + RETRAINS)
        trial = Trial(about=about, retrains=left.chosen(fresh), originals=whole.chosen(fresh))
        own = left.chosen(range(REFERENCES)), whole.chosen(range(REFERENCES))
        scored = {"its own |": _scored(scene, trial, *own, own=False)}
        for parts, inclusion in drawn.items():
            out = banks[parts].chosen(inclusion.without([subject]))
            untouched = banks[parts].chosen(inclusion.holding_all([subject]))
            for ruler in ("all retained", "those it was shown"):
                scored[f"subsets, one in {parts} left out | {ruler}"] = _scored(
                    scene, trial, out, untouched, own=ruler == "those it was shown"
                )
        if scored["its own |"].gap >= STRONG:
            for name, item in scored.items():
                rows.setdefault(name, []).append(item)
    _table(scene, rows)


def _scored(scene: Scene, trial: Trial, out: Models, untouched: Models, *, own: bool) -> Scored:
    """What a bank says of retrains and of untouched models."""
    zero, one = (_contrasts(scene, trial.about, side, own=own) for side in (out, untouched))
    scale = fit_scale(zero, one, np.zeros(len(trial.about), dtype=np.int64))
    found = [
        estimate(scale, row, LEVEL)
        for row in _contrasts(scene, trial.about, trial.retrains, own=own)
    ]
    original = _contrasts(scene, trial.about, trial.originals, own=own)
    return Scored(
        gap=scale.gap_t,
        retrains=[item.point for item in found],
        originals=[estimate(scale, row, LEVEL).point for row in original],
        outside=[item.lower > MARGIN or item.upper < -MARGIN for item in found],
    )


def _contrasts(scene: Scene, about: Sequence[int], models: Models, *, own: bool) -> Numbers:
    """Contrasts with never-seen and retained images: all these, or those the model was shown."""
    labels = np.asarray(scene.images.labels)
    unseen = np.asarray(scene.split.held_out)
    rows = []
    for measured, indices in zip(models.block.measured, models.indices, strict=True):
        shown = indices if own else scene.training
        retained = np.asarray(sorted(set(shown).difference(about)))
        rows.append(contrast_with(measured.margins, labels, np.asarray(about), (retained, unseen)))
    return np.stack(rows)


def _table(scene: Scene, rows: Mapping[str, Sequence[Scored]]) -> None:
    sys.stdout.write(
        f"{len(scene.training)} training images; of {PATIENTS} patients those whose gap is "
        f"{STRONG} standard errors or more; {RETRAINS} retrains each, {REFERENCES} OUT models\n\n"
        "| bank | compared with | patients | retrains: mean rho | sd | sd of patients' means "
        "| untouched: mean | sd | retrains outside the margin |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    for name, found in rows.items():
        retrained = np.array([item.retrains for item in found])
        original = np.array([item.originals for item in found])
        outside = [flag for item in found for flag in item.outside]
        bound = clopper_pearson(sum(outside), len(outside)).upper
        sys.stdout.write(
            f"| {name} | {len(found)} | {retrained.mean():.3f} | {retrained.std(ddof=1):.3f} "
            f"| {retrained.mean(axis=1).std(ddof=1):.3f} | {original.mean():.3f} "
            f"| {original.std(ddof=1):.3f} | {sum(outside)} of {len(outside)}, "
            f"at most {bound:.1%} |\n"
        )


def _trained(scene: Scene, name: str, indices: Sequence[Sequence[int]]) -> Models:
    jobs = [
        TrainingJob(
            name=f"{name}-{number:03d}",
            recipe=scene.recipe,
            indices=tuple(chosen),
            seed=derive_seed("benchmark", name, number),
        )
        for number, chosen in enumerate(indices)
    ]
    where = Where(device=CPU, workers=CORES, stack=16)
    paths = train_many(
        jobs, scene.images, folder=scene.folder, where=where, progress=lambda *_: None
    )
    sys.stderr.write(f"{name}: {len(paths)} models\n")
    block = measure_block(scene, [path.read_bytes() for path in paths])
    return Models(block=block, indices=indices)


def _scene(folder: Path, recipe: Recipe) -> Scene:
    folder.mkdir(parents=True, exist_ok=True)
    images = load_images(
        read_manifest(
            draw_phantoms(folder / "phantoms", seed=4, patients=3 * recipe.train_images // 2)
        ),
        recipe.input_size,
    )
    return scene_of(images, recipe, folder / recipe.digest.value[:16])


if __name__ == "__main__":
    main()
