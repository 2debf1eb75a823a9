"""The papers of one case while it is being worked on: loaded when first asked for, then kept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from torch import nn

from auditor.domain import event as ev
from auditor.domain.artefact import Digest, digest_of
from auditor.domain.case import ErasureCase
from auditor.domain.kind import Event
from auditor.errors import MisuseError, TamperedError
from auditor.learning.history import History
from auditor.learning.progress import Progress
from auditor.unlearning.task import Task, Tunable
from auditor.verification.engine_code import engine_digest
from auditor.verification.layout import Layout
from auditor.verification.plan import Origin, Pinned, Plan
from auditor.verification.readiness import Readiness, prepare
from auditor.verification.relearning import relearning_images
from auditor.workflow.audit.bank import Bank, sparing, train_bank
from auditor.workflow.audit.calibration import Calibration, calibrate
from auditor.workflow.audit.qualification_book import Terms, find_current
from auditor.workflow.audit.references import layout_for, measure_all
from auditor.workflow.audit.scene import Scene, derive_seed, load_module, load_scene
from auditor.workflow.audit.scouting import Scouts, send_scouts
from auditor.workflow.audit.shared_bank import is_shared, serve, serve_listed
from auditor.workflow.audit.surrogates import match_surrogates
from auditor.workflow.audit.training_history import load_history
from auditor.workflow.desk.desk import subjects_of
from auditor.workflow.desk.quarter_plans import place_among_plans
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, load_case, record

CONTROL = "control"
"""What the seed of the fresh retrain is called that is audited beside the candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How much work a run may do.

    Attributes:
        attempt_out_of_reach: run the cheapest approximate rung even where the declared power says
            that it can't earn a certificate, or where it isn't qualified for cohorts; its result is
            then a measurement, nothing more.
        keep_scores: days to keep every model's scores of each audit, so that it can be replayed; 0
            for not at all.
        shared_bank: take reference models from the model's shared banks instead of training some.
    """

    out_models: int = 16
    in_models: int = 16
    scouts: int = 8
    workers: int = 1
    required_power: float = 0.8
    shared_bank: bool = False
    keep_scores: int = 0
    attempt_out_of_reach: bool = False


class Casework:
    """The papers of one case while it is being worked on. Loads lazily, keeps what it loaded."""

    def __init__(self, home: Home, case: str, settings: RunSettings, progress: Progress) -> None:
        """Open the case; nothing is loaded yet."""
        self.home = home
        self.case = case
        self.settings = settings
        self.progress = progress
        self._ready: dict[int, Readiness] = {}
        self._calibrations: dict[str, Calibration] = {}

    @property
    def state(self) -> ErasureCase:
        """The case as the ledger tells it now."""
        return load_case(self.home, self.case)

    @cached_property
    def requested(self) -> ev.ErasureRequested:
        """The request."""
        requested = self.state.requested
        if requested is None:
            raise MisuseError(f"no case {self.case}; see `auditor request list`")
        return requested

    @cached_property
    def scene(self) -> Scene:
        """Model, data and recipe."""
        return load_scene(self.home, self.requested.model, asking=self.case)

    @cached_property
    def forgotten(self) -> tuple[int, ...]:
        """Training images of the request's subjects."""
        return self.scene.of_subjects(self.asked)

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """The request's subjects, as the data set knows patients."""
        named = frozenset(subjects_of(self.home, self.requested))
        return tuple(sorted(self.scene.images.patients_of(named)))

    @cached_property
    def _counts(self) -> RunSettings:
        """How many models are trained: once a bank is on the books, as many as it was made of."""
        known = self.state.bank
        if known is None:
            return self.settings
        listed = json.loads(self.home.store.get(known.bank))
        return replace(
            self.settings,
            out_models=known.out_models,
            in_models=known.in_models,
            scouts=len(listed["scouts"]),
        )

    @cached_property
    def scouts(self) -> Scouts:
        """Scout models and what they told."""
        return send_scouts(
            self.scene,
            self._counts.scouts,
            workers=self.settings.workers,
            progress=self.progress,
        )

    @cached_property
    def memorisation(self) -> Mapping[str, float]:
        """Of each of the request's subjects that the model in service was trained on."""
        memorised = self.scouts.memorised
        return {subject: memorised[subject] for subject in self.asked if subject in memorised}

    @cached_property
    def bank(self) -> Bank:
        """Reference models, trained now or found where an earlier run left them.

        Raises:
            TamperedError: what was found isn't what the ledger says was trained.
            EvidenceError: shared banks that can't serve the request, or may not decide yet.
        """
        known = self.state.bank
        if known is not None and is_shared(listing := self.home.store.get(known.bank)):
            return serve_listed(self.home, self.scene, self.forgotten, listing)
        if known is None and self.settings.shared_bank:
            return serve(self.home, self.scene, self.forgotten, self.scouts.block)
        bank = self._own_bank()
        if known is not None and known.bank != bank.digest:
            raise TamperedError(f"reference models of case {self.case} aren't those on the books")
        return bank

    @cached_property
    def surrogates(self) -> tuple[tuple[int, ...], ...]:
        """Groups of training images that the case's own bank is trained with and without, too."""
        scene, memorised = self.scene, self.scouts.memorised
        counts = Counter(scene.images.subjects[index] for index in scene.training)
        groups = match_surrogates(list(self.memorisation), counts, memorised)
        return sparing(scene, self.forgotten, [scene.of_subjects(group) for group in groups])

    def _own_bank(self) -> Bank:
        return train_bank(
            self.scene,
            self.forgotten,
            self.surrogates,
            relearning=relearning_images(self.layout(self.surrogates)).tolist(),
            scouts=self.scouts.block,
            seed=f"bank/{self.scene.version.weights}/{_of(self.forgotten)}",
            out_models=self._counts.out_models,
            in_models=self._counts.in_models,
            workers=self.settings.workers,
            progress=self.progress,
        )

    def ready_for(self, rungs: int) -> Readiness:
        """What the bank alone says, with alpha split over so many statistical rungs."""
        if rungs not in self._ready:
            bank = self.bank
            self._ready[rungs] = prepare(
                origin=_origin(self.scene, bank),
                out=bank.out.measured,
                untouched=bank.untouched.measured,
                original=measure_all(self.scene, self.original),
                layout=self.layout(bank.surrogates),
                margin=self.home.config.margin,
                rungs=rungs,
            )
        return self._ready[rungs]

    def layout(self, surrogates: Sequence[Sequence[int]]) -> Layout:
        """Who is who in the case's audits, these being left out of the comparison."""
        apart = tuple(index for group in surrogates for index in group)
        return layout_for(self.scene, self.forgotten, apart=apart, unseen=self.scene.split.test)

    @property
    def readiness(self) -> Readiness:
        """What the bank alone says, for the ladder that the case was routed to."""
        routed = self.state.routed
        if routed is None:
            raise MisuseError(f"case {self.case} has no ladder yet")
        return self.ready_for(routed.rungs)

    def calibration(self, method: Tunable) -> Calibration:
        """An approximate method tuned on surrogates."""
        if method.name not in self._calibrations:
            self._calibrations[method.name] = calibrate(
                self.scene,
                self.bank,
                self.original,
                method,
                outsiders=self.scouts.outsiders,
                progress=self.progress,
            )
        return self._calibrations[method.name]

    def task(self, method: str) -> Task:
        """What a method is given to carry out the request."""
        return Task(
            recipe=self.scene.recipe,
            module=self.original,
            images=self.scene.images,
            forget=self.forgotten,
            retain=self.scene.without(self.forgotten),
            seed=self.seed(method),
            unseen=self.scene.split.validation,
            history=self.history,
            progress=self.progress,
            known=self.scene.known,
            outsiders=self.scouts.outsiders,
        )

    @cached_property
    def history(self) -> History | None:
        """How the model in service, or the one it descends from, was trained."""
        return load_history(self.home, self.scene)

    @cached_property
    def original(self) -> nn.Module:
        """The model in service."""
        return load_module(self.home, self.scene, self.scene.version.weights)

    def qualification(self, method: str) -> ev.MethodQualified | None:
        """The method's qualification for cohorts, where it is current today."""
        return find_current(
            self.home,
            self.requested.model,
            method,
            recipe=self.scene.recipe.digest,
            data=self.scene.commitment,
            code=engine_digest(),
            terms=self._terms,
            today=datetime.now(UTC).date(),
        )

    @property
    def _terms(self) -> Terms:
        """Those of the plan; before one is pinned, those that it will be drawn up by."""
        by: Plan | Readiness
        if self.state.plan is None:
            by, power = self.ready_for(1), self.settings.required_power
        else:
            by, power = self.plan, self.plan.required_power
        return Terms(margin=by.margin, alpha=by.alpha, required_power=power)

    def seed(self, name: str) -> int:
        """Seed of a method, or of the `CONTROL`; the plan holds them all.

        Nothing of the data is in it: else what an exact method makes would hang on the very images
        it was made without, and who has the others could tell which those were.
        """
        return derive_seed(name, self.requested.model, self.scene.version.version)

    @property
    def pinned(self) -> Pinned:
        """The pinned plan, from the store, with the ledger's entry that pins it."""
        for entry in self.home.ledger.replay(case_stream(self.case)):
            if isinstance(entry.event, ev.PlanPinned):
                stored = self.home.store.get(entry.event.plan)
                return Pinned.read(entry, stored, place=place_among_plans(self.home.ledger, entry))
        raise MisuseError(f"case {self.case} has no pinned plan yet")

    @property
    def plan(self) -> Plan:
        """The pinned plan."""
        return self.pinned.plan

    def write(self, event: Event, step: str) -> None:
        """Dictate one event of this case."""
        record(self.home, case_stream(self.case), event, step)


def _origin(scene: Scene, bank: Bank) -> Origin:
    """What the bank's own listing says it was trained for."""
    said = json.loads(bank.listing)
    return Origin(
        model=Digest.parse(said["weights"]),
        data=scene.commitment,
        recipe=Digest.parse(said["recipe"]),
        bank=bank.digest,
    )


def _of(forgotten: tuple[int, ...]) -> Digest:
    """Seeds depend on what is asked, not on the asking: filing again draws no luckier bank."""
    return digest_of([str(index) for index in forgotten])
