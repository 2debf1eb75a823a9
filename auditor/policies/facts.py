"""What the library is told about a case: its records, and the day of judgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, TypeVar

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.entry import Recorded
from auditor.domain.evidence import CandidateRole
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, Ground, Regime
from auditor.domain.route import Obstacle
from auditor.domain.upcast import UNRECORDED
from auditor.errors import PolicyError
from auditor.policies.dates import Stop
from auditor.policies.zone import local_day

NO_HOLIDAYS = "none"
"""What a request pins where no public holidays count, only weekends."""

EVERY_CASE = "all"
"""What an event names that concerns every case, as a document of the controller's may."""

E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf(Generic[E_co]):
    """An event with its place in the ledger and the day it was written (the writer's clock)."""

    number: int
    day: date
    event: E_co

    def __str__(self) -> str:
        return f"entry {self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """The facts of one case.

    Regime, ground, verdict and basis are read from the records and given nowhere else, so that no
    finding can rest on something the ledger doesn't hold.

    Attributes:
        records: the case's stream, and what of the model's and home's streams bears on it. Records
            of other cases are passed over.
        as_of: the day of judgement.
        country: ISO 3166-1 code whose public holidays move deadlines, "" for weekends only, where
            the request doesn't say, as those of version 0.1 don't.
    """

    records: tuple[Recorded, ...]
    as_of: date
    country: str = ""

    def __post_init__(self) -> None:
        """Put the records in the ledger's order; refuse those that aren't one case's.

        Raises:
            PolicyError: two records share a place in the ledger, or not exactly one request.
        """
        places = [record.sequence for record in self.records]
        if len(set(places)) != len(places):
            raise PolicyError("two records share one place in the ledger; hand each in once")
        requests = [item for item in self.records if isinstance(item.event, ev.ErasureRequested)]
        if len(requests) != 1:
            raise PolicyError(f"rules are laid beside exactly one request, not {len(requests)}")
        ordered = tuple(sorted(self.records, key=lambda item: item.sequence))
        object.__setattr__(self, "records", ordered)

    @property
    def request(self) -> Leaf[ev.ErasureRequested]:
        """The request itself."""
        return self._leaf(*self._requested())

    @property
    def zone(self) -> str:
        """The time zone whose days count, as pinned on receipt."""
        _, event = self._requested()
        return event.time_zone

    @property
    def case(self) -> str:
        """The opaque id of the case."""
        return self.request.event.case

    @property
    def regime(self) -> Regime:
        """The body of law the request is handled under."""
        return self.request.event.regime

    @property
    def ground(self) -> Ground:
        """The ground the request relies on."""
        return self.request.event.ground

    @property
    def received(self) -> date:
        """Day the clock runs from: receipt as stated, but never later than it was written down."""
        return min(self.request.event.received, self.request.day)

    @property
    def holidays(self) -> str:
        """ISO 3166-1 code whose public holidays count, as pinned on receipt; "" for none."""
        _, event = self._requested()
        if event.holidays == UNRECORDED:
            return self.country
        return "" if event.holidays == NO_HOLIDAYS else event.holidays

    @property
    def pinned(self) -> Digest:
        """The rule packs that the case is laid beside: those pinned on receipt, or since."""
        repinned = self.find_last(ev.PoliciesRepinned)
        return self.request.event.policies if repinned is None else repinned.event.after

    @property
    def stream(self) -> tuple[Recorded, ...]:
        """The records of the request's own stream, in the ledger's order."""
        home = next(i.stream for i in self.records if i.sequence == self.request.number)
        return tuple(item for item in self.records if item.stream == home)

    @property
    def last(self) -> Leaf[Event]:
        """The last record of the request's own stream."""
        item = self.stream[-1]
        return self._leaf(item, item.event)

    def all(self, kind: type[E]) -> tuple[Leaf[E], ...]:
        """Every event of that kind that is of this case or of none, in the ledger's order."""
        return tuple(
            self._leaf(item, item.event)
            for item in self.records
            if isinstance(item.event, kind)
            and getattr(item.event, "case", EVERY_CASE) in (self.case, EVERY_CASE)
        )

    def find_last(self, kind: type[E]) -> Leaf[E] | None:
        """The last event of that kind, if any."""
        found = self.all(kind)
        return found[-1] if found else None

    @property
    def decided(self) -> Leaf[ev.RequestDecided] | None:
        """The desk's last word on the request; an extension is none."""
        made = [
            leaf
            for leaf in self.all(ev.RequestDecided)
            if leaf.event.decision is not DecisionKind.EXTENDED
        ]
        return made[-1] if made else None

    def has_decided(self, *decisions: DecisionKind) -> bool:
        """The desk's last word is one of these."""
        return self.decided is not None and self.decided.event.decision in decisions

    def find_decision(self, decision: DecisionKind) -> Leaf[ev.RequestDecided] | None:
        """The first time the desk so decided, if it did."""
        made = self.all(ev.RequestDecided)
        return next((leaf for leaf in made if leaf.event.decision is decision), None)

    @property
    def not_overruled(self) -> tuple[Leaf[ev.RequestDecided], ...]:
        """Decisions from the last grant on, if any: what was decided before it stands no more."""
        made = self.all(ev.RequestDecided)
        since = max(
            (leaf.number for leaf in made if leaf.event.decision is DecisionKind.GRANTED), default=0
        )
        return tuple(leaf for leaf in made if leaf.number >= since)

    @property
    def stops(self) -> tuple[Stop, ...]:
        """When the clock stood still (`dates`); one that still does, up to the day of judgement.

        No day counts twice: a stop that reaches back behind the end of one before begins with that.
        """
        found: list[Stop] = []
        open_: Leaf[ev.ClockStopped] | None = None
        for item in self.stream:
            event = item.event
            if isinstance(event, ev.ClockStopped) and open_ is None:
                open_ = self._leaf(item, event)
            elif isinstance(event, ev.ClockResumed) and open_ is not None:
                found.append(_stop(open_, event.on, found))
                open_ = None
        if open_ is not None:
            found.append(_stop(open_, self.as_of, found))
        return tuple(found)

    @property
    def nothing_found(self) -> Leaf[ev.ScopeEstablished] | None:
        """The inventory, if it found none of the subject's images in training."""
        scope = self.find_last(ev.ScopeEstablished)
        if scope is None or scope.event.obstacle is not Obstacle.NONE:
            return None
        return scope if scope.event.training_images == 0 else None

    @property
    def conclusion(self) -> Leaf[Event] | None:
        """What ended the case, if it has ended: the desk, the inventory or the verdict."""
        if self.has_decided(DecisionKind.REFUSED, DecisionKind.WITHDRAWN):
            return self.decided
        return self.nothing_found or self.find_last(ev.VerdictReached)

    @property
    def verified(self) -> tuple[Leaf[ev.CandidateVerified], ...]:
        """Audits of candidates made for the request; controls left out."""
        audits = self.all(ev.CandidateVerified)
        return tuple(leaf for leaf in audits if leaf.event.role is CandidateRole.REQUEST)

    def accounted(self) -> dict[Digest, Leaf[ev.ArtefactAccounted]]:
        """The last word on each artefact."""
        return {leaf.event.artefact: leaf for leaf in self.all(ev.ArtefactAccounted)}

    def _requested(self) -> tuple[Recorded, ev.ErasureRequested]:
        (found,) = (
            (item, item.event)
            for item in self.records
            if isinstance(item.event, ev.ErasureRequested)
        )
        return found

    def _leaf(self, item: Recorded, event: E) -> Leaf[E]:
        return Leaf(number=item.sequence, day=self._day(item), event=event)

    def _day(self, item: Recorded) -> date:
        """The day it was for the controller."""
        try:
            instant = datetime.fromisoformat(item.recorded_at)
        except ValueError:
            raise PolicyError(f"entry {item.sequence} carries no date") from None
        if instant.tzinfo is None:
            raise PolicyError(f"entry {item.sequence} carries a time without its zone")
        return local_day(instant, self.zone)


def _stop(begun: Leaf[ev.ClockStopped], end: date, before: Sequence[Stop]) -> Stop:
    start = max([begun.event.on, *(stop.end for stop in before)])
    return Stop(start=start, end=max(start, end), entered=begun.day)
