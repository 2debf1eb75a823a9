"""The Newton step at full width: seconds and peak memory, cold and warm, one process per row.

Each row builds a torchvision network with random weights, draws random images, takes one Newton
step over all layers and writes a line of the markdown table. Peak memory is the process's largest
resident set; beside it stands that of a process which makes one training step (forward, backward,
AdamW) of the same network on a batch as large as the subset, in the same precision.

With ``--what cache`` a row holds two requests against one model in processor seconds: the first
makes the curvature, the second, about two other images, finds it in memory.

    python benchmarks/newton.py
    python benchmarks/newton.py --what cache
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch.nn import functional

from auditor.domain.artefact import Digest
from auditor.learning.datasets import ImageSet
from auditor.learning.determinism import one_thread
from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.unlearning.method import METHODS
from auditor.unlearning.shelf import KnownModel
from auditor.unlearning.task import Task

ARCHITECTURES = ("resnet18", "resnet50", "densenet121", "vit_b_16", "small-resnet")
FORGOTTEN = 2


def main() -> None:
    """Print the table, or measure one row in this process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--architecture", choices=ARCHITECTURES, action="append")
    parser.add_argument("--subset", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--memory", default="", help="GiB; else that of a training step")
    parser.add_argument("--child", choices=("newton", "training", "cache"))
    parser.add_argument("--what", choices=("memory", "cache"), default="memory")
    asked = parser.parse_args()
    if asked.child is not None:
        sys.stdout.write(json.dumps(_measured(asked)))
    elif asked.what == "cache":
        _cache_table(asked)
    else:
        _memory_table(asked)


def _memory_table(asked: argparse.Namespace) -> None:
    head = "network | numbers in the step | m | seconds | peak MiB | training MiB | ratio"
    sys.stdout.write(f"| {head} |\n|---|---|---|---|---|---|---|\n")
    for architecture in asked.architecture or ARCHITECTURES[:4]:
        step, training = (_child(asked, architecture, what) for what in ("newton", "training"))
        ratio = step["peak"] / training["peak"]
        sys.stdout.write(
            f"| {architecture} | {step['numbers']:,} | {asked.subset} | {step['seconds']:.1f} "
            f"| {step['peak']:.0f} | {training['peak']:.0f} | {ratio:.2f} |\n"
        )
        sys.stdout.flush()


def _cache_table(asked: argparse.Namespace) -> None:
    head = "network | px | numbers in the step | m | cold | warm | ratio | kept, bytes"
    sys.stdout.write(f"| {head} |\n|---|---|---|---|---|---|---|---|\n")
    for architecture in asked.architecture or ARCHITECTURES[:4]:
        found = _child(asked, architecture, "cache")
        cold, warm = found["cold"], found["warm"]
        sys.stdout.write(
            f"| {architecture} | {asked.size} | {found['numbers']:,} | {asked.subset} "
            f"| {cold:.2f} | {warm:.2f} | {warm / cold:.2f} | {found['kept']:,} |\n"
        )
        sys.stdout.flush()


def _child(asked: argparse.Namespace, architecture: str, what: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--architecture", architecture, "--child", what]
    for name in ("subset", "size", "precision", "memory"):
        command += [f"--{name}", str(getattr(asked, name))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measured(asked: argparse.Namespace) -> dict[str, float]:
    task = _task(asked.architecture[0], asked.size, asked.subset)
    texts = {"damping": "10", "subset": str(asked.subset)}
    texts["precision"] = asked.precision
    if asked.memory:
        texts["memory"] = asked.memory
    if asked.child == "cache":
        return _cold_and_warm(task, texts)
    start = time.perf_counter()
    if asked.child == "newton":
        METHODS["newton"].run(task, texts)
    else:
        _one_training_step(task)
    return {
        "seconds": time.perf_counter() - start,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "numbers": sum(value.numel() for value in task.module.parameters()),
    }


def _task(architecture: str, size: int, subset: int) -> Task:
    recipe = Recipe(architecture=architecture, input_size=size, batch_size=subset)
    count = subset + FORGOTTEN
    random = torch.Generator().manual_seed(1)
    module = build(recipe, 1)
    with torch.no_grad():
        for value in module.parameters():  # torchvision's ViT starts with a head of zeros
            value.add_(0.01 * torch.randn(value.shape, generator=random))
    images = ImageSet(
        images=torch.randn(count, 1, size, size, generator=random),
        labels=torch.arange(count) % 2,
        subjects=tuple(str(number) for number in range(count)),
        sites=("",) * count,
        sexes=("",) * count,
        ages=("",) * count,
        splits=("",) * count,
    )
    return Task(
        recipe=recipe,
        module=module.eval(),
        images=images,
        forget=tuple(range(FORGOTTEN)),
        retain=tuple(range(FORGOTTEN, count)),
        seed=1,
    )


class InMemory:
    """A shelf without a disk."""

    def __init__(self) -> None:
        """Nothing lies there yet."""
        self.kept: dict[Digest, bytes] = {}

    def find(self, key: Digest) -> bytes | None:
        """What lies there."""
        return self.kept.get(key)

    def keep(self, key: Digest, content: bytes, *, images: int) -> None:
        """Lay something there."""
        self.kept[key] = content


def _cold_and_warm(task: Task, texts: Mapping[str, str]) -> dict[str, float]:
    METHODS["newton"].run(_task("small-resnet", 16, 4), {"damping": "10"})  # torch loads its parts
    shelf = InMemory()
    everything = (*task.forget, *task.retain)
    known = KnownModel(identity=Digest.of(b"model"), training=everything, shelf=shelf)
    times = []
    for forget in (task.forget, task.retain[:FORGOTTEN]):
        retain = tuple(index for index in everything if index not in forget)
        asked = replace(task, forget=forget, retain=retain, known=known)
        start = time.process_time()
        METHODS["newton"].run(asked, texts)
        times.append(time.process_time() - start)
    (kept,) = shelf.kept.values()
    return {
        "cold": times[0],
        "warm": times[1],
        "kept": len(kept),
        "numbers": sum(value.numel() for value in task.module.parameters()),
    }


def _one_training_step(task: Task) -> None:
    chosen = torch.tensor(task.retain)
    with one_thread():
        module = task.module.train()
        optimiser = torch.optim.AdamW(module.parameters())
        logits = module(task.images.images[chosen])
        functional.cross_entropy(logits, task.images.labels[chosen]).backward()
        optimiser.step()


if __name__ == "__main__":
    main()
