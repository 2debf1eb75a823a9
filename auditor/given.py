"""Files that somebody named: opened at once, and only what has an end.

A named pipe keeps its reader waiting for whoever may never write, a device may give bytes for ever.
Pipes of the shell's own, as in ``<(command)``, lie under ``/dev`` and are written to already.
"""

from __future__ import annotations

import errno
import stat
from io import BufferedReader
from pathlib import Path


def require_ends(path: Path) -> None:
    """See that whoever reads a file comes to its end.

    Raises:
        OSError: there is none, or it is a pipe or a device.
    """
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode) and not path.absolute().is_relative_to("/dev"):
        raise OSError(errno.EINVAL, "a named pipe; give a file")
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "a device; give a file")


def open_given(path: Path) -> BufferedReader:
    """Open a file for reading.

    Raises:
        OSError: it can't be read, or is a pipe or a device.
    """
    require_ends(path)
    return path.open("rb")


def read_given(path: Path, most: int | None = None) -> bytes:
    """All of a file, of at most so many bytes.

    Raises:
        OSError: as `open_given`, or it is larger.
    """
    with open_given(path) as file:
        content = file.read() if most is None else file.read(most + 1)
    if most is not None and len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {_size(most)}")
    return content


def _size(most: int) -> str:
    return f"{most >> 20} MiB" if most >= 1 << 20 else f"{most} bytes"
