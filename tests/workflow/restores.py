"""A home whose database is put back to what it was: the state that `recover` is for."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from auditor.errors import TamperedError
from auditor.ledger.ledger import Ledger
from auditor.ledger.sql import SqlEventStore
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.log.book import audit_ledger
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.publishing import export_ledger
from auditor.workflow.log.recovery import Recovered, recover
from tests.ledger.books import fill

BEFORE, SIGNED = 11, 41


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A home that was put back, and what is known of what it was.

    Attributes:
        home: its database is that of before; signed were `SIGNED` entries.
        newer: the home as it was, a backup of which entries can be put back from.
        export: what was published.
        entries: of the ledger as it was.
    """

    home: Home
    newer: Path
    export: Path
    entries: list[bytes]

    def write_on(self, count: int = 3) -> None:
        """Append past the guard, as somebody would who has the database and nothing else."""
        books = Ledger(SqlEventStore(self.home.database))
        fill(books, count, "past-the-guard")
        books.close()

    def now(self) -> list[bytes]:
        """The entries that are there."""
        opened = open_home(self.home.root)
        try:
            return list(opened.ledger.entries())
        finally:
            opened.close()


def live(folder: Path, prepare: Callable[[Home], None] = lambda home: None) -> Path:
    """A home's life in a folder, to be copied: `BEFORE` entries, then `SIGNED`, then exported."""
    home = create_home(folder / "home", controller="St. Example", dpo="DPO office")
    prepare(home)
    fill(home.ledger, BEFORE - home.ledger.size)
    record_checkpoint(home)
    home.close()
    shutil.copytree(home.root, folder / "older")
    fill(home.ledger, SIGNED - BEFORE, "more")
    export_ledger(home, folder / "export")
    home.close()
    home.root.rename(folder / "newer")
    return folder


def restored(life: Path, folder: Path, *, whole: bool = False) -> Restored:
    """A home put back to `BEFORE` entries after `SIGNED` were signed.

    Args:
        life: what `live` made.
        folder: where a copy of it is made.
        whole: whether all of the home was put back, not only the database.
    """
    shutil.copytree(life, folder, dirs_exist_ok=True)
    newer, root = open_home(folder / "newer"), folder / "home"
    entries = list(newer.ledger.entries())
    newer.close()
    shutil.copytree(folder / ("older" if whole else "newer"), root)
    if not whole:
        put(folder / "older", root)
    return Restored(
        home=open_home(root), newer=newer.root, export=folder / "export", entries=entries
    )


def put(source: Path, target: Path) -> None:
    """Put one home's database in the place of another's."""
    for path in target.glob("ledger.db*"):
        path.unlink()
    shutil.copy(source / "ledger.db", target / "ledger.db")


def with_a_byte_changed(database: Path, sequence: int) -> None:
    """Change one byte of one stored entry, the triggers that would object taken away first."""
    with closing(sqlite3.connect(database)) as connection, connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        query = "SELECT entry FROM entry WHERE sequence = ?"
        (stored,) = connection.execute(query, (sequence,)).fetchone()
        changed = bytearray(stored)
        changed[len(changed) // 2] ^= 1
        connection.execute(
            "UPDATE entry SET entry = ? WHERE sequence = ?", (bytes(changed), sequence)
        )
    connection.close()


def run(
    home: Home, source: Path | None = None, *known: Path, new_origin: bool = False
) -> Recovered:
    return recover(home, source=source, known=known, new_origin=new_origin)


def require_untouched(made: Restored) -> None:
    """Nothing was appended, and nothing may be."""
    assert made.now() == made.entries[:BEFORE]
    with pytest.raises(TamperedError, match="read-only"):
        fill(made.home.ledger, 1)


def require_whole(made: Restored) -> None:
    """The same ledger as before, byte for byte, which goes on."""
    assert made.now() == made.entries
    assert audit_ledger(made.home)["checkpoint"] == SIGNED
    fill(made.home.ledger, 1)
    assert record_checkpoint(made.home).found.checkpoint.size == SIGNED + 1
    made.home.close()
