"""Scores that a run was told to keep: until their last day, or until somebody says so.

They tell who was in the training set, so they go when nobody has to replay an audit any more. The
ledger says so first; stopped in between, it is done again. Copies that a restored backup brings
back are found as others are (`auditor.workflow.models.reerasure`).
"""

from __future__ import annotations

from datetime import date

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind
from auditor.domain.case import ErasureCase
from auditor.errors import MisuseError
from auditor.workflow.desk.desk import require_case
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, case_stream, load_case, record
from auditor.workflow.models.accounting import NO_LONGER_NEEDED


def forget_scores(home: Home, case: str) -> int:
    """Destroy all scores that were kept of a closed case.

    Returns:
        Of how many audits.

    Raises:
        MisuseError: no such case, one that isn't closed, or one of which no scores were kept.
        HomeError: another run is working.
        TamperedError: the ledger is read-only.
    """
    with alone(home):
        require_writable(home.root, home.ledger)
        state = require_case(home, case)
        if not state.scores:
            raise MisuseError(f"no scores of case {case} were kept")
        if state.issued is None:
            raise MisuseError(f"case {case} isn't closed; its scores go when it is")
        return _destroy(home, case, state)


def forget_due(home: Home, today: date) -> tuple[str, ...]:
    """Destroy the scores of closed cases whose last day is over, for whoever runs alone.

    Returns:
        Cases whose scores were destroyed now.
    """
    done = []
    for stream in home.ledger.streams(CASE_PREFIX):
        case = stream.removeprefix(CASE_PREFIX)
        state = load_case(home, case)
        if state.issued is not None and _is_due(home, state, today):
            _destroy(home, case, state)
            done.append(case)
    return tuple(done)


def _is_due(home: Home, state: ErasureCase, today: date) -> bool:
    """Whether a last day is over, or somebody was stopped on the way."""
    here = [kept for kept in state.scores if home.store.has(kept.scores)]
    standing = state.kept_scores
    return any(kept.destroy_by < today or kept not in standing for kept in here)


def _destroy(home: Home, case: str, state: ErasureCase) -> int:
    for kept in state.scores:
        event = ev.ArtefactAccounted(
            case=case,
            artefact=kept.scores,
            artefact_kind=ArtefactKind.SCORES,
            fate=ArtefactFate.DESTROYED,
            ground=NO_LONGER_NEEDED,
        )
        record(home, case_stream(case), event, f"forgotten-{kept.scores.value}")
        home.store.destroy(kept.scores)
    return len(state.scores)
