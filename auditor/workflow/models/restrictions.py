"""Whose data may not be processed for now (Art. 18 GDPR): no training on it, no inference from it.

Trainings are held by `auditor.workflow.models.exclusion`, inferences by whoever asks before them
(``auditor request restricted --check``). A restriction counts whoever entered it; that it was
lifted counts only by the desk's own hand, so that nobody who can write into the database alone sets
anything free.
"""

from __future__ import annotations

from auditor.domain import event as ev
from auditor.domain.subject_id import alike
from auditor.workflow.desk.desk import subjects_of
from auditor.workflow.desk.signing import stands
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, every_case, load_case


def restricted_cases(home: Home) -> tuple[str, ...]:
    """Cases that restrict the processing of their subjects' data now, oldest first."""
    return tuple(case for case in every_case(home) if is_restricting(home, case))


def restricted_subjects(home: Home) -> frozenset[str]:
    """Subject ids whose processing is restricted by some case; for looking up, never to be shown.

    They stand as they are compared: by what ids that are `alike` have in common.
    Whom the vault has forgotten it can't name any more.
    """
    return frozenset(
        alike(subject) for case in restricted_cases(home) for subject in _subjects(home, case)
    )


def is_restricting(home: Home, case: str) -> bool:
    """Whether a case restricts processing now."""
    restricted, records = False, home.ledger.replay(case_stream(case))
    for recorded in records:
        match recorded.event:
            case ev.ProcessingRestricted():
                restricted = True
            case ev.RestrictionLifted() if stands(home, recorded, records):
                restricted = False
    return restricted


def _subjects(home: Home, case: str) -> tuple[str, ...]:
    requested = load_case(home, case).requested
    if requested is None or not home.vault.holds(requested.payload):
        return ()
    return subjects_of(home, requested)
