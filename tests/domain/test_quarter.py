"""Which cases a quarter concerns."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.quarter import quarter_named

QUARTER = quarter_named("2026Q2")
DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))


@given(received=DAYS, after=st.none() | st.integers(0, 200))
def test_a_quarter_concerns_whatever_was_open_on_one_of_its_days(
    received: date, after: int | None
) -> None:
    """From the day it was received to the day it was closed; what is still open, without end."""
    closed = None if after is None else received + timedelta(days=after)
    days = [QUARTER.first + timedelta(days=number) for number in range(91)]
    assert days[-1] == QUARTER.last
    naive = any(received <= day and (closed is None or day <= closed) for day in days)
    assert QUARTER.concerns(received, closed) == naive
