"""Tiny data sets on disk: noise pictures and a manifest, to be spoiled by tests of bad input."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Line = Mapping[str, str]


def draw(path: Path, seed: int) -> None:
    """A picture of seeded noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def lines_of(folder: Path, patients: int = 24) -> list[dict[str, str]]:
    """Two pictures for every patient, labels by turns."""
    lines = []
    for number in range(2 * patients):
        name = f"{number}.png"
        draw(folder / name, number)
        patient = number // 2
        lines.append({"image_path": name, "subject_id": f"p{patient}", "label": str(patient % 2)})
    return lines


def divided(lines: Sequence[Line]) -> list[dict[str, str]]:
    """The first half of the rows trains, the next quarter validates, the rest tests."""
    parts = ("train", "train", "validation", "test")
    return [{**line, "split": parts[4 * at // len(lines)]} for at, line in enumerate(lines)]


def write(folder: Path, lines: Sequence[Line]) -> Path:
    """The manifest over them."""
    path = folder / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return path


RECIPE = """
architecture = "small-resnet"
input_size = 28
width = 4
epochs = 1
train_images = 24
"""
