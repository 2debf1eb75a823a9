"""Every model's scores on every image of an audit, and who is who: all that a verdict hangs on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import inf

import numpy as np
from numpy.typing import NDArray

from auditor.errors import EvidenceError
from auditor.verification.archive import Arrays
from auditor.verification.layout import Indices, Layout, Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.readiness import Readiness

_PARTS = ("labels", "patients", "forgotten", "retained", "unseen")
_MODELS = ("out", "in", "original", "candidate")
_OF_OTHERS = ("margins", "scores", "relearned", "lengths")  # the rest is of (queries, images)
_NUMBERS = tuple(item.name for item in fields(Measurements) if item.name != "features")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """What was measured in one audit.

    Attributes:
        out: OUT models, in the order of the bank's list.
        untouched: IN models, likewise.
        original: the model in service.
    """

    layout: Layout
    out: tuple[Measurements, ...]
    untouched: tuple[Measurements, ...]
    original: Measurements
    candidate: Measurements

    @property
    def models(self) -> Iterator[tuple[str, Measurements]]:
        """All models by side and number."""
        groups = (self.out, self.untouched, (self.original,), (self.candidate,))
        for side, models in zip(_MODELS, groups, strict=True):
            for number, model in enumerate(models):
                yield f"{side}/{number:04d}", model


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """How far the same models' scores lie apart, measured twice.

    Attributes:
        identical: not at all, in no number.
        margin: largest difference of a signed logit margin; infinite where other models or images
            were measured.
    """

    identical: bool
    margin: float


def scores_of(readiness: Readiness, candidate: Measurements) -> Scores:
    """What an audit of a candidate goes by."""
    return Scores(
        layout=readiness.layout,
        out=readiness.out,
        untouched=readiness.untouched,
        original=readiness.original,
        candidate=candidate,
    )


def compare_scores(one: Scores, other: Scores) -> Differing:
    """Hold two measurements of an audit's models against each other."""
    first, second = scores_arrays(one), scores_arrays(other)
    same = first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )
    margins = [{name: model.margins for name, model in each.models} for each in (one, other)]
    return Differing(identical=same, margin=_apart(*margins))


def _apart(one: Mapping[str, Numbers], other: Mapping[str, Numbers]) -> float:
    if one.keys() != other.keys() or any(one[name].shape != other[name].shape for name in one):
        return inf
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def scores_arrays(scores: Scores) -> dict[str, NDArray[np.generic]]:
    """As arrays by name, for an archive."""
    layout = scores.layout
    arrays: dict[str, NDArray[np.generic]] = {name: getattr(layout, name) for name in _PARTS}
    for place, (name, values) in enumerate(layout.attributes.items()):
        arrays[f"attribute/{place}/{name}"] = np.array(values, dtype=np.str_)
    for before, model in scores.models:
        arrays |= {f"{before}/{name}": getattr(model, name) for name in _NUMBERS}
        for place, (depth, vectors) in enumerate(model.features.items()):
            arrays[f"{before}/feature/{place}/{depth}"] = vectors
    return arrays


def scores_from(arrays: Arrays) -> Scores:
    """What `scores_arrays` was given.

    Raises:
        EvidenceError: none are there, or not those of an audit.
    """
    if not arrays:
        raise EvidenceError("the bundle holds no scores to replay; ask for one with scores")
    try:
        with np.errstate(over="ignore"):  # what becomes infinite is refused below
            sides = {side: _models(side, arrays) for side in _MODELS}
        ((original,), (candidate,)) = sides["original"], sides["candidate"]
        scores = Scores(
            layout=_layout(arrays),
            out=sides["out"],
            untouched=sides["in"],
            original=original,
            candidate=candidate,
        )
    except (KeyError, ValueError, TypeError, IndexError):
        raise EvidenceError("the bundle's scores are incomplete; export it again") from None
    if not _fit_together(scores):
        raise EvidenceError("the bundle's scores aren't all of the same images; export it again")
    if not all(_is_finite(model) for _, model in scores.models):
        raise EvidenceError("some of the bundle's scores are NaN or infinite; export it again")
    return scores


def _fit_together(scores: Scores) -> bool:
    """Whether every array is of as many images as there are, and every index is of one."""
    layout, count = scores.layout, scores.layout.labels.size
    indices: list[Indices] = [layout.forgotten, layout.retained, layout.unseen]
    return (
        layout.labels.shape == layout.patients.shape == (count,)
        and all(part.ndim == 1 and part.min() >= 0 and part.max() < count for part in indices)
        and all(_is_of(model, count) for _, model in scores.models)
    )


def _is_of(model: Measurements, count: int) -> bool:
    changed = [getattr(model, name) for name in _NUMBERS if name not in _OF_OTHERS]
    return (
        model.margins.shape == model.scores.shape == (count,)
        and model.relearned.ndim == 2
        and model.lengths.shape in ((0,), (2,))
        and all(vectors.ndim == 2 and len(vectors) == count for vectors in model.features.values())
        and all(asked.ndim == 2 and asked.shape[1] in (0, count) for asked in changed)
    )


def _is_finite(model: Measurements) -> bool:
    """As every model is that was let into an audit; no statistic is made for others."""
    numbers = (getattr(model, name) for name in _NUMBERS)
    return all(bool(np.isfinite(part).all()) for part in (*numbers, *model.features.values()))


def _models(side: str, arrays: Arrays) -> tuple[Measurements, ...]:
    numbers = sorted({key.split("/")[1] for key in arrays if key.startswith(f"{side}/")})
    return tuple(_model(f"{side}/{number}", arrays) for number in numbers)


def _model(name: str, arrays: Arrays) -> Measurements:
    before = f"{name}/feature/"
    depths = sorted(key for key in arrays if key.startswith(before))
    return Measurements(
        features={key.split("/", 4)[4]: arrays[key].astype(np.float32) for key in depths},
        **{part: arrays[f"{name}/{part}"].astype(np.float64) for part in _NUMBERS},
    )


def _layout(arrays: Arrays) -> Layout:
    before = "attribute/"
    return Layout(
        **{name: arrays[name].astype(np.int64) for name in _PARTS},
        attributes={
            key.split("/", 2)[2]: tuple(str(value) for value in values)
            for key, values in sorted(arrays.items())
            if key.startswith(before)
        },
    )
