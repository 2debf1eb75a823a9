"""Requests as they come in by file, row by row: what is wrong with each, or what it asks.

Pure: bytes are read elsewhere, and nothing is written. A flaw names row and column and never
repeats what stands there, which may be anybody's name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

from auditor.domain.day import parse_day
from auditor.domain.request import Ground, Regime
from auditor.domain.subject_id import alike, flaw_of_id
from auditor.errors import DataError

COLUMNS = ("external_id", "subject_id", "model", "regime", "ground", "received")
MOST_FLAWS = 100
"""How many flaws of one file are listed; the others are counted."""

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """What is wrong in one place of a file; row 1 is a table's header, column "" a whole row."""

    row: int
    column: str
    problem: str

    def __str__(self) -> str:
        column = f", {self.column}" if self.column else ""
        return f"row {self.row}{column}: {self.problem}"


class IntakeError(DataError):
    """A file of requests that can't be taken in; nothing of it was.

    Attributes:
        flaws: the first `MOST_FLAWS` of them.
    """

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        """Tell the first of all flaws, and how many there are."""
        self.flaws = tuple(flaws[:MOST_FLAWS])
        more = f" (1 of {len(flaws)} flaws)" if len(flaws) > 1 else ""
        super().__init__(f"nothing was taken in: {flaws[0]}{more}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of a file, in words of the domain.

    Attributes:
        row: in the file, from 1.
        external_id: what the sender calls the request; it makes taking it in twice harmless.
    """

    row: int
    external_id: str
    subject_id: str
    model: str
    regime: Regime
    ground: Ground
    received: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a request is held against: the home's models and patients, and the day it is there.

    ``subjects`` are told as ids are compared (`domain.subject_id.alike`); ``since`` is the day from
    which each regime's rules apply (`policies.deadlines.in_law_since`).
    """

    models: Collection[str]
    subjects: Collection[str]
    today: date
    since: Mapping[Regime, date]


Cells = Mapping[str, str]


def read_rows(rows: Sequence[tuple[int, Cells]], known: Known) -> tuple[Asked, ...]:
    """Read all rows, or say what is wrong with each of them.

    Args:
        rows: number and cells of each, under the names of `COLUMNS`.

    Raises:
        IntakeError: anything is wrong with any row, or there is none.
    """
    if not rows:
        raise IntakeError([Flaw(row=1, column="", problem="the file holds no request")])
    flaws: list[Flaw] = []
    asked: list[Asked] = []
    first: dict[str, int] = {}
    for number, cells in rows:
        found = _flaws(cells, known)
        earlier = first.setdefault(cells["external_id"], number)
        if earlier != number:
            found["external_id"] = f"it stands in row {earlier} already"
        if found:
            flaws += [Flaw(row=number, column=name, problem=why) for name, why in found.items()]
        else:
            asked.append(_asked(number, cells))
    if flaws:
        raise IntakeError(flaws)
    return tuple(asked)


def _flaws(cells: Cells, known: Known) -> dict[str, str]:
    found = {
        "external_id": flaw_of_id(cells["external_id"]),
        "subject_id": flaw_of_id(cells["subject_id"])
        or ("" if alike(cells["subject_id"]) in known.subjects else _STRANGER),
        "model": "" if cells["model"] in known.models else _NO_MODEL,
        "regime": _none_of(Regime, cells["regime"]),
        "ground": _none_of(Ground, cells["ground"]),
        "received": _bad_day(cells["received"]),
    }
    if not found["regime"] and not found["received"]:
        since = known.since[Regime(cells["regime"])]
        found["received"] = _out_of_time(date.fromisoformat(cells["received"]), since, known.today)
    if not found["regime"] and not found["ground"]:
        found["ground"] = _bad_ground(cells["regime"], cells["ground"])
    return {name: why for name, why in found.items() if why}


_STRANGER = (
    "no registered data set of this home knows this patient; is it another controller's request?"
)
_NO_MODEL = "no such model; see `auditor model list`"


def _none_of(kind: type[E], text: str) -> str:
    known = [item.value for item in kind]
    return "" if text in known else f"must be one of {', '.join(known)}"


def _bad_ground(regime: str, ground: str) -> str:
    return "" if ground.startswith(f"{regime}-") else f"doesn't belong to {regime}"


def _bad_day(text: str) -> str:
    try:
        return "there is no such day" if parse_day(text) is None else ""
    except ValueError:
        return "is no day; write it as YYYY-MM-DD"


def _out_of_time(day: date, since: date, today: date) -> str:
    if day > today:
        return "lies in the future"
    return f"lies before {since}, when the regime's rules began to apply" if day < since else ""


def _asked(number: int, cells: Cells) -> Asked:
    return Asked(
        row=number,
        external_id=cells["external_id"],
        subject_id=cells["subject_id"],
        model=cells["model"],
        regime=Regime(cells["regime"]),
        ground=Ground(cells["ground"]),
        received=date.fromisoformat(cells["received"]),
    )
