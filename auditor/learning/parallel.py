"""Many small models at once: one single-threaded process per core, or stacks of them on a GPU.

For nets this small one thread per model is far faster than many threads on one. Each model is a
file that appears whole; a run that was stopped keeps the files it finished. The models of a stack
round as their number has it, so a stack of which one file is missing is trained again as a whole,
and what a model is doesn't hang on where a run was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import torch

from auditor.domain.artefact import Digest, digest_of
from auditor.learning.datasets import ImageSet
from auditor.learning.determinism import deterministic
from auditor.learning.ensemble import Member, can_stack, train_stacked
from auditor.learning.recipe import Recipe
from auditor.learning.store import write_atomically
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes

_GPU_STACK = 32

_shared: list[ImageSet] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """One model to train; ``name`` is for people, the file's name also says what it is made of.

    Attributes:
        data: the data set that the images are of; None where a folder never holds models of two.
    """

    name: str
    recipe: Recipe
    indices: tuple[int, ...]
    seed: int
    data: Digest | None = None

    @property
    def file_name(self) -> str:
        """Name that changes with anything the model depends on."""
        made_of = digest_of(
            [str(self.data), str(self.recipe.digest), list(self.indices), str(self.seed)]
        )
        return f"{self.name}-{made_of.value[:16]}.safetensors"


_Stack = Sequence[tuple[TrainingJob, Path]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What models are trained on.

    Attributes:
        workers: processes on a CPU.
        stack: models of one recipe that are trained as one; 1 for each by itself.
    """

    device: torch.device
    workers: int = 1
    stack: int = 1


def choose_where(workers: int) -> Where:
    """The GPU in stacks where there is one, else so many processes.

    On a CPU a stack pays for the smallest nets only (`benchmarks/bank.py`), and one model per
    process comes out bit for bit as `training.train` makes it.
    """
    if torch.cuda.is_available():
        return Where(device=torch.device("cuda"), stack=_GPU_STACK)
    return Where(device=torch.device("cpu"), workers=workers)


def train_many(
    jobs: Sequence[TrainingJob],
    images: ImageSet,
    *,
    folder: Path,
    where: Where,
    progress: Callable[[int, int], None],
) -> list[Path]:
    """Train every job whose file isn't in ``folder`` yet.

    Args:
        progress: told how many of how many are done.

    Returns:
        The jobs' safetensors files, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stacks = [
        [(job, folder / job.file_name) for job in stack] for stack in _stacks(jobs, where.stack)
    ]
    left = [stack for stack in stacks if not all(path.exists() for _, path in stack)]
    done = len(jobs) - sum(len(stack) for stack in left)
    if left:
        progress(done, len(jobs))

    def tell(trained: int) -> None:
        nonlocal done
        done += trained
        progress(done, len(jobs))

    workers = min(where.workers, len(left)) if where.device.type == "cpu" else 1
    if workers > 1:
        _in_processes(left, images, workers, tell)
    else:
        for stack in left:
            tell(_train_stack(stack, images, where.device))
    return [folder / job.file_name for job in jobs]


def _stacks(jobs: Sequence[TrainingJob], size: int) -> Iterator[list[TrainingJob]]:
    """Jobs in order, so many of one recipe together; each alone where it can't be stacked."""
    for recipe, alike in groupby(jobs, key=lambda job: job.recipe):
        each = list(alike)
        most = size if size > 1 and can_stack(recipe) else 1
        yield from (each[start : start + most] for start in range(0, len(each), most))


def _in_processes(
    stacks: Sequence[_Stack], images: ImageSet, workers: int, tell: Callable[[int], None]
) -> None:
    with ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=_receive,
        initargs=(_copy(images),),
    ) as pool:
        futures = [pool.submit(_train_here, stack) for stack in stacks]
        try:
            for future in as_completed(futures):
                tell(future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _copy(images: ImageSet) -> ImageSet:
    """To send away: torch moves what it sends to shared memory, under any NumPy view of it."""
    return replace(images, images=images.images.clone(), labels=images.labels.clone())


def _receive(images: ImageSet) -> None:
    torch.set_num_threads(1)
    _shared.append(images)


def _train_here(stack: _Stack) -> int:
    return _train_stack(stack, _shared[0], torch.device("cpu"))


def _train_stack(stack: _Stack, images: ImageSet, device: torch.device) -> int:
    """Train a stack and write its files; returns how many models those are."""
    job, _ = stack[0]
    with deterministic(device):
        if len(stack) == 1:
            modules = [train(job.recipe, images, job.indices, job.seed, device=device)]
        else:
            members = [Member(indices=job.indices, seed=job.seed) for job, _ in stack]
            modules = train_stacked(job.recipe, images, members, device=device)
    for module, (_, path) in zip(modules, stack, strict=True):
        write_atomically(path, weights_bytes(module))
    return len(stack)
