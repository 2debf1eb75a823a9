"""Verdicts on real trainings: how often is a true retrain passed, and is a fake ever?

Patients are taken by how far scout models memorised them, the most memorised first: ``--cohort``
together, or one by one until ``--alone`` of them have a bank that declares the required power. Each
request gets OUT models of its own; the bank declares its powers; then fresh retrains, trained apart
from it, and the fakes of `auditor.unlearning.fakes`, made of the model in service and of others
like it, are audited by the whole plan. Where the declared power is too low only untouched models
are audited: nothing may be PASSED there. With ``--declare`` nothing is audited; with ``--one-kept``
only models that are trained on one of the cohort, each of another, and not on the rest of it.

    python benchmarks/verdicts.py --data ../shared/data/nlm_tb_128/manifest.csv --cohort 24 \
        --folder build/verdicts
    python benchmarks/verdicts.py --alone 3 --folder build/verdicts      (phantoms, drawn here)

Models are kept in the folder, so a stopped run goes on. Prints tables for RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from scenes import ANY, scene_of
from torch import nn

from auditor.domain.artefact import digest_of
from auditor.domain.evidence import CandidateRole
from auditor.domain.qualification import Tally
from auditor.learning.datasets import load_images
from auditor.learning.manifest import read_manifest
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import QUICK, read_recipe
from auditor.learning.weights import load_weights
from auditor.unlearning.fakes import EDITS, trainings
from auditor.unlearning.task import Task
from auditor.verification.clopper_pearson import clopper_pearson
from auditor.verification.contrast import contrast
from auditor.verification.engine import draw_up
from auditor.verification.per_patient import measure_patients
from auditor.verification.plan import Origin
from auditor.verification.readiness import prepare
from auditor.verification.relearning import relearning_images
from auditor.workflow.audit.bank import sparing
from auditor.workflow.audit.references import (
    Block,
    layout_for,
    measure_all,
    measure_block,
    train_models,
)
from auditor.workflow.audit.scene import Scene, derive_seed
from auditor.workflow.audit.scouting import send_scouts
from auditor.workflow.audit.surrogates import match_surrogates
from auditor.workflow.qualifying.trials import Court, Judged, tally

_PHANTOMS = 20261124  # those of the demo
_SCOUTS = 16
_REQUIRED = 0.8
_TITLES = "candidates | made | PASSED | FAILED | INDETERMINATE | no verdict | rho | reasons"
_HEAD = f"| {_TITLES} |\n|{'---|' * 8}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """Models that every request here shares, and how much is tried.

    Attributes:
        untouched: models of all training images, to audit by.
        originals: others of them, as models in service, that fakes are made of.
        memorised: by patient, what the scouts say.
    """

    scene: Scene
    untouched: Block
    originals: tuple[nn.Module, ...]
    memorised: Mapping[str, float]
    references: int
    retrains: int
    workers: int

    def train(
        self, scene: Scene, name: str, indices: Sequence[int], many: int, seed: str
    ) -> tuple[bytes, ...]:
        """So many models of these images."""
        return train_models(
            scene, name, [indices] * many, seed, workers=self.workers, progress=_tell
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """Some patients to be forgotten, a group like them who stay, and the plans for candidates."""

    name: str
    stage: Stage
    scene: Scene
    forgotten: tuple[int, ...]
    others: tuple[int, ...]
    courts: tuple[Court, ...]

    def task(self, original: nn.Module, name: str) -> Task:
        """What a fake is made of."""
        return Task(
            recipe=self.scene.recipe,
            module=original,
            images=self.scene.images,
            forget=self.forgotten,
            retain=self.scene.without(self.forgotten),
            seed=derive_seed("verdicts", self.name, name),
            unseen=self.scene.split.validation,
        )


def main() -> None:
    """Print, for each request, what its bank declared and what became of every candidate."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--data", type=Path, help="manifest [phantoms, drawn in the folder]")
    parser.add_argument("--folder", type=Path, required=True, help="where models are kept")
    parser.add_argument("--recipe", type=Path, help="TOML [the quick recipe]")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--cohort", type=int, default=0, help="patients to forget together")
    group.add_argument("--alone", type=int, default=0, help="patients to forget one by one")
    parser.add_argument("--references", type=int, default=16, help="OUT models, and IN models")
    parser.add_argument("--retrains", type=int, default=60)
    parser.add_argument("--originals", type=int, default=4, help="models fakes are made of")
    parser.add_argument("--division", type=int, default=1, help="seed of the split by patient")
    parser.add_argument("--looked-at", type=int, default=12, help="patients at most, with --alone")
    parser.add_argument("--declare", action="store_true", help="only say what banks declare")
    parser.add_argument("--one-kept", action="store_true", help="only try one of the cohort kept")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    stage = _stage(asked)
    ranked = sorted(stage.memorised, key=lambda subject: (-stage.memorised[subject], subject))
    look = _declare if asked.declare else _one_kept if asked.one_kept else _judge
    if asked.cohort:
        look(_request(f"{asked.cohort} patients together", stage, ranked[: asked.cohort]))
        return
    decidable = 0
    for number, subject in enumerate(ranked[: asked.looked_at], start=1):
        request = _request(f"one patient, number {number}", stage, [subject])
        decidable += look(request)
        if decidable == asked.alone:
            return


def _stage(asked: argparse.Namespace) -> Stage:
    recipe = QUICK if asked.recipe is None else read_recipe(asked.recipe)
    asked.folder.mkdir(parents=True, exist_ok=True)
    drawn = asked.folder / "phantoms"
    if asked.data is None and not drawn.exists():
        draw_phantoms(drawn, seed=_PHANTOMS)
    manifest = read_manifest(asked.data or drawn / "manifest.csv")
    made_of = (recipe.digest.value[:12], manifest.digest.value[:12], str(asked.division))
    folder = asked.folder / "-".join(made_of)
    folder.mkdir(exist_ok=True)
    images = load_images(manifest, recipe.input_size)
    scene = scene_of(images, recipe, folder, seed=asked.division)
    _write(
        f"{len(scene.training)} training images, {len(scene.split.test)} never-seen ones to test "
        f"on; {recipe}"
    )
    memorised = send_scouts(scene, _SCOUTS, workers=asked.workers, progress=_tell).memorised
    inside, originals = (
        train_models(
            scene,
            name,
            [scene.training] * many,
            "verdicts",
            workers=asked.workers,
            progress=_tell,
        )
        for name, many in (("in", asked.references), ("original", asked.originals))
    )
    return Stage(
        scene=scene,
        untouched=measure_block(scene, inside),
        originals=tuple(load_weights(recipe, content) for content in originals),
        memorised=memorised,
        references=asked.references,
        retrains=asked.retrains,
        workers=asked.workers,
    )


def _request(name: str, stage: Stage, patients: Sequence[str]) -> Request:
    folder = stage.scene.folder / name.replace(" ", "-").replace(",", "")
    folder.mkdir(exist_ok=True)
    scene = replace(stage.scene, folder=folder)
    about = scene.of_subjects(patients)
    counts = {subject: len(scene.of_subjects([subject])) for subject in stage.memorised}
    groups = match_surrogates(patients, counts, stage.memorised)
    others, *_ = sparing(scene, about, [scene.of_subjects(group) for group in groups])
    layout = layout_for(scene, about, apart=(), unseen=scene.split.test)
    out = measure_block(
        scene,
        stage.train(scene, "out", scene.without(about), stage.references, name),
        relearning_images(layout).tolist(),
    )
    models = [str(digest) for digest in (*out.weights, *stage.untouched.weights)]
    origin = Origin(model=ANY, data=ANY, recipe=scene.recipe.digest, bank=digest_of(models))
    ready = [
        prepare(
            origin=origin,
            out=out.measured,
            untouched=stage.untouched.measured,
            original=measure_all(scene, original),
            layout=layout,
        )
        for original in stage.originals
    ]
    plans = [
        draw_up(
            readiness,
            case=name,
            origin=origin,
            request=ANY,
            policies=ANY,
            required_power=_REQUIRED,
            seeds=(),
            ladder=(),
        )
        for readiness in ready
    ]
    courts = (
        Court(scene=scene, readiness=readiness, plan=plan)
        for readiness, plan in zip(ready, plans, strict=True)
    )
    return Request(
        name=name,
        stage=stage,
        scene=scene,
        forgotten=about,
        others=others,
        courts=tuple(courts),
    )


def _declare(request: Request) -> bool:
    """Whether the first model in service is declared to be decidable."""
    plan, readiness = request.courts[0].plan, request.courts[0].readiness
    decidable = plan.power.pass_retrain >= _REQUIRED
    _write(
        f"\n### {request.name}: {len(request.forgotten)} images; K = {request.stage.references} "
        f"OUT and as many IN\n\nDeclared: untouched found {plan.power.detect_untouched:.3f}, "
        f"retrain passed {plan.power.pass_retrain:.3f}; gap {readiness.scale.gap_t:.1f} standard "
        f"errors, standard error of rho {readiness.scale.standard_error:.3f}; AUC margin "
        f"{plan.auc_margin:.4f}{' (refused)' if plan.auc_margin_refused else ''}\n"
    )
    return decidable


def _one_kept(request: Request) -> bool:
    """The same, and whether the one of each model who was kept is told apart."""
    decidable = _declare(request)
    scene, court = request.scene, request.courts[0]
    subjects, layout = scene.images.subjects, court.readiness.layout
    gone = set(request.forgotten)
    patients = sorted({subjects[index] for index in gone})
    contents = train_models(
        scene,
        "one-kept",
        [scene.without(sorted(gone - set(scene.of_subjects([one])))) for one in patients],
        request.name,
        workers=request.stage.workers,
        progress=_tell,
    )
    judged, apart = [], 0
    for one, content in zip(patients, contents, strict=True):
        module = load_weights(scene.recipe, content)
        judged.append(court.judge(module, CandidateRole.REQUEST, by_recipe=True))
        measured = judged[-1].measured
        assert measured is not None
        lines = measure_patients(
            court.readiness.patient_scales,
            contrast(measured.margins, layout),
            court.plan.equivalence_level,
            court.plan.doubt_alpha,
        )
        code = layout.patients[scene.of_subjects([one])[0]]
        apart += sum(line.outside for line in lines if line.patient == code)
    found = clopper_pearson(apart, len(patients))
    _write(
        f"Told apart: declared {court.plan.detect_one:.3f}, measured {apart} of {len(patients)}, "
        f"{found.point:.3f} [{found.lower:.3f}, {found.upper:.3f}]\n\n{_HEAD}"
    )
    _line(tally("one kept", judged))
    return decidable


def _judge(request: Request) -> bool:
    """The same, and what becomes of the candidates."""
    decidable = _declare(request)
    _write(_HEAD)
    spent: list[int] = []
    for name, judged in _candidates(request) if decidable else _untouched(request):
        spent += [item.milliseconds for item in judged]
        _line(tally(name, judged))
    _write(f"\nMedian {median(spent) / 1000:.2f} s per verdict.")
    return decidable


def _candidates(request: Request) -> Iterator[tuple[str, list[Judged]]]:
    stage, scene, first = request.stage, request.scene, request.courts[0]

    def trained(name: str, of: Scene, indices: Sequence[int], many: int) -> list[Judged]:
        contents = stage.train(of, name, indices, many, request.name)
        modules = [load_weights(of.recipe, content) for content in contents]
        role = CandidateRole.REQUEST
        return [first.judge(module, role, by_recipe=True) for module in modules]

    retained = scene.without(request.forgotten)
    yield "true retrain", trained("retrain", scene, retained, stage.retrains)
    for name in EDITS:
        yield _edited(request, name)
    task = request.task(stage.originals[0], "trained")
    for name, training in trainings(task, request.others).items():
        of = replace(scene, recipe=training.recipe)
        yield name, trained(name, of, training.indices, len(stage.originals))


def _untouched(request: Request) -> Iterator[tuple[str, list[Judged]]]:
    yield _edited(request, "untouched")


def _edited(request: Request, name: str) -> tuple[str, list[Judged]]:
    make, originals = EDITS[name], request.stage.originals
    return name, [
        court.judge(make(request.task(original, name)), CandidateRole.REQUEST)
        for court, original in zip(request.courts, originals, strict=True)
    ]


def _line(found: Tally) -> None:
    values = found.influence
    rho = f"{min(values):.2f} to {max(values):.2f}" if values else "-"
    reasons = ", ".join(f"{code} {count}" for code, count in found.reasons)
    shares = [
        f"{count} [{share.lower:.3f}, {share.upper:.3f}]"
        for count, share in ((found.passed, found.passed_share), (found.failed, found.failed_share))
    ]
    _write(
        f"| {found.name} | {found.candidates} | {' | '.join(shares)} | {found.indeterminate} | "
        f"{found.refused} | {rho} | {reasons} |"
    )


def _tell(label: str, done: int, total: int) -> None:
    if done == total:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {label}: {total}\n")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
