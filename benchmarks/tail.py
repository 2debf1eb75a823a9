"""From which memorisation on does a Newton step, tuned on patients alike, fail?

Patients are sorted by how strongly scouts say they are memorised. In each band two groups are
drawn; how to step (by which damping, or guided how often) is tuned on one and what it leaves is
measured on the other, and the other way round, on several models.
`auditor.workflow.homes.config` takes the default of `tail` from this.

    python benchmarks/tail.py --data ../shared/data/nlm_tb_128/manifest.csv --folder build/tail
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
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
from auditor.unlearning.guided_steps import GuidedSteps
from auditor.unlearning.guo2020newton import (
    GUIDED_DAMPING,
    GUIDED_PRECISION,
    MOST_GUIDED,
)
from auditor.unlearning.newton_steps import DEFAULT_SUBSET, Steps
from auditor.unlearning.task import Outsiders, Task
from auditor.verification.contrast import contrast
from auditor.verification.delong import auc
from auditor.verification.influence import fit_scale, pooled
from auditor.verification.measurements import Measurements
from auditor.workflow.audit.references import layout_for, measure_all, train_block
from auditor.workflow.audit.scene import Scene
from auditor.workflow.audit.scouting import send_scouts

BANDS = (0.5, 1.0, 2.0, 3.0, 4.5)  # standard deviations
DAMPINGS = (100.0, 30.0, 10.0, 5.0, 3.0, 2.0, 1.0, 0.5)
GUIDED = "guided"
SCOUTS, REFERENCES = 16, 8
SHARE = 0.06  # of the training images in one group at most
AUC_SLACK = 0.05
PASSES = 0.2  # about what an interval inside the margin of 0.35 leaves room for


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What one way of stepping left of a group, and what it cost in AUC on test patients."""

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
    outsiders: Outsiders,
) -> dict[str, Left]:
    """By the way of stepping, what is left of a group."""
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
        outsiders=outsiders,
    )
    before = _auc(scene, measure_all(scene, module))
    found = {}
    for way, stepped in _ways(task):
        after = measure_all(scene, stepped)
        found[way] = Left(
            influence=pooled(scale, contrast(after.margins, layout)) / scale.gap,
            auc_change=_auc(scene, after) - before,
        )
    return found


def _ways(task: Task) -> Iterator[tuple[str, nn.Module]]:
    steps = Steps(task)
    for damping in DAMPINGS:
        yield f"damping {damping:g}", steps.at(damping)
    guided = GuidedSteps(
        task=task,
        damping=GUIDED_DAMPING,
        subset=DEFAULT_SUBSET,
        layers=(),
        precision=GUIDED_PRECISION,
        memory=None,
    )
    for number, module in enumerate(guided.walk(MOST_GUIDED), start=1):
        yield f"{GUIDED} {number}", module


def tuned(own: Mapping[str, Left], other: Mapping[str, Left]) -> tuple[str, Left] | None:
    """The way that suits one group best, and what it leaves of the other."""
    allowed = [way for way in own if own[way].auc_change > -AUC_SLACK]
    if not allowed:
        return None
    best = min(allowed, key=lambda way: abs(own[way].influence))
    return best, other[best]


def unguided(curve: Mapping[str, Left]) -> dict[str, Left]:
    """Steps away from the forgotten alone."""
    return {way: left for way, left in curve.items() if not way.startswith(GUIDED)}


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
    scouts = send_scouts(scene, SCOUTS, workers=1, progress=silent)
    memorised = dict(scouts.memorised)
    quantiles = np.quantile(list(memorised.values()), (0.5, 0.75, 0.9, 0.95, 1))
    say(f"{len(memorised)} patients; memorisation at 50, 75, 90, 95, 100 %: {quantiles.round(2)}")
    say("| memorisation | patients | ways | tried | would pass | median left | worst AUC change |")
    say("|---|---|---|---|---|---|---|")
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
        pairs = [
            (
                curve(scene, module, first, second, out, inside, scouts.outsiders),
                curve(scene, module, second, first, out, inside, scouts.outsiders),
            )
            for module in models
        ]
        inside_band = sum(low <= value < high for value in memorised.values())
        band = f"{low} to {high} | {inside_band}"
        away = [(unguided(one), unguided(other)) for one, other in pairs]
        say(f"| {band} | away | {_row(away)} |")
        say(f"| {band} | away or guided | {_row(pairs)} |")


def _row(pairs: Sequence[tuple[Mapping[str, Left], Mapping[str, Left]]]) -> str:
    """Tuned on one group and tried on the other, both ways round, on every model."""
    found = [tuned(*way) for one, other in pairs for way in ((one, other), (other, one))]
    known = [item for item in found if item is not None]
    sizes = [abs(left.influence) for _, left in known]
    guided = sum(way.startswith(GUIDED) for way, _ in known)
    return (
        f"{len(found)}, guided {guided} | {sum(size <= PASSES for size in sizes)} "
        f"| {np.median(sizes):.2f} | {min(left.auc_change for _, left in known):+.3f}"
    )


if __name__ == "__main__":
    main()
