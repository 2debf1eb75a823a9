"""Other models of the home that were made of a request's subjects, too.

A request names one model and its document speaks of that one. Whoever decides it has to know of the
others, as Article 17(1) GDPR asks for erasure from them as well: each takes a request of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.domain.event import ErasureRequested
from auditor.domain.subject_id import alike
from auditor.errors import DataError
from auditor.learning.manifest import read_rows
from auditor.learning.patients import known_as
from auditor.workflow.desk.desk import subjects_of
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.registry import ModelView, data_record, list_models
from auditor.workflow.models.lineage import cases_of


def unasked_models(home: Home, requested: ErasureRequested) -> tuple[str, ...]:
    """Names of models in whose data the subjects are, and that no request of theirs names.

    Data sets whose manifest can't be read any more are taken to hold them: better one model too
    many than one too few. None once the subjects are forgotten.
    """
    if not home.vault.holds(requested.payload):
        return ()
    subjects = _asked(home, requested)
    return tuple(
        view.name
        for view in list_models(home)
        if view.name != requested.model
        and (left := subjects.difference(*_asked_about(home, view.name)))
        and _holds_any(home, view, left)
    )


def _asked_about(home: Home, model: str) -> Iterator[frozenset[str]]:
    for _, state in cases_of(home, model):
        if state.requested is not None and home.vault.holds(state.requested.payload):
            yield _asked(home, state.requested)


def _asked(home: Home, requested: ErasureRequested) -> frozenset[str]:
    return frozenset(map(alike, subjects_of(home, requested)))


def _holds_any(home: Home, view: ModelView, subjects: frozenset[str]) -> bool:
    _, data = data_record(home, view.versions[0].data_set)
    try:
        rows = read_rows(data.manifest, data.left_out)
    except DataError:
        return True
    known = known_as((row.subject, row.filed_under, row.group) for row in rows)
    return not subjects.isdisjoint(known)
