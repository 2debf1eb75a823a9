"""The ledger's speed, as ratios within one run.

    python -m pip install --group benchmarks
    python benchmarks/ledger.py [--events 1000000] [--folder .]

Contestants of one race take turns block by block, so that a machine that grows slower meanwhile
slows them all. Prints a table in Markdown, and how it was measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from importlib.metadata import version
from itertools import islice
from math import log2
from operator import attrgetter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import Engine, event

from auditor.domain.artefact import Digest
from auditor.domain.entry import entry_bytes
from auditor.domain.event import GroundsChecked
from auditor.ledger.ledger import Append, Ledger
from auditor.ledger.sql import SqlEventStore
from auditor.ledger.store import Draft, Row, Write, grown

GROUP = 500
SINGLES = 300  # of a block: enough for the write-ahead log to be carried over within it
BLOCKS = 21


class Item(NamedTuple):
    """One event: as our ledger takes it, and the bytes that it makes of it."""

    append: Append
    entry: bytes


Line = tuple[str, str, str, str, str]
"""Of the table: the measure, ours, the reference, the ratio, the goal."""

Contestant = tuple[Callable[[Item], Any], Callable[[list[Any]], object]]
"""Makes ready to append an item, off the clock; appends several such in one durable commit."""


def items() -> Iterator[Item]:
    """Checked requests without end, a dozen to a stream."""
    digest = Digest.of(b"benchmark")
    while True:
        case = uuid4().hex
        for place in range(12):
            checked = GroundsChecked(case=case, policies=digest, findings=digest, against=0)
            append = Append(
                stream=f"case:{case}",
                events=(checked,),
                expected_version=place,
                event_ids=(uuid4(),),
            )
            entry = entry_bytes(
                checked,
                stream=append.stream,
                version=place,
                event_id=append.event_ids[0],
                recorded_at="2026-11-24T00:00:00Z",
            )
            yield Item(append, entry)


def open_ledger(path: Path) -> Ledger:
    """Our ledger in a file."""
    return Ledger(SqlEventStore(f"sqlite:///{path}"))


@contextmanager
def bare(path: Path) -> Iterator[Contestant]:
    """INSERT and COMMIT of the same bytes, durable as ours is; no index but the row number."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE bare (place INTEGER PRIMARY KEY, entry BLOB NOT NULL)")

        def commit(rows: list[tuple[bytes]]) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO bare (entry) VALUES (?)", rows)
            connection.execute("COMMIT")

        yield lambda item: (item.entry,), commit


@contextmanager
def same_table(path: Path, *, head: bool) -> Iterator[Contestant]:
    """INSERT and COMMIT of the rows that ours writes, into a table like ours.

    With its columns, its two unique indices and its guards; nothing is encoded, hashed, looked up
    or checked on the clock. With the head it is all that ours has the database write.
    """
    with closing(open_ledger(path)) as made:
        frontier = made.frontier()  # makes the tables
    names = list(Row._fields)
    insert = f"INSERT INTO entry ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)})"

    def prepared(item: Item) -> tuple[tuple[object, ...], tuple[int, bytes]]:
        nonlocal frontier
        append, version = item.append, item.append.expected_version
        draft = Draft(event_id=append.event_ids[0], entry=item.entry)
        write = Write(stream=append.stream, expected_version=version, drafts=(draft,))
        frontier, (row,) = grown(frontier, write, version)
        values = tuple(str(value) if isinstance(value, UUID) else value for value in row)
        return values, (frontier.size, frontier.to_bytes())

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

        def commit(ready: list[tuple[tuple[object, ...], tuple[int, bytes]]]) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(insert, [values for values, _ in ready])
            if head:
                advance = "UPDATE head SET size = ?, peaks = ? WHERE id = 0"
                connection.execute(advance, ready[-1][1])
            connection.execute("COMMIT")

        yield prepared, commit


@contextmanager
def eventsourcing(path: Path) -> Iterator[Contestant]:
    """The recorder of that package: one index over stream and version; no head, hash or guard."""
    from eventsourcing.persistence import StoredEvent
    from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

    with closing(SQLiteDatastore(str(path))) as datastore:
        with datastore.get_connection(commit=True) as connection, connection.cursor() as cursor:
            # it sets WAL itself and leaves this as SQLite was built, which is FULL as a rule; its
            # pool hands the same connection out again
            cursor.execute("PRAGMA synchronous=FULL")
        recorder = SQLiteApplicationRecorder(datastore)
        recorder.create_table()

        def stored(item: Item) -> Any:
            append = item.append
            return StoredEvent(
                originator_id=UUID(append.stream.removeprefix("case:")),
                originator_version=append.expected_version,
                topic=append.events[0].kind,
                state=item.entry,
            )

        yield stored, recorder.insert_events


def race(
    contestants: Mapping[str, Contestant], source: Iterator[Item], commits: int, size: int
) -> dict[str, float]:
    """Appends per second of each, taking turns over `BLOCKS` blocks of the same items.

    The median block counts, lest a pause of the machine be held against whomever it hit.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(BLOCKS):
        block = [list(islice(source, size)) for _ in range(commits)]
        for name, (prepare, commit) in contestants.items():
            ready = [[prepare(item) for item in group] for group in block]
            start = time.perf_counter()
            for group in ready:
                commit(group)
            seconds[name].append(time.perf_counter() - start)
    return {name: commits * size / median(spent) for name, spent in seconds.items()}


def raced(measure: str, rates: Mapping[str, float], goals: Mapping[str, str]) -> list[Line]:
    """Lines of the table: ours beside each of the others."""
    own = rates["ours"]
    return [
        (measure, f"{own:,.0f}/s", f"{name}: {rate:,.0f}/s", f"{own / rate:.2f}", goals[name])
        for name, rate in rates.items()
        if name != "ours"
    ]


class Work:
    """What SQLite was asked, and the steps that its virtual machine took to answer.

    A step is an instruction that could be interrupted: a look-up by key takes about a dozen, a scan
    several for each row, so the steps tell on any scan, wherever it hides.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self.selects: list[str] = []
        self.steps = 0

    def watch(self, connection: sqlite3.Connection, _record: object) -> None:
        """Count what is asked on that connection from now on."""
        connection.set_trace_callback(self._asked)
        connection.set_progress_handler(self._stepped, 1)

    def _asked(self, statement: str) -> None:
        if statement.startswith("SELECT"):
            self.selects.append(statement)

    def _stepped(self) -> None:
        self.steps += 1


@contextmanager
def counted() -> Iterator[Work]:
    """Count the work of every database opened meanwhile."""
    work = Work()
    event.listen(Engine, "connect", work.watch)
    try:
        yield work
    finally:
        event.remove(Engine, "connect", work.watch)


class Counts(NamedTuple):
    """Work on a ledger of some size: of opening it and appending, and of the costliest proofs."""

    append: tuple[int, int]
    inclusion: tuple[int, int]
    extension: tuple[int, int]
    plans: set[str]


def counts(path: Path, item: Item, proofs: int = 100) -> Counts:
    """Open the ledger, append one event, make proofs; each as (SELECTs, steps)."""
    chance, asked = random.Random(0), set[str]()
    with counted() as work, closing(open_ledger(path)) as ledger:

        def of(call: Callable[[], object]) -> tuple[int, int]:
            work.selects, work.steps = [], 0
            call()
            asked.update(work.selects)
            return len(work.selects), work.steps

        append = of(partial(ledger.append_all, [item.append]))
        size = ledger.size
        places = [0, size - 1, *(chance.randrange(size) for _ in range(proofs))]
        inclusion = [of(partial(ledger.prove, at, size)) for at in places]
        extension = [of(partial(ledger.prove_extension, at, size)) for at in places]
    with closing(sqlite3.connect(path)) as connection:
        ours = [asking for asking in asked if " entry" in asking or " head" in asking]
        explained = [connection.execute(f"EXPLAIN QUERY PLAN {asking}") for asking in ours]
        plans = {str(plan[3]) for each in explained for plan in each}
    return Counts(append, max(inclusion), max(extension), plans)


def counted_lines(sizes: Mapping[int, Counts]) -> list[Line]:
    """Lines of the table: work against size."""
    at = f"at {', '.join(f'{size:,}' for size in sizes)} events"

    def told(field: str) -> str:
        return ", ".join("{} ({})".format(*getattr(work, field)) for work in sizes.values())

    return [
        (f"look-ups (steps) of {name}", told(field), at, "-", "O(log n)")
        for name, field in (
            ("opening a ledger and appending", "append"),
            ("an inclusion proof", "inclusion"),
            ("a consistency proof", "extension"),
        )
    ]


def small_races(folder: Path, source: Iterator[Item]) -> list[Line]:
    """Single and grouped appends, each contestant in a fresh file of its own."""
    with ExitStack() as stack:
        ledger = stack.enter_context(closing(open_ledger(folder / "race.db")))
        contestants: dict[str, Contestant] = {
            "ours": (attrgetter("append"), ledger.append_all),
            "bare, our table": stack.enter_context(same_table(folder / "same.db", head=False)),
            "bare, with our head": stack.enter_context(same_table(folder / "head.db", head=True)),
            "bare, no index": stack.enter_context(bare(folder / "bare.db")),
            "eventsourcing": stack.enter_context(eventsourcing(folder / "eventsourcing.db")),
        }
        singles = race(contestants, source, SINGLES, 1)
        grouped = race(contestants, source, 1, GROUP)
    goals = {"bare, our table": ">= 0.8"}
    return [
        *raced("single appends", singles, {name: goals.get(name, "-") for name in singles}),
        *raced(f"appends, {GROUP} a commit", grouped, dict.fromkeys(grouped, "ours >= 5,000/s")),
    ]


def filled(path: Path, source: Iterator[Item], events: int) -> tuple[float, dict[int, Counts]]:
    """Fill a ledger; appends per second, and the work that it takes at each power of ten."""
    sizes, spent, size = dict[int, Counts](), 0.0, 0
    for target in (*(10**power for power in range(3, 12) if 10**power < events), events):
        with closing(open_ledger(path)) as ledger:
            while size < target:
                group = [item.append for item in islice(source, min(GROUP, target - size))]
                spent += _timed(partial(ledger.append_all, group))
                size += len(group)
        sizes[target] = counts(path, next(source))
        size += 1  # `counts` appended one
    return size / spent, sizes


def large(folder: Path, source: Iterator[Item], events: int) -> tuple[list[Line], set[str]]:
    """One ledger of so many events: filled, opened, proved from, audited."""
    path, chance = folder / "large.db", random.Random(1)
    rate, sizes = filled(path, source, events)
    with closing(open_ledger(path)) as ledger:
        opened = _timed(partial(ledger.append_all, [next(source).append]))  # opens it, too
        size = ledger.size
        places = [chance.randrange(size) for _ in range(2_000)]
        inclusion = [_timed(partial(ledger.prove, at, size)) for at in places]
        extension = [_timed(partial(ledger.prove_extension, at, size)) for at in places]
        processor = time.process_time()
        audit = _timed(ledger.audit)
        processor = time.process_time() - processor
    at, scale = f"at {events:,} events", f"log2 n = {log2(events):.0f}"
    lines = [
        (f"filling a ledger, {GROUP} a commit", f"{rate:,.0f}/s", at, "-", ">= 5,000/s"),
        ("an inclusion proof", _milliseconds(inclusion), at, scale, "< 1 ms"),
        ("a consistency proof", _milliseconds(extension), at, scale, "< 1 ms"),
        ("full audit", f"{audit:.1f} s (CPU {processor:.1f} s)", at, "-", "< 15 s at 10^6"),
        ("opening and appending", f"{opened * 1e3:.1f} ms", at, "-", "-"),
        *counted_lines(sizes),
    ]
    return lines, set[str]().union(*(each.plans for each in sizes.values()))


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _milliseconds(seconds: Sequence[float]) -> str:
    slow = sorted(seconds)[len(seconds) * 99 // 100]
    return f"{median(seconds) * 1e3:.2f} ms, 99th percentile {slow * 1e3:.2f} ms"


def sync_seconds(folder: Path) -> float:
    """What the file system takes to make 4 KiB durable that overwrite others."""
    with (folder / "sync").open("wb", buffering=0) as file:
        file.write(bytes(1 << 20))
        os.fsync(file.fileno())
        start = time.perf_counter()
        for number in range(1_000):
            os.pwrite(file.fileno(), b"x" * 4_096, number % 256 * 4_096)
            os.fsync(file.fileno())
        return (time.perf_counter() - start) / 1_000


def file_system(folder: Path) -> str:
    """The type of the file system that a folder lies on, where the system tells."""
    told = Path("/proc/mounts")
    mounts = [line.split() for line in told.read_text().splitlines()] if told.exists() else []
    above = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(above, key=lambda mount: len(mount[1]))[2] if above else "unknown file system"


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description="The ledger's speed, as ratios within one run.")
    parser.add_argument("--events", type=int, default=1_000_000, help="size of the large ledger")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to measure")
    options = parser.parse_args()
    source = items()
    with TemporaryDirectory(prefix="benchmark-", dir=options.folder) as name:
        folder = Path(name)
        sync, system = sync_seconds(folder), file_system(folder)
        lines = small_races(folder, source)
        more, plans = large(folder, source, options.events)
    table = [("measure", "ours", "reference", "ratio", "goal"), ("---",) * 5, *lines, *more]
    packages = ", ".join(f"{name} {version(name)}" for name in ("sqlalchemy", "eventsourcing"))
    notes = (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}; "
        f"{platform.system()}, {os.cpu_count()} cores, {system}; fsync of 4 KiB {sync * 1e3:.3f} "
        f"ms; entries of {len(next(source).entry)} bytes. Query plans: {'; '.join(sorted(plans))}."
    )
    rows = "\n".join(f"| {' | '.join(row)} |" for row in table)
    sys.stdout.write(f"{rows}\n\n{notes}\n")


if __name__ == "__main__":
    main()
