"""Candidates of a qualification: each audited by the whole plan, as a request's would be."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from auditor.domain.artefact import Digest
from auditor.domain.evidence import CandidateRole
from auditor.domain.qualification import PowerLine, Tally
from auditor.domain.verdict import Verdict
from auditor.errors import EvidenceError, ModelError
from auditor.policies.load import load_packs
from auditor.policies.pinning import packs_digest
from auditor.verification.clopper_pearson import clopper_pearson
from auditor.verification.engine import assess, draw_up
from auditor.verification.measurements import Measurements
from auditor.verification.plan import Origin, Plan
from auditor.verification.readiness import Readiness, prepare
from auditor.workflow.audit.bank import Bank
from auditor.workflow.audit.references import layout_for, measure_all
from auditor.workflow.audit.scene import Scene
from auditor.workflow.homes.home import Home


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One candidate: no verdict where it couldn't be audited.

    Attributes:
        milliseconds: of measuring and deciding.
    """

    verdict: Verdict | None
    reasons: frozenset[str]
    influence: float | None
    measured: Measurements | None
    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Court:
    """What candidates made of one model are judged by."""

    scene: Scene
    readiness: Readiness
    plan: Plan

    def judge(self, module: nn.Module, role: CandidateRole, *, by_recipe: bool = False) -> Judged:
        """Measure and decide; ``by_recipe`` where it is said to be a retrain."""
        started = time.perf_counter()
        measured = verdict = influence = None
        reasons = frozenset[str]()
        try:
            wanted = self.readiness.relearning.tolist()
            measured = measure_all(self.scene, module, wanted)
            evidence, decision = assess(
                self.plan,
                self.readiness,
                measured,
                role=role,
                by_recipe=by_recipe,
                weights=self.plan.origin.model,
            )
            verdict, influence = decision.verdict, evidence.influence.equivalence.point
            reasons = frozenset(reason.code.value for reason in decision.reasons)
        except (EvidenceError, ModelError):
            pass  # it can't be audited, which is no way to PASSED
        spent = round(1000 * (time.perf_counter() - started))
        return Judged(
            verdict=verdict,
            reasons=reasons,
            influence=influence,
            measured=measured,
            milliseconds=spent,
        )


def open_court(
    home: Home, scene: Scene, bank: Bank, original: nn.Module, weights: Digest, *, request: Digest
) -> Court:
    """The plan for one model that was trained on the surrogates, as for a model in service.

    Args:
        request: digest of who the surrogates are, as a case's plan commits to its subjects.
    """
    origin = Origin(
        model=weights, data=scene.commitment, recipe=scene.recipe.digest, bank=bank.digest
    )
    readiness = _prepare(
        home,
        scene,
        bank,
        origin,
        measure_all(scene, original),
        bank.forgotten,
        len(bank.out.weights),
        len(bank.untouched.weights),
    )
    plan = draw_up(
        readiness,
        case="qualification",
        origin=origin,
        request=request,
        policies=packs_digest(load_packs()),
        required_power=home.config.required_power,
        seeds=(),
        ladder=(),
    )
    return Court(scene=scene, readiness=readiness, plan=plan)


def _prepare(
    home: Home,
    scene: Scene,
    bank: Bank,
    origin: Origin,
    original: Measurements,
    about: Sequence[int],
    out_models: int,
    in_models: int,
) -> Readiness:
    rest = tuple(index for index in bank.forgotten if index not in set(about))
    return prepare(
        origin=origin,
        out=bank.out.measured[:out_models],
        untouched=bank.untouched.measured[:in_models],
        original=original,
        layout=layout_for(scene, about, apart=rest, unseen=scene.split.test),
        margin=home.config.margin,
    )


def tally(name: str, judged: Iterable[Judged]) -> Tally:
    """Count verdicts, with exact intervals of their shares."""
    found = tuple(judged)

    def count(verdict: Verdict | None) -> int:
        return sum(item.verdict is verdict for item in found)

    share = partial(clopper_pearson, trials=len(found))
    return Tally(
        name=name,
        candidates=len(found),
        passed=count(Verdict.PASSED),
        failed=count(Verdict.FAILED),
        indeterminate=count(Verdict.INDETERMINATE),
        refused=count(None),
        passed_share=share(count(Verdict.PASSED)),
        failed_share=share(count(Verdict.FAILED)),
        influence=tuple(item.influence for item in found if item.influence is not None),
        reasons=tuple(sorted(Counter(code for item in found for code in item.reasons).items())),
    )


def power_lines(
    home: Home, court: Court, bank: Bank, patients: Sequence[str]
) -> tuple[PowerLine, ...]:
    """Power declared for 1, 2, 4 ... of the surrogates, and for half of the references.

    Those left out of a smaller cohort are in none of its OUT models either, so for it the numbers
    are approximate.
    """
    scene, ready = court.scene, court.readiness
    sizes = sorted({*(2**k for k in range(len(patients).bit_length())), len(patients)})
    full = (len(bank.out.weights), len(bank.untouched.weights))
    trials = [(size, full) for size in sizes] + [(len(patients), (full[0] // 2, full[1] // 2))]
    lines = []
    for size, (out_models, in_models) in trials:
        about = scene.of_subjects(patients[:size])
        try:
            found = _prepare(
                home,
                scene,
                bank,
                ready.origin,
                ready.original,
                about,
                out_models,
                in_models,
            )
        except EvidenceError:
            continue  # too few references: no line, rather than one that looks like a number
        lines.append(
            PowerLine(
                patients=size,
                images=len(about),
                out_models=out_models,
                in_models=in_models,
                power=found.power,
            )
        )
    return tuple(lines)
