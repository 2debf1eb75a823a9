"""`auditor run`: take cases along the road, step by step, one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from auditor.domain.artefact import NOT_ESTABLISHED
from auditor.domain.case import ErasureCase
from auditor.domain.request import Outcome
from auditor.errors import AuditorError, HomeError, MisuseError, ProofError, TamperedError
from auditor.learning.progress import Progress
from auditor.workflow.desk.desk import require_case
from auditor.workflow.desk.signing import require_authentic
from auditor.workflow.documents.approval import require_holds
from auditor.workflow.documents.notary import (
    certificate_path,
    issue,
    issue_all,
    prepare_statement,
    publish,
)
from auditor.workflow.erasure.casework import Casework, RunSettings
from auditor.workflow.erasure.erasure import take
from auditor.workflow.erasure.handing_over import require_taken_back
from auditor.workflow.erasure.training_hold import TRAINING, require_free_to_train
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import every_case, load_case
from auditor.workflow.homes.steps import Step, next_step, outcome_of
from auditor.workflow.models.accounting import account, account_closed
from auditor.workflow.models.exclusion import exclude
from auditor.workflow.models.inventory import left_open, retain_unerased
from auditor.workflow.models.kept_scores import forget_due
from auditor.workflow.models.lineage import require_current
from auditor.workflow.models.other_models import unasked_models
from auditor.workflow.models.shared_bank_book import destroy_due

Notice = Callable[[str], None]


def run_case(
    home: Home,
    case: str,
    settings: RunSettings,
    *,
    progress: Progress,
    notice: Notice,
    until_verdict: bool = False,
    until_issue: bool = False,
) -> ErasureCase:
    """Take one case from wherever it stands to its certificate or record.

    Args:
        until_verdict: stop before any copy is destroyed; the next run goes on from there.
        until_issue: stop before the document is printed, so that several are printed at once.

    Returns:
        The case as it stands now: closed, waiting for approval, or held by the desk meanwhile.

    Raises:
        MisuseError: no such case, the desk hasn't decided it, another case of the same model
            comes first, copies of its models are handed over, or it would train on patients who
            restrict that.
        ProofError: what the desk decided isn't by its own hand.
        HomeError: another run holds this home.
    """
    begun = require_case(home, case)
    next_step(begun)  # before anything is done, it is to have been granted
    with alone(home):
        for bank in destroy_due(home, datetime.now(UTC).date()):
            notice(f"shared bank {bank.name.value[:16]}: its last day is over; destroyed")
        for other in forget_due(home, datetime.now(UTC).date()):
            notice(f"case {other}: the last day of its scores is over; destroyed")
        if begun.scope is None and begun.requested is not None:
            for model in unasked_models(home, begun.requested):
                notice(f"case {case}: {model} holds these patients, too; it takes its own request")
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
                    if outcome_of(state) in (Outcome.REFUSED, Outcome.WITHDRAWN):
                        account_closed(home, case, state)
                        state = load_case(home, case)
                    if lines := left_open(home, case, state):
                        for line in lines:
                            notice(f"case {case}: {line}")
                        return state
                    if outcome_of(state) is Outcome.NOTHING_TO_UNLEARN:
                        exclude(home, case)
                        state = load_case(home, case)
                    prepare_statement(home, case, state)
                case Step.ISSUE if until_issue:
                    return state
                case Step.ISSUE:
                    issue(home, case, state)
                case _:
                    require_current(home, state)
                    if step in TRAINING:
                        require_free_to_train(work)
                    if told := take(work, step):
                        notice(f"case {case}: {told}")
        if state.stopped:
            notice(f"case {case}: the desk has stopped it; what was done is kept")
        if state.issued is not None:
            publish(home, case)
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One case of a batch after a run; `hindered` says what stood in its way, "" for nothing."""

    case: str
    state: ErasureCase
    hindered: str


def run_each(
    home: Home,
    cases: Sequence[str],
    settings: RunSettings,
    *,
    progress: Progress,
    notice: Notice,
    until_verdict: bool = False,
) -> tuple[Ran, ...]:
    """Take one case after the other as far as it goes; the first that can't be ends it.

    Raises:
        AuditorError: as `run_case`.
        TamperedError: the ledger isn't as it was written; nothing is done.
    """
    _require_sound(home)
    done = []
    for case in cases:
        state = run_case(
            home, case, settings, progress=progress, notice=notice, until_verdict=until_verdict
        )
        done.append(Ran(case=case, state=state, hindered=""))
    return tuple(done)


def run_batch(
    home: Home,
    cases: Sequence[str],
    settings: RunSettings,
    *,
    progress: Progress,
    notice: Notice,
    until_verdict: bool = False,
) -> tuple[Ran, ...]:
    """Take each case of a batch as far as it goes; what hinders one doesn't stop the others.

    Cases that have begun come first, as others of their model have to wait for them; those that the
    desk hasn't decided are passed over. Documents are printed together in the end. Stopped
    anywhere, the same call goes on from there.

    Returns:
        The cases in the order in which they were named.

    Raises:
        MisuseError: no case at all.
        HomeError: another run holds this home, or it can't be written.
        TamperedError: something stored was changed; nothing more is done.
    """
    if not cases:
        raise MisuseError("a batch has at least one case; this one is empty")
    _require_sound(home)
    hindered: dict[str, str] = {}
    states = {case: load_case(home, case) for case in cases}
    for case in sorted(cases, key=lambda case: states[case].scope is None):
        if is_undecided(states[case]):
            notice(f"case {case}: waits for the desk")
            continue
        try:
            run_case(
                home,
                case,
                settings,
                progress=progress,
                notice=notice,
                until_verdict=until_verdict,
                until_issue=True,
            )
        except (HomeError, TamperedError):
            raise
        except AuditorError as error:
            hindered[case] = str(error)
            notice(f"case {case}: {error}")
    left = [case for case in cases if case not in hindered]
    hindered |= _issue_ready(home, left, settings.workers, notice)
    return tuple(
        Ran(case=case, state=load_case(home, case), hindered=hindered.get(case, ""))
        for case in cases
    )


def _require_sound(home: Home) -> None:
    """Audit the ledger before anything is done by what it says.

    An entry that a stream no longer shows, such as a legal hold, is missed by an audit alone: a
    second for 10^5 entries, where a run takes minutes at least.
    """
    home.ledger.audit()


def is_undecided(state: ErasureCase) -> bool:
    """The desk has still to decide, or has put the request off."""
    try:
        next_step(state)
    except MisuseError:
        return True
    return False


def _issue_ready(home: Home, cases: Sequence[str], workers: int, notice: Notice) -> dict[str, str]:
    """Print, seal and publish the documents of those whose statement is on the books.

    Returns:
        Whose can't be issued, and why.
    """
    ready, hindered = [], {}
    with alone(home):
        for case in cases:
            state = load_case(home, case)
            if state.prepared is None or state.issued is not None:
                continue
            try:
                require_holds(home, case, state.prepared.envelope)
                ready.append(case)
            except ProofError as error:
                hindered[case] = str(error)
                notice(f"case {case}: {error}")
        notice(f"documents to issue: {len(ready)}")
        issue_all(home, ready, workers)
        for case in ready:
            publish(home, case)
    return hindered


def pending_cases(home: Home) -> tuple[str, ...]:
    """Granted cases that aren't closed: those that have begun, then the others, oldest first.

    Those whose models are lent wait for these to come back.
    """
    begun: list[str] = []
    waiting: list[str] = []
    for case in every_case(home):
        state = load_case(home, case)
        try:
            step = next_step(state)
        except MisuseError:
            continue
        if step is Step.ACCOUNT and state.copies_out:
            continue
        if step is not None or not certificate_path(home, case).exists():
            (waiting if state.scope is None else begun).append(case)
    return (*begun, *waiting)
