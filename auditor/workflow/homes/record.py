"""Dictating to the ledger: one event, one step name, never twice."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid5

from auditor.domain.case import ErasureCase, project
from auditor.domain.entry import Recorded
from auditor.domain.kind import Event
from auditor.errors import ConcurrencyError
from auditor.workflow.homes.home import Home

CASE_PREFIX = "case:"
MODEL_PREFIX = "model:"
DOCUMENTS = "documents"
"""Stream of the documents that concern every case (`DocumentFiled` for ``all``)."""

_NAMESPACE = UUID("6f0a1d3c-6d0e-5c3e-9f51-3f3a52a7c0de")


def case_stream(case: str) -> str:
    """Name of a case's stream."""
    return f"{CASE_PREFIX}{case}"


def every_case(home: Home) -> tuple[str, ...]:
    """All cases in the order they came in, from the entries themselves."""
    return tuple(stream.removeprefix(CASE_PREFIX) for stream in home.ledger.streams(CASE_PREFIX))


def model_stream(model: str) -> str:
    """Name of a model's stream."""
    return f"{MODEL_PREFIX}{model}"


def record(home: Home, stream: str, event: Event, step: str) -> Recorded:
    """Append ``event`` as the step of that name.

    The event id is derived from stream and step, so a step repeated after a crash can't be
    recorded a second time. Where somebody else writes in that moment, such as the desk to a case
    that is being run, it comes after them.

    Raises:
        TamperedError: the ledger is read-only.
    """
    step_id = event_id(stream, step)
    return _in_turn(home, stream, lambda place: _append(home, stream, event, place, step_id))


def record_at(home: Home, stream: str, event: Event, place: int) -> Recorded:
    """Append ``event`` as the stream's entry of that number, or not at all.

    Raises:
        ConcurrencyError: the stream isn't that long, or longer; another of its kind may be there.
    """
    recorded = _append(home, stream, event, place, event_id(stream, f"{event.kind}-{place}"))
    if recorded.event != event:
        raise ConcurrencyError("somebody else wrote to it in that moment; run the command again")
    return recorded


def record_next(home: Home, stream: str, event: Event) -> Recorded:
    """Append ``event`` as the stream's next entry, after whatever somebody else writes meanwhile.

    Raises:
        TamperedError: the ledger is read-only.
    """
    return _in_turn(home, stream, lambda place: record_at(home, stream, event, place))


def _append(home: Home, stream: str, event: Event, place: int, step: UUID) -> Recorded:
    (recorded,) = home.ledger.append(stream, [event], expected_version=place, event_ids=[step])
    return recorded


def _in_turn(home: Home, stream: str, write: Callable[[int], Recorded]) -> Recorded:
    while True:
        place = home.ledger.version(stream)
        try:
            return write(place)
        except ConcurrencyError:
            if home.ledger.version(stream) == place:
                raise


def event_id(stream: str, step: str) -> UUID:
    """The id of the event that is a stream's step of that name."""
    return uuid5(_NAMESPACE, f"{stream}/{step}")


def load_case(home: Home, case: str) -> ErasureCase:
    """Fold a case's stream."""
    return project(item.event for item in home.ledger.replay(case_stream(case)))
