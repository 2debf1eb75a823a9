"""Copies of a ledger that somebody puts entries back from: an export, or a backup's database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from auditor.errors import LedgerError, MisuseError, ProofError
from auditor.given import require_ends
from auditor.ledger.ledger import Ledger
from auditor.ledger.sql import SqlEventStore
from auditor.ledger.tiles import TileReader
from auditor.proof.equivocation import Tree
from auditor.workflow.homes.files import OWNER_ONLY
from auditor.workflow.homes.home import DATABASE, Home
from auditor.workflow.log.comparing import ExportedTree

COPY = ".recovering"


class Source(Tree, Protocol):
    """Somebody's copy of the ledger, entries included."""

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """The entries from one on."""


def require_holds_no_more(home: Home, source: Path) -> None:
    """See that a copy is one of this ledger, and holds no entry that the ledger lacks.

    Raises:
        MisuseError: as `opened_copy`.
        LedgerError: it holds no ledger, another one, or more than this one.
    """
    with opened_copy(home, source) as tree:
        try:
            size, here = tree.size, home.ledger.size
            both = min(size, here)
            agree = tree.root(both) == home.ledger.root(both)
        except (LedgerError, ProofError) as error:
            raise LedgerError(f"{source} can't be put back from: {error}") from None
        if not size:
            raise LedgerError(f"{source} can't be put back from: it holds no ledger")
        if not agree:
            raise LedgerError(f"{source} is no copy of this ledger; its entries are others")
        if size > here:
            raise LedgerError(
                f"{source} holds {size - here} entries more, which no checkpoint at hand covers: "
                "name one that does (--known FILE, such as the newer trust.json), or go on "
                "without them (no --from)"
            )


def copy_named(source: Path) -> Path:
    """An exported folder or a database file; of an unpacked backup its database file."""
    database = source / DATABASE
    return database if database.is_file() else source


@contextmanager
def opened_copy(home: Home, source: Path) -> Iterator[Source]:
    """An exported folder as it is; of a database file a copy, for opening one may change it.

    The copy holds payloads, so it lies in the home and nowhere else.

    Raises:
        MisuseError: there is no such file, or it can't be read.
    """
    if source.is_dir():
        yield ExportedTree(TileReader(source))
        return
    folder = home.root / COPY
    try:
        _copy_database(source, folder)
        ledger = Ledger(SqlEventStore(f"sqlite:///{folder / 'ledger.db'}"))
        try:
            yield ledger
        finally:
            ledger.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_database(source: Path, folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
        for suffix in ("", "-wal"):
            path = source.with_name(source.name + suffix)
            if path.exists() or not suffix:
                require_ends(path)
                shutil.copyfile(path, folder / f"ledger.db{suffix}")
                (folder / f"ledger.db{suffix}").chmod(OWNER_ONLY)
    except OSError as error:
        raise MisuseError(
            f"can't read {source}: {error.strerror or error}; name an exported folder or a "
            "database file"
        ) from None
