"""One process at a time trains, unlearns or accounts in a home, and one takes in requests."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

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
