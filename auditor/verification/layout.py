"""Who is who among the images of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.errors import EvidenceError

Indices = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """Roles of images by index.

    Attributes:
        labels: class of each image, (n,).
        patients: a code per image, the same for all images of one patient, (n,).
        forgotten: images whose influence is asked for.
        retained: training images of everybody else.
        unseen: images of patients no model was trained on.
        attributes: what is known of each image's patient, a value per image by attribute (``site``,
            ``sex``, ``age``); an empty value where the manifest says nothing.
    """

    labels: Indices
    patients: Indices
    forgotten: Indices
    retained: Indices
    unseen: Indices
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if min(len(self.forgotten), len(self.retained), len(self.unseen)) == 0:
            raise EvidenceError("an audit needs forgotten, retained and never-seen images")
        if any(len(values) != len(self.labels) for values in self.attributes.values()):
            raise EvidenceError("sites, sexes and ages are needed for each image, or for none")
        groups = [set(self.patients[part].tolist()) for part in self._parts()]
        if any(groups[a] & groups[b] for a, b in ((0, 1), (0, 2), (1, 2))):
            raise EvidenceError(
                "a patient stands in two of forgotten, retained and never-seen; mend the split"
            )
        if len(set(self.labels[self.unseen].tolist())) < 2:
            raise EvidenceError("never-seen images are of one class only; no AUC can be had")

    def _parts(self) -> tuple[Indices, Indices, Indices]:
        return self.forgotten, self.retained, self.unseen
