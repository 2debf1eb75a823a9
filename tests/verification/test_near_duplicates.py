"""Near-duplicates are found through noise and contrast, strangers aren't, and an audit refuses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from auditor.errors import EvidenceError
from auditor.verification.layout import Numbers
from auditor.verification.near_duplicates import (
    BITS,
    NEAR,
    Pair,
    find_near_duplicates,
    perceptual_hash,
    require_apart,
)

FORGOTTEN, UNSEEN = np.arange(4), np.arange(10, 40)


def pictures(side: int = 64) -> Numbers:
    """Forty pictures as smooth as X-rays are, all sharing one anatomy."""
    draw = np.random.default_rng(5)
    anatomy = gaussian_filter(draw.normal(0, 1, (side, side)), side / 10)
    own = gaussian_filter(draw.normal(0, 1, (40, side, side)), (0, side / 20, side / 20))
    return anatomy / anatomy.std() + own / own.std()


def test_strangers_are_far_apart_and_copies_near_whatever_was_done_to_brightness() -> None:
    images = pictures()
    assert find_near_duplicates(images, FORGOTTEN, UNSEEN) == ()
    draw = np.random.default_rng(6)
    images[17] = 3.0 * images[2] - 40.0
    images[23] = images[0] + 0.02 * draw.normal(0, 1, images[0].shape)
    found = find_near_duplicates(images, FORGOTTEN, UNSEEN)
    assert {(pair.first, pair.second) for pair in found} == {(2, 17), (0, 23)}
    assert Pair(first=2, second=17, distance=0) in found


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_copy_is_found_however_a_viewer_shows_it(
    turns: int, mirrored: bool, inverted: bool
) -> None:
    images = pictures()
    copy = np.rot90(images[2], turns)
    copy = copy[:, ::-1] if mirrored else copy
    images[17] = 255.0 - copy if inverted else copy
    (found,) = find_near_duplicates(images, FORGOTTEN, UNSEEN)
    assert found == Pair(first=2, second=17, distance=0)


def test_the_distances_are_those_of_every_pair_counted_bit_by_bit() -> None:
    images = pictures()
    hashes = perceptual_hash(images)
    assert hashes.shape == (40, BITS) and set(np.unique(hashes)) == {0, 1}
    found = {
        (pair.first, pair.second): pair.distance
        for pair in find_near_duplicates(images, FORGOTTEN, UNSEEN, near=BITS)
    }
    for one in FORGOTTEN:
        for other in UNSEEN:
            assert found[one, other] == min(
                sum(hash_of != hashes[other])
                for turns in range(4)
                for turned in (np.rot90(images[one], turns),)
                for mirrored in (turned, turned[:, ::-1])
                for hash_of in perceptual_hash(np.stack([mirrored, -mirrored]))
            )


def test_images_smaller_than_the_hash_can_be_compared() -> None:
    images = pictures(12)
    images[39] = images[1]
    (found,) = find_near_duplicates(images, FORGOTTEN, UNSEEN)
    assert (found.first, found.second, found.distance) == (1, 39, 0)


def test_an_audit_by_images_of_the_forgotten_is_refused_and_names_them_by_row() -> None:
    images = pictures()
    rows = range(2, 42)
    require_apart(images, FORGOTTEN, UNSEEN, rows)
    images[30:37] = images[3]
    with pytest.raises(EvidenceError, match=r"^7 pairs .*rows 5 and 32, 5 and 33.* \.\.\."):
        require_apart(images, FORGOTTEN, UNSEEN, rows)
    assert 0 < NEAR < BITS / 4
