"""The Newton step beside an optimised retrain where there are many images: what each costs.

Phantoms are drawn until there are so many images; a model is trained on nine in ten patients, and
two requests of one patient each are met by the step: the first makes the model's curvature, the
second finds it on the shelf. Beside it the same recipe trains without the first patient, in the
same process and on the same device, once one step has warmed it up.

    python benchmarks/scale.py [--images 8000] [--device cuda] [--architecture resnet50 --size 224]

Damping isn't tuned here: the table says what a step costs and what it did to the AUC, not that
anything was forgotten. Needs no SQL and no cryptography, so it runs in a bare container.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from newton import InMemory
from torch import nn

from auditor.domain.artefact import Digest
from auditor.learning.datasets import ImageSet, load_images
from auditor.learning.manifest import read_manifest
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.unlearning.fine_tuning import logits_of
from auditor.unlearning.method import METHODS
from auditor.unlearning.shelf import KnownModel
from auditor.unlearning.task import Task
from auditor.verification.delong import auc

_SEED = 20261130
_IMAGES_EACH = 2.2  # of a phantom patient, in the mean
_HELD_OUT = 10  # every so many patients


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--images", type=int, default=8000, help="at least so many")
    parser.add_argument("--architecture", default="small-resnet")
    parser.add_argument("--size", type=int, default=32, help="pixels a side")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--subset", type=int, default=512, help="retained images in the curvature")
    parser.add_argument("--damping", default="10")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    recipe = Recipe(
        architecture=asked.architecture,
        input_size=asked.size,
        epochs=asked.epochs,
        batch_size=asked.batch,
        learning_rate=0.002,
    )
    with TemporaryDirectory() as folder:
        images = drawn(Path(folder), asked.images, recipe.input_size)
    _table(recipe, images, torch.device(asked.device), int(asked.subset), asked.damping)


def drawn(folder: Path, least: int, size: int) -> ImageSet:
    """Phantoms, at least so many images."""
    patients = round(least / _IMAGES_EACH)
    while True:
        manifest = read_manifest(draw_phantoms(folder, seed=_SEED, patients=patients))
        images = load_images(manifest, size)
        if len(images.subjects) >= least:
            return images
        patients += max(1, patients // 50)


def _table(
    recipe: Recipe, images: ImageSet, device: torch.device, subset: int, damping: str
) -> None:
    subjects = sorted(set(images.subjects))
    held_out = set(subjects[::_HELD_OUT])
    training = _of(images, [item for item in subjects if item not in held_out])
    test = _of(images, sorted(held_out))
    asked_for = [_of(images, [item]) for item in subjects if item not in held_out][:2]
    _warm_up(recipe, images, device)
    module, _ = _timed(lambda: train(recipe, images, training, 1, device=device), device)
    known = KnownModel(identity=Digest.of(b"scale"), training=training, shelf=InMemory())
    texts = {"damping": damping, "subset": str(subset)}
    tasks = [_task(recipe, module, images, training, forget, known) for forget in asked_for]
    retrained, seconds = _timed(
        lambda: train(recipe, images, tasks[0].retain, 2, device=device), device
    )
    steps = [_timed(lambda task=task: METHODS["newton"].run(task, texts), device) for task in tasks]
    _write(
        f"{len(training):,} training images of {len(subjects) - len(held_out):,} phantom patients, "
        f"{len(test):,} held out; {recipe.architecture}, {recipe.input_size} px, {recipe.epochs} "
        f"epochs, batch {recipe.batch_size}; m = {subset}, damping {damping}; "
        f"{_device(device)}; torch {torch.__version__}, {torch.get_num_threads()} threads of "
        f"{os.cpu_count()} cores\n"
    )
    _write("| what | seconds | retrain is slower by | AUC of the held out |\n|---|---|---|---|")
    rows: list[tuple[str, nn.Module, float | None]] = [
        ("untouched", module, None),
        ("retrain", retrained, seconds),
        ("newton, cold", *steps[0]),
        ("newton, curvature kept", *steps[1]),
    ]
    for name, model, spent in rows:
        cost = "- | -" if spent is None else f"{spent:.2f} | {seconds / spent:.1f} x"
        _write(f"| {name} | {cost} | {_auc(tasks[0], model, test):.3f} |")


def _task(
    recipe: Recipe,
    module: nn.Module,
    images: ImageSet,
    training: Sequence[int],
    forget: Sequence[int],
    known: KnownModel,
) -> Task:
    return Task(
        recipe=recipe,
        module=module,
        images=images,
        forget=tuple(forget),
        retain=tuple(index for index in training if index not in set(forget)),
        seed=1,
        known=known,
    )


def _warm_up(recipe: Recipe, images: ImageSet, device: torch.device) -> None:
    """What is loaded at the first step of a process is nobody's cost."""
    few = replace(recipe, epochs=1)
    module = train(few, images, range(4 * recipe.batch_size), 1, device=device)
    texts: Mapping[str, str] = {"damping": "10", "subset": "8"}
    retain = tuple(range(2, 4 * recipe.batch_size))
    METHODS["newton"].run(
        Task(recipe=few, module=module, images=images, forget=(0, 1), retain=retain, seed=1), texts
    )


def _timed(make: Callable[[], nn.Module], device: torch.device) -> tuple[nn.Module, float]:
    started = time.perf_counter()
    made = make()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return made, time.perf_counter() - started


def _auc(task: Task, module: nn.Module, test: Sequence[int]) -> float:
    logits = logits_of(task, module, torch.tensor(test)).double()
    return auc((logits[:, 1] - logits[:, 0]).numpy(), np.asarray(task.images.labels)[list(test)])


def _of(images: ImageSet, subjects: Sequence[str]) -> tuple[int, ...]:
    wanted = set(subjects)
    return tuple(index for index, subject in enumerate(images.subjects) if subject in wanted)


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
