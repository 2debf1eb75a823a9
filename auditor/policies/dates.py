"""Legal date arithmetic: days on which a period ends.

EU periods follow Regulation (EEC, Euratom) No 1182/71, Article 3, and no others do. UK periods end
on the corresponding day of a later month and stand still while the controller waits (Article 12A
UK GDPR). HIPAA's and California's days are calendar days, California's first answer is due in
business days. Where the law leaves a choice we take the reading that can't be late.

Days are those of the controller's own time zone (`zone`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import holidays
from dateutil.relativedelta import relativedelta

from auditor.errors import PolicyError

_SATURDAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The last day of a period.

    Attributes:
        day: the day on whose last hour the period ends.
        counted: the day counted to, before it was moved off a weekend or public holiday.
        stopped: days that the period stood still.
    """

    day: date
    counted: date
    stopped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A period stood still from one day up to another; for an open stop, up to today.

    ``entered`` is the day it was put on the books, where that is another than its first.
    """

    start: date
    end: date
    entered: date = date.min


def eu_deadline(received: date, months: int, country: str = "") -> Deadline:
    """End of a period of ``months`` that runs from the day of receipt (Reg. 1182/71 Art. 3).

    Art. 3(2)(c): the same calendar day of the last month, or that month's last day where it has
    none. Art. 3(4): moved to the next working day from a Saturday, Sunday or public holiday.
    An extension is counted from receipt as well, never from a moved day.

    Args:
        received: the day of receipt, which itself isn't counted (Art. 3(1)).
        months: length of the period.
        country: ISO 3166-1 alpha-2 code whose public holidays count; "" for weekends only.

    Raises:
        PolicyError: no calendar of public holidays for ``country``.

    >>> eu_deadline(date(2027, 1, 31), 1).day
    datetime.date(2027, 3, 1)
    """
    counted = received + relativedelta(months=months)
    day = counted
    while is_day_of_rest(day, country):
        day += timedelta(days=1)
    return Deadline(day=day, counted=counted)


def calendar_deadline(received: date, days: int) -> Deadline:
    """End of a period of calendar days, e.g. 45 CFR 164.524(b)(2).

    >>> calendar_deadline(date(2027, 1, 31), 30).day
    datetime.date(2027, 3, 2)
    """
    day = received + timedelta(days=days)
    return Deadline(day=day, counted=day)


def corresponding_deadline(received: date, months: int, stops: Sequence[Stop] = ()) -> Deadline:
    """End of a period of months that ends on the corresponding day, as UK law counts them.

    The last day of the month where it has no such day; not moved off weekends, though the
    Information Commissioner's guidance would allow it. A stop moves the end by the days from its
    start up to its end, the shorter reading of Article 12A UK GDPR; one that begins after the
    period has ended, or was entered only then, moves nothing.

    Args:
        received: the day of receipt.
        months: length of the period.
        stops: one after another, none inside another.

    >>> corresponding_deadline(date(2027, 1, 31), 1).day
    datetime.date(2027, 2, 28)
    >>> stop = Stop(start=date(2027, 2, 10), end=date(2027, 2, 15))
    >>> corresponding_deadline(date(2027, 1, 31), 1, [stop]).day
    datetime.date(2027, 3, 5)
    """
    counted = received + relativedelta(months=months)
    day = counted
    for stop in sorted(stops, key=lambda stop: stop.start):
        if max(stop.start, stop.entered) <= day:
            day += max(stop.end - stop.start, timedelta(0))
    return Deadline(day=day, counted=counted, stopped=(day - counted).days)


def business_deadline(received: date, days: int, country: str = "") -> Deadline:
    """End of a period of business days, e.g. 11 CCR 7021(a); the day of receipt isn't counted.

    Args:
        received: the day of receipt.
        days: length of the period.
        country: ISO 3166-1 alpha-2 code whose public holidays count; "" for weekends only.

    Raises:
        PolicyError: no calendar of public holidays for ``country``.

    >>> business_deadline(date(2027, 1, 8), 10).day
    datetime.date(2027, 1, 22)
    """
    day = received
    for _ in range(days):
        day += timedelta(days=1)
        while is_day_of_rest(day, country):
            day += timedelta(days=1)
    return Deadline(day=day, counted=day)


def keep_until(created: date, last_in_effect: date, *, years: int = 0, months: int = 0) -> date:
    """First day a document may go, that long after the later of the two (45 CFR 164.316(b)(2)(i)).

    Where the last month has no such day it runs to the first of the next, the later of the two
    readings.

    >>> keep_until(date(2028, 2, 29), date(2028, 2, 1), years=6)
    datetime.date(2034, 3, 1)
    """
    start = max(created, last_in_effect)
    end = start + relativedelta(years=years, months=months)
    return end if end.day == start.day else end + timedelta(days=1)


def is_day_of_rest(day: date, country: str) -> bool:
    """Saturday, Sunday, or a nation-wide public holiday of ``country`` (Reg. 1182/71 Art. 2(1)).

    Regional holidays don't count: a deadline that ignores them is early, never late.

    Raises:
        PolicyError: no calendar of public holidays for ``country``.
    """
    return day.weekday() >= _SATURDAY or (country != "" and day in _holidays(country, day.year))


def require_calendar(country: str) -> None:
    """See that a country's public holidays are known, as is "" for none.

    Raises:
        PolicyError: no calendar of public holidays for ``country``.
    """
    if country:
        _holidays(country, date.today().year)


@cache
def _holidays(country: str, year: int) -> frozenset[date]:
    try:
        return frozenset(holidays.country_holidays(country, years=year))
    except NotImplementedError:  # so holidays says that it knows no such country
        raise PolicyError(
            f'no public holidays are known for country "{country}"; '
            'set an ISO 3166-1 code such as "DE", or "" for weekends only'
        ) from None
