"""`auditor run`: take cases along the road, step by step, one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from auditor.domain.case import ErasureCase
from auditor.errors import HomeError, MisuseError
from auditor.learning.progress import Progress
from auditor.workflow.accounting import account
from auditor.workflow.casework import Casework, RunSettings
from auditor.workflow.desk import require_case
from auditor.workflow.erasure import STEPS
from auditor.workflow.home import Home
from auditor.workflow.notary import certificate_path, issue, prepare_statement, publish
from auditor.workflow.record import load_case
from auditor.workflow.register import list_cases
from auditor.workflow.steps import Step, next_step

Notice = Callable[[str], None]


def run_case(
    home: Home, case: str, settings: RunSettings, *, progress: Progress, notice: Notice
) -> ErasureCase:
    """Take one case from wherever it stands to its certificate or record.

    Raises:
        MisuseError: no such case, or the desk hasn't decided it.
        HomeError: another run holds this home.
    """
    require_case(home, case)
    with _alone(home):
        work = Casework(home, case, settings, progress)
        while (step := next_step(state := load_case(home, case))) is not None:
            notice(f"case {case}: {step.value}")
            match step:
                case Step.ACCOUNT:
                    account(home, case, state)
                case Step.PREPARE:
                    prepare_statement(home, case, state)
                case Step.ISSUE:
                    issue(home, case, state)
                case _:
                    STEPS[step](work)
        if state.issued is not None:
            publish(home, case)
    return state


def pending_cases(home: Home) -> tuple[str, ...]:
    """Granted cases that aren't closed, oldest first."""
    pending = []
    for line in list_cases(home):
        try:
            unfinished = next_step(load_case(home, line.case)) is not None
            if unfinished or not certificate_path(home, line.case).exists():
                pending.append(line.case)
        except MisuseError:
            continue
    return tuple(pending)


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Hold the home's run lock (released by the system if the process dies)."""
    with (home.root / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeError(f"another run is working in {home.root}; wait for it to end") from None
        yield
