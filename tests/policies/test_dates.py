from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.domain.language import ENGLISH
from auditor.errors import PolicyError
from auditor.policies.counting import last_day
from auditor.policies.dates import (
    Stop,
    business_deadline,
    calendar_deadline,
    corresponding_deadline,
    eu_deadline,
    is_day_of_rest,
    keep_until,
)
from auditor.policies.elsewhere import load_elsewhere
from auditor.policies.load import load_packs
from auditor.policies.zone import TZDATA, local_day, zone_of

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
    found = keep_until(date.fromisoformat(created), date.fromisoformat(in_effect), years=6)
    assert found == date.fromisoformat(expected)


def test_unknown_country_is_refused_with_a_remedy() -> None:
    with pytest.raises(PolicyError, match='country "XX"; set an ISO 3166-1 code such as "DE"'):
        eu_deadline(date(2027, 1, 4), 1, "XX")


@given(DAYS)
def test_days_in_words_keep_day_and_year(day: date) -> None:
    number, month, year = ENGLISH.day(day).split()
    assert (int(number), int(year)) == (day.day, day.year)
    assert month.startswith(day.strftime("%b"))


UK = {
    "the last of January ends on a Sunday, and stays there": ("2027-01-31", 1, [], "2027-02-28"),
    "31 August has no 31 September": ("2026-08-31", 1, [], "2026-09-30"),
    "leap day": ("2028-01-31", 1, [], "2028-02-29"),
    "an extension is counted from receipt": ("2027-01-31", 3, [], "2027-04-30"),
    "five days' stop": ("2027-01-31", 1, [("2027-02-10", "2027-02-15")], "2027-03-05"),
    "stopped on the last day": ("2027-01-31", 1, [("2027-02-28", "2027-03-10")], "2027-03-10"),
    "stopped too late": ("2027-01-31", 1, [("2027-03-01", "2027-03-10")], "2027-02-28"),
    "a second stop inside what the first had added": (
        "2027-01-31",
        1,
        [("2027-02-10", "2027-02-15"), ("2027-03-04", "2027-03-06")],
        "2027-03-07",
    ),
    "over the change to summer time": (
        "2027-02-28",
        1,
        [("2027-03-27", "2027-03-29")],
        "2027-03-30",
    ),
}


@pytest.mark.parametrize(("received", "months", "stops", "expected"), UK.values(), ids=UK)
def test_uk_months_end_on_the_corresponding_day_and_stand_still(
    received: str, months: int, stops: list[tuple[str, str]], expected: str
) -> None:
    made = [Stop(start=date.fromisoformat(a), end=date.fromisoformat(b)) for a, b in stops]
    found = corresponding_deadline(date.fromisoformat(received), months, made)
    assert found.day == date.fromisoformat(expected)
    assert found.day - found.counted == timedelta(found.stopped)


def naive_corresponding(received: date, months: int, stops: list[Stop]) -> date:
    """Count the days down one by one; a day inside a stop doesn't count down."""
    year, month = divmod(received.year * 12 + received.month - 1 + months, 12)
    last = date(year, month + 1, min(received.day, monthrange(year, month + 1)[1]))
    left, day = (last - received).days, received
    while left > 0 or any(stop.start <= day < stop.end for stop in stops):
        standing = any(stop.start <= day < stop.end for stop in stops)
        day += timedelta(days=1)
        left -= not standing
    return day


@st.composite
def stopped_clocks(draw: st.DrawFn) -> tuple[date, list[Stop]]:
    """A day of receipt, and stops one after another."""
    received = draw(DAYS)
    day, stops = received, []
    for _ in range(draw(st.integers(0, 3))):
        start = day + timedelta(days=draw(st.integers(0, 40)))
        day = start + timedelta(days=draw(st.integers(1, 60)))
        stops.append(Stop(start=start, end=day))
        day += timedelta(days=1)
    return received, stops


@given(stopped_clocks(), st.integers(1, 3))
def test_the_clock_agrees_with_counting_down_by_hand(
    clock: tuple[date, list[Stop]], months: int
) -> None:
    received, stops = clock
    found = corresponding_deadline(received, months, stops)
    assert found.day == naive_corresponding(received, months, stops)
    assert corresponding_deadline(received, months, stops[::-1]) == found


BUSINESS = {
    "two weeks": ("2027-03-01", "", "2027-03-15"),
    "from a Saturday": ("2027-03-06", "", "2027-03-19"),
    "over Thanksgiving, in the United States": ("2026-11-16", "US", "2026-12-01"),
    "over Thanksgiving, the country unknown": ("2026-11-16", "", "2026-11-30"),
    "over the turn of the year": ("2026-12-21", "US", "2027-01-06"),
}


@pytest.mark.parametrize(("received", "country", "expected"), BUSINESS.values(), ids=BUSINESS)
def test_ten_business_days(received: str, country: str, expected: str) -> None:
    found = business_deadline(date.fromisoformat(received), 10, country)
    assert found.day == found.counted == date.fromisoformat(expected)


@settings(deadline=None)
@given(DAYS, st.integers(1, 30), st.sampled_from(["", "US", "DE"]))
def test_business_days_agree_with_counting_by_hand(received: date, days: int, country: str) -> None:
    found = business_deadline(received, days, country).day
    calendar = holidays.country_holidays(country) if country else {}
    between = [received + timedelta(n) for n in range(1, (found - received).days + 1)]
    working = [day for day in between if day.isoweekday() < 6 and day not in calendar]
    assert len(working) == days
    assert working[-1] == found


@pytest.mark.parametrize(
    ("received", "days", "expected"),
    [
        ("2027-01-01", 45, "2027-02-15"),  # Presidents' Day, and it stays
        ("2027-01-01", 90, "2027-04-01"),
        ("2028-01-31", 45, "2028-03-16"),
    ],
)
def test_californias_days_are_not_moved(received: str, days: int, expected: str) -> None:
    assert calendar_deadline(date.fromisoformat(received), days).day == date.fromisoformat(expected)


@given(DAYS, st.integers(1, 30))
def test_half_a_year_and_two_years_are_kept_to_the_day_or_the_next(day: date, months: int) -> None:
    until = keep_until(day, day, months=months)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if day.day <= monthrange(year, month + 1)[1]:
        assert until == date(year, month + 1, day.day)
    else:
        assert until == date(year + month // 11, (month + 1) % 12 + 1, 1)


# Days of a place ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instant", "zone", "expected"),
    [
        ("2027-03-27T22:59:59Z", "Europe/Berlin", "2027-03-27"),
        ("2027-03-27T23:00:00Z", "Europe/Berlin", "2027-03-28"),
        ("2027-03-28T21:59:59Z", "Europe/Berlin", "2027-03-28"),  # the night lost an hour
        ("2027-03-28T22:00:00Z", "Europe/Berlin", "2027-03-29"),
        ("2027-10-31T22:59:59Z", "Europe/Berlin", "2027-10-31"),
        ("2027-10-30T22:00:00Z", "Europe/Berlin", "2027-10-31"),
        ("2028-02-29T07:59:59Z", "America/Los_Angeles", "2028-02-28"),
        ("2028-03-01T07:59:59Z", "America/Los_Angeles", "2028-02-29"),
        ("2027-06-30T14:00:00Z", "Pacific/Kiritimati", "2027-07-01"),
        ("2027-06-30T14:00:00Z", "UTC", "2027-06-30"),
    ],
)
def test_a_day_is_that_of_the_controllers_zone(instant: str, zone: str, expected: str) -> None:
    assert local_day(datetime.fromisoformat(instant), zone) == date.fromisoformat(expected)


@given(
    st.datetimes(datetime(2018, 5, 25), datetime(2040, 1, 1)),
    st.sampled_from(["Europe/Berlin", "Europe/London", "America/Sao_Paulo", "Asia/Kolkata"]),
)
def test_days_of_a_place_follow_one_another(instant: datetime, zone: str) -> None:
    at = instant.replace(tzinfo=UTC)
    day = local_day(at, zone)
    assert abs((day - at.date()).days) <= 1
    assert local_day(at + timedelta(hours=1), zone) - day in (timedelta(0), timedelta(1))


@pytest.mark.parametrize(
    "name", ["", "Berlin", "../zones", "Europe/", "/etc/localtime", "zone.tab", "europe/berlin"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(PolicyError, match="Europe/Berlin"):
        zone_of(name)


def test_the_version_of_the_zones_is_the_packages() -> None:
    assert TZDATA.count(".") >= 1 and TZDATA[:4].isdigit()


# Laws without a pack, and every rule's limit -----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LGPD-18-CONFIRM", date(2027, 2, 15)),
        ("DPDP-14-GRIEVANCE", date(2027, 5, 1)),
        ("DPDP-8-LOGS", date(2028, 1, 31)),
    ],
)
def test_limits_of_brazil_and_india_are_data(name: str, expected: date) -> None:
    found = {item.id: item for item in load_elsewhere()}
    assert set(found) == {"LGPD-18-CONFIRM", "DPDP-14-GRIEVANCE", "DPDP-8-LOGS"}
    assert last_day(found[name].time_limit, date(2027, 1, 31)).day == expected


RULES = {rule.id: rule for pack in load_packs() for rule in pack.rules}


@pytest.mark.parametrize(
    ("rule", "start", "country", "first", "extended"),
    [
        ("GDPR-12-3-RESPOND", date(2027, 1, 31), "DE", date(2027, 3, 1), date(2027, 4, 30)),
        ("UK-12-3-RESPOND", date(2027, 1, 31), "GB", date(2027, 2, 28), date(2027, 4, 30)),
        ("CCPA-130-RESPOND", date(2026, 11, 20), "US", date(2027, 1, 4), date(2027, 2, 18)),
        ("CCPA-130-ACK", date(2026, 11, 20), "US", date(2026, 12, 7), None),
        ("HIPAA-524", date(2027, 1, 31), "US", date(2027, 3, 2), date(2027, 4, 1)),
        ("HIPAA-526", date(2027, 1, 31), "US", date(2027, 4, 1), date(2027, 5, 1)),
        ("HIPAA-RETAIN-6Y", date(2028, 2, 29), "US", date(2034, 3, 1), None),
        ("CCPA-7101-RECORDS", date(2027, 1, 31), "US", date(2029, 1, 31), None),
    ],
)
def test_a_rules_limit_is_counted_from_any_day(
    rule: str, start: date, country: str, first: date, extended: date | None
) -> None:
    limit = RULES[rule].time_limit
    assert limit is not None
    assert last_day(limit, start, country).day == first
    if extended is None:
        with pytest.raises(PolicyError, match="no extension"):
            last_day(limit, start, country, extended=True)
    else:
        assert last_day(limit, start, country, extended=True).day == extended
