"""Calendar quarters, by which a hospital reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from auditor.errors import MisuseError

_NAME = re.compile(r"([0-9]{4})Q([1-4])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarter:
    """A calendar quarter; both days belong to it."""

    name: str
    first: date
    last: date

    def __contains__(self, day: date | None) -> bool:
        return day is not None and self.first <= day <= self.last

    def concerns(self, received: date, closed: date | None) -> bool:
        """Whether a case was received in it, closed in it, or left open all through it."""
        return received <= self.last and (closed is None or closed >= self.first)


def quarter_named(name: str) -> Quarter:
    """The quarter called ``2026Q4``.

    Raises:
        MisuseError: no such name.

    >>> quarter_named("2026Q4").last
    datetime.date(2026, 12, 31)
    """
    found = _NAME.fullmatch(name)
    if found is None or found[1] in ("0000", "9999"):
        raise MisuseError(f"{name!r} names no quarter; write it as 2026Q4")
    year, number = int(found[1]), int(found[2])
    last_day = {1: 31, 2: 30, 3: 30, 4: 31}[number]
    return Quarter(
        name=name,
        first=date(year, 3 * number - 2, 1),
        last=date(year, 3 * number, last_day),
    )
