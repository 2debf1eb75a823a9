"""Processes killed while they write: nothing half-written, and what they were told is kept."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from auditor.proof.merkle import Frontier, root_of
from tests.campaigns import Campaign
from tests.ledger.books import an_append, audited, open_ledger
from tests.postgresql import Database, database

WRITERS = 4
GROUP = 3  # entries of one durable commit: two of the writer's stream, one of everybody's

# Writes until it is killed, and says which group is durable once it was told so. A group's event
# ids are (writer, group, place), so that the ledger itself says which groups should be whole.
_WRITER = """
import sys
from itertools import count
from pathlib import Path
from uuid import UUID
from auditor.errors import ConcurrencyError
from auditor.ledger.ledger import Append
from tests.ledger.books import an_append, open_ledger

address, writer = sys.argv[1], int(sys.argv[2])
ledger = open_ledger(Path(address) if address.startswith("/") else address)
for group in count():
    ids = [UUID(int=writer << 64 | group << 8 | place) for place in range(3)]
    own, more = (an_append(f"w{writer}", 2 * group + place) for place in range(2))
    while True:
        version = ledger.version("shared")
        shared = an_append("shared", version)
        try:
            ledger.append_all([
                Append(stream=own.stream, events=own.events + more.events,
                       expected_version=2 * group, event_ids=tuple(ids[:2])),
                Append(stream="shared", events=shared.events,
                       expected_version=version, event_ids=(ids[2],)),
            ])
            break
        except ConcurrencyError:
            pass
    print(group, flush=True)
"""

ROWS = "SELECT sequence, stream, version, event_id, entry, leaf, subtrees FROM entry ORDER BY 1"
HEAD = "SELECT id, size, peaks FROM head"

Rows = Sequence[tuple[Any, ...]]


@contextmanager
def writers(address: str, numbers: Sequence[int], folder: Path) -> Iterator[list[Any]]:
    """Processes that write, each of which was told of at least one durable commit."""
    processes = []
    try:
        for number in numbers:
            with told(folder, number).open("wb") as out:
                command = [sys.executable, "-c", _WRITER, address, str(number)]
                processes.append(subprocess.Popen(command, stdout=out))
        while not all(told(folder, number).stat().st_size for number in numbers):
            assert [process.poll() for process in processes] == [None] * len(numbers)
            time.sleep(0.01)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def told(folder: Path, writer: int) -> Path:
    """Where a writer says what it was told; the file outlives the process."""
    return folder / f"told-{writer}"


def kill_one_by_one(processes: Sequence[Any], random: Random) -> None:
    """Kill each at a moment of its own, while the others write on."""
    for process in random.sample(processes, len(processes)):
        time.sleep(random.uniform(0.0, 0.15))
        assert process.poll() is None
        process.kill()
        process.wait()


def check(rows: Rows, head: Rows, folder: Path) -> None:
    """Hold the stored bytes against what a ledger must be, by other means than its own."""
    assert [row[0] for row in rows] == list(range(len(rows))), "a gap"
    streams: dict[str, int] = {}
    groups: dict[tuple[int, int], int] = {}
    for _, stream, version, event_id, entry, leaf, subtrees in rows:
        assert version == streams.get(stream, 0), "an orphan"
        streams[stream] = version + 1
        assert leaf == hashlib.sha256(b"\x00" + entry).digest()
        assert len(subtrees) % 32 == 0
        number = int(event_id.replace("-", ""), 16)
        group = (number >> 64, number >> 8 & 0xFFFF_FFFF)
        groups[group] = groups.get(group, 0) + 1
    assert set(groups.values()) == {GROUP}, "half a commit"
    ((at, size, peaks),) = head
    assert (at, size) == (0, len(rows))
    assert Frontier.from_bytes(size, peaks).root() == root_of([row[5] for row in rows])
    for path in folder.glob("told-*"):
        writer = int(path.name.removeprefix("told-"))
        promised = {(writer, int(line)) for line in path.read_text().splitlines()}
        assert promised and promised <= set(groups), "a commit that was told durable is gone"


def sqlite_state(path: Path) -> tuple[Rows, Rows]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute(ROWS).fetchall(), connection.execute(HEAD).fetchall()


def postgresql_state(made: Database) -> tuple[Rows, Rows]:
    others = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    while made.as_owner(others) != [(0,)]:  # the server may still finish what the dead asked for
        time.sleep(0.01)
    return made.as_owner(ROWS), made.as_owner(HEAD)


def test_writers_killed_anywhere_leave_no_gap_and_lose_nothing(
    tmp_path: Path, campaign: Campaign
) -> None:
    path, numbers = tmp_path / "ledger.db", count(1)
    for seed in range(campaign.rounds(2, of=26)):
        some = [next(numbers) for _ in range(WRITERS)]
        with writers(str(path), some, tmp_path) as processes:
            assert audited(path) > 0  # while it grows
            kill_one_by_one(processes, Random(seed))
            campaign.count(kills=WRITERS)
        rows, head = sqlite_state(path)
        check(rows, head, tmp_path)
        assert audited(path) == len(rows)


def test_killed_clients_leave_no_gap_on_postgresql(tmp_path: Path, campaign: Campaign) -> None:
    numbers = count(1)
    with database() as made:
        for seed in range(campaign.rounds(1, of=13)):
            some = [next(numbers) for _ in range(WRITERS)]
            with writers(made.application, some, tmp_path) as processes:
                assert audited(made.application) > 0
                kill_one_by_one(processes, Random(seed))
                campaign.count(kills=WRITERS)
            rows, head = postgresql_state(made)
            check(rows, head, tmp_path)
            assert audited(made.application) == len(rows)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_an_append_sent_again_while_the_first_is_under_way_is_written_once(
    tmp_path: Path, backend: str
) -> None:
    """What a client does that can't know whether its commit arrived."""
    with ExitStack() as stack:
        address: Path | str = tmp_path / "ledger.db"
        if backend == "postgresql":
            address = stack.enter_context(database()).application
        ledgers = [stack.enter_context(closing(open_ledger(address))) for _ in range(WRITERS)]
        pool = stack.enter_context(ThreadPoolExecutor(WRITERS))
        for version in range(10):
            append = an_append("m", version)
            sent = [pool.submit(ledger.append_all, [append]) for ledger in ledgers]
            first, *others = (future.result() for future in sent)
            assert all(other == first for other in others)
        assert ledgers[0].audit().entries == 10


@pytest.mark.parametrize("harm", ["gap", "half", "leaf", "head", "lost"])
def test_the_checks_of_this_campaign_find_harm(tmp_path: Path, harm: str) -> None:
    """So that a campaign that finds nothing means something."""
    path = tmp_path / "ledger.db"
    with writers(str(path), [1], tmp_path) as processes:
        kill_one_by_one(processes, Random(0))
    rows, head = (list(each) for each in sqlite_state(path))
    check(rows, head, tmp_path)
    if harm == "gap":
        del rows[1]
    elif harm == "half":
        del rows[-1]
    elif harm == "leaf":
        rows[2] = (*rows[2][:5], bytes(32), rows[2][6])
    elif harm == "head":
        head = [(0, len(rows), bytes(len(head[0][2])))]
    else:
        told(tmp_path, 1).write_text("1000000\n")
    with pytest.raises(AssertionError):
        check(rows, head, tmp_path)
