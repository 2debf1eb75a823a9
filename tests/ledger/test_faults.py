"""A disk that fails, fills up or loses power under the ledger: never a silent wrong state."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random
from uuid import UUID

import apsw
import pytest

from auditor.errors import LedgerError, TamperedError
from auditor.ledger.ledger import Append, Ledger
from tests.campaigns import Campaign
from tests.ledger.books import an_append, audited, fill, open_ledger
from tests.ledger.faulty_vfs import Disk, Fault, failure, mounted

# Moves pages from the write-ahead log to the database every few commits, not every thousand pages,
# so that a short test goes through all that a long-lived ledger does.
OFTEN = "wal_autocheckpoint=24"
GROUP = 2


class Clerk:
    """Appends groups of entries to a ledger, and remembers which were acknowledged."""

    def __init__(self) -> None:
        self.version = 0
        self.acknowledged: set[UUID] = set()

    def append(self, ledger: Ledger) -> None:
        """Append one group; acknowledged, or LedgerError and to be tried again."""
        group = self.next()
        ledger.append_all([group])
        self.acknowledged |= set(group.event_ids)
        self.version += GROUP

    def next(self) -> Append:
        """The next group; the same ids for it however often it is tried."""
        made = [an_append("m", self.version + place) for place in range(GROUP)]
        return Append(
            stream="m",
            events=tuple(event for each in made for event in each.events),
            expected_version=self.version,
            event_ids=tuple(UUID(int=self.version + place) for place in range(GROUP)),
        )

    def catch_up(self, ledger: Ledger) -> None:
        """After a restart, go on from what the ledger holds; check that it is all there, whole."""
        ledger.audit()
        held = [item.event_id for item in ledger.replay("m")]
        assert held == [UUID(int=number) for number in range(len(held))]
        assert self.acknowledged <= set(held), "an acknowledged append is gone"
        assert len(held) % GROUP == 0, "half a group was written"
        assert len(held) <= self.version + GROUP, "more than the one that was in doubt"
        self.version = len(held)


def only(operation: str, at: int, error: Callable[[], Exception], *, lasting: bool) -> Fault:
    """A fault at the so-manieth operation of a kind: once, or from then on."""
    seen = 0

    def fault(what: str) -> None:
        nonlocal seen
        if what == operation:
            seen += 1
            if seen == at or (lasting and seen > at):
                raise error()

    return fault


def io_error() -> Exception:
    return failure(apsw.SQLITE_IOERR)


def disk_full() -> Exception:
    return failure(apsw.SQLITE_FULL)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a ledger with nothing in it yet."""
    folder = tmp_path_factory.mktemp("book")
    audited(folder / "ledger.db")
    return folder


@contextmanager
def on_a_disk(folder: Path, *pragmas: str, seed: int = 0) -> Iterator[tuple[Disk, Path]]:
    disk = Disk(folder, Random(seed))
    with mounted(disk, *pragmas):
        yield disk, folder / "ledger.db"


def appended(clerk: Clerk, path: Path, times: int) -> int:
    """Append so many groups, going on after errors; how many there were."""
    errors = 0
    with closing(open_ledger(path)) as ledger:
        for _ in range(times):
            try:
                clerk.append(ledger)
            except LedgerError:
                errors += 1
    return errors


def operations(book: Path, folder: Path, operation: str, times: int) -> int:
    """How many operations of a kind there are where nothing fails."""
    seen: list[str] = []
    with on_a_disk(shutil.copytree(book, folder), OFTEN) as (disk, path):
        disk.fault = seen.append
        assert appended(Clerk(), path, times) == 0
    return seen.count(operation)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from_then_on"])
@pytest.mark.parametrize("error", [io_error, disk_full])
@pytest.mark.parametrize("operation", ["sync", "write"])
def test_an_operation_that_fails_loses_nothing_acknowledged(
    book: Path,
    tmp_path: Path,
    operation: str,
    error: Callable[[], Exception],
    lasting: bool,
    campaign: Campaign,
) -> None:
    times, failed = 8, 0
    total = operations(book, tmp_path / "all-well", operation, times)
    assert total > times
    for number in campaign.sampled(total, every=5):
        clerk = Clerk()
        with on_a_disk(shutil.copytree(book, tmp_path / str(number)), OFTEN) as (disk, path):
            disk.fault = only(operation, number + 1, error, lasting=lasting)
            failed += appended(clerk, path, times) > 0
            with closing(open_ledger(path)) as ledger:
                disk.fault = lambda operation: None
                clerk.catch_up(ledger)
                clerk.append(ledger)
        with closing(open_ledger(path)) as ledger:
            clerk.catch_up(ledger)
        campaign.count(faults=1)
    assert failed > 0


def live_once(
    clerk: Clerk, folder: Path, seed: int, *pragmas: str, unreliable: float = 0.0
) -> Disk:
    """Open and append, again and again, until the power is cut; the disk as it is then."""
    random = Random(seed)
    cut, seen = random.randrange(1, 180), 0

    def fault(operation: str) -> None:
        nonlocal seen
        seen += 1
        if seen >= cut or (operation == "sync" and random.random() < unreliable):
            raise io_error()

    with on_a_disk(folder, *pragmas, seed=seed) as (disk, path):
        disk.fault = fault
        while seen < cut:
            with suppress(LedgerError), closing(open_ledger(path)) as one:
                clerk.catch_up(one)
                with closing(open_ledger(path)) as other:
                    for _ in range(random.randrange(1, 12)):
                        clerk.append(random.choice((one, other)))
    return disk


def after_power_loss(disk: Disk, clerk: Clerk, folder: Path) -> Path:
    """What the disk held, in a folder of its own, after the ledger was opened there once."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    disk.after_power_loss(folder)
    looked_at = shutil.copytree(folder, folder.with_name("looked-at"))
    with closing(open_ledger(looked_at / "ledger.db")) as ledger:
        clerk.catch_up(ledger)
    shutil.rmtree(looked_at)
    return folder


def generation(clerk: Clerk, folder: Path, number: int, unreliable: float) -> Iterator[int]:
    """Lives of one ledger, each ended by a power loss and the next begun on what that left."""
    before = folder / "empty"
    shutil.rmtree(before, ignore_errors=True)
    before.mkdir()
    for life in range(20):
        disk = live_once(clerk, before, 20 * number + life, OFTEN, unreliable=unreliable)
        before = after_power_loss(disk, clerk, folder / f"{life % 2}")
        yield life


def test_what_was_acknowledged_outlives_every_power_loss(
    tmp_path: Path, campaign: Campaign
) -> None:
    for number in range(campaign.rounds(3, of=100)):
        clerk = Clerk()
        for _ in generation(clerk, tmp_path, number, unreliable=0.0):
            campaign.count(power_losses=1)
        campaign.count(acknowledged_entries=len(clerk.acknowledged))
    assert campaign.tried["acknowledged_entries"] > 0


def test_what_was_acknowledged_outlives_failed_syncs_and_power_loss_or_its_loss_is_told(
    tmp_path: Path, campaign: Campaign
) -> None:
    """Syncs that fail leave pages in the system's cache that the disk hasn't got.

    Where several fail and then the power does, too, SQLite can't always put a database together
    again; it is refused then, never taken for the ledger.
    """
    for number in range(campaign.rounds(2, of=75)):
        clerk = Clerk()
        try:
            for _ in generation(clerk, tmp_path, number, unreliable=0.04):
                campaign.count(power_losses=1)
        except TamperedError:
            campaign.count(refused=1)
            shutil.rmtree(tmp_path / "looked-at")
        campaign.count(acknowledged_entries=len(clerk.acknowledged))
    assert campaign.tried["power_losses"] > 20 * campaign.tried["refused"]


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_without_syncs_a_power_loss_takes_what_was_acknowledged(
    tmp_path: Path, synchronous: str
) -> None:
    """So that the campaign above means something: the disk does lose what isn't synced."""
    lost = 0
    for seed in range(20):
        clerk, folder = Clerk(), tmp_path / str(seed)
        folder.mkdir()
        try:
            disk = live_once(clerk, folder, seed, OFTEN, f"synchronous={synchronous}")
            after_power_loss(disk, clerk, tmp_path / f"{seed}-after")
        except AssertionError as error:
            lost += "acknowledged append is gone" in str(error)
        except LedgerError:
            pass  # damaged, and told so
        finally:
            shutil.rmtree(tmp_path / "looked-at", ignore_errors=True)
    assert lost > 0


def test_a_full_disk_is_told_and_nothing_is_written(book: Path, tmp_path: Path) -> None:
    with on_a_disk(shutil.copytree(book, tmp_path / "book")) as (disk, path):
        with closing(open_ledger(path)) as ledger:
            fill(ledger, 3)
            disk.fault = only("write", 1, disk_full, lasting=True)
            for _ in range(3):
                with pytest.raises(LedgerError, match="the disk is full; nothing was written"):
                    fill(ledger, 1)
            assert ledger.audit().entries == 3
            disk.fault = lambda operation: None
            fill(ledger, 1)
        assert audited(path) == 4


_ON_A_SMALL_DISK = """
import sys
from contextlib import closing
from pathlib import Path
from auditor.errors import LedgerError, TamperedError
from tests.ledger.books import audited, fill, open_ledger

folder = Path(sys.argv[1])
path, ballast = folder / "ledger.db", folder / "ballast"
ballast.write_bytes(bytes(200_000))

def refused():
    with closing(open_ledger(path)) as ledger:
        try:
            fill(ledger, 100)
        except LedgerError as error:
            print(error)
        return ledger.audit().entries

size = refused()
assert refused() == size > 3
ballast.unlink()
with closing(open_ledger(path)) as ledger:
    fill(ledger, 3)
assert audited(path) == size + 3
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk of its own")
def test_a_real_disk_that_is_full_is_told_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=600k none "$1"'
    own = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    try:
        subprocess.run([*own, mount, "sh", tmp_path], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk may be mounted here")
    program = [sys.executable, "-c", _ON_A_SMALL_DISK, tmp_path]
    ran = subprocess.run(
        [*own, mount + ' && shift && exec "$@"', "sh", tmp_path, *program],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert len(said) == 2
    assert all("the disk is full; nothing was written; make room" in line for line in said)
