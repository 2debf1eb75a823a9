"""Requests one after another against one model, each on top of the last, until it shows.

Two tracks take the same patients in the same order. The first never trains again, so that one sees
what drift is; the second keeps the budget of `auditor.workflow.models.drift` and trains again when
it is spent. Every few requests both are held against models trained from the start without
everybody forgotten so far (OUT) and models trained with everybody (IN).

    python benchmarks/sequence.py --data ../shared/data/nlm_tb_128/manifest.csv

How to step, by which damping or guided how often, is chosen once, by a rehearsal on patients who
are never asked about. Guided steps need scouts: for each request they are trained anew, without
everybody forgotten before it. Nothing here is a verdict.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scenes import scene_of
from torch import nn

from auditor.domain.evidence import AucRegression, Estimate
from auditor.domain.route import Due
from auditor.errors import EvidenceError, UnlearningError
from auditor.learning.datasets import load_images
from auditor.learning.manifest import read_manifest
from auditor.learning.progress import silent
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.unlearning.guo2020newton import GUIDED_DAMPING, GUIDED_PRECISION, MOST_GUIDED
from auditor.unlearning.method import METHODS
from auditor.unlearning.task import Outsiders, Task
from auditor.verification.auc import LARGEST_MARGIN, compare, fix_margin
from auditor.verification.contrast import contrast
from auditor.verification.delong import auc
from auditor.verification.influence import Scale, estimate, fit_scale, pooled
from auditor.verification.layout import Layout
from auditor.verification.measurements import Measurements
from auditor.workflow.audit.references import layout_for, measure_all
from auditor.workflow.audit.scene import Scene, derive_seed
from auditor.workflow.audit.scouting import send_scouts
from auditor.workflow.homes.config import Config
from auditor.workflow.models.drift import ApproximateErasure, Limits, due

RECIPE = Recipe(epochs=10, batch_size=16, learning_rate=0.004, width=8, train_images=260)
REFERENCES = 8
SCOUTS = 8
SURROGATES = 16
REHEARSED: tuple[Mapping[str, str], ...] = (
    *({"damping": damping} for damping in ("300", "100", "30", "10")),
    *(
        {
            "damping": repr(GUIDED_DAMPING),
            "guided": str(steps),
            "precision": GUIDED_PRECISION,
        }
        for steps in range(1, MOST_GUIDED + 1)
    ),
)
LEVEL = 0.90
_AUC_SLACK = 0.02  # that a way may cost in all, on validation patients


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One track after so many requests.

    Attributes:
        auc_change: against the model that the sequence began with, on test patients.
        influence: residual influence of everybody forgotten so far; None without a gap.
        loss: mean over the retained images; ``loss_of_out`` that of the worst OUT model.
        steps: approximate erasures since the last exact training.
        due: why the next erasure has to be exact.
    """

    track: str
    requests: int
    auc: float
    auc_change: Estimate
    influence: Estimate | None
    loss: float
    loss_of_out: float
    steps: int
    trainings: int
    due: tuple[Due, ...]


@dataclass(slots=True)
class Track:
    """A model on its way through the requests; without limits it is never trained again.

    ``exact`` is what was measured on it after its last exact training.
    """

    name: str
    module: nn.Module
    exact: Measurements
    limits: Limits | None
    since: list[str] = field(default_factory=list)
    due: tuple[Due, ...] = ()
    trainings: int = 0


def patients_in_order(scene: Scene, seed: int) -> list[str]:
    """Training patients as they ask, by lot."""
    subjects = sorted({scene.images.subjects[index] for index in scene.training})
    random.Random(seed).shuffle(subjects)
    return subjects


def choose_way(
    scene: Scene, module: nn.Module, surrogates: Sequence[str], inside: Sequence[Measurements]
) -> Mapping[str, str]:
    """A rehearsal: the way that leaves the least influence of patients forgotten in a row.

    A step that costs little by itself may ruin the model when ten of them follow each other.
    """
    about = scene.of_subjects(surrogates)
    out = _references(scene, scene.without(about), "surrogates")
    least = _validated(scene, measure_all(scene, module)) - _AUC_SLACK
    tasks = [
        _request(scene, module, surrogates[: place + 1], guided=True) for place in range(SURROGATES)
    ]
    left: list[tuple[float, Mapping[str, str]]] = []
    for way in REHEARSED:
        stepped = module
        try:
            for task in tasks:
                stepped = METHODS["newton"].run(replace(task, module=stepped), way)
            after = measure_all(scene, stepped)
        except (EvidenceError, UnlearningError) as error:
            say(f"rehearsed {_way(way)}: {error}")
            continue
        layout = layout_for(scene, about, apart=(), unseen=scene.split.validation)
        scale = _scale(layout, out, inside)
        influence = pooled(scale, contrast(after.margins, layout)) / scale.gap
        validated = _validated(scene, after)
        say(f"rehearsed {_way(way)}: influence {influence:.2f}, AUC {validated:.3f}")
        if validated >= least:
            left.append((abs(influence), way))
    if not left:
        raise UnlearningError("no way keeps the AUC")
    return min(left, key=lambda item: item[0])[1]


def _request(scene: Scene, module: nn.Module, asked: Sequence[str], *, guided: bool) -> Task:
    """The last of those who asked, the others being gone already."""
    return Task(
        recipe=scene.recipe,
        module=module,
        images=scene.images,
        forget=scene.of_subjects(asked[-1:]),
        retain=scene.without(scene.of_subjects(asked)),
        seed=1,
        outsiders=_outsiders(scene, scene.of_subjects(asked[:-1])) if guided else None,
    )


def _outsiders(scene: Scene, gone: Sequence[int]) -> Outsiders:
    """What scouts say that were trained without those who are gone."""
    with TemporaryDirectory() as folder:
        left = replace(scene, training=scene.without(gone), folder=Path(folder))
        return send_scouts(left, SCOUTS, workers=1, progress=silent).outsiders


def _way(way: Mapping[str, str]) -> str:
    return " ".join(f"{name}={text}" for name, text in way.items())


def _scale(layout: Layout, out: Sequence[Measurements], inside: Sequence[Measurements]) -> Scale:
    return fit_scale(
        np.stack([contrast(item.margins, layout) for item in out]),
        np.stack([contrast(item.margins, layout) for item in inside]),
        layout.patients[layout.forgotten],
    )


def _validated(scene: Scene, measured: Measurements) -> float:
    unseen = list(scene.split.validation)
    return auc(measured.scores[unseen], np.asarray(scene.images.labels)[unseen])


def sequence(
    scene: Scene,
    module: nn.Module,
    order: Sequence[str],
    *,
    every: int,
    way: Mapping[str, str],
    inside: Sequence[Measurements],
    limits: Limits,
) -> Iterator[Row]:
    """Go through the requests; yields one row per track and stop.

    Args:
        module: trained on all of the scene's training images.
        order: patients as they ask.
        way: parameters of each step.
        every: requests between two stops.
        inside: IN models.
        limits: of the track that keeps them.
    """
    original = measure_all(scene, module)
    tracks = [
        Track(name="never trained again", module=module, exact=original, limits=None),
        Track(name="with the budget", module=module, exact=original, limits=limits),
    ]
    for number, subject in enumerate(order, start=1):
        gone = scene.of_subjects(order[:number])
        task = _request(scene, module, order[:number], guided="guided" in way)
        for track in tracks:
            _erase(scene, track, subject, replace(task, module=track.module), way)
        if number % every == 0:
            out = _references(scene, scene.without(gone), f"out-{number}")
            for track in tracks:
                yield _stop(scene, track, order[:number], original, out, inside)


def _erase(scene: Scene, track: Track, subject: str, task: Task, way: Mapping[str, str]) -> None:
    if track.due and track.limits is not None:
        seed = derive_seed("sequence", track.name, len(task.retain))
        track.module = train(scene.recipe, scene.images, task.retain, seed)
        track.exact = measure_all(scene, track.module)
        track.since, track.due = [], ()
        track.trainings += 1
        return
    track.module = METHODS["newton"].run(task, way)
    track.since.append(subject)
    if track.limits is not None and len(track.since) >= track.limits.steps:
        track.due = (Due.STEPS,)


def _stop(
    scene: Scene,
    track: Track,
    asked: Sequence[str],
    original: Measurements,
    out: Sequence[Measurements],
    inside: Sequence[Measurements],
) -> Row:
    now, gone = measure_all(scene, track.module), scene.of_subjects(asked)
    against_first = _auc(scene, now, original, out, gone)
    retained = list(scene.without(gone))
    if track.limits is not None and track.since:
        track.due = due(_measured(scene, track, now, out, inside, gone), track.limits)
    return Row(
        track=track.name,
        requests=len(asked),
        auc=against_first.candidate.point,
        auc_change=against_first.comparisons[0].difference,
        influence=_influence(scene, now, gone, gone, out, inside),
        loss=_loss(now, retained),
        loss_of_out=max(_loss(item, retained) for item in out),
        steps=len(track.since),
        trainings=track.trainings,
        due=track.due,
    )


def _measured(
    scene: Scene,
    track: Track,
    now: Measurements,
    out: Sequence[Measurements],
    inside: Sequence[Measurements],
    gone: Sequence[int],
) -> tuple[ApproximateErasure, ...]:
    """The steps since the last exact training, each with its even share of what all of them did."""
    count = len(track.since)
    change = _auc(scene, now, track.exact, out, gone)
    left = _influence(scene, now, scene.of_subjects(track.since), gone, out, inside)
    each = ApproximateErasure(
        case="",
        method="newton",
        residual=0.0 if left is None else left.point,  # per patient
        auc_lower=change.comparisons[0].difference.lower / count,
        auc_margin=min(change.margin, LARGEST_MARGIN),
    )
    return (each,) * count


def _influence(
    scene: Scene,
    now: Measurements,
    about: Sequence[int],
    gone: Sequence[int],
    out: Sequence[Measurements],
    inside: Sequence[Measurements],
) -> Estimate | None:
    others = [index for index in gone if index not in set(about)]
    layout = layout_for(scene, about, apart=others, unseen=scene.split.test)
    scale = _scale(layout, out, inside)
    if not scale.established:
        return None
    return estimate(scale, contrast(now.margins, layout), LEVEL)


def _auc(
    scene: Scene,
    now: Measurements,
    against: Measurements,
    out: Sequence[Measurements],
    gone: Sequence[int],
) -> AucRegression:
    layout = layout_for(scene, gone, apart=(), unseen=scene.split.test)
    reference = fix_margin(against.scores, [item.scores for item in out], layout, LEVEL)
    return compare(reference, now.scores, LEVEL)


def _loss(measured: Measurements, indices: Sequence[int]) -> float:
    return float(np.logaddexp(0.0, -measured.margins[list(indices)]).mean())


def _references(scene: Scene, indices: Sequence[int], name: str) -> list[Measurements]:
    seeds = (derive_seed("sequence", name, number) for number in range(REFERENCES))
    return [measure_all(scene, train(scene.recipe, scene.images, indices, seed)) for seed in seeds]


def _text(estimate: Estimate | None) -> str:
    if estimate is None:
        return "no gap"
    return f"{estimate.point:+.3f} [{estimate.lower:+.3f}, {estimate.upper:+.3f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--every", type=int, default=10)
    chosen = parser.parse_args()
    started = time.process_time()
    scene = scene_of(load_images(read_manifest(chosen.data), RECIPE.input_size), RECIPE)
    config = Config(controller="nobody", dpo="nobody")
    everybody = patients_in_order(scene, 1)
    module = train(RECIPE, scene.images, scene.training, derive_seed("sequence", "model"))
    inside = _references(scene, scene.training, "in")
    way = choose_way(scene, module, everybody[-SURROGATES:], inside)
    say(f"{len(scene.training)} images of {len(everybody)} patients; {_way(way)}")
    say("| requests | track | trainings | AUC | change | influence | loss | OUT | steps | due |")
    say("|---|---|---|---|---|---|---|---|---|---|")
    limits = Limits(steps=config.most_steps, residual=config.most_residual)
    asked = everybody[: chosen.requests]
    for row in sequence(
        scene, module, asked, every=chosen.every, way=way, inside=inside, limits=limits
    ):
        say(
            f"| {row.requests} | {row.track} | {row.trainings} | {row.auc:.3f} "
            f"| {_text(row.auc_change)} | {_text(row.influence)} | {row.loss:.3f} "
            f"| {row.loss_of_out:.3f} | {row.steps} | {', '.join(row.due) or '-'} |"
        )
    say(f"{time.process_time() - started:.0f} s of processor time")


def say(line: str) -> None:
    """One line of the table, as soon as it is known."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
