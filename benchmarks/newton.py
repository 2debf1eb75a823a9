"""The Newton step at full width: seconds and peak memory, one process per row.

Each row builds a torchvision network with random weights, draws random images, takes one Newton
step over all layers and writes a line of the markdown table. Peak memory is the process's largest
resident set; beside it stands that of a process which makes one training step (forward, backward,
AdamW) of the same network on a batch as large as the subset, in the same precision.

    python benchmarks/newton.py
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch.nn import functional

from auditor.learning.datasets import ImageSet
from auditor.learning.determinism import one_thread
from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.unlearning.method import METHODS
from auditor.unlearning.task import Task

ARCHITECTURES = ("resnet18", "resnet50", "densenet121", "vit_b_16")
FORGOTTEN = 2


def main() -> None:
    """Print the table, or measure one row in this process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--architecture", choices=ARCHITECTURES, action="append")
    parser.add_argument("--subset", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--memory", default="2", help="GiB, as the method's parameter")
    parser.add_argument("--what", choices=("table", "newton", "training"), default="table")
    asked = parser.parse_args()
    if asked.what != "table":
        sys.stdout.write(json.dumps(_measured(asked)))
        return
    head = "network | numbers in the step | m | seconds | peak MiB | training MiB | ratio"
    sys.stdout.write(f"| {head} |\n|---|---|---|---|---|---|---|\n")
    for architecture in asked.architecture or ARCHITECTURES:
        step, training = (_child(asked, architecture, what) for what in ("newton", "training"))
        ratio = step["peak"] / training["peak"]
        sys.stdout.write(
            f"| {architecture} | {step['numbers']:,} | {asked.subset} | {step['seconds']:.1f} "
            f"| {step['peak']:.0f} | {training['peak']:.0f} | {ratio:.2f} |\n"
        )
        sys.stdout.flush()


def _child(asked: argparse.Namespace, architecture: str, what: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--architecture", architecture, "--what", what]
    for name in ("subset", "size", "precision", "memory"):
        command += [f"--{name}", str(getattr(asked, name))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measured(asked: argparse.Namespace) -> dict[str, float]:
    task = _task(asked.architecture[0], asked.size, asked.subset)
    start = time.perf_counter()
    if asked.what == "newton":
        texts = {"damping": "10", "subset": str(asked.subset)}
        texts |= {"precision": asked.precision, "memory": asked.memory}
        METHODS["newton"].run(task, texts)
    else:
        _one_training_step(task)
    return {
        "seconds": time.perf_counter() - start,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "numbers": sum(value.numel() for value in task.module.parameters()),
    }


def _task(architecture: str, size: int, subset: int) -> Task:
    recipe = Recipe(architecture=architecture, input_size=size)
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
