"""Subgroups of the never-seen patients: by site, sex and age band, as the manifest tells them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from auditor.verification.layout import Indices, Layout

UNKNOWN = "unknown"
LEAST_PATIENTS = 10  # of each class; with fewer no interval holds, and a group comes near a name
# Children, and adults in three bands: each holds enough patients of an ordinary test set.
_BANDS = ((18, "0-17"), (40, "18-39"), (65, "40-64"))
_AGE = re.compile(r"(\d{1,3})(?:\.\d+)?\s*([YyMmWwDd]?)")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subgroup:
    """Never-seen images that share one value of one attribute.

    Attributes:
        measurable: whether each class has patients enough for an AUC with an interval.
    """

    attribute: str
    value: str
    images: Indices
    measurable: bool


def age_band(age: str) -> str:
    """The band of an age in years, or as DICOM writes it (PS3.5, value representation AS).

    >>> age_band("45"), age_band("072Y"), age_band("009M"), age_band("")
    ('40-64', '65+', '0-17', 'unknown')
    """
    found = _AGE.fullmatch(age.strip())
    if found is None:
        return UNKNOWN
    years = int(found[1]) if found[2].lower() in ("", "y") else 0
    return next((name for below, name in _BANDS if years < below), "65+")


def find_subgroups(layout: Layout) -> tuple[Subgroup, ...]:
    """Every group of each attribute that takes more than one value among never-seen patients."""
    return tuple(group for name in layout.attributes for group in _of(layout, name))


def _of(layout: Layout, attribute: str) -> Iterator[Subgroup]:
    values = np.asarray(layout.attributes[attribute])[layout.unseen]
    values = np.where(values == "", UNKNOWN, values)
    names = np.unique(values)
    for value in names if len(names) > 1 else ():
        images = layout.unseen[values == value]
        positive = layout.labels[images] == 1
        people = [len(np.unique(layout.patients[images[part]])) for part in (positive, ~positive)]
        yield Subgroup(
            attribute=attribute,
            value=str(value),
            images=images,
            measurable=min(people) >= LEAST_PATIENTS,
        )
