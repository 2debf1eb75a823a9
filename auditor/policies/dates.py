"""Legal date arithmetic: days on which a period ends.

EU periods follow Regulation (EEC, Euratom) No 1182/71, Article 3. HIPAA periods are calendar days
and years, not moved for weekends, which is the reading that can't be late.

Days are calendar days; the ledger's clock is UTC, so a controller far from Greenwich should not
leave an answer to the last hour.
"""

from __future__ import annotations

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
    """

    day: date
    counted: date


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


def keep_until(created: date, last_in_effect: date, years: int) -> date:
    """First day a document may go: ``years`` after the later of the two (45 CFR 164.316(b)(2)(i)).

    From 29 February it runs to 1 March where there is no such day, the later of the two readings.

    >>> keep_until(date(2028, 2, 29), date(2028, 2, 1), 6)
    datetime.date(2034, 3, 1)
    """
    start = max(created, last_in_effect)
    end = start + relativedelta(years=years)
    return end if end.day == start.day else end + timedelta(days=1)


def is_day_of_rest(day: date, country: str) -> bool:
    """Saturday, Sunday, or a nation-wide public holiday of ``country`` (Reg. 1182/71 Art. 2(1)).

    Regional holidays don't count: a deadline that ignores them is early, never late.

    Raises:
        PolicyError: no calendar of public holidays for ``country``.
    """
    return day.weekday() >= _SATURDAY or (country != "" and day in _holidays(country, day.year))


@cache
def _holidays(country: str, year: int) -> frozenset[date]:
    try:
        return frozenset(holidays.country_holidays(country, years=year))
    except NotImplementedError:
        raise PolicyError(
            f'no public holidays are known for country "{country}"; '
            'set an ISO 3166-1 code such as "DE", or "" for weekends only'
        ) from None
