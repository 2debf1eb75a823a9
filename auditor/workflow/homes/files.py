"""The one way a file or a folder of ours is written: whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from auditor.errors import HomeError

OWNER_ONLY = 0o600
READABLE = 0o644


def write_file(path: Path, data: bytes, *, mode: int = READABLE) -> None:
    """Write ``data`` under a temporary name, fsync it, rename it into place, fsync the folder.

    After a crash at any point ``path`` holds either what it held before or all of ``data``. The
    file has its final mode from the first byte on, so a key is never readable by others.

    Raises:
        HomeError: the file can't be written (disk full, folder not writable).
    """
    write_pieces(path, [data], mode=mode)


def write_pieces(path: Path, pieces: Iterable[bytes], *, mode: int = READABLE) -> None:
    """Write pieces one after another, as `write_file` does: whole, or not at all.

    Raises:
        HomeError: the file can't be written (disk full, folder not writable).
    """
    with whole_file(path, mode=mode) as file:
        file.writelines(pieces)


@contextmanager
def whole_file(path: Path, *, mode: int = READABLE) -> Iterator[IO[bytes]]:
    """A file to write to that gets its name at the end, as `write_file` does it.

    Raises:
        HomeError: the file can't be written (disk full, folder not writable), or something else
            goes by that name, such as a device.
    """
    path = _followed(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _new(temporary, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise HomeError(f"can't write {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # a name that can't be written to can't be removed either
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path, what: str) -> Iterator[Path]:
    """A folder to be filled that gets its name at the end: it appears whole or not at all.

    Args:
        folder: absolute; nothing, or an empty folder, may be there.
        what: names it in messages, e.g. ``home``.

    Raises:
        HomeError: there is something already, or it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise HomeError(f"{folder} isn't empty; name another folder for the new {what}")
    making = folder.with_name(f".{folder.name}.{os.getpid()}.making")
    try:
        making.mkdir(parents=True)
        yield making
        making.replace(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise HomeError(f"can't make a {what} at {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut (POSIX: the folder is fsynced too)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _followed(path: Path) -> Path:
    """What a link leads to, so that the link stays; a device or a pipe can't be replaced."""
    try:
        path = path.resolve() if path.is_symlink() else path
        if path.is_symlink():  # of links in a circle Python 3.13 and later say nothing
            raise HomeError(f"can't write {path}: it leads to itself")
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise HomeError(f"{path} is no file; name another")
    except (OSError, RuntimeError) as error:
        raise HomeError(f"can't write {path}: {error}") from None
    return path


def _new(path: Path, mode: int) -> IO[bytes]:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")
