"""What a picture is recognised by when it comes back changed: coarse, and cut into bands.

A perceptual hash after Zauner 2010 (section 3.2.1), the signs of a picture's lowest frequencies
about their median, with two things added. The margins count little (a tapered window, Tukey 1967),
so that a label burned in, a black rim or a small shift changes little. And a picture is looked at
through several windows: one that is listed as if it had been shifted, cut or padded on a coarse
grid, one that is asked about on a fine grid that fills the gaps of the coarse one.

Two pictures match where one view of each agrees on `NEEDED` of `BANDS` bands bit for bit. Equality
of bands is all that is asked, so a list may hold them keyed
(`auditor.workflow.models.exclusion_list`). Both numbers were chosen by the error rates in
``benchmarks/RESULTS.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.signal.windows import tukey

SIDE = 64
"""Pixels a side that pictures are reduced to before they are looked at."""
BANDS = 27
VALUES = 512
"""Values that a band may have: it is nine bits."""
NEEDED = 12

_BITS = 9
_FREQUENCIES = 16
_TAPER = 0.5  # share of the side that the window needs to rise and to fall
_COARSE = (-0.03, 0.0, 0.03)
_FINE = (-0.01, 0.0, 0.01)
_ZOOMS = (-0.05, -0.025, 0.0, 0.025, 0.05, 0.075, 0.1)

Bands = NDArray[np.int16]
Pictures = NDArray[np.float32]


def listed_views(pictures: Pictures) -> Bands:
    """Bands of each picture of (n, SIDE, SIDE) as it is to be listed, (n, views, BANDS)."""
    return _views(pictures, _COARSE, _ZOOMS)


def asked_views(pictures: Pictures) -> Bands:
    """Bands of each picture of (n, SIDE, SIDE) that is looked up, (n, views, BANDS)."""
    turned = (pictures, pictures[:, :, ::-1], -pictures)  # as it is, mirrored, inverted
    return np.concatenate([_views(each, _FINE, (0.0,)) for each in turned], axis=1)


class Listed:
    """Listed pictures, sorted by what each band says, to look others up in."""

    def __init__(self, pictures: Bands) -> None:
        """Of the bands of all their views, (views, BANDS)."""
        self._views = len(pictures)
        self._order = np.argsort(pictures, axis=0, kind="stable")
        ordered = np.take_along_axis(pictures, self._order, axis=0)
        values = np.arange(VALUES + 1)
        self._starts = np.stack([np.searchsorted(line, values) for line in ordered.T])

    def agreeing(self, asked: Bands) -> NDArray[np.bool_]:
        """Which pictures of (n, views, BANDS) match some listed one, (n,)."""
        return np.array([any(map(self._matches, picture)) for picture in asked], dtype=np.bool_)

    def _matches(self, view: Bands) -> bool:
        agreed = np.concatenate(
            [
                self._order[self._starts[band, value] : self._starts[band, value + 1], band]
                for band, value in enumerate(view)
            ]
        )
        return bool(np.any(np.bincount(agreed, minlength=self._views) >= NEEDED))


def _views(pictures: Pictures, shifts: Sequence[float], zooms: Sequence[float]) -> Bands:
    windows = [[_window(shift, zoom) for shift in shifts] for zoom in zooms]
    views = [_bands(pictures, *pair) for ones in windows for pair in product(ones, repeat=2)]
    return np.stack(views, axis=1)


def _window(shift: float, zoom: float) -> NDArray[np.float64]:
    """Takes a line of pixels to the tapered part of it that begins and ends so much later, (n, n).

    Args:
        shift: of both ends, as share of the line.
        zoom: share of the line that is cut away, half of it at either end; below 0 it is padded
            with its last pixels.
    """
    ends = shift + zoom / 2, 1 + shift - zoom / 2
    places = (ends[0] + (ends[1] - ends[0]) * (np.arange(SIDE) + 0.5) / SIDE) * SIDE - 0.5
    places = np.clip(places, 0, SIDE - 1)
    left = np.minimum(places.astype(int), SIDE - 2)
    line = np.zeros((SIDE, SIDE))
    line[np.arange(SIDE), left] = 1 - (places - left)
    line[np.arange(SIDE), left + 1] = places - left
    return _taper()[:, None] * line


def _taper() -> NDArray[np.float64]:
    weights: NDArray[np.float64] = tukey(SIDE + 2, _TAPER)[1:-1]
    return weights


def _bands(
    pictures: Pictures, down: NDArray[np.float64], across: NDArray[np.float64]
) -> NDArray[np.int16]:
    seen = down @ pictures @ across.T
    taper = np.outer(_taper(), _taper())
    seen -= seen.mean(axis=(1, 2), keepdims=True) / taper.mean() * taper
    waves = dct(np.eye(SIDE), axis=0, norm="ortho")[:_FREQUENCIES]
    low = (waves @ seen @ waves.T).reshape(-1, _FREQUENCIES**2)[:, 1:]
    signs = low > np.median(low, axis=1, keepdims=True)
    places = np.arange(_BITS)[:, None] * BANDS + np.arange(BANDS)  # each band from all frequencies
    powers = 1 << np.arange(_BITS)
    bands: Bands = np.einsum("nij,i->nj", signs[:, places], powers).astype(np.int16)
    return bands
