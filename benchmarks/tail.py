"""From which memorisation on does a Newton step, tuned on patients alike, fail?

Patients are sorted by how strongly scouts say they are memorised. In each band two groups are
drawn; the damping is tuned on one and what it leaves is measured on the other, and the other way
round, on several models. `auditor.workflow.homes.config` takes the default of `tail` from this.

    python benchmarks/tail.py --data ../shared/data/nlm_tb_128/manifest.csv --folder build/tail
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from scenes import scene_of
from torch import nn

from auditor.learning.datasets import load_images
from auditor.learning.manifest import read_manifest
from auditor.learning.progress import silent
from auditor.learning.recipe import QUICK
from auditor.learning.training import train
from auditor.unlearning.guo2020newton import candidates
from auditor.unlearning.task import Task
from auditor.verification.contrast import contrast
from auditor.verification.delong import auc
from auditor.verification.influence import fit_scale, pooled
from auditor.verification.measurements import Measurements
from auditor.workflow.audit.references import layout_for, measure_all, train_block
from auditor.workflow.audit.scene import Scene
from auditor.workflow.audit.scouting import send_scouts

BANDS = (0.5, 1.0, 2.0, 3.0, 4.5)  # standard deviations
DAMPINGS = (100.0, 30.0, 10.0, 5.0, 3.0, 2.0, 1.0, 0.5)
SCOUTS, REFERENCES = 16, 8
SHARE = 0.06  # of the training images in one group at most
AUC_SLACK = 0.05
PASSES = 0.2  # about what an interval inside the margin of 0.35 leaves room for


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What one damping left of a group, and what it cost in AUC on test patients."""

    influence: float
    auc_change: float


def groups_of(
    scene: Scene, memorised: dict[str, float], low: float, high: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Images of two groups of patients of a band, drawn by lot."""
    names = sorted(name for name, value in memorised.items() if low <= value < high)
    random.Random(0).shuffle(names)
    groups: list[tuple[int, ...]] = []
    for part in (names[::2], names[1::2]):
        kept: list[str] = []
        for name in part:
            if len(scene.of_subjects([*kept, name])) <= SHARE * len(scene.training):
                kept.append(name)
        groups.append(scene.of_subjects(kept))
    return groups[0], groups[1]


def curve(
    scene: Scene,
    module: nn.Module,
    about: Sequence[int],
    apart: Sequence[int],
    out: Sequence[Measurements],
    inside: Sequence[Measurements],
) -> dict[float, Left]:
    """By damping, what a step away from a group leaves."""
    layout = layout_for(scene, about, apart=apart, unseen=scene.split.test)
    scale = fit_scale(
        np.stack([contrast(item.margins, layout) for item in out]),
        np.stack([contrast(item.margins, layout) for item in inside]),
        layout.patients[layout.forgotten],
    )
    task = Task(
        recipe=scene.recipe,
        module=module,
        images=scene.images,
        forget=tuple(about),
        retain=scene.without(about),
        seed=1,
    )
    before = _auc(scene, measure_all(scene, module))
    found = {}
    for damping, stepped in candidates(task, DAMPINGS):
        after = measure_all(scene, stepped)
        found[damping] = Left(
            influence=pooled(scale, contrast(after.margins, layout)) / scale.gap,
            auc_change=_auc(scene, after) - before,
        )
    return found


def tuned(own: dict[float, Left], other: dict[float, Left]) -> Left | None:
    """What the damping that suits one group best leaves of the other."""
    allowed = [damping for damping in own if own[damping].auc_change > -AUC_SLACK]
    if not allowed:
        return None
    return other[min(allowed, key=lambda damping: abs(own[damping].influence))]


def _auc(scene: Scene, measured: Measurements) -> float:
    unseen = list(scene.split.test)
    return auc(measured.scores[unseen], np.asarray(scene.images.labels)[unseen])


def say(line: str) -> None:
    """One line, as soon as it is known."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--models", type=int, default=6)
    chosen = parser.parse_args()
    scene = scene_of(load_images(read_manifest(chosen.data), QUICK.input_size), QUICK)
    scene = replace(scene, folder=chosen.folder)
    found = send_scouts(scene, SCOUTS, workers=1, progress=silent).memorised
    memorised = dict(found)
    quantiles = np.quantile(list(memorised.values()), (0.5, 0.75, 0.9, 0.95, 1))
    say(f"{len(memorised)} patients; memorisation at 50, 75, 90, 95, 100 %: {quantiles.round(2)}")
    say("| memorisation | patients | tried | would pass | median left | worst AUC change |")
    say("|---|---|---|---|---|---|")
    inside = train_block(
        scene, "in", [scene.training] * REFERENCES, "in", workers=1, progress=silent
    ).measured
    models = [
        train(QUICK, scene.images, scene.training, 100 + seed) for seed in range(chosen.models)
    ]
    for low, high in pairwise(BANDS):
        first, second = groups_of(scene, memorised, low, high)
        indices = [scene.without(first, second)] * REFERENCES
        out = train_block(
            scene, f"out-{low}", indices, f"out-{low}", workers=1, progress=silent
        ).measured
        left: list[Left | None] = []
        for module in models:
            one = curve(scene, module, first, second, out, inside)
            other = curve(scene, module, second, first, out, inside)
            left += [tuned(one, other), tuned(other, one)]
        known = [item for item in left if item is not None]
        sizes = [abs(item.influence) for item in known]
        inside_band = sum(low <= value < high for value in memorised.values())
        say(
            f"| {low} to {high} | {inside_band} | {len(left)} "
            f"| {sum(size <= PASSES for size in sizes)} | {np.median(sizes):.2f} "
            f"| {min(item.auc_change for item in known):+.3f} |"
        )


if __name__ == "__main__":
    main()
