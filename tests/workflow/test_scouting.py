"""What scouts tell: of each image only those speak that weren't shown its patient."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from auditor.learning.progress import silent
from auditor.learning.recipe import Recipe
from auditor.workflow.audit.scene import derive_seed
from auditor.workflow.audit.scouting import send_scouts
from tests.workflow.trained import ANY, phantom_scene

RECIPE = Recipe(input_size=16, width=4, epochs=2, train_images=40)


def test_outsiders_were_not_shown_the_patient(tmp_path: Path) -> None:
    scene = phantom_scene(tmp_path, RECIPE)
    images = scene.images
    scouts = send_scouts(scene, 4, workers=1, progress=silent)
    subjects = sorted({images.subjects[index] for index in scene.training})
    source = random.Random(derive_seed("scouts", ANY))
    halves: list[set[str]] = []
    for _ in range(2):
        half = set(source.sample(subjects, len(subjects) // 2))
        halves += [half, set(subjects) - half]
    shown: list[float] = []
    assert set(scouts.outsiders.margins) == set(scene.training)
    for index in scene.training:
        by_scout = [float(item.margins[index]) for item in scouts.block.measured]
        inside = [images.subjects[index] in half for half in halves]
        strangers = [value for value, seen in zip(by_scout, inside, strict=True) if not seen]
        assert len(strangers) == 2
        assert scouts.outsiders.margins[index] == pytest.approx(np.mean(strangers))
        shown += [value for value, seen in zip(by_scout, inside, strict=True) if seen]
    assert scouts.outsiders.sureness == pytest.approx(np.mean(shown))
    assert set(scouts.memorised) == set(subjects)
