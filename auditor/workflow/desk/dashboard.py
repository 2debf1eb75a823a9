"""The desk's day: what is due, what is late, and for whom each case waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from auditor.domain.artefact import Digest
from auditor.policies.deadlines import answer_of
from auditor.policies.rule import RulePack
from auditor.policies.zone import local_day
from auditor.workflow.desk.library import case_facts, packs_of
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.register import CaseLine, WaitsFor, list_cases

_LAST = date.max


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskLine:
    """One case on a day.

    Attributes:
        due: last day of the time limit for the answer, extensions and stopped clocks counted; None
            where no rule of the case's packs knows one, and once it is closed.
        left: days until then, below 0 where it is over; None as `due`.
    """

    line: CaseLine
    due: date | None
    left: int | None

    @property
    def late(self) -> bool:
        """The time limit is over and the case isn't closed."""
        return self.left is not None and self.left < 0


def desk_lines(home: Home, *, closed: bool = False) -> tuple[DeskLine, ...]:
    """Cases that wait for somebody, the soonest due first; closed ones after them, where asked for.

    Raises:
        PolicyError: the rule packs that a case pinned were never kept.
    """
    today = local_day(datetime.now(UTC), home.config.time_zone)
    shown = [item for item in list_cases(home) if closed or item.waits_for is not WaitsFor.NOBODY]
    due = _due_days(home, [item for item in shown if item.outcome is None])
    lines = (_line(item, due.get(item.case), today) for item in shown)
    return tuple(sorted(lines, key=lambda item: (item.line.outcome is not None, item.due or _LAST)))


def _line(item: CaseLine, due: date | None, today: date) -> DeskLine:
    return DeskLine(line=item, due=due, left=None if due is None else (due - today).days)


def _due_days(home: Home, lines: Sequence[CaseLine]) -> dict[str, date | None]:
    """The day of each case; reckoned once for all that took the same course."""
    packs: dict[Digest, tuple[RulePack, ...]] = {}
    days: dict[str, date | None] = {}
    for item in lines:
        if item.course not in days:
            facts = case_facts(home, item.case)
            if facts.pinned not in packs:
                packs[facts.pinned] = packs_of(home, item.case)
            answer = answer_of(packs[facts.pinned], facts)
            days[item.course] = None if answer is None else answer.due
    return {item.case: days[item.course] for item in lines}
