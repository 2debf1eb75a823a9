"""Which rungs a case's ladder has: what is known is gathered here and decided in `routing`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from auditor.domain import event as ev
from auditor.domain.route import Due
from auditor.errors import MisuseError
from auditor.unlearning.method import METHODS
from auditor.unlearning.norms import written_buffers
from auditor.unlearning.rewind import way_back
from auditor.unlearning.task import Method, Need, Task, Tunable
from auditor.workflow.audit.calibration_book import enter_calibration
from auditor.workflow.erasure.casework import Casework
from auditor.workflow.erasure.routing import (
    MOST_RUNGS,
    MethodFacts,
    Prospect,
    RouteFacts,
    Tuned,
    route,
    shortlist,
)
from auditor.workflow.models.lineage import standing


def route_case(work: Casework) -> None:
    """Tune what could earn something, then write the ladder, and why it holds nothing else."""
    stands = standing(work.home, work.requested.model)
    facts = route_facts(work, stands.due)
    tuned = {}
    for name in shortlist(facts).methods:
        calibration = work.calibration(_tunable(name))
        enter_calibration(work.home, work.case, work.scene.version.weights, calibration)
        tuned[name] = Tuned(found=calibration.parameters is not None, residual=calibration.residual)
    found = route(facts, tuned)
    for omission in found.left_out:
        work.write(
            ev.RungSkipped(case=work.case, method=omission.method, reason=omission.reason.value),
            f"skipped-{omission.method}",
        )
    event = ev.CaseRouted(
        case=work.case,
        ladder=found.ladder,
        rungs=found.rungs,
        tail_patients=facts.tail,
        steps=len(stands.behind),
        due=facts.due,
    )
    work.write(event, "routed")


def _tunable(name: str) -> Tunable:
    return cast("Tunable", METHODS[name])  # as every approximate method is


def route_facts(work: Casework, due: tuple[Due, ...]) -> RouteFacts:
    """All that the route hangs on; nothing of it was measured on a candidate of this case.

    Args:
        due: why this erasure has to be exact.
    """
    config = work.home.config
    ready = [work.ready_for(rungs) for rungs in range(1, MOST_RUNGS + 1)]
    qualified = {name for name in config.methods if work.qualification(name) is not None}
    return RouteFacts(
        qualified=frozenset(qualified),
        memorisation=tuple(work.memorisation.values()),
        cohort=work.requested.subjects > 1,
        tail_from=config.tail,
        methods=tuple(_facts(work, method) for method in _allowed(config.methods)),
        prospects=tuple(Prospect(power=item.power, reach=item.reach) for item in ready),
        required_power=work.settings.required_power,
        recipe_fits=ready[0].recipe_fit.matches,
        auc_margin_refused=ready[0].auc.refused,
        surrogates=bool(work.bank.surrogates),
        due=due,
        measure_anyway=work.settings.attempt_out_of_reach,
    )


def _allowed(approximate: Sequence[str]) -> list[Method]:
    """Every exact method, and the approximate ones that the home's settings name."""
    known = {name for name, method in METHODS.items() if not method.exact}
    if unknown := sorted(set(approximate) - known):
        raise MisuseError(
            f"[unlearning] methods names {unknown[0]}; known are {', '.join(sorted(known))}"
        )
    return [method for name, method in METHODS.items() if method.exact or name in approximate]


def _facts(work: Casework, method: Method) -> MethodFacts:
    task = work.task(method.name)
    met = _met(task, method)
    share = 1.0
    if met and Need.HISTORY in method.needs:
        back = way_back(task)
        share = back.replayed / back.steps
    return MethodFacts(name=method.name, exact=method.exact, cost=method.cost, met=met, share=share)


def _met(task: Task, method: Method) -> bool:
    at_hand = {Need.UNSEEN: bool(task.unseen), Need.HISTORY: task.history is not None}
    if not all(at_hand[need] for need in method.needs):
        return False
    return method.exact or not written_buffers(task)
