"""A time limit, counted from a day by the way that its law counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from auditor.errors import PolicyError
from auditor.policies.dates import (
    Deadline,
    Stop,
    business_deadline,
    calendar_deadline,
    corresponding_deadline,
    eu_deadline,
    keep_until,
)
from auditor.policies.limit import Counting, TimeLimit


def last_day(
    limit: TimeLimit,
    start: date,
    country: str = "",
    stops: Sequence[Stop] = (),
    *,
    extended: bool = False,
) -> Deadline:
    """The day on which a period ends, or until which something is kept.

    Args:
        start: the day it runs from.
        country: ISO 3166-1 code whose public holidays count; "" for weekends only.
        stops: when it stood still, if the limit stops at all.
        extended: with the extension that the limit knows.

    Raises:
        PolicyError: it knows no extension, there is no calendar for the country, or the period
            ends after the last day that a date can name.
    """
    length = limit.extended if extended else limit.length
    if length is None:
        raise PolicyError("this time limit knows no extension")
    try:
        return _counted(limit, length, start, country, stops)
    except (OverflowError, ValueError):  # of dates past 9999-12-31
        raise PolicyError(f"a time limit that runs from {start} ends past the calendar") from None


def _counted(
    limit: TimeLimit, length: int, start: date, country: str, stops: Sequence[Stop]
) -> Deadline:
    match limit.counting:
        case Counting.REGULATION_1182_71:
            return eu_deadline(start, length, country)
        case Counting.CORRESPONDING_DATE:
            return corresponding_deadline(start, length, stops if limit.stops else ())
        case Counting.BUSINESS_DAYS:
            return business_deadline(start, length, country)
        case Counting.CALENDAR if limit.unit == "days":
            return calendar_deadline(start, length)
        case Counting.CALENDAR:
            day = keep_until(start, start, **{limit.unit: length})
            return Deadline(day=day, counted=day)
