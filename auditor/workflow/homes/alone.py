"""One process at a time trains, unlearns or accounts in a home, and one takes in requests."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from auditor.errors import HomeError
from auditor.workflow.homes.home import Home


@contextmanager
def alone(home: Home, work: str = "run") -> Iterator[None]:
    """Hold the home's lock for one kind of work (released by the system if the process dies).

    Raises:
        HomeError: another process holds it.
    """
    with (home.root / f"{work}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeError(
                f"another {work} is working in {home.root}; wait for it to end"
            ) from None
        yield


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Wait for whoever holds this lock file, and hold it.

    Raises:
        HomeError: it can't be written.
    """
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(path.open("a"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise HomeError(f"can't lock {path.parent}: {error.strerror}") from None
        yield
