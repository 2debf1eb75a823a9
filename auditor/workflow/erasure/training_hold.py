"""No training on the images of patients who restrict it, for somebody else's case either.

Reference models and retrains are trained on everybody else in the data. Where one of them restricts
the processing of theirs (Art. 18(1) GDPR), a case trains nothing, unless it is on file why it may:
Art. 18(2) lets restricted data be processed for the protection of another person's rights.
"""

from __future__ import annotations

from datetime import date

from auditor.domain.event import DocumentFiled
from auditor.domain.request import DocumentKind
from auditor.errors import MisuseError
from auditor.workflow.desk.desk import today_of
from auditor.workflow.erasure.casework import Casework
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream
from auditor.workflow.homes.steps import Step
from auditor.workflow.models.restrictions import restricted_subjects

TRAINING = frozenset({Step.BANK, Step.ROUTE, Step.CONTROLS, Step.CLIMB})
"""Steps that may train a model."""


def require_free_to_train(work: Casework) -> None:
    """See that no other patient of the training data restricts its processing.

    Raises:
        MisuseError: one does, and no document of the case says why it may go on.
    """
    names = restricted_subjects(work.home)
    if not names or _is_excepted(work.home, work.case, today_of(work.state)):
        return
    images = work.scene.images
    others = images.patients_of(names).difference(work.asked)
    if others & {images.subjects[index] for index in work.scene.training}:
        raise MisuseError(
            f"case {work.case} would train on patients who restrict it (auditor request "
            "restricted); wait until that is lifted, or file why it may go on (Art. 18(2) GDPR): "
            f"auditor request document FILE --for {work.case} --kind restriction-exception"
        )


def _is_excepted(home: Home, case: str, day: date) -> bool:
    return any(
        event.document_kind is DocumentKind.RESTRICTION_EXCEPTION
        and event.in_force_from <= day <= event.in_force_until
        for event in (item.event for item in home.ledger.replay(case_stream(case)))
        if isinstance(event, DocumentFiled)
    )
