"""How well a Newton step that was tuned on some patients suits others.

Models A are trained without one half of the most memorised patients, models B without the other
half, so that each of them has models that saw it and models that didn't. For every patient, and for
pairs of them, every variant of the step is measured on models that saw all. Then each is a request
in turn: a variant is chosen on the surrogates that match it best, and the table says what that
variant leaves of the request itself.

    python benchmarks/calibration.py --data ../shared/data/nlm_tb_128/manifest.csv --folder models

Models are kept in the folder. Requests whose gap is below five standard errors aren't counted: rho
of them is mostly noise.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scenes import scene_of
from torch import nn

from auditor.domain.artefact import Digest
from auditor.domain.calibration import Bounds, Group, Reading, Trial, left
from auditor.learning.datasets import load_images
from auditor.learning.manifest import read_manifest
from auditor.learning.recipe import Recipe
from auditor.learning.weights import load_weights
from auditor.unlearning.guo2020newton import NewtonStep
from auditor.unlearning.task import Task
from auditor.verification.delong import auc
from auditor.verification.measurements import Measurements
from auditor.verification.surrogate import (
    LEAST_GAP,
    bounds_from,
    choose,
    influence_on,
    scale_of,
)
from auditor.workflow.audit.references import Block, layout_for, measure_all, train_block
from auditor.workflow.audit.scene import Scene, derive_seed
from auditor.workflow.audit.scouting import send_scouts

PATIENTS = 16
REFERENCES = 16
STRONG = 5.0
MARGIN = 0.35

Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A patient or a pair on one model, with what every variant did to it.

    Attributes:
        untouched: rho before anything was done.
    """

    subjects: tuple[str, ...]
    model: int
    images: int
    memorised: float
    group: Group
    untouched: float
    readings: Mapping[Key, Reading]


Rule = Callable[[Sequence[Asked], Bounds], tuple[Key, float] | None]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="manifest")
    parser.add_argument("--folder", type=Path, required=True, help="where models are kept")
    parser.add_argument("--size", type=int, default=1, help="patients of a request")
    parser.add_argument("--models", type=int, default=1, help="models that saw all patients")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    scene = _scene(asked.data, asked.folder)
    memorised = send_scouts(scene, 8, workers=asked.workers, progress=_tell).memorised
    ranked = sorted(memorised, key=lambda subject: (-memorised[subject], subject))[:PATIENTS]
    halves = ranked[0::2], ranked[1::2]
    blocks = [
        _block(scene, name, scene.without(scene.of_subjects(half)), REFERENCES, asked.workers)
        for name, half in zip("AB", halves, strict=True)
    ]
    whole = _block(scene, "M", scene.training, asked.models, asked.workers)
    bounds = _bounds(scene, scene.without(scene.of_subjects(ranked)), blocks)
    found = [
        item
        for side, half in enumerate(halves)
        for start in range(0, len(half), asked.size)
        for item in _measured(
            scene,
            tuple(half[start : start + asked.size]),
            apart=ranked,
            out=blocks[side],
            untouched=blocks[1 - side],
            whole=whole,
            memorised=memorised,
        )
    ]
    _table(asked.size, found, bounds)


def _scene(data: Path, folder: Path) -> Scene:
    recipe = Recipe()
    manifest = read_manifest(data)
    images = load_images(manifest, recipe.input_size)
    folder.mkdir(parents=True, exist_ok=True)
    return scene_of(images, recipe, folder)


def _block(scene: Scene, name: str, images: Sequence[int], count: int, workers: int) -> Block:
    chosen = [images] * count
    return train_block(scene, name, chosen, name.lower(), workers=workers, progress=_tell)


def _bounds(scene: Scene, retained: Sequence[int], blocks: Sequence[Block]) -> Bounds:
    references = [item for block in blocks for item in block.measured]
    return bounds_from(
        [_loss(item, retained) for item in references], [_auc(scene, item) for item in references]
    )


def _measured(
    scene: Scene,
    subjects: tuple[str, ...],
    *,
    apart: Sequence[str],
    out: Block,
    untouched: Block,
    whole: Block,
    memorised: Mapping[str, float],
) -> Iterator[Asked]:
    images = scene.of_subjects(subjects)
    others = scene.of_subjects(apart)
    retained = scene.without(others)
    layout = layout_for(scene, images, apart=others, unseen=scene.split.validation)
    scale = scale_of(out.measured, untouched.measured, layout)
    kept = {Digest.of(path.read_bytes()): path for path in scene.folder.glob("M-*")}
    for number, weights in enumerate(whole.weights):
        module = load_weights(scene.recipe, kept[weights].read_bytes())
        readings = {
            tuple(parameters.items()): Reading(
                influence=influence_on(scale, measured, layout),
                loss=_loss(measured, retained),
                auc=_auc(scene, measured),
            )
            for parameters, measured in _variants(scene, module, images)
        }
        _tell(f"variants for {' '.join(subjects)}", number + 1, len(whole.weights))
        yield Asked(
            subjects=subjects,
            model=number,
            images=len(images),
            memorised=float(np.mean([memorised[subject] for subject in subjects])),
            group=Group(strength=scale.gap_t, error=scale.standard_error),
            untouched=influence_on(scale, whole.measured[number], layout),
            readings=readings,
        )


def _variants(
    scene: Scene, module: nn.Module, images: Sequence[int]
) -> Iterator[tuple[Mapping[str, str], Measurements]]:
    task = Task(
        recipe=scene.recipe,
        module=module,
        images=scene.images,
        forget=tuple(images),
        retain=scene.without(images),
        seed=derive_seed("benchmark", "calibration"),
    )
    made: tuple[nn.Module, Measurements] | None = None
    for parameters, candidate in NewtonStep().variants(task):
        if made is None or made[0] is not candidate:
            made = candidate, measure_all(scene, candidate)
        yield parameters, made[1]


def _by_signed_mean(surrogates: Sequence[Asked], bounds: Bounds) -> tuple[Key, float] | None:
    """One damping on all layers, by the mean of rho: what overshoots makes up for the rest."""
    inside = [
        key
        for key in surrogates[0].readings
        if dict(key).keys() == {"damping"}
        and all(_holds(item.readings.get(key), bounds) for item in surrogates)
    ]
    heard = [item for item in surrogates if item.group.strength >= LEAST_GAP]
    if not inside:
        return None
    if not heard:
        return inside[-1], np.nan
    found = {
        key: abs(float(np.mean([item.readings[key].influence for item in heard]))) for key in inside
    }
    best = min(found, key=lambda key: found[key])
    return best, found[best]


def _by_product(*names: str) -> Rule:
    """As a case does it, among the variants that have only parameters of these names."""

    def rule(surrogates: Sequence[Asked], bounds: Bounds) -> tuple[Key, float] | None:
        keys = [key for key in surrogates[0].readings if dict(key).keys() <= set(names)]
        trials = [
            Trial(
                parameters=dict(key),
                readings=tuple(item.readings[key] for item in surrogates if key in item.readings),
            )
            for key in keys
        ]
        groups = [item.group for item in surrogates]
        _, place = choose(trials, groups, bounds)
        if place < 0:
            return None
        told = left(trials[place], groups, LEAST_GAP)
        return keys[place], np.nan if told is None else told

    return rule


def _holds(reading: Reading | None, bounds: Bounds) -> bool:
    return reading is not None and reading.loss <= bounds.loss and reading.auc >= bounds.auc


RULES: Mapping[str, Rule] = {
    "damping, mean of rho": _by_signed_mean,
    "damping, mean of abs(rho)": _by_product("damping"),
    "damping or rise": _by_product("damping", "rise"),
    "damping or rise, layers": _by_product("damping", "rise", "layers"),
}


def _table(size: int, found: Sequence[Asked], bounds: Bounds) -> None:
    requests = [item for item in found if item.group.strength >= STRONG]
    before = np.abs([item.untouched for item in requests])
    sys.stdout.write(
        f"\n{len(requests)} requests of {size} patients, untouched {before.mean():.2f}"
        "\n\n| rule | surrogates | mean abs(rho) left | median | inside the margin | foretold |\n"
        "|---|---|---|---|---|---|\n"
    )
    for name, rule in RULES.items():
        for count in (1, 3, 6):
            outcomes = [
                _outcome(rule, item, _match(item, found, count), bounds) for item in requests
            ]
            rho, foretold = np.array(outcomes).T
            sys.stdout.write(
                f"| {name} | {count} | {rho.mean():.2f} | {np.median(rho):.2f} "
                f"| {(rho <= MARGIN).mean():.2f} | {np.nanmean(foretold):.2f} |\n"
            )


def _outcome(
    rule: Rule, request: Asked, surrogates: Sequence[Asked], bounds: Bounds
) -> tuple[float, float]:
    """What is left of the request, and what the surrogates foretold; untouched where none suits."""
    chosen = rule(surrogates, bounds)
    if chosen is None or chosen[0] not in request.readings:
        return abs(request.untouched), abs(request.untouched)
    return abs(request.readings[chosen[0]].influence), chosen[1]


def _match(request: Asked, found: Sequence[Asked], count: int) -> list[Asked]:
    """By image count and memorisation, as `match_surrogates`."""
    others = [
        item
        for item in found
        if item.model == request.model and not set(item.subjects) & set(request.subjects)
    ]
    others.sort(
        key=lambda item: (
            abs(np.log2(item.images / request.images)) + abs(item.memorised - request.memorised)
        )
    )
    return others[:count]


def _loss(measured: Measurements, indices: Sequence[int]) -> float:
    return float(np.logaddexp(0.0, -measured.margins[list(indices)]).mean())


def _auc(scene: Scene, measured: Measurements) -> float:
    unseen = list(scene.split.validation)
    return auc(measured.scores[unseen], np.asarray(scene.images.labels)[unseen])


def _tell(phase: str, done: int, total: int) -> None:
    if done == total:
        sys.stderr.write(f"{phase}: {done}/{total}\n")


if __name__ == "__main__":
    main()
