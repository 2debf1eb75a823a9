"""Campaigns: tests that try something many times over.

`make test` runs each with a small fixed sample, `make test-long` in full; what the last full run
found stands in ``tests/CAMPAIGNS.md``, which it writes itself. A test becomes a campaign by asking
for the fixture::

    def test_a_writer_killed_anywhere_leaves_no_gap(campaign: Campaign) -> None:
        for seed in range(campaign.rounds(3, of=50)):
            ...
            campaign.count(kills=4)
"""

from __future__ import annotations

import os
import platform
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest

from tests import postgresql

VARIABLE = "AUDITOR_TEST_LONG"
RESULTS = Path(__file__).with_name("CAMPAIGNS.md")

_HEAD = """\
# What the long campaigns found

Written by `.ci/with-postgresql make test-long`, which goes through every campaign in full;
`make test` takes a small sample of each. See `tests/campaigns.py`.

| Campaign | In | Tried | Found | Seconds | On |
|---|---|---|---|---:|---|
"""


class Campaign:
    """One test's many rounds, and the count of what it tried."""

    def __init__(self, *, long: bool) -> None:
        """A campaign in full, or a sample of one."""
        self.long = long
        self.tried = Counter[str]()

    def rounds(self, sample: int, *, of: int) -> int:
        """How many rounds to go through; the first ones are the same in both kinds of run."""
        chosen = of if self.long else sample
        self.count(rounds=chosen)
        return chosen

    def sampled(self, things: int, *, every: int) -> range:
        """Indices of all things in a full run, else of a few, ``every`` so many."""
        return range(0, things, 1 if self.long else every)

    def count(self, **tried: int) -> None:
        """Add to what was tried: ``kills=4``, ``flipped_bits=1``."""
        self.tried.update(tried)


def is_long() -> bool:
    """Whether campaigns run in full."""
    return bool(os.environ.get(VARIABLE))


@contextmanager
def running(request: pytest.FixtureRequest) -> Iterator[Campaign]:
    """The campaign of one test; its line of the results is written where it ran in full."""
    campaign, before, start = Campaign(long=is_long()), request.session.testsfailed, monotonic()
    yield campaign
    if campaign.long and campaign.tried:  # none where the test was skipped
        seconds = monotonic() - start
        failed = request.session.testsfailed > before
        name = request.node.name.removeprefix("test_").replace("_", " ")
        tried = ", ".join(
            f"{number} {what.replace('_', ' ')}" for what, number in campaign.tried.items()
        )
        found = "**failed**" if failed else "nothing"
        file = request.path.relative_to(RESULTS.parent).as_posix()
        _write(f"| {name} | {file} | {tried} | {found} | {seconds:.0f} | {_versions()} |")


def _write(line: str) -> None:
    """Put a campaign's line in the place of its last one."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else _HEAD
    lines = text.removeprefix(_HEAD).splitlines()
    kept = [each for each in lines if each.split(" | ")[:2] != line.split(" | ")[:2]]
    lines = sorted([*kept, line], key=lambda each: each.split(" | ")[1::-1])
    RESULTS.write_text(_HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def _versions() -> str:
    day = datetime.now(UTC).date().isoformat()
    known = [f"{day}: Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    if postgresql.VARIABLE in os.environ:
        (told,) = postgresql.run_at(postgresql.server(), "SHOW server_version")
        known.append(f"PostgreSQL {str(told[0]).split()[0]}")
    return ", ".join(known)
