"""How surely a listed picture is found again, and how often another patient's is taken for it.

    python benchmarks/exclusion.py ../shared/data/nlm_tb_128 ../shared/data/nih_cxr_64

Every picture of a data set is listed. Then all are looked up as they are, which gives the false
matches between different patients, and once more under each transformation, which gives the hits.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from auditor.learning.manifest import read_manifest
from auditor.verification.fingerprint import BANDS, NEEDED, SIDE, asked_views, listed_views

Change = Callable[[Image.Image], Image.Image]


def _window(left: float, top: float, right: float, bottom: float) -> Change:
    """Cut so much away at each side, as shares; below 0 a black rim is added."""

    def change(picture: Image.Image) -> Image.Image:
        w, h = picture.size
        corners = (left * w, top * h, (1 - right) * w, (1 - bottom) * h)
        return picture.transform(
            picture.size, Image.Transform.EXTENT, corners, Image.Resampling.BILINEAR
        )

    return change


def _resized(factor: float) -> Change:
    return lambda picture: picture.resize(
        (round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BICUBIC
    )


def _jpeg(quality: int) -> Change:
    def change(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(io.BytesIO(buffer.getvalue())).convert("L")

    return change


def _brightness(factor: float) -> Change:
    return lambda picture: ImageEnhance.Brightness(picture).enhance(factor)


def _contrast(factor: float) -> Change:
    return lambda picture: ImageEnhance.Contrast(picture).enhance(factor)


def _gamma(power: float) -> Change:
    return lambda picture: picture.point([round(255 * (v / 255) ** power) for v in range(256)])


def _rotated(degrees: float) -> Change:
    return lambda picture: picture.rotate(degrees, Image.Resampling.BILINEAR)


def _noisy(picture: Image.Image) -> Image.Image:
    grey = np.asarray(picture, dtype=np.float64)
    drawn = grey + np.random.default_rng(1).normal(0, 5, grey.shape)
    return Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8))


def _together(*changes: Change) -> Change:
    def change(picture: Image.Image) -> Image.Image:
        for each in changes:
            picture = each(picture)
        return picture

    return change


CHANGES: Mapping[str, Change] = {
    "half the size": _resized(0.5),
    "twice the size": _resized(2),
    "JPEG, quality 75": _jpeg(75),
    "JPEG, quality 40": _jpeg(40),
    "brightness +20 %": _brightness(1.2),
    "brightness -30 %": _brightness(0.7),
    "contrast +30 %": _contrast(1.3),
    "contrast -40 %": _contrast(0.6),
    "gamma 0.8": _gamma(0.8),
    "gamma 1.25": _gamma(1.25),
    "histogram equalised": ImageOps.equalize,
    "noise, 5 grey levels": _noisy,
    "2 % cut off each side": _window(0.02, 0.02, 0.02, 0.02),
    "5 % cut off each side": _window(0.05, 0.05, 0.05, 0.05),
    "8 % cut off each side": _window(0.08, 0.08, 0.08, 0.08),
    "5 % cut off one side": _window(0.05, 0, 0, 0),
    "10 % cut off one side": _window(0, 0.1, 0, 0),
    "shifted by 2 % and 2 %": _window(0.02, 0.02, -0.02, -0.02),
    "shifted by 4 % and 4 %": _window(0.04, 0.04, -0.04, -0.04),
    "shifted by 5 % and 3 %": _window(0.05, -0.03, -0.05, 0.03),
    "black rim of 2 %": _window(-0.02, -0.02, -0.02, -0.02),
    "black rim of 5 %": _window(-0.05, -0.05, -0.05, -0.05),
    "turned by 1 degree": _rotated(1),
    "turned by 2 degrees": _rotated(2),
    "turned by 5 degrees": _rotated(5),
    "3 % cut, brightness +20 %, JPEG 75": _together(
        _window(0.03, 0.03, 0.03, 0.03), _brightness(1.2), _jpeg(75)
    ),
    "mirrored": ImageOps.mirror,
    "inverted": ImageOps.invert,
}
_SHOWN = range(NEEDED - 3, NEEDED + 3)


def reduced(picture: Image.Image) -> NDArray[np.float32]:
    """As the list looks at it."""
    grey = Image.fromarray(np.asarray(picture, dtype=np.float32) / 255)
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32)


def agreed(asked: NDArray[np.int16], listed: NDArray[np.int16]) -> NDArray[np.int64]:
    """Most bands on which a view of each agrees, for every pair, (asked, listed).

    The naive twin of `agreeing`: no look-up, every view against every view.
    """
    n, views = listed.shape[:2]
    flat = listed.reshape(-1, BANDS)
    most = np.empty((len(asked), n), dtype=np.int64)
    for place, picture in enumerate(asked):
        count = sum(
            (picture[:, band, None] == flat[:, band]).astype(np.int8) for band in range(BANDS)
        )
        most[place] = np.asarray(count).reshape(len(picture), n, views).max(axis=(0, 2))
    return most


def measure(folder: Path) -> None:
    """Print both tables of one data set."""
    rows = read_manifest(folder / "manifest.csv").rows
    pictures = [Image.open(row.path).convert("L") for row in rows]
    patients = np.array([row.subject for row in rows])
    listed = listed_views(np.stack([reduced(picture) for picture in pictures]))
    between = agreed(asked_views(np.stack([reduced(p) for p in pictures])), listed)
    strangers = patients[:, None] != patients
    click.echo(f"\n{folder.name}: {len(rows)} pictures, {len(set(patients))} patients")
    click.echo(f"pairs of different patients: {int(strangers.sum())}")
    for needed in _SHOWN:
        hit = (between >= needed) & strangers
        click.echo(
            f"  k = {needed}: {int(hit.sum())} pairs match, "
            f"{int(hit.any(1).sum())} pictures match some other patient's"
        )
    for a, b in np.argwhere((between >= NEEDED) & strangers):
        click.echo(f"  rows {rows[a].number} and {rows[b].number}: {between[a, b]} bands")
    click.echo(f"hits {'':36}" + "".join(f"  k={needed:<4}" for needed in _SHOWN))
    for name, change in CHANGES.items():
        asked = asked_views(np.stack([reduced(change(picture)) for picture in pictures]))
        own = np.array([agreed(a[None], b[None])[0, 0] for a, b in zip(asked, listed, strict=True)])
        click.echo(f"  {name:38} " + "".join(f" {(own >= k).mean():6.3f}" for k in _SHOWN))


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        measure(Path(argument))
