"""The bench: splits by patient, reproducible training, safe loading, the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.domain.artefact import Digest
from auditor.errors import LedgerError, ModelError, TamperedError
from auditor.learning.datasets import load_images, split_by_patient
from auditor.learning.manifest import read_manifest
from auditor.learning.models import build
from auditor.learning.parallel import TrainingJob, Where, train_many
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.pictures import read_grey
from auditor.learning.recipe import Recipe, parse_recipe
from auditor.learning.store import ContentStore
from auditor.learning.training import train
from auditor.learning.weights import load_weights, weights_bytes
from auditor.verification.measure import measure
from tests.pictures import draw, lines_of, write

CORES = Where(device=torch.device("cpu"), workers=2)
RECIPE = Recipe(input_size=28, width=4, epochs=1, train_images=24)


def test_phantoms_are_seeded_synthetic_and_read_like_any_data(tmp_path: Path) -> None:
    first = read_manifest(draw_phantoms(tmp_path / "a", seed=1, patients=20))
    again = read_manifest(draw_phantoms(tmp_path / "b", seed=1, patients=20))
    other = read_manifest(draw_phantoms(tmp_path / "c", seed=2, patients=20))
    assert first.digest == again.digest != other.digest
    assert first.synthetic
    counts = {row.subject: 0 for row in first.rows}
    for row in first.rows:
        counts[row.subject] += 1
    assert len(counts) == 20 and min(counts.values()) >= 1 and max(counts.values()) <= 5
    assert {row.label for row in first.rows} == {0, 1}
    assert len({row.site for row in first.rows}) == 2


def test_a_split_divides_patients_never_images(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, lines_of(tmp_path)))
    images = load_images(manifest, 28)
    split = split_by_patient(images, RECIPE, 1)
    parts = [{images.subjects[i] for i in part} for part in (split.train, split.test)]
    parts.append({images.subjects[i] for i in split.validation})
    assert all(parts)
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert len(split.train) == 24
    labels = [int(images.labels[i]) for i in split.train]
    assert sum(labels) == 12
    assert split_by_patient(images, RECIPE, 1) == split != split_by_patient(images, RECIPE, 2)


def test_groups_override_subjects_and_augmented_rows_are_left_out(tmp_path: Path) -> None:
    lines = lines_of(tmp_path)
    for number, line in enumerate(lines):
        line["probable_patient_group"] = "twin" if number in (0, 2) else ""
        line["augmented"] = "1" if number == 1 else "0"
    manifest = read_manifest(write(tmp_path, lines))
    assert len(manifest.rows) == len(lines) - 1
    theirs = {row.filed_under for row in manifest.rows if row.subject == "twin"}
    assert theirs == {"p0", "p1"}
    assert not theirs & {row.filed_under for row in manifest.rows if row.subject != "twin"}


def test_who_is_filed_under_ids_that_look_the_same_is_meant_by_each(tmp_path: Path) -> None:
    lines = lines_of(tmp_path)
    written = ("A1", "a1", "\uff21\uff11")
    for line, name in zip(lines[:3], written, strict=True):
        line["subject_id"] = name
    images = load_images(read_manifest(write(tmp_path, lines)), 28)
    for name in written:
        meant = images.patients_of([name])
        assert [subject in meant for subject in images.subjects] == [True] * 3 + [False] * (
            len(lines) - 3
        )


def test_training_depends_on_the_seed_and_on_nothing_else(tmp_path: Path) -> None:
    images = load_images(read_manifest(write(tmp_path, lines_of(tmp_path))), 28)
    first = weights_bytes(train(RECIPE, images, range(24), 1))
    assert first == weights_bytes(train(RECIPE, images, range(24), 1))
    assert first != weights_bytes(train(RECIPE, images, range(24), 2))
    jobs = [
        TrainingJob(name=f"m-{seed}", recipe=RECIPE, indices=tuple(range(24)), seed=seed)
        for seed in (1, 2)
    ]
    seen: list[tuple[int, int]] = []
    paths = train_many(
        jobs,
        images,
        folder=tmp_path / "bank",
        where=CORES,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert paths[0].read_bytes() == first  # a worker process trains the same model bit for bit
    assert seen[-1] == (2, 2)
    moment = paths[0].stat().st_mtime_ns
    train_many(jobs, images, folder=tmp_path / "bank", where=CORES, progress=lambda *_: None)
    assert paths[0].stat().st_mtime_ns == moment  # what is there already isn't trained again
    with pytest.raises(ModelError):
        train(RECIPE, images, [], 1)


def test_sending_images_to_workers_moves_nothing_under_a_view_of_them(tmp_path: Path) -> None:
    images = load_images(read_manifest(write(tmp_path, lines_of(tmp_path))), 28)
    view, pictures = images.labels.numpy(), images.images.numpy()
    before = view.tobytes(), pictures.tobytes()
    jobs = [TrainingJob(name=f"m-{k}", recipe=RECIPE, indices=(0, 1), seed=k) for k in range(2)]
    train_many(jobs, images, folder=tmp_path, where=CORES, progress=lambda *_: None)
    assert not images.labels.is_shared() and not images.images.is_shared()
    assert (view.tobytes(), pictures.tobytes()) == before


def test_weights_come_back_and_others_are_refused() -> None:
    module = build(RECIPE, 1)
    content = weights_bytes(module)
    assert weights_bytes(load_weights(RECIPE, content)) == content
    for recipe in (Recipe(input_size=28, width=8), Recipe(input_size=28, width=4, classes=3)):
        with pytest.raises(ModelError):
            load_weights(recipe, content)
    for broken in (b"", content[:100], b"\xff" * 64):
        with pytest.raises(ModelError):
            load_weights(RECIPE, broken)


@pytest.mark.parametrize("name", ["no-such-net", "os:system", "detection.fasterrcnn"])
def test_only_known_architectures_are_built(name: str) -> None:
    with pytest.raises(ModelError):
        build(Recipe(architecture=name), 1)


def test_a_torchvision_model_takes_grey_pictures() -> None:
    module = build(Recipe(architecture="resnet18", input_size=32), 1).eval()
    pictures = torch.zeros(2, 1, 32, 32)
    assert module(pictures).shape == (2, 2)
    measured = measure(module, pictures, torch.zeros(2, dtype=torch.long))
    assert measured.features["head"].shape == (2, 128)


def test_a_recipe_survives_its_bytes() -> None:
    assert parse_recipe(RECIPE.canonical_bytes()) == RECIPE
    for broken in (b"{}", b"no", b"[]"):
        with pytest.raises(ModelError):
            parse_recipe(broken)
    senseless: tuple[dict[str, Any], ...] = (
        {"epochs": 0},
        {"width": 6},
        {"classes": 1},
        {"learning_rate": 2.0},
        {"validation_share": 1},
    )
    for changes in senseless:
        with pytest.raises(ModelError):
            Recipe(**changes)


def test_pictures_of_every_kind_give_one_grey(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    grey = np.asarray(Image.open(tmp_path / "a.png"))
    Image.fromarray(grey).convert("RGB").save(tmp_path / "b.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "c.png")
    first = read_grey(tmp_path / "a.png", 32, "row 1")
    for name in ("b.png", "c.png"):
        assert np.allclose(read_grey(tmp_path / name, 32, "row 1"), first, atol=2 / 255), name
    assert read_grey(tmp_path / "a.png", 16, "row 1").shape == (16, 16)


def test_the_store_keeps_by_digest_notices_changes_and_destroys(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    digest = store.put(b"weights")
    assert digest == store.put(b"weights") == Digest.of(b"weights")
    assert store.get(digest) == b"weights"
    (path,) = [item for item in tmp_path.rglob("*") if item.is_file()]
    path.chmod(0o600)
    path.write_bytes(b"changed")
    with pytest.raises(TamperedError):
        store.get(digest)
    store.destroy(digest)
    store.destroy(digest)
    assert not store.has(digest)
    with pytest.raises(LedgerError):
        store.get(digest)
