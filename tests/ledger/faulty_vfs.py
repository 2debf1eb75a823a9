"""A disk that can fail and lose power, under SQLite, under the ledger as it is.

SQLite asks its operating system for everything through a VFS. The one here hands each request on to
real files and keeps book of what a real disk would hold for certain: what was synced. Writes that
weren't may be there after a power loss, or not, or in part; so may names in a folder that wasn't
synced. `sqlite3` can't be given a VFS, apsw can: while a `Disk` is `mounted`, every engine that
SQLAlchemy makes for a file in its folder gets a connection of apsw with the face of `sqlite3`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import apsw
from sqlalchemy import Engine, Pool, event

SECTORS = (512, 4096)  # what disks write whole or not at all

Fault: TypeAlias = Callable[[str], None]
"""Told of each operation (write, sync, truncate, delete) before it is done; raises to refuse it."""

_BASE = ""  # SQLite's own VFS
_LOGS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL
_numbers = count()


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes that were handed over and not synced."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A file's new length, not synced."""

    size: int


@dataclass(slots=True)
class Contents:
    """A file as the disk has it: what is certain, and what it was told since."""

    certain: bytearray
    told: list[Written | Cut] = field(default_factory=list)


def failure(code: int) -> apsw.Error:
    """The error by which a VFS tells SQLite of a failure."""
    error: apsw.Error = apsw.exception_for(code)
    return error


class Disk(apsw.VFS):
    """One folder on a disk of its own.

    Attributes:
        fault: told of each operation; by default nothing fails.
    """

    def __init__(self, folder: Path, random: Random) -> None:
        """Take over a folder; what lies in it is certain."""
        self.folder = folder
        self.random = random
        self.fault: Fault = lambda operation: None
        self.certain_names: dict[str, Contents] = {
            path.name: Contents(bytearray(path.read_bytes()))
            for path in sorted(folder.iterdir())
            if not path.name.endswith("-shm")
        }
        self.names = dict(self.certain_names)
        self.vfs_name = f"faulty-{next(_numbers)}"
        super().__init__(self.vfs_name, _BASE)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        """Open a file; SQLite's unnamed scratch files are nobody's business."""
        if name is None:
            return super().xOpen(name, flags)
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        contents = self.names.setdefault(path.name, Contents(bytearray()))
        return _File(self, contents, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        """Take a name away; for certain only if the folder is synced with it."""
        self.fault("delete")
        super().xDelete(filename, syncdir)
        self.names.pop(Path(filename).name, None)
        if syncdir:
            self.sync_names()

    def sync_names(self) -> None:
        """The folder itself was synced."""
        self.certain_names = dict(self.names)

    def after_power_loss(self, folder: Path) -> None:
        """Write what the disk may hold when the power is back into another folder."""
        keep = _keeping(self.random)
        for name in sorted(self.certain_names | self.names):
            before, now = self.certain_names.get(name), self.names.get(name)
            held = before if before is now else self.random.choice((before, now))
            if held is not None:
                _settle(held, self.random, keep)
                (folder / name).write_bytes(held.certain)
        for path in self.folder.glob("*-shm"):  # shared memory is a file, too; it is never synced
            if self.random.random() < 0.5:
                (folder / path.name).write_bytes(path.read_bytes())


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, contents: Contents, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._contents = contents
        # SQLite itself syncs the folder with the first sync of a journal or log that it opened
        self._syncs_names = bool(flags[0] & _LOGS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__(_BASE, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.fault("write")
        super().xWrite(data, offset)
        self._contents.told.append(Written(offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        self._disk.fault("truncate")
        super().xTruncate(newsize)
        self._contents.told.append(Cut(newsize))

    def xSync(self, flags: int) -> None:
        try:
            self._disk.fault("sync")
        except apsw.Error:
            # the system takes its cached pages for written after that, and won't write them again
            _settle(self._contents, self._disk.random, _keeping(self._disk.random))
            raise
        for change in self._contents.told:
            _apply(self._contents.certain, change)
        self._contents.told.clear()
        if self._syncs_names:
            self._syncs_names = False
            self._disk.sync_names()


Keep: TypeAlias = Callable[[], str]
"""What becomes of one sector: ``new`` or ``old`` contents, or ``garbage``."""


def _settle(contents: Contents, random: Random, keep: Keep) -> None:
    """Of what was told, make a part certain, sector by sector, and forget the rest."""
    sector = random.choice(SECTORS)
    for change in contents.told:
        if isinstance(change, Cut):
            if keep() == "new":
                _apply(contents.certain, change)
            continue
        for part in _sectors(change, sector):
            what = keep()
            if what == "garbage":
                part = Written(part.offset, random.randbytes(len(part.data)))
            if what != "old":
                _apply(contents.certain, part)
    contents.told.clear()


def _keeping(random: Random) -> Keep:
    """One of the ways in which a disk may lose what wasn't synced."""
    share = random.choice((0.0, 1.0, random.random()))
    if random.random() < 0.5:  # everything up to some moment, torn there, and nothing after it
        left = iter(["new"] * random.randrange(40) + ["garbage"] * random.randrange(2))
        return lambda: next(left, "old")
    garbage = random.choice((0.0, 0.1))

    def any_of_them() -> str:
        if random.random() < garbage:
            return "garbage"
        return "new" if random.random() < share else "old"

    return any_of_them


def _sectors(written: Written, sector: int) -> Iterable[Written]:
    start, stop = written.offset, written.offset + len(written.data)
    while start < stop:
        end = min(stop, (start // sector + 1) * sector)
        yield Written(start, written.data[start - written.offset : end - written.offset])
        start = end


def _apply(held: bytearray, change: Written | Cut) -> None:
    if isinstance(change, Cut):
        del held[change.size :]
        return
    held.extend(bytes(max(0, change.offset - len(held))))
    held[change.offset : change.offset + len(change.data)] = change.data


@contextmanager
def mounted(disk: Disk, *pragmas: str) -> Iterator[None]:
    """While this lasts, databases in the disk's folder lie on it.

    Args:
        pragmas: set on each connection after the ledger has set its own.
    """

    def connect(_dialect: Any, _record: Any, where: Sequence[Any], _how: Any) -> Connection | None:
        if Path(where[0]).parent != disk.folder:
            return None
        return Connection(where[0], disk.vfs_name)

    def checkout(connection: Any, _record: Any, _proxy: Any) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    with ExitStack() as stack:
        for target, name, listener in (
            (Engine, "do_connect", connect),
            (Pool, "checkout", checkout),
        ):
            event.listen(target, name, listener)
            stack.callback(event.remove, target, name, listener)
        stack.callback(disk.unregister)
        yield


@contextmanager
def _told_as_sqlite3_tells_it() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        refused = isinstance(error, apsw.ConstraintError)
        told = (sqlite3.IntegrityError if refused else sqlite3.OperationalError)(str(error))
        told.sqlite_errorcode = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
        raise told from None


class Connection:
    """As much of `sqlite3.Connection` as SQLAlchemy and the ledger use."""

    isolation_level = None
    text_factory: Any = str

    def __init__(self, path: str, vfs: str) -> None:
        with _told_as_sqlite3_tells_it():
            self._held = apsw.Connection(path, vfs=vfs)
        self._held.set_busy_timeout(1_000)

    def create_function(self, name: str, arguments: int, function: Any, **_: Any) -> None:
        self._held.create_scalar_function(name, function, arguments)

    def cursor(self) -> Cursor:
        return Cursor(self._held)

    def execute(self, statement: str, values: Any = ()) -> Cursor:
        return self.cursor().execute(statement, values)

    def executemany(self, statement: str, values: Iterable[Any]) -> Cursor:
        return self.cursor().executemany(statement, values)

    def commit(self) -> None:
        if self._held.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        if self._held.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        with suppress(
            apsw.Error
        ):  # SQLite closes even if it couldn't tidy up, and sqlite3 is silent
            self._held.close()


class Cursor:
    """As much of `sqlite3.Cursor`; rows are fetched at once."""

    arraysize = 1

    def __init__(self, held: apsw.Connection) -> None:
        self._held = held
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.description: Sequence[Any] | None = None
        self.rowcount = -1
        self.lastrowid = 0

    def execute(self, statement: str, values: Any = ()) -> Cursor:
        return self._run(statement, [values])

    def executemany(self, statement: str, values: Iterable[Any]) -> Cursor:
        return self._run(statement, values)

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows

    def close(self) -> None:
        self._rows = iter(())

    def _run(self, statement: str, sets: Iterable[Mapping[str, Any] | Sequence[Any]]) -> Cursor:
        cursor = self._held.cursor()
        cursor.exec_trace = self._describe
        with _told_as_sqlite3_tells_it():
            for values in sets:
                self._rows = iter(cursor.execute(statement, values).fetchall())
        self.rowcount = self._held.changes()
        self.lastrowid = self._held.last_insert_rowid()
        return self

    def _describe(self, cursor: apsw.Cursor, _statement: str, _values: Any) -> bool:
        self.description = [(name, *[None] * 6) for name, _ in cursor.get_description()] or None
        return True
