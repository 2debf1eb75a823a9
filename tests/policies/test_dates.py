from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.domain.language import ENGLISH
from auditor.errors import PolicyError
from auditor.policies.dates import (
    calendar_deadline,
    eu_deadline,
    is_day_of_rest,
    keep_until,
)

DAYS = st.dates(min_value=date(2018, 5, 25), max_value=date(2040, 12, 31))

GOLDEN = {
    "the last of January runs to a Sunday, then Monday": ("2027-01-31", 1, "", "2027-03-01"),
    "the same under the German calendar": ("2027-01-31", 1, "DE", "2027-03-01"),
    "a working day stays": ("2027-03-05", 1, "", "2027-04-05"),
    "31 August has no 31 September": ("2026-08-31", 1, "", "2026-09-30"),
    "leap day is there": ("2028-01-31", 1, "", "2028-02-29"),
    "Saturday moves by two": ("2027-01-06", 1, "", "2027-02-08"),
    "New Year's Day without a calendar is a working day": ("2026-12-01", 1, "", "2027-01-01"),
    "New Year's Day on a Friday, in Germany": ("2026-12-01", 1, "DE", "2027-01-04"),
    "Good Friday to Easter Monday, in Germany": ("2027-02-26", 1, "DE", "2027-03-30"),
    "Good Friday is a working day in France": ("2027-02-26", 1, "FR", "2027-03-26"),
    "an extension is counted from receipt": ("2027-01-31", 3, "", "2027-04-30"),
    "the year turns": ("2026-10-30", 3, "", "2027-02-01"),
}


@pytest.mark.parametrize(("received", "months", "country", "expected"), GOLDEN.values(), ids=GOLDEN)
def test_regulation_1182_71(received: str, months: int, country: str, expected: str) -> None:
    deadline = eu_deadline(date.fromisoformat(received), months, country)
    assert deadline.day == date.fromisoformat(expected)


def test_extension_is_not_counted_from_the_moved_day() -> None:
    first = eu_deadline(date(2027, 1, 31), 1).day
    assert eu_deadline(first, 2).day != eu_deadline(date(2027, 1, 31), 3).day


def naive_eu_deadline(received: date, months: int, country: str) -> date:
    """Month by month by hand, then day by day."""
    year, month = received.year, received.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    day = date(year, month, min(received.day, monthrange(year, month)[1]))
    calendar = holidays.country_holidays(country) if country else {}
    while day.strftime("%w") in ("0", "6") or day in calendar:
        day = day + timedelta(days=1)
    return day


@settings(deadline=None)
@given(DAYS, st.integers(1, 6), st.sampled_from(["", "DE", "FR", "IE"]))
def test_deadlines_agree_with_counting_by_hand(received: date, months: int, country: str) -> None:
    found = eu_deadline(received, months, country)
    assert found.day == naive_eu_deadline(received, months, country)
    assert not is_day_of_rest(found.day, country)
    assert found.counted <= found.day


@given(DAYS)
def test_one_month_is_never_shorter_than_february(received: date) -> None:
    assert 28 <= (eu_deadline(received, 1).day - received).days <= 33


@pytest.mark.parametrize(
    ("received", "days", "expected"),
    [
        ("2027-01-31", 30, "2027-03-02"),
        ("2028-01-31", 30, "2028-03-01"),
        ("2027-01-01", 60, "2027-03-02"),
        ("2026-12-25", 30, "2027-01-24"),  # a Sunday, and it stays
    ],
)
def test_hipaa_days_are_calendar_days(received: str, days: int, expected: str) -> None:
    deadline = calendar_deadline(date.fromisoformat(received), days)
    assert deadline.day == deadline.counted == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("created", "in_effect", "expected"),
    [
        ("2027-05-04", "2027-05-04", "2033-05-04"),
        ("2027-05-04", "2029-07-01", "2035-07-01"),
        ("2029-07-01", "2027-05-04", "2035-07-01"),
        ("2028-02-29", "2028-02-29", "2034-03-01"),
    ],
)
def test_six_years_run_from_the_later_day(created: str, in_effect: str, expected: str) -> None:
    found = keep_until(date.fromisoformat(created), date.fromisoformat(in_effect), 6)
    assert found == date.fromisoformat(expected)


def test_unknown_country_is_refused_with_a_remedy() -> None:
    with pytest.raises(PolicyError, match='country "XX"; set an ISO 3166-1 code such as "DE"'):
        eu_deadline(date(2027, 1, 4), 1, "XX")


@given(DAYS)
def test_days_in_words_keep_day_and_year(day: date) -> None:
    number, month, year = ENGLISH.day(day).split()
    assert (int(number), int(year)) == (day.day, day.year)
    assert month.startswith(day.strftime("%b"))
