"""Matched never-seen patients: whom the forgotten are compared with, patient for patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.errors import EvidenceError
from auditor.verification.layout import Indices, Layout, Numbers

PER_PATIENT = 4
_SEED = 20260127


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matched:
    """Patients of both groups, each with as many images as those they are matched with.

    Attributes:
        images: each patient's image indices, the forgotten patients first.
        forgotten: how many of them are forgotten.
        strata: a code per patient; those of one code have the same class and number of images,
            so they may be exchanged for each other.
    """

    images: tuple[Indices, ...]
    forgotten: int
    strata: Indices

    def means(self, values: NDArray[np.floating]) -> Numbers:
        """Per patient the mean over their images, which lie on the first axis."""
        sizes = np.array([len(own) for own in self.images])
        starts = np.cumsum(sizes) - sizes
        sums = np.add.reduceat(values[np.concatenate(self.images)].astype(np.float64), starts)
        return np.asarray(sums / sizes.reshape(-1, *[1] * (values.ndim - 1)))


def match_patients(layout: Layout, per_patient: int = PER_PATIENT) -> Matched:
    """Find up to ``per_patient`` never-seen patients for each forgotten one, none twice.

    A match has the same class (of the first image) and at least as many images, of which as many
    are taken as the forgotten patient has. Where the never-seen patients of a class are too few,
    or none has so many images, fewer forgotten patients or images are compared.

    Raises:
        EvidenceError: no never-seen patient is of a forgotten patient's class.
    """
    free = _by_patient(layout, layout.unseen)
    np.random.default_rng(_SEED).shuffle(free)
    own = _by_patient(layout, layout.forgotten)
    pairs = [
        pair
        for label in np.unique(layout.labels[layout.forgotten])
        for pair in _match_class(_of(layout, own, label), _of(layout, free, label), per_patient)
    ]
    if not pairs:
        raise EvidenceError(
            "no never-seen patient has the class of a forgotten one; mend the split"
        )
    images = [gone for gone, _ in pairs] + [one for _, others in pairs for one in others]
    kinds = [(layout.labels[part[0]], len(part)) for part in images]
    _, strata = np.unique(np.array(kinds), axis=0, return_inverse=True)
    return Matched(images=tuple(images), forgotten=len(pairs), strata=strata)


def _match_class(
    own: list[Indices], free: list[Indices], per_patient: int
) -> Iterator[tuple[Indices, list[Indices]]]:
    """The patient with most images chooses first, and takes those with the fewest to spare."""
    own = own[: len(free)]
    share = min(per_patient, len(free) // max(1, len(own)))
    free = sorted(free, key=len)
    for images in sorted(own, key=len, reverse=True):
        size = min(len(images), len(free[-share]))
        first = next(k for k, other in enumerate(free) if len(other) >= size)
        yield images[:size], [other[:size] for other in free[first : first + share]]
        del free[first : first + share]


def _by_patient(layout: Layout, indices: Indices) -> list[Indices]:
    codes = layout.patients[indices]
    return [indices[codes == code] for code in np.unique(codes)]


def _of(layout: Layout, patients: list[Indices], label: int) -> list[Indices]:
    return [images for images in patients if layout.labels[images[0]] == label]
