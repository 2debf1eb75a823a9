"""Many models into files: in stacks, in processes, and after a stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from auditor.domain.artefact import Digest
from auditor.errors import ModelError
from auditor.learning import parallel
from auditor.learning.parallel import TrainingJob, Where, choose_where, train_many
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.learning.weights import load_weights, weights_bytes
from tests.learning.noise import DROPPING, noise

RECIPE = Recipe(input_size=16, width=4, epochs=1, batch_size=5)
NORMED = Recipe(architecture=DROPPING, input_size=16, epochs=1, factories=(DROPPING,))
IMAGES = noise(patients=10)
CPU = torch.device("cpu")
SIX = [
    TrainingJob(name="m", recipe=RECIPE, indices=tuple(range(8 + seed)), seed=seed)
    for seed in range(6)
]


def trained(jobs: list[TrainingJob], folder: Path, where: Where) -> list[bytes]:
    paths = train_many(jobs, IMAGES, folder=folder, where=where, progress=lambda *_: None)
    return [path.read_bytes() for path in paths]


def alone(job: TrainingJob) -> dict[str, torch.Tensor]:
    return train(job.recipe, IMAGES, job.indices, job.seed).state_dict()


def test_stacks_in_processes_give_the_models_that_training_alone_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "_train_stack", None)  # of this process; others do the work
    seen: list[tuple[int, int]] = []
    where = Where(device=CPU, workers=2, stack=4)
    paths = train_many(
        SIX, IMAGES, folder=tmp_path, where=where, progress=lambda *told: seen.append(told)
    )
    assert seen[0] == (0, 6) and seen[-1] == (6, 6) and len(seen) == 3  # a stack of 4, one of 2
    for job, path in zip(SIX, paths, strict=True):
        state = load_weights(RECIPE, path.read_bytes()).state_dict()
        for name, value in alone(job).items():
            assert torch.allclose(state[name], value, atol=5e-6)


def test_a_stack_with_a_file_missing_is_trained_again_as_a_whole_to_the_same_bits(
    tmp_path: Path,
) -> None:
    where = Where(device=CPU, workers=1, stack=3)
    before = trained(SIX, tmp_path, where)
    whole = [(tmp_path / job.file_name).stat().st_mtime_ns for job in SIX[:3]]
    (tmp_path / SIX[4].file_name).unlink()
    assert trained(SIX, tmp_path, where) == before
    assert [(tmp_path / job.file_name).stat().st_mtime_ns for job in SIX[:3]] == whole


def test_models_of_other_pictures_arent_taken_for_ones_own(tmp_path: Path) -> None:
    """Two data sets of one shape, registered with the same weights, keep their models together."""
    where, progress = Where(device=CPU), lambda *_: None
    other = noise(patients=10, seed=2)
    ours, theirs = (replace(SIX[0], data=Digest.of(name)) for name in (b"ours", b"theirs"))
    (first,) = train_many([ours], IMAGES, folder=tmp_path, where=where, progress=progress)
    (second,) = train_many([theirs], other, folder=tmp_path, where=where, progress=progress)
    assert first.read_bytes() == weights_bytes(train(RECIPE, IMAGES, ours.indices, ours.seed))
    assert second.read_bytes() == weights_bytes(train(RECIPE, other, ours.indices, ours.seed))


def test_recipes_are_stacked_apart_and_those_that_cannot_be_each_alone(tmp_path: Path) -> None:
    jobs = [
        *SIX[:2],
        *(
            TrainingJob(name="n", recipe=NORMED, indices=tuple(range(10)), seed=seed)
            for seed in range(2)
        ),
    ]
    seen: list[int] = []
    where = Where(device=CPU, workers=1, stack=8)
    paths = train_many(
        jobs, IMAGES, folder=tmp_path, where=where, progress=lambda done, _: seen.append(done)
    )
    assert seen == [0, 2, 3, 4]
    for job, path in zip(jobs[2:], paths[2:], strict=True):
        assert path.read_bytes() == weights_bytes(
            train(NORMED, IMAGES, job.indices, job.seed)
        )  # bit for bit


def test_a_job_that_fails_leaves_no_file_and_says_so(tmp_path: Path) -> None:
    empty = TrainingJob(name="m", recipe=RECIPE, indices=(), seed=1)
    with pytest.raises(ModelError, match="nothing to train on"):
        trained([empty, SIX[0]], tmp_path, Where(device=CPU, workers=1, stack=2))
    assert not list(tmp_path.iterdir())


def test_without_a_gpu_every_core_trains_one_model_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_where(3) == Where(device=CPU, workers=3, stack=1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = choose_where(3)
    assert found.device.type == "cuda" and found.stack > 1
