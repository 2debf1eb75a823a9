"""Every pinned plan has a place of its own in its quarter, and keeps it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.entry import Recorded
from auditor.ledger.ledger import Ledger
from auditor.ledger.memory import MemoryEventStore
from auditor.workflow.desk.quarter_plans import place_among_plans

ANY = Digest.of(b"any")


class Writer:
    """A ledger whose day is set by hand."""

    def __init__(self) -> None:
        self.day = datetime(2026, 9, 29, tzinfo=UTC)
        self.ledger = Ledger(MemoryEventStore(), clock=lambda: self.day)

    def pin(self, case: str, stream: str = "case:") -> Recorded:
        event = ev.PlanPinned(case=case, plan=ANY, bank=ANY, ladder=())
        (entry,) = self.ledger.append(
            stream + case, [event], expected_version=0, event_ids=[uuid4()]
        )
        return entry


def test_places_are_counted_in_the_ledgers_order_and_anew_each_quarter() -> None:
    writer = Writer()
    last_quarter = [writer.pin("a"), writer.pin("z")]
    writer.day = datetime(2026, 10, 1, tzinfo=UTC)
    this_quarter = [writer.pin("c"), writer.pin("b")]
    writer.pin("trial", stream="qualification:")  # nobody's case
    this_quarter.append(writer.pin("d"))
    writer.day = datetime(2027, 10, 1, tzinfo=UTC)
    next_year = [writer.pin("e")]
    for entries in (last_quarter, this_quarter, next_year):
        places = [place_among_plans(writer.ledger, entry) for entry in entries]
        assert places == list(range(1, len(entries) + 1))
