"""The qualification of an unlearning method: process validation on surrogate patients.

How often does the laboratory FAIL a true retrain, does it PASS a fake, and does it pass what the
method makes? Tried on this model's data by its recipe, with patients that nobody asked to erase
(DESIGN section 4 point 12). Stopped, it goes on: models it finished are kept until it ends, and
every seed is derived. Then they are destroyed, since they carry patients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from statistics import median
from typing import cast

import numpy as np
from torch import nn

from auditor.domain import event as ev
from auditor.domain.artefact import Digest, digest_of
from auditor.domain.evidence import CandidateRole, MembershipAttack
from auditor.domain.qualification import Profile, Qualification, Tally
from auditor.errors import MisuseError, UnlearningError
from auditor.learning.progress import Progress
from auditor.unlearning.fakes import EDITS, Training, trainings
from auditor.unlearning.method import METHODS
from auditor.unlearning.task import Cost, Method, Task, Tunable
from auditor.verification.attacks.hayes2024ulira import LEAST_MODELS, u_lira
from auditor.verification.engine_code import engine_digest
from auditor.workflow.audit.calibration import Calibration, calibrate
from auditor.workflow.audit.qualification_book import (
    begin,
    clear,
    enter,
    requested_patients,
)
from auditor.workflow.audit.scene import derive_seed, load_module, load_scene, require_auditable
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.registry import data_record
from auditor.workflow.homes.starts import require_start
from auditor.workflow.log.tampering import try_tampering
from auditor.workflow.models.left_behind import qualification_folder
from auditor.workflow.models.lineage import under_way
from auditor.workflow.qualifying.bench import EFFORTS, Bench, Effort, Trained, set_up
from auditor.workflow.qualifying.trials import Court, Judged, open_court, power_lines, tally

_DAYS = 365  # that a qualification holds
_ORIGINAL, _RETRAIN = "original", "retrain"


def qualify(
    home: Home,
    model: str,
    method: str,
    profile: Profile,
    *,
    today: date,
    workers: int,
    progress: Progress,
    effort: Effort | None = None,
) -> tuple[Qualification, ev.MethodQualified]:
    """Qualify an approximate method for the model in service, its data and its recipe.

    Args:
        effort: by default the profile's.

    Raises:
        MisuseError: no such method or model, an exact method, a case under way, or too few
            patients that nobody asked to erase.
        EvidenceError: the model can't be audited, so nothing that a method makes of it.
        ModelError: nobody vouches for the weights that the model's trainings start from.
        HomeError: another process trains or unlearns in this home.
        TamperedError: the ledger is read-only.
    """
    tunable = _approximate(method)
    with alone(home):
        require_writable(home.root, home.ledger)
        for case, _ in under_way(home, model):
            raise MisuseError(f"case {case} is under way on the same model; finish it first")
        scene = load_scene(home, model)
        require_start(home, scene.recipe)
        require_auditable(home, scene)
        weights = scene.version.weights
        folder = qualification_folder(home, weights)
        begun = begin(home, model, weights, method, profile)
        bench = set_up(
            replace(scene, folder=folder, known=None),
            scene.images.patients_of(requested_patients(home, model)),
            effort or EFFORTS[profile],
            # a single step isn't tried on the tail (`auditor.workflow.erasure.routing`)
            below=home.config.tail if tunable.cost is Cost.STEP else float("inf"),
            seed=f"qualification/{weights}/{method}/{begun.number}",
            workers=workers,
            progress=progress,
        )
        trial = _Trial(home=home, bench=bench, effort=effort or EFFORTS[profile])
        report = trial.report(begun, tunable, today)
        event = enter(home, report)
        clear(folder)
    return report, event


def _approximate(name: str) -> Tunable:
    method: Method | None = METHODS.get(name)
    able = ", ".join(sorted(name for name, item in METHODS.items() if not item.exact))
    if method is None:
        raise MisuseError(f"no method named {name}; methods that can be qualified are {able}")
    if method.exact:
        raise MisuseError(f"{name} earns its basis by replay; methods to qualify are {able}")
    return cast("Tunable", method)  # as every approximate method is


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trial:
    """One qualification under way.

    Attributes:
        spent: milliseconds of each verdict so far.
    """

    home: Home
    bench: Bench
    effort: Effort
    spent: list[int] = field(default_factory=list)

    def report(self, begun: ev.QualificationStarted, method: Tunable, today: date) -> Qualification:
        """Try everything, and say what was found."""
        scene, bench, home = self.bench.scene, self.bench, self.home
        service = load_module(home, scene, scene.version.weights)
        calibration = calibrate(
            scene,
            bench.tuning,
            service,
            method,
            outsiders=bench.outsiders,
            progress=bench.progress,
        )
        trained = self._train(service)
        originals = ((scene.version.weights, service), *trained.pop(_ORIGINAL))
        courts = [self._court(*original) for original in originals]
        retrains = self._judge_all(
            _RETRAIN, courts[0], trained.pop(_RETRAIN), CandidateRole.RETRAIN
        )
        fakes = [self._edited(name, make, courts, originals) for name, make in EDITS.items()]
        for name, models in trained.items():  # from the start: judged against the one in service
            fakes.append(tally(name, self._judge_all(name, courts[0], models)))
        unlearned = self._unlearned(method, calibration, courts, originals)
        registered, _ = data_record(home, scene.version.data_set)
        plan = courts[0].plan
        return Qualification(
            model=begun.model,
            method=method.name,
            profile=begun.profile,
            number=begun.number,
            weights=scene.version.weights,
            architecture=scene.recipe.architecture,
            recipe=scene.recipe.digest,
            data=scene.commitment,
            synthetic=registered.synthetic == "yes",
            code=engine_digest(),
            bank=bench.bank.digest,
            plan=plan.digest,
            parameters=tuple(sorted((calibration.parameters or {}).items())),
            patients=len(bench.patients),
            images=len(bench.bank.forgotten),
            out_models=len(bench.bank.out.weights),
            in_models=len(bench.bank.untouched.weights),
            margin=plan.margin,
            alpha=plan.alpha,
            required_power=plan.required_power,
            power=plan.power,
            retrains=tally(_RETRAIN, retrains),
            fakes=tuple(fakes),
            tampering=try_tampering(
                home, scene.version.weights, self._task(service, "tampering", 0)
            ),
            unlearned=(tally(method.name, unlearned),) if unlearned else (),
            u_lira=_u_lira(courts[0], unlearned, retrains),
            power_lines=power_lines(home, courts[0], bench.bank, bench.patients),
            milliseconds=round(median(self.spent)),
            valid_from=today,
            valid_until=today + timedelta(days=_DAYS),
        )

    def _train(self, service: nn.Module) -> dict[str, Trained]:
        """Originals, true retrains, and the fakes that have to be trained."""
        scene = self.bench.scene
        task = self._task(service, "trained", 0)
        wanted = {
            _ORIGINAL: Training(recipe=scene.recipe, indices=scene.training),
            _RETRAIN: Training(recipe=scene.recipe, indices=task.retain),
            **trainings(task, self.bench.tuning.surrogates[0]),
        }
        counts = dict.fromkeys(wanted, self.effort.originals + 1)
        counts |= {_ORIGINAL: self.effort.originals, _RETRAIN: self.effort.retrains}
        return self.bench.train(wanted, counts)

    def _court(self, weights: Digest, module: nn.Module) -> Court:
        bank = self.bench.bank
        who = digest_of([str(index) for index in bank.forgotten])
        return open_court(self.home, self.bench.scene, bank, module, weights, request=who)

    def _task(self, module: nn.Module, name: str, number: int) -> Task:
        scene = self.bench.scene
        return Task(
            recipe=scene.recipe,
            module=module,
            images=scene.images,
            forget=self.bench.bank.forgotten,
            retain=scene.without(self.bench.bank.forgotten),
            seed=derive_seed(self.bench.seed, name, number),
            unseen=scene.split.validation,
            outsiders=self.bench.outsiders,
        )

    def _judged(self, court: Court, module: nn.Module | None) -> Judged:
        """A verdict on what was made of a model; a candidate that couldn't be made has none."""
        if module is None:
            return Judged(
                verdict=None, reasons=frozenset(), influence=None, measured=None, milliseconds=0
            )
        found = court.judge(module, CandidateRole.REQUEST)
        self.spent.append(found.milliseconds)
        return found

    def _judge_all(
        self, name: str, court: Court, models: Trained, role: CandidateRole = CandidateRole.REQUEST
    ) -> list[Judged]:
        """Verdicts on models that were trained, each of which is said to be a retrain."""
        judged = []
        for number, (_, module) in enumerate(models):
            judged.append(court.judge(module, role, by_recipe=True))
            self.spent.append(judged[-1].milliseconds)
            self.bench.progress(f"auditing {name}", number + 1, len(models))
        return judged

    def _edited(
        self,
        name: str,
        make: Callable[[Task], nn.Module],
        courts: Sequence[Court],
        originals: Trained,
    ) -> Tally:
        """One fake made of every original, judged as if that had been in service."""
        self.bench.progress(f"auditing {name}", len(originals), len(originals))
        return tally(name, self._made(name, make, courts, originals))

    def _unlearned(
        self,
        method: Method,
        calibration: Calibration,
        courts: Sequence[Court],
        originals: Trained,
    ) -> list[Judged]:
        """What the method makes of every original, as a case would run it."""
        parameters = calibration.parameters
        if parameters is None:
            return []
        return self._made(method.name, lambda task: method.run(task, parameters), courts, originals)

    def _made(
        self,
        name: str,
        make: Callable[[Task], nn.Module],
        courts: Sequence[Court],
        originals: Trained,
    ) -> list[Judged]:
        return [
            self._judged(court, _or_none(make, self._task(module, name, number)))
            for number, (court, (_, module)) in enumerate(zip(courts, originals, strict=True))
        ]


def _or_none(make: Callable[[Task], nn.Module], task: Task) -> nn.Module | None:
    try:
        return make(task)
    except UnlearningError:
        return None


def _u_lira(
    court: Court, unlearned: Sequence[Judged], retrains: Sequence[Judged]
) -> tuple[MembershipAttack, ...]:
    """U-LiRA on the whole cohort: can what the method makes be told from true retrains?"""
    layout = court.readiness.layout
    about = layout.forgotten
    members, others = (
        [item.measured.margins[about] for item in judged if item.measured is not None]
        for judged in (unlearned, retrains)
    )
    if min(len(members), len(others)) < LEAST_MODELS:
        return ()
    return (u_lira(np.stack(members), np.stack(others), layout.patients[about]).cohort,)
