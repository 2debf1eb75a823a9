"""Days as people write them here, one way only: YYYY-MM-DD."""

from __future__ import annotations

import re
from datetime import date

_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def parse_day(text: str) -> date | None:
    """The day a text names; None where the calendar has no such day.

    Raises:
        ValueError: written in another way, of which ISO 8601 knows several ("2026-W48-1").

    >>> parse_day("2026-11-30"), parse_day("2026-02-30")
    (datetime.date(2026, 11, 30), None)
    """
    if not _WRITTEN.fullmatch(text):
        raise ValueError("write a day as YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
