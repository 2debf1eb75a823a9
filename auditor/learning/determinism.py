"""Same seed, same bits: one thread, deterministic kernels, the caller's settings restored."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from auditor.domain.run_record import Determinism

_LACKING = re.compile(r"(\S+) does not have a deterministic implementation")
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"  # cuBLAS repeats its sums only with this, and reads it once
_UNSURE = "cublas"

_started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch leaves it bare
_late = _started and _WORKSPACE not in os.environ
os.environ.setdefault(_WORKSPACE, ":4096:8")


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread with deterministic kernels.

    Sums over several threads round differently from one thread count to the next; a third party
    who replays a training must not depend on the number of cores. An operation without a
    deterministic kernel raises RuntimeError, but inside `deterministic` it is noted.
    """
    threads = torch.get_num_threads()
    enforced = torch.are_deterministic_algorithms_enabled()
    noting = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=noting)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enforced, warn_only=noting)
        torch.set_num_threads(threads)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Noted:
    """What `deterministic` sees; it goes on filling until its end."""

    tf32: bool
    unsure: frozenset[str]
    warned: list[warnings.WarningMessage]

    def found(self) -> Determinism:
        """The settings, and the operations so far that have no deterministic kernel."""
        texts = [_LACKING.search(str(item.message)) for item in self.warned]
        lacking = self.unsure | {found[1] for found in texts if found}
        return Determinism(
            enforced=True, threads=1, tf32=self.tf32, without_kernel=tuple(sorted(lacking))
        )


@contextmanager
def deterministic(device: torch.device) -> Iterator[Noted]:
    """As `one_thread`, but an operation without a deterministic kernel is noted, not refused.

    Where a GPU was at work before this module was first imported, cuBLAS may have chosen its
    workspace already, and is noted. Other warnings are given when it ends.
    """
    cuda = device.type == "cuda"
    benchmark = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False  # it picks kernels by the clock
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.filterwarnings("always", message=f".*{_LACKING.pattern}")
            with one_thread():
                torch.use_deterministic_algorithms(True, warn_only=True)
                unsure = frozenset({_UNSURE} if cuda and _late else ())
                yield Noted(tf32=cuda and _tf32(), unsure=unsure, warned=warned)
    finally:
        torch.backends.cudnn.benchmark = benchmark
    for item in warned:
        if not _LACKING.search(str(item.message)):
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)


def _tf32() -> bool:
    return torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
