"""The one way a file of the home is written: whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _write_new(temporary, data, mode)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise HomeError(f"can't write {path}: {error.strerror or error}") from None


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut (POSIX: the folder is fsynced too)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
