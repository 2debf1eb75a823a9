"""Images that are nearly the same although filed under different patients.

By a perceptual hash after Zauner 2010 (section 3.2.1): the signs of an image's lowest frequencies
about their median. Contrast and brightness change nothing, noise and compression little; an image
is looked for mirrored, turned by right angles and inverted, too, as X-rays come out of viewers. Own
code, because `imagehash` would bring PyWavelets into the engine for these few lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from auditor.errors import EvidenceError
from auditor.verification.layout import Indices

SIDE = 16
BITS = SIDE * SIDE - 1
NEAR = 24
"""Bits; at most so many apart, two images are taken for one.

Of 620 and of 1,000 chest X-rays at 64 pixels (`nlm_tb_128`, `nih_cxr_64`) no two of different
patients were nearer than 48, in any of the 16 views; gamma 0.8 moved none farther than 14, JPEG at
quality 40 none farther than 20, noise of a tenth of the spread one in a hundred farther than 20.
Crops and shifts move them farther and go unseen.
"""
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two images by position, and by how many of `BITS` their hashes differ."""

    first: int
    second: int
    distance: int


def perceptual_hash(images: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Hash of each image of (n, H, W) as `BITS` zeros and ones, (n, BITS).

    Images smaller than 16 pixels a side have fewer frequencies; what is missing counts as equal.
    """
    low = dctn(images, axes=(1, 2), norm="ortho")[:, :SIDE, :SIDE]
    flat = low.reshape(len(images), low.shape[1] * low.shape[2])
    flat = flat[:, 1:]  # the first is the mean brightness
    bits = flat > np.median(flat, axis=1, keepdims=True)
    return np.pad(bits.astype(np.uint8), ((0, 0), (0, BITS - flat.shape[1])))


def find_near_duplicates(
    images: NDArray[np.floating], ones: Indices, others: Indices, near: int = NEAR
) -> tuple[Pair, ...]:
    """Pairs of one image of ``ones`` and one of ``others``, at most ``near`` bits apart.

    Args:
        images: (n, S, S).
    """
    second = perceptual_hash(images[others]).astype(np.float32)
    apart = np.full((len(ones), len(others)), BITS + 1, np.float32)
    for view in _views(images[ones]):
        first = perceptual_hash(view).astype(np.float32)
        apart = np.minimum(apart, first.sum(1)[:, None] + second.sum(1) - 2 * first @ second.T)
    return tuple(
        Pair(first=int(ones[a]), second=int(others[b]), distance=int(apart[a, b]))
        for a, b in np.argwhere(apart <= near)
    )


def _views(images: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    """As they are, turned by right angles, mirrored likewise, and each of these inverted."""
    for turns in range(4):
        turned = np.rot90(images, turns, (1, 2))
        for view in (turned, turned[:, :, ::-1]):
            yield view
            yield -view


def require_apart(
    images: NDArray[np.floating], asked: Indices, others: Indices, rows: Sequence[int]
) -> None:
    """Refuse a data set that shows whom the model is to forget under another name, too.

    Args:
        asked, others: images of the patients asked about, and of all others.
        rows: the number of each image's row in the manifest.

    Raises:
        EvidenceError: names the pairs by their rows.
    """
    pairs = find_near_duplicates(images, asked, others)
    if pairs:
        shown = ", ".join(f"{rows[pair.first]} and {rows[pair.second]}" for pair in pairs[:_SHOWN])
        raise EvidenceError(
            f"{len(pairs)} pairs of an image of whom is asked about and one of another patient are "
            f"nearly the same (rows {shown}{' ...' if len(pairs) > _SHOWN else ''} of the "
            "manifest); name one probable_patient_group for both and register the data set anew"
        )
