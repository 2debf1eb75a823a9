"""A step of a run and an act of the desk in one moment: both are on the books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Barrier, Thread

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.entry import Recorded
from auditor.domain.kind import Event
from auditor.errors import ConcurrencyError
from auditor.ledger.ledger import Ledger
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import record, record_at, record_next

STREAM = "case:1"


def attempt(number: int) -> Event:
    none = Digest.of(b"")
    return ev.AttemptStarted(case="1", attempt=number, method="retrain", plan=none)


def as_step(home: Home, event: Event, number: int) -> Recorded:
    return record(home, STREAM, event, f"step-{number}")


def as_next(home: Home, event: Event, _number: int) -> Recorded:
    return record_next(home, STREAM, event)


@pytest.mark.parametrize("append", [as_step, as_next])
def test_two_who_write_at_once_both_get_their_turn(
    home: Home, append: Callable[[Home, Event, int], Recorded]
) -> None:
    """More than two, in processes' stead, each with connections of its own."""
    writers, each = 4, 10
    start = Barrier(writers)

    def write(first: int) -> None:
        with closing(open_home(home.root)) as own:
            start.wait()
            for number in range(first, first + each):
                entered = append(own, attempt(number), number)
                assert entered.event == attempt(number)

    threads = [Thread(target=write, args=(n * each,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = [item.event for item in home.ledger.replay(STREAM)]
    assert sorted(written, key=str) == sorted(map(attempt, range(writers * each)), key=str)


def test_one_who_asks_for_a_place_gets_that_or_none(home: Home) -> None:
    record(home, STREAM, attempt(1), "step-1")
    for place in (0, 2):
        with pytest.raises(ConcurrencyError):
            record_at(home, STREAM, attempt(2), place)
    record_at(home, STREAM, attempt(2), 1)


def test_a_place_is_not_given_to_two(home: Home) -> None:
    """Of two who saw the same stream and say different things, the second isn't told "done"."""
    first = record_at(home, STREAM, attempt(1), 0)
    with pytest.raises(ConcurrencyError, match="somebody else"):
        record_at(home, STREAM, attempt(2), 0)
    assert record_at(home, STREAM, attempt(1), 0) == first  # repeated after a crash
    assert [item.event for item in home.ledger.replay(STREAM)] == [attempt(1)]


def test_a_refusal_that_is_nobodys_turn_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions: Iterator[int] = iter([3, 3])
    monkeypatch.setattr(Ledger, "version", lambda *_: next(versions))
    with pytest.raises(ConcurrencyError):
        record(home, STREAM, attempt(1), "step-1")
