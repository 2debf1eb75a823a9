"""The record of one unlearning run: where, with what, how long, from which weights to which.

Frozen into the store; its digest stands in the event. Counts and digests only: nothing in it tells
whose images they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.artefact import Digest


class MemoryOf(StrEnum):
    """What a peak of memory was measured over."""

    RUN = "run"
    """This run alone: the device's own count, or a resident set whose peak was reset before."""
    PROCESS = "process"
    """The whole life of the process: the system can't reset the peak; the run's is no larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of the run, by the name it was shown under."""

    name: str
    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Software the result may depend on; ``cuda`` is empty where there is none."""

    auditor: str
    python: str
    torch: str
    torchvision: str
    numpy: str
    cuda: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Determinism:
    """Whether the same run gives the same bits on this machine.

    Attributes:
        enforced: torch was told to use deterministic kernels wherever there are any.
        threads: of the processor; another number may round sums otherwise.
        tf32: matrix products or convolutions may round float32 to 19 bits.
        without_kernel: operations that ran and have no deterministic kernel; with any of them the
            same run may give other bits.
    """

    enforced: bool
    threads: int
    tf32: bool
    without_kernel: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """How many images the method was handed, and so at most touched."""

    forgotten: int
    retained: int
    unseen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run of one method.

    Attributes:
        parameters: as the plan pins them.
        seed: of whatever the method drew, as decimal text: it may pass 2^53.
        device: ``cpu`` or ``cuda:0``; ``processor`` is the name its maker gave it.
        phases: in order; what came before the first named one is called ``preparation``.
        peak_memory: bytes, of the device for a GPU, else the resident set.
        before: weights the run started from.
        after: weights it ended with.
    """

    method: str
    parameters: tuple[tuple[str, str], ...]
    seed: str
    device: str
    processor: str
    versions: Versions
    determinism: Determinism
    phases: tuple[Phase, ...]
    milliseconds: int
    peak_memory: int
    peak_memory_of: MemoryOf
    touched: Touched
    before: Digest
    after: Digest
