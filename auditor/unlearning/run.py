"""One run of one method, and its record."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy
import torch
from torch import nn

from auditor import __version__
from auditor.domain.artefact import Digest
from auditor.domain.run_record import RunRecord, Touched, Versions
from auditor.errors import UnlearningError
from auditor.learning.determinism import deterministic
from auditor.learning.starting import starting_weights
from auditor.unlearning.stopwatch import PeakMemory, Stopwatch
from auditor.unlearning.task import Method, Task


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What a run made: the candidate and how it came about."""

    module: nn.Module
    record: RunRecord


def run(
    method: Method,
    task: Task,
    parameters: Mapping[str, str],
    *,
    digest: Callable[[nn.Module], Digest],
) -> Run:
    """Run a method with deterministic kernels, wherever the task's module lies.

    Args:
        digest: of a module's weights, as the store names them.

    Raises:
        UnlearningError: as `Method.run`; or the network starts from weights of before, which no
            method makes forget. A run that failed has no record.
    """
    if found := starting_weights(task.recipe):
        raise UnlearningError(
            f"{task.recipe.architecture} starts from weights of before ({found[0]}), and the "
            "forgotten may be in them; no method is run"
        )
    device = next(task.module.parameters()).device
    before = digest(task.module)
    memory, watch = PeakMemory(device), Stopwatch(task.progress)
    with deterministic(device) as kept:
        module = method.run(replace(task, progress=watch), parameters)
    phases, milliseconds = watch.stop()
    peak, peak_of = memory.read()
    return Run(
        module=module,
        record=RunRecord(
            method=method.name,
            parameters=tuple(sorted(parameters.items())),
            seed=str(task.seed),
            device=str(device),
            processor=_processor(device),
            versions=_versions(),
            determinism=kept.found(),
            phases=phases,
            milliseconds=milliseconds,
            peak_memory=peak,
            peak_memory_of=peak_of,
            touched=Touched(
                forgotten=len(task.forget), retained=len(task.retain), unseen=len(task.unseen)
            ),
            before=before,
            after=digest(module),
        ),
    )


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def _versions() -> Versions:
    import torchvision  # here, as it takes as long to read as torch itself

    return Versions(
        auditor=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        torchvision=torchvision.__version__,
        numpy=numpy.__version__,
        cuda=torch.version.cuda or "",
    )
