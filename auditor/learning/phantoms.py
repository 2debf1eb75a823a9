"""Chest-like phantoms: synthetic radiographs for a demonstration without patients.

Each patient has an anatomy of their own (ribcage, lungs, heart, a texture that stays the same in
all their images), each image its own noise and tilt. Label 1 means an opacity in a lung field. As
in real data some patients are hard: their label disagrees with what the image shows, and a model
can only get them right by memorising them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 48
_HARD_SHARE = 0.05
_SITES = ("north", "south")

Picture = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patient:
    name: str
    label: int
    shows_lesion: bool
    site: str
    sex: str
    age: int
    images: int
    seed: int


def draw_phantoms(folder: Path, *, seed: int, patients: int = 230) -> Path:
    """Draw a data set of phantoms.

    Args:
        folder: made if absent; gets ``images/`` and ``manifest.csv``.
        seed: of everything drawn.
        patients: how many; each has 1 to 5 images.

    Returns:
        Path of the manifest, whose ``synthetic`` column says what these images are.
    """
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_path", "subject_id", "label", "sex", "age", "site", "synthetic"])
        for number in range(patients):
            patient = _draw_patient(random, number)
            for image in range(patient.images):
                path = f"images/{patient.name}-{image}.png"
                _save(folder / path, _picture(patient, image))
                writer.writerow(
                    [path, patient.name, patient.label, patient.sex, patient.age, patient.site, 1]
                )
    return manifest


def _draw_patient(random: np.random.Generator, number: int) -> _Patient:
    shows = bool(random.random() < 0.5)
    hard = bool(random.random() < _HARD_SHARE)
    return _Patient(
        name=f"phantom-{number:04d}",
        label=int(shows != hard),
        shows_lesion=shows,
        site=_SITES[int(random.random() < 0.4)],
        sex="FM"[int(random.integers(2))],
        age=int(random.integers(18, 90)),
        images=int(random.choice([1, 2, 3, 4, 5], p=[0.45, 0.2, 0.15, 0.1, 0.1])),
        seed=int(random.integers(2**32)),
    )


def _picture(patient: _Patient, image: int) -> Picture:
    own = np.random.default_rng([patient.seed, 0])
    shot = np.random.default_rng([patient.seed, 1 + image])
    y, x = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j]
    tilt = shot.normal(0, 0.03)
    x, y = x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)
    picture: Picture = 0.6 * np.exp(-((x / 0.95) ** 4 + (y / 1.1) ** 6))
    lungs = _lungs(own, x, y)
    picture -= 0.45 * lungs
    picture += 0.3 * _blob(x, y, 0.12 + own.normal(0, 0.03), 0.3, 0.3, 0.35)
    picture += 0.07 * lungs * np.cos(y * own.uniform(16, 22) + 2 * x**2 + own.uniform(0, 6))
    picture += 0.04 * _texture(own, x, y)
    if patient.shows_lesion:
        picture += _lesion(own, shot, x, y)
    if patient.site == "south":
        picture = 0.08 + 0.85 * picture
    return np.asarray(picture + shot.normal(0, 0.03, picture.shape))


def _lungs(own: np.random.Generator, x: Picture, y: Picture) -> Picture:
    width, height = 0.30 + own.normal(0, 0.025), 0.62 + own.normal(0, 0.04)
    left: Picture = _blob(x, y, -0.42 + own.normal(0, 0.03), own.normal(0, 0.04), width, height)
    right = _blob(x, y, 0.42 + own.normal(0, 0.03), own.normal(0, 0.04), width, height)
    return np.asarray(np.clip(left + right, 0, 1))


def _lesion(own: np.random.Generator, shot: np.random.Generator, x: Picture, y: Picture) -> Picture:
    side = own.choice([-1.0, 1.0])
    centre = (side * own.uniform(0.32, 0.5), own.uniform(-0.45, 0.15))
    size = own.uniform(0.24, 0.3)
    strength = own.uniform(0.9, 1.2)
    jitter = shot.normal(0, 0.02, 2)
    return np.asarray(
        strength * _blob(x, y, centre[0] + jitter[0], centre[1] + jitter[1], size, size)
    )


def _texture(own: np.random.Generator, x: Picture, y: Picture) -> Picture:
    """A smooth random field, the same in all images of a patient."""
    waves = own.normal(0, 3.0, (12, 2))
    phases = own.uniform(0, 2 * np.pi, 12)
    field = sum(np.cos(a * x + b * y + p) for (a, b), p in zip(waves, phases, strict=True))
    return np.asarray(field / np.sqrt(6.0))


def _blob(x: Picture, y: Picture, cx: float, cy: float, width: float, height: float) -> Picture:
    return np.asarray(np.exp(-(((x - cx) / width) ** 2 + ((y - cy) / height) ** 2)))


def _save(path: Path, picture: Picture) -> None:
    grey = np.clip(picture * 255, 0, 255).astype(np.uint8)
    Image.fromarray(grey, mode=None).save(path)
