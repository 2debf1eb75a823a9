"""A rule's time limit: how long, counted how, and from when."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid")

Length = Annotated[int, Field(ge=1, le=120)]


class Counting(StrEnum):
    """How a period is counted (see `dates`)."""

    REGULATION_1182_71 = "regulation-1182-71"
    CORRESPONDING_DATE = "corresponding-date"
    CALENDAR = "calendar"
    BUSINESS_DAYS = "business-days"


class RunsFrom(StrEnum):
    """The event a period runs from; all but the first two lie outside the case."""

    RECEIPT = "receipt"
    LAST_RECORD = "last-record"
    ACCESS_REQUEST = "access-request"
    AMENDMENT_REQUEST = "amendment-request"
    ACCOUNTING_REQUEST = "accounting-request"
    COMPLAINT = "complaint"
    DISCOVERY = "discovery"


_MONTHS = (Counting.REGULATION_1182_71, Counting.CORRESPONDING_DATE)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class TimeLimit:
    """A period.

    Attributes:
        extended: its whole length after an extension, from the same start.
        stops: whether it stands still while the controller waits for the person who asked.
    """

    length: Length
    unit: Literal["days", "months", "years"]
    runs_from: RunsFrom
    counting: Counting
    extended: Length | None = None
    stops: bool = False

    def __post_init__(self) -> None:
        kept = self.runs_from is RunsFrom.LAST_RECORD
        if kept and self.counting is not Counting.CALENDAR:
            raise ValueError("what runs from the last record is counted by calendar")
        if not kept and (self.unit == "months") != (self.counting in _MONTHS):
            raise ValueError(
                "months are counted by regulation-1182-71 or corresponding-date, days and years "
                "by calendar or business-days"
            )
        if self.counting is Counting.BUSINESS_DAYS and self.unit != "days":
            raise ValueError("business-days counts days")
        if self.extended is not None and self.extended <= self.length:
            raise ValueError("extended is the whole length and must exceed length")
        if self.stops and self.counting is not Counting.CORRESPONDING_DATE:
            raise ValueError("only a period counted by corresponding-date stops")
