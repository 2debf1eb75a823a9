"""Seconds per phase and the peak of memory of a run, taken without the method's help."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from auditor.domain.run_record import MemoryOf, Phase
from auditor.learning.progress import Progress

PREPARATION = "preparation"
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): resets the peak resident set size of the process
_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class Stopwatch:
    """A `Progress` that passes on what it is told and keeps the time each phase took.

    A phase lasts from the first word about it until the first word about another one; taken up
    again, its times add up.
    """

    def __init__(self, onward: Progress, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Start the clock."""
        self._onward = onward
        self._clock = clock
        self._phase = PREPARATION
        self._since = self._started = clock()
        self._taken: dict[str, int] = {}

    def __call__(self, phase: str, done: int, total: int, /) -> None:
        """Note a change of phase, then tell whoever watches."""
        if phase != self._phase:
            self._turn(phase)
        self._onward(phase, done, total)

    def stop(self) -> tuple[tuple[Phase, ...], int]:
        """The phases in order and the whole, in milliseconds."""
        self._turn(self._phase)
        phases = tuple(
            Phase(name=name, milliseconds=round(taken / 1e6)) for name, taken in self._taken.items()
        )
        return phases, round((self._since - self._started) / 1e6)

    def _turn(self, phase: str) -> None:
        now = self._clock()
        self._taken[self._phase] = self._taken.get(self._phase, 0) + now - self._since
        self._phase, self._since = phase, now


class PeakMemory:
    """The peak of memory from now on: of the GPU a run is on, else of the process."""

    def __init__(self, device: torch.device) -> None:
        """Forget earlier peaks where the system lets us."""
        self._device = device
        self._of = MemoryOf.RUN
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
        except OSError:  # no such file beyond Linux, and not every container may write it
            self._of = MemoryOf.PROCESS

    def read(self) -> tuple[int, MemoryOf]:
        """Bytes, and what they are the peak of."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device), self._of
        if self._of is MemoryOf.RUN:
            status = _STATUS.read_text("ascii", "replace")  # holds the program's name, too
            if found := _PEAK.search(status):
                return 1024 * int(found[1]), self._of
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest * (1 if sys.platform == "darwin" else 1024), MemoryOf.PROCESS
