"""A ledger of version 0.1 that is in use while it is brought along, and one that loses power then.

Whoever opens the file first migrates it; what the rest see is the old version or the new one.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import apsw
import pytest

from auditor.errors import LedgerError
from auditor.proof.merkle import leaf_hash, root_of
from tests.campaigns import Campaign
from tests.ledger.books import open_ledger
from tests.ledger.faulty_vfs import Disk, failure, mounted

OLD = Path(__file__).parents[1] / "vectors" / "ledger-0.1.sql"
OLD_ENTRIES = 9


@pytest.fixture
def old_book(tmp_path: Path) -> Path:
    """A folder with a ledger as version 0.1 left it."""
    folder = tmp_path / "old"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(OLD.read_text(encoding="utf-8"))
    return folder


def entries(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [row[0] for row in connection.execute("SELECT entry FROM entry ORDER BY sequence")]


def definitions(path: Path) -> set[tuple[object, ...]]:
    """All tables with their columns, indices and triggers."""
    query = (
        'SELECT made.type, made.name, has.name, has.type, has."notnull" '
        "FROM sqlite_master made LEFT JOIN pragma_table_info(made.name) has"
    )
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute(query))


def changes_of_definitions(path: Path) -> int:
    """How often any of them was changed, in the life of a database."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA schema_version").fetchone()[0])


def bring_along(path: Path) -> None:
    """Open a ledger, audit it, and hold the root over the old entries against their bytes."""
    before = entries(path)[:OLD_ENTRIES]
    with closing(open_ledger(path)) as ledger:
        ledger.audit()
        assert ledger.root(OLD_ENTRIES) == root_of([leaf_hash(entry) for entry in before])
    assert entries(path)[:OLD_ENTRIES] == before


def test_a_migration_cut_short_anywhere_leaves_one_version_or_the_other(
    old_book: Path, tmp_path: Path, campaign: Campaign
) -> None:
    """At each write and sync the process dies, or the power goes with it."""
    total = cut_short(shutil.copytree(old_book, tmp_path / "whole"), at=0, seed=0)[1]
    old = definitions(old_book / "ledger.db")
    new = definitions(tmp_path / "whole" / "ledger.db")
    seen = set()
    for at in campaign.sampled(total, every=9):
        disk, _ = cut_short(shutil.copytree(old_book, tmp_path / f"cut-{at}"), at + 1, seed=at)
        dead = shutil.copytree(disk.folder, tmp_path / f"dead-{at}")
        dark = tmp_path / f"dark-{at}"
        dark.mkdir()
        disk.after_power_loss(dark)
        for path in (dead / "ledger.db", dark / "ledger.db"):
            found = definitions(path)
            assert found in (old, new), "half a migration"
            seen.add(found == new)
            bring_along(path)
            assert definitions(path) == new
            campaign.count(migrations_cut_short=1)
    assert False in seen
    if campaign.long:
        assert True in seen


def cut_short(folder: Path, at: int, seed: int) -> tuple[Disk, int]:
    """Open a ledger on a disk that does nothing any more from an operation on (0: never)."""
    disk, seen = Disk(folder, Random(seed)), 0

    def fault(_operation: str) -> None:
        nonlocal seen
        seen += 1
        if at and seen >= at:
            raise failure(apsw.SQLITE_IOERR)

    disk.fault = fault
    with mounted(disk), suppress(LedgerError), closing(open_ledger(folder / "ledger.db")) as ledger:
        ledger.audit()
    return disk, seen


# Opens the ledger when it is told to, and appends; says what the ledger refuses, if it does.
_USER = """
import sys
from contextlib import closing
from pathlib import Path
from tests.ledger.books import fill, open_ledger
print("ready", flush=True)
sys.stdin.readline()
with closing(open_ledger(Path(sys.argv[1]))) as ledger:
    ledger.audit()
    fill(ledger, 5, sys.argv[2])
    ledger.audit()
"""


def test_of_all_who_open_an_old_ledger_one_migrates_it_and_the_killed_harm_nobody(
    old_book: Path, tmp_path: Path, campaign: Campaign
) -> None:
    alone = shutil.copytree(old_book, tmp_path / "alone")
    bring_along(alone / "ledger.db")
    once = changes_of_definitions(alone / "ledger.db")
    for seed in range(campaign.rounds(1, of=20)):
        random = Random(seed)
        path = shutil.copytree(old_book, tmp_path / str(seed)) / "ledger.db"
        users = [
            subprocess.Popen(
                [sys.executable, "-c", _USER, path, f"user-{number}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(5)
        ]
        for user in users:
            assert user.stdout is not None and user.stdout.readline() == "ready\n"
        for user in users:
            assert user.stdin is not None
            user.stdin.write("go\n")
            user.stdin.flush()
        doomed, survivors = users[:2], users[2:]
        for user in doomed:
            time.sleep(random.uniform(0.0, 0.05))
            user.kill()
            campaign.count(kills=1)
        for user in users:
            user.communicate()
        assert [user.returncode for user in survivors] == [0] * 3
        bring_along(path)
        assert changes_of_definitions(path) == once
        with closing(open_ledger(path)) as ledger:
            assert ledger.size >= OLD_ENTRIES + 5 * len(survivors)
            assert all(ledger.version(f"user-{number}") == 5 for number in range(2, 5))
