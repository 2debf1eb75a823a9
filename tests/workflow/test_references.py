"""Measuring a model: the same bits whatever the number of threads."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from auditor.domain.artefact import Digest
from auditor.learning.datasets import ImageSet
from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.verification.measurements import Measurements
from auditor.workflow.audit.references import measure_all, train_models
from auditor.workflow.erasure.remeasuring import Lent
from tests.workflow.trained import phantom_scene

RECIPE = Recipe(input_size=32, width=16)
COUNT = 64
SMALL = Recipe(input_size=16, width=4, epochs=1, batch_size=4, train_images=24)


@pytest.fixture
def bench() -> Lent:
    draw = torch.Generator().manual_seed(3)
    nothing = ("",) * COUNT
    images = ImageSet(
        images=torch.randn(COUNT, 1, 32, 32, generator=draw),
        labels=torch.arange(COUNT) % 2,
        subjects=tuple(map(str, range(COUNT))),
        sites=nothing,
        sexes=nothing,
        ages=nothing,
        splits=nothing,
    )
    return Lent(recipe=RECIPE, images=images)


def measured_on(threads: int, bench: Lent) -> Measurements:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return measure_all(bench, build(RECIPE, seed=1), range(8))
    finally:
        torch.set_num_threads(before)


def test_scores_dont_hang_on_the_number_of_threads(bench: Lent) -> None:
    one, two = (measured_on(threads, bench) for threads in (1, 2))
    for item in fields(Measurements):
        first, second = getattr(one, item.name), getattr(two, item.name)
        if item.name == "features":
            first, second = (np.concatenate(list(each.values()), 1) for each in (first, second))
        assert first.size and np.array_equal(first, second), item.name


def test_models_of_another_data_set_are_trained_though_their_files_lie_together(
    tmp_path: Path,
) -> None:
    """Two models of the same weights, registered over data sets of one shape, share the folder."""
    scene = replace(phantom_scene(tmp_path, SMALL), data=Digest.of(b"ours"))
    pictures = replace(scene.images, images=scene.images.images.flip(0))
    other = replace(scene, images=pictures, data=Digest.of(b"theirs"))
    chosen = [scene.training[:8]]
    ours, theirs, again = (
        train_models(of, "out", chosen, "seed", workers=1, progress=lambda *_: None)
        for of in (scene, other, scene)
    )
    assert ours != theirs and ours == again
