"""The controller's own calendar: which day it was there when something was written down.

Law counts the days of the place where a controller sits; the ledger's clock is UTC. Zones are read
from the tzdata package and never from the machine, so that its version says which rules of summer
time were used.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from zoneinfo import ZoneInfo

from auditor.errors import PolicyError

TZDATA = version("tzdata")
"""Version of the zones in use, e.g. 2026.6 for what IANA calls 2026f."""


@cache
def zone_of(name: str) -> tzinfo:
    """The zone that the IANA database calls ``name``, e.g. ``Europe/Berlin``.

    Raises:
        PolicyError: no such zone.
    """
    if name == "UTC":
        return UTC
    parts = name.split("/")
    if not all(part.replace("_", "").replace("-", "").isalnum() for part in parts):
        raise PolicyError(f"no time zone {name!r}; set an IANA name such as Europe/Berlin")
    found = files("tzdata.zoneinfo").joinpath(*parts)
    if not found.is_file():
        raise PolicyError(f"no time zone {name!r}; set an IANA name such as Europe/Berlin")
    with found.open("rb") as file:
        try:
            return ZoneInfo.from_file(file, key=name)
        except ValueError:  # files of the package that hold no zone
            raise PolicyError(
                f"no time zone {name!r}; set an IANA name such as Europe/Berlin"
            ) from None


def local_day(instant: datetime, zone: str) -> date:
    """The day it was in ``zone``.

    Raises:
        PolicyError: no such zone.

    >>> local_day(datetime(2027, 3, 31, 23, 30, tzinfo=UTC), "Europe/Berlin")
    datetime.date(2027, 4, 1)
    """
    return instant.astimezone(zone_of(name=zone)).date()
