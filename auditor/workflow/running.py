"""`auditor run`: take cases along the road, step by step, one process at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from auditor.domain.artefact import NOT_ESTABLISHED
from auditor.domain.case import ErasureCase
from auditor.domain.request import Outcome
from auditor.errors import MisuseError
from auditor.learning.progress import Progress
from auditor.workflow.accounting import account
from auditor.workflow.alone import alone
from auditor.workflow.casework import Casework, RunSettings
from auditor.workflow.desk import require_case
from auditor.workflow.desk_signing import require_authentic
from auditor.workflow.erasure import STEPS
from auditor.workflow.exclusion import exclude
from auditor.workflow.handing_over import require_taken_back
from auditor.workflow.home import Home
from auditor.workflow.inventory import left_open, retain_unerased
from auditor.workflow.kept_scores import forget_due
from auditor.workflow.lineage import require_current
from auditor.workflow.notary import certificate_path, issue, prepare_statement, publish
from auditor.workflow.record import load_case
from auditor.workflow.register import list_cases
from auditor.workflow.shared_bank_book import destroy_due
from auditor.workflow.steps import Step, next_step, outcome_of

Notice = Callable[[str], None]


def run_case(
    home: Home,
    case: str,
    settings: RunSettings,
    *,
    progress: Progress,
    notice: Notice,
    until_verdict: bool = False,
) -> ErasureCase:
    """Take one case from wherever it stands to its certificate or record.

    Args:
        until_verdict: stop before any copy is destroyed; the next run goes on from there.

    Returns:
        The case as it stands now: closed, waiting for approval, or held by the desk meanwhile.

    Raises:
        MisuseError: no such case, the desk hasn't decided it, another case of the same model
            comes first, or copies of its models are handed over.
        ProofError: what the desk decided isn't by its own hand.
        HomeError: another run holds this home.
    """
    next_step(require_case(home, case))  # before anything is done, it is to have been granted
    with alone(home):
        for bank in destroy_due(home, datetime.now(UTC).date()):
            notice(f"shared bank {bank.name.value[:16]}: its last day is over; destroyed")
        for other in forget_due(home, datetime.now(UTC).date()):
            notice(f"case {other}: the last day of its scores is over; destroyed")
        work = Casework(home, case, settings, progress)
        while not (state := load_case(home, case)).stopped:
            step = next_step(state)
            if step is None:
                break
            if step is not Step.ISSUE:
                require_authentic(home, case)
            if until_verdict and step is Step.ACCOUNT:
                notice(f"case {case}: stopped before anything is destroyed")
                return state
            notice(f"case {case}: {step.value}")
            if step is Step.APPROVE:
                notice(f"case {case}: then run it again; auditor certificate approve {case}")
                return state
            match step:
                case Step.ACCOUNT:
                    require_taken_back(case, state)
                    exclude(home, case)
                    if outcome_of(state) is Outcome.NOT_ERASED:
                        retain_unerased(home, case, state, NOT_ESTABLISHED)
                    account(home, case, state)
                case Step.PREPARE:
                    if lines := left_open(home, case, state):
                        for line in lines:
                            notice(f"case {case}: {line}")
                        return state
                    if outcome_of(state) is Outcome.NOTHING_TO_UNLEARN:
                        exclude(home, case)
                        state = load_case(home, case)
                    prepare_statement(home, case, state)
                case Step.ISSUE:
                    issue(home, case, state)
                case _:
                    require_current(home, state)
                    STEPS[step](work)
        if state.stopped:
            notice(f"case {case}: the desk has stopped it; what was done is kept")
        if state.issued is not None:
            publish(home, case)
    return state


def pending_cases(home: Home) -> tuple[str, ...]:
    """Granted cases that aren't closed: those that have begun, then the others, oldest first.

    Those whose models are lent wait for these to come back.
    """
    begun: list[str] = []
    waiting: list[str] = []
    for line in list_cases(home):
        state = load_case(home, line.case)
        try:
            step = next_step(state)
        except MisuseError:
            continue
        if step is Step.ACCOUNT and state.copies_out:
            continue
        if step is not None or not certificate_path(home, line.case).exists():
            (waiting if state.scope is None else begun).append(line.case)
    return (*begun, *waiting)
