"""A listed picture is found again changed, strangers aren't, and the look-up counts as its twin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift, zoom

from auditor.verification.fingerprint import (
    BANDS,
    NEEDED,
    SIDE,
    VALUES,
    Bands,
    Listed,
    asked_views,
    listed_views,
)

Pictures = NDArray[np.float32]


def pictures() -> Pictures:
    """Forty pictures as smooth as X-rays are, all sharing one anatomy."""
    draw = np.random.default_rng(5)
    anatomy = gaussian_filter(draw.normal(0, 1, (SIDE, SIDE)), SIDE / 10)
    own = gaussian_filter(draw.normal(0, 1, (40, SIDE, SIDE)), (0, SIDE / 20, SIDE / 20))
    made = anatomy / anatomy.std() + own / own.std()
    return ((made - made.min()) / (made.max() - made.min())).astype(np.float32)


@pytest.fixture(scope="module")
def shown() -> Pictures:
    return pictures()


def found(listed: Pictures, asked: Pictures) -> list[bool]:
    views = listed_views(listed)
    return Listed(views.reshape(-1, BANDS)).agreeing(asked_views(asked)).tolist()


def cut(picture: Pictures, share: float) -> Pictures:
    """So much cut off at each side, and stretched to the old size."""
    edge = round(share * SIDE)
    inner = picture[edge:-edge, edge:-edge]
    return zoom(inner, SIDE / len(inner), order=1).astype(np.float32)


CHANGES = {
    "itself": lambda p: p,
    "brighter": lambda p: p + 0.3,
    "contrast": lambda p: 0.6 * p,
    "gamma": lambda p: p**0.8,
    "noise": lambda p: p + np.random.default_rng(1).normal(0, 0.01, p.shape),
    "cut": lambda p: cut(p, 0.03),
    "shifted": lambda p: shift(p, (2.5, -2.5), order=1, cval=0),
    "black rim": lambda p: np.pad(p[2:-2, 2:-2], 2),
    "mirrored": lambda p: p[:, ::-1],
    "inverted": lambda p: 1 - p,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_listed_picture_is_found_changed_and_nobody_else_is(shown: Pictures, name: str) -> None:
    asked = np.stack([CHANGES[name](picture) for picture in shown]).astype(np.float32)
    assert found(shown[:10], asked) == [True] * 10 + [False] * 30


def test_nothing_listed_finds_nothing(shown: Pictures) -> None:
    assert listed_views(shown[:0]).shape[0] == 0
    assert found(shown[:0], shown) == [False] * 40


def test_bands_are_whole_numbers_below_their_bound_from_many_views(shown: Pictures) -> None:
    for views in (listed_views(shown[:3]), asked_views(shown[:3])):
        assert views.shape[0] == 3 and views.shape[2] == BANDS
        assert views.min() >= 0 and VALUES // 2 < views.max() < VALUES
    assert listed_views(shown[:1]).shape[1] > 1 < asked_views(shown[:1]).shape[1]


def test_the_look_up_is_every_view_against_every_view() -> None:
    draw = np.random.default_rng(2)
    listed: Bands = draw.integers(0, VALUES, (30, BANDS)).astype(np.int16)
    asked: Bands = draw.integers(0, VALUES, (40, 3, BANDS)).astype(np.int16)
    for number in range(40):  # from no band copied to all of them
        band = draw.permutation(BANDS)[: number % (BANDS + 1)]
        asked[number, number % 3, band] = listed[number % 30, band]
    naive = [
        any(int((view == other).sum()) >= NEEDED for view in picture for other in listed)
        for picture in asked
    ]
    assert Listed(listed).agreeing(asked).tolist() == naive
    assert 0 < sum(naive) < 40


REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "nlm_tb_128"
SURELY = (
    "half the size",
    "JPEG, quality 75",
    "brightness -30 %",
    "contrast +30 %",
    "gamma 1.25",
    "5 % cut off each side",
    "shifted by 4 % and 4 %",
    "black rim of 2 %",
)


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/nlm_tb_128 beside the project")
def test_real_x_rays_are_found_changed_and_not_taken_for_each_other() -> None:
    from exclusion import CHANGES as REAL_CHANGES
    from exclusion import agreed, reduced
    from PIL import Image

    paths = sorted((REAL / "images").glob("CHNCXR_00[0-4]*"))
    originals = [Image.open(path).convert("L") for path in paths]
    listed = listed_views(np.stack([reduced(picture) for picture in originals]))
    assert len(originals) == 40
    for name in SURELY:
        asked = asked_views(np.stack([reduced(REAL_CHANGES[name](p)) for p in originals]))
        own = Listed(listed.reshape(-1, BANDS)).agreeing(asked)
        assert own.all(), name
    most = agreed(asked, listed)
    assert (np.diag(most) >= NEEDED).all()
    np.fill_diagonal(most, 0)
    assert most.max() < NEEDED
