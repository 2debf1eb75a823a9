"""Another database in the ledger's place, whole or in part: found before anything is signed.

A backup put back is in ``tests/cli/test_ledger.py``; here are the ways in which it goes wrong.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from auditor.cli.main import main
from auditor.workflow.homes.home import Home, create_home, open_home
from tests.ledger.books import fill

TAMPERED = 5


class Moment(NamedTuple):
    """The database's files at one moment; the log is there while somebody has it open."""

    database: bytes
    log: bytes

    @classmethod
    def of(cls, home: Home) -> Moment:
        log = home.root / "ledger.db-wal"
        return cls(
            (home.root / "ledger.db").read_bytes(), log.read_bytes() if log.exists() else b""
        )


class Life(NamedTuple):
    """A home after its last checkpoint, and what its database was at moments before."""

    home: Home
    before: Moment
    """Closed, and without what follows."""
    open: Moment
    """After more entries, while it was open."""
    closed: Moment
    """Closed after that."""
    last: Moment
    """While it was open for the entries after those; all were signed."""
    entries: list[bytes]


@pytest.fixture
def life(home: Home) -> Life:
    home.ledger.close()
    before = Moment.of(home)
    fill(home.ledger, 40)
    opened = Moment.of(home)
    home.ledger.close()
    closed = Moment.of(home)
    fill(home.ledger, 2, "other")
    last = Moment.of(home)
    assert signed(home) == 0
    entries = list(home.ledger.entries())
    home.close()
    return Life(home, before, opened, closed, last, entries)


def signed(home: Home) -> int:
    return main(["ledger", "checkpoint", "--home", str(home.root)])


def put(home: Home, database: bytes, log: bytes = b"") -> None:
    """Put files in the place of the ledger's."""
    home.close()
    for left in home.root.glob("ledger.db*"):
        left.unlink()
    (home.root / "ledger.db").write_bytes(database)
    if log:
        (home.root / "ledger.db-wal").write_bytes(log)


def require_found(home: Home, *, signing: int = TAMPERED) -> None:
    """Auditing and signing end with TAMPERED, and nothing is signed."""
    before = (home.checkpoints_path.read_bytes(), home.trust_path.read_bytes())
    assert main(["ledger", "audit", "--home", str(home.root)]) == TAMPERED
    assert signed(home) == signing
    assert (home.checkpoints_path.read_bytes(), home.trust_path.read_bytes()) == before


MIXED: dict[str, Callable[[Life], tuple[bytes, bytes]]] = {
    "an empty file": lambda life: (b"", b""),
    "half a file": lambda life: (life.last.database[: len(life.last.database) // 2], b""),
    "an old file": lambda life: (life.before.database, b""),
    "a new file with an old log": lambda life: (life.last.database, life.open.log),
    "an open file without its log": lambda life: (life.open.database, b""),
    "a closed file without the last log": lambda life: (life.closed.database, b""),
}


@pytest.mark.parametrize("mixed", MIXED)
def test_files_of_different_moments_are_not_taken_for_the_ledger(life: Life, mixed: str) -> None:
    assert all(life.open) and all(life.last) and not life.closed.log
    put(life.home, *MIXED[mixed](life))
    require_found(life.home)


def test_an_old_file_with_a_new_log_is_found_by_the_audit(life: Life) -> None:
    """The log brings the newest frontier along, which is what was signed; the entries are gone."""
    put(life.home, life.before.database, life.last.log)
    require_found(life.home, signing=0)


def test_a_file_with_its_own_log_is_the_ledger(life: Life) -> None:
    """So that the files above mean something."""
    put(life.home, *life.last)
    assert main(["ledger", "audit", "--home", str(life.home.root)]) == 0
    assert list(life.home.ledger.entries()) == life.entries
    life.home.close()


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """Another home, with a longer ledger."""
    made = create_home(tmp_path / "other", controller="St. Other", dpo="DPO office")
    fill(made.ledger, 50)
    return made


def test_another_homes_database_is_not_taken_for_the_ledger(life: Life, other: Home) -> None:
    other.close()
    put(life.home, *Moment.of(other))
    require_found(life.home)


def test_another_databases_log_is_not_taken_for_the_ledgers(life: Life, other: Home) -> None:
    log = Moment.of(other).log
    assert log
    other.close()
    put(life.home, life.last.database, log)
    require_found(life.home)


def test_a_clone_that_goes_on_signing_is_found_where_they_meet(life: Life, tmp_path: Path) -> None:
    """Both have the keys, and each is a good ledger by itself; together they can't be one."""
    cloned = Path(shutil.copytree(life.home.root, tmp_path / "clone"))
    clone = open_home(cloned)
    for home, count in ((life.home, 3), (clone, 5)):
        fill(home.ledger, count, "after")
        home.close()
        assert signed(home) == 0
    note = clone.checkpoints_path.read_bytes()
    clone.checkpoints_path.write_bytes(life.home.checkpoints_path.read_bytes())
    require_found(clone)
    clone.checkpoints_path.write_bytes(note)
    put(life.home, *Moment.of(clone))
    require_found(life.home)
