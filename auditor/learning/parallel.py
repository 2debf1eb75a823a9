"""Many small models at once: one single-threaded process per core.

For nets this small one thread per model is far faster than many threads on one. Each model is a
file that appears whole; a run that was stopped keeps the files it finished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from auditor.domain.artefact import digest_of
from auditor.learning.datasets import ImageSet
from auditor.learning.recipe import Recipe
from auditor.learning.store import write_atomically
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes

_shared: list[ImageSet] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """One model to train; ``name`` is for people, the file's name also says what it is made of."""

    name: str
    recipe: Recipe
    indices: tuple[int, ...]
    seed: int

    @property
    def file_name(self) -> str:
        """Name that changes with anything the model depends on but the images themselves."""
        made_of = digest_of([str(self.recipe.digest), list(self.indices), str(self.seed)])
        return f"{self.name}-{made_of.value[:16]}.safetensors"


def train_many(
    jobs: Sequence[TrainingJob],
    images: ImageSet,
    *,
    folder: Path,
    workers: int,
    progress: Callable[[int, int], None],
) -> list[Path]:
    """Train every job whose file isn't in ``folder`` yet.

    Args:
        progress: told how many of how many are done.

    Returns:
        The jobs' safetensors files, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / job.file_name for job in jobs]
    open_jobs = [(job, path) for job, path in zip(jobs, paths, strict=True) if not path.exists()]
    if not open_jobs:
        return paths
    done = len(jobs) - len(open_jobs)
    progress(done, len(jobs))
    with ProcessPoolExecutor(
        min(workers, len(open_jobs)),
        mp_context=get_context("spawn"),
        initializer=_receive,
        initargs=(_copy(images),),
    ) as pool:
        futures = [pool.submit(_train_one, job, path) for job, path in open_jobs]
        try:
            for future in as_completed(futures):
                future.result()
                done += 1
                progress(done, len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return paths


def _copy(images: ImageSet) -> ImageSet:
    """To send away: torch moves what it sends to shared memory, under any NumPy view of it."""
    return replace(images, images=images.images.clone(), labels=images.labels.clone())


def _receive(images: ImageSet) -> None:
    import torch

    torch.set_num_threads(1)
    _shared.append(images)


def _train_one(job: TrainingJob, path: Path) -> None:
    module = train(job.recipe, _shared[0], job.indices, job.seed)
    write_atomically(path, weights_bytes(module))
