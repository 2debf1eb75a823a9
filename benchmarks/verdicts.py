"""Verdicts on real trainings: how often is a true retrain passed, and is a fake ever?

Patients are chosen by how far scout models memorised them, the most memorised first: ``--cohort``
together, then ``--alone`` one by one. Each such request gets a bank of its own, which declares its
powers; then fresh retrains, trained apart from the bank, and the fakes of
`auditor.unlearning.fakes`, made of the model in service and of others like it, are audited by the
whole plan.

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

from auditor.domain.evidence import CandidateRole
from auditor.domain.qualification import Tally
from auditor.learning.datasets import load_images, read_manifest
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import QUICK, read_recipe
from auditor.learning.weights import load_weights
from auditor.unlearning.fakes import EDITS, trainings
from auditor.unlearning.task import Task
from auditor.verification.engine import draw_up, prepare
from auditor.verification.plan import Origin
from auditor.verification.relearning import relearning_images
from auditor.workflow.bank import Bank, sparing, train_bank
from auditor.workflow.qualification_trials import Court, Judged, tally
from auditor.workflow.references import Block, layout_for, measure_all, train_models
from auditor.workflow.scene import Scene, derive_seed
from auditor.workflow.scouting import scout_memorisation
from auditor.workflow.surrogates import match_surrogates

_PHANTOMS = 20261125
_SCOUTS = 16
_REQUIRED = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How much is tried."""

    references: int
    retrains: int
    originals: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """Some patients to be forgotten, a group like them who stay, and models that saw them all."""

    name: str
    scene: Scene
    bank: Bank
    others: tuple[int, ...]
    originals: tuple[nn.Module, ...]

    def court(self, original: nn.Module) -> Court:
        """The plan by which candidates made of ``original`` are judged."""
        scene, bank = self.scene, self.bank
        origin = Origin(model=ANY, data=ANY, recipe=scene.recipe.digest, bank=bank.digest)
        readiness = prepare(
            origin=origin,
            out=bank.out.measured,
            untouched=bank.untouched.measured,
            original=measure_all(scene, original),
            layout=layout_for(scene, bank.forgotten, apart=(), unseen=scene.split.test),
        )
        plan = draw_up(
            readiness,
            case=self.name,
            origin=origin,
            request=ANY,
            policies=ANY,
            required_power=_REQUIRED,
            seeds=(),
            ladder=(),
        )
        return Court(scene=scene, readiness=readiness, plan=plan)

    def task(self, original: nn.Module, name: str) -> Task:
        """What a fake is made of."""
        return Task(
            recipe=self.scene.recipe,
            module=original,
            images=self.scene.images,
            forget=self.bank.forgotten,
            retain=self.scene.without(self.bank.forgotten),
            seed=derive_seed("verdicts", self.name, name),
            unseen=self.scene.split.validation,
        )


def main() -> None:
    """Print, for each request, what its bank declared and what became of every candidate."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--data", type=Path, help="manifest [phantoms, drawn in the folder]")
    parser.add_argument("--folder", type=Path, required=True, help="where models are kept")
    parser.add_argument("--recipe", type=Path, help="TOML [the quick recipe]")
    parser.add_argument("--cohort", type=int, default=0, help="patients to forget together")
    parser.add_argument("--alone", type=int, default=0, help="patients to forget one by one")
    parser.add_argument("--references", type=int, default=16, help="OUT models, and IN models")
    parser.add_argument("--retrains", type=int, default=60)
    parser.add_argument("--originals", type=int, default=4, help="models fakes are made of")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    asked = Asked(
        references=given.references,
        retrains=given.retrains,
        originals=given.originals,
        workers=given.workers,
    )
    recipe = QUICK if given.recipe is None else read_recipe(given.recipe)
    given.folder.mkdir(parents=True, exist_ok=True)
    data = given.data or draw_phantoms(given.folder / "phantoms", seed=_PHANTOMS)
    manifest = read_manifest(data)
    folder = given.folder / f"{recipe.digest.value[:12]}-{manifest.digest.value[:12]}"
    scene = scene_of(load_images(manifest, recipe.input_size), recipe, folder)
    folder.mkdir(exist_ok=True)
    trained, left = len(scene.training), len(scene.split.test)
    _write(f"{trained} training images, {left} never-seen ones to test on; {recipe}\n")
    for request in _requests(scene, given.cohort, given.alone, asked):
        _judge(request, asked)


def _requests(scene: Scene, cohort: int, alone: int, asked: Asked) -> Iterator[Request]:
    scouts, memorised = scout_memorisation(scene, _SCOUTS, workers=asked.workers, progress=_tell)
    ranked = sorted(memorised, key=lambda subject: (-memorised[subject], subject))
    groups = {f"{cohort} patients together": ranked[:cohort]} if cohort else {}
    groups |= {f"one patient, number {n + 1}": [who] for n, who in enumerate(ranked[:alone])}
    contents = train_models(
        scene,
        "original",
        [scene.training] * asked.originals,
        "verdicts",
        workers=asked.workers,
        progress=_tell,
    )
    originals = tuple(load_weights(scene.recipe, content) for content in contents)
    for name, patients in groups.items():
        own = replace(scene, folder=scene.folder / name.replace(" ", "-").replace(",", ""))
        own.folder.mkdir(exist_ok=True)
        yield _request(name, own, patients, scouts, memorised, originals, asked)


def _request(
    name: str,
    scene: Scene,
    patients: Sequence[str],
    scouts: Block,
    memorised: Mapping[str, float],
    originals: tuple[nn.Module, ...],
    asked: Asked,
) -> Request:
    about = scene.of_subjects(patients)
    counts = {subject: len(scene.of_subjects([subject])) for subject in memorised}
    groups = match_surrogates(patients, counts, memorised)
    others, *_ = sparing(scene, about, [scene.of_subjects(group) for group in groups])
    layout = layout_for(scene, about, apart=(), unseen=scene.split.test)
    bank = train_bank(
        scene,
        about,
        (),
        scouts=scouts,
        seed=f"verdicts/{name}",
        out_models=asked.references,
        in_models=asked.references,
        workers=asked.workers,
        progress=_tell,
        relearning=relearning_images(layout).tolist(),
    )
    return Request(name=name, scene=scene, bank=bank, others=others, originals=originals)


def _judge(request: Request, asked: Asked) -> None:
    courts = [request.court(original) for original in request.originals]
    plan, readiness = courts[0].plan, courts[0].readiness
    _write(
        f"\n### {request.name}: {len(request.bank.forgotten)} images; K = {asked.references} OUT "
        f"and as many IN\n\nDeclared: untouched found {plan.power.detect_untouched:.3f}, retrain "
        f"passed {plan.power.pass_retrain:.3f}; gap {readiness.scale.gap_t:.1f} standard errors, "
        f"standard error of rho {readiness.scale.standard_error:.3f}; AUC margin "
        f"{plan.auc_margin:.4f}{' (refused)' if plan.auc_margin_refused else ''}\n"
    )
    titles = "candidates | made | PASSED | FAILED | INDETERMINATE | no verdict | rho | reasons"
    _write(f"| {titles} |\n|{'---|' * 8}")
    spent: list[int] = []
    for name, judged in _candidates(request, courts, asked):
        spent += [item.milliseconds for item in judged]
        _line(tally(name, judged))
    _write(f"\nMedian {median(spent) / 1000:.2f} s per verdict.\n")


def _candidates(
    request: Request, courts: Sequence[Court], asked: Asked
) -> Iterator[tuple[str, list[Judged]]]:
    scene, first = request.scene, courts[0]
    retained = scene.without(request.bank.forgotten)

    def trained(name: str, of: Scene, indices: Sequence[int], many: int) -> list[Judged]:
        contents = train_models(
            of, name, [indices] * many, request.name, workers=asked.workers, progress=_tell
        )
        modules = [load_weights(of.recipe, content) for content in contents]
        return [first.judge(module, CandidateRole.REQUEST) for module in modules]

    yield "true retrain", trained("retrain", scene, retained, asked.retrains)
    for name, make in EDITS.items():
        yield (
            name,
            [
                court.judge(make(request.task(original, name)), CandidateRole.REQUEST)
                for court, original in zip(courts, request.originals, strict=True)
            ],
        )
    task = request.task(request.originals[0], "trained")
    for name, training in trainings(task, request.others).items():
        of = replace(scene, recipe=training.recipe)
        yield name, trained(name, of, training.indices, asked.originals)


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
