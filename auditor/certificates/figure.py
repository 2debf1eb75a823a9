"""Geometry of the drawings: models on the axis of residual influence, the seal's ornament, the QR.

Plain numbers out; the template draws them. Everything on the axis is a value of the signed
statement, and it shows models, never images (DESIGN section 4 point 14).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import segno

from auditor.domain.language import Language

WIDTH = 680.0
LEFT, RIGHT = 170.0, 668.0
_ROWS = {"candidate": 48.0, "out": 92.0, "untouched": 136.0}
_WINDOW = (-1.5, 2.5)  # what lies beyond is drawn at the edge; the text gives the number
_STEP = 0.5
_APART = 7.0  # marks closer than this are set above one another


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One model: where it is drawn, in the drawing's units, and the value it stands for."""

    x: float
    y: float
    value: str

    def square(self, reach: float) -> str:
        """An SVG path of a square about the mark; shapes tell groups apart where colours don't."""
        x, y = self.x, self.y
        return f"M{x - reach:.2f} {y - reach:.2f}h{2 * reach}v{2 * reach}h-{2 * reach}z"

    def diamond(self, reach: float) -> str:
        """An SVG path of a diamond about the mark."""
        top = self.y - reach
        return f"M{self.x:.2f} {top:.2f}l{reach} {reach}l-{reach} {reach}l-{reach} -{reach}z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the axis; ``left_cut``/``right_cut`` where it runs out of the window."""

    left: float
    right: float
    left_cut: bool
    right_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisFigure:
    """The axis of residual influence: 0 as if never seen, 1 as if untouched."""

    margin: Span
    zero: float
    one: float
    ticks: tuple[Mark, ...]
    out: tuple[Mark, ...]
    untouched: tuple[Mark, ...]
    candidate: Mark
    interval: Span
    description: str


def influence_axis(predicate: Mapping[str, Any], language: Language) -> AxisFigure | None:
    """Lay out the figure; None where nothing was audited or the gap isn't established."""
    if "audit" not in predicate or "plan" not in predicate:
        return None
    influence, margin = predicate["audit"]["influence"], predicate["plan"]["margin"]
    if influence["established"] != "yes":
        return None
    estimate = influence["equivalence"]
    scale = _Scale.over(
        [
            *map(float, influence["out"]),
            *map(float, influence["untouched"]),
            *(float(estimate[key]) for key in ("lower", "point", "upper")),
            -float(margin),
            float(margin),
        ]
    )
    return AxisFigure(
        margin=scale.span(-float(margin), float(margin)),
        zero=scale.x(0.0),
        one=scale.x(1.0),
        ticks=tuple(
            Mark(x=scale.x(value), y=166.0, value=f"{value:.1f}".replace("-", "−"))
            for value in scale.ticks()
        ),
        out=_swarm(influence["out"], scale, _ROWS["out"]),
        untouched=_swarm(influence["untouched"], scale, _ROWS["untouched"]),
        candidate=Mark(
            x=scale.x(float(estimate["point"])), y=_ROWS["candidate"], value=estimate["point"]
        ),
        interval=scale.span(float(estimate["lower"]), float(estimate["upper"])),
        description=_describe(influence, margin, language),
    )


def qr_path(text: str) -> tuple[int, str]:
    """A QR symbol (ISO/IEC 18004, error correction M): side in modules, and its SVG path."""
    matrix = segno.make(text, error="m", micro=False).matrix
    path = "".join(
        f"M{start} {row}h{length}v1h-{length}z"
        for row, line in enumerate(matrix)
        for start, length in _runs(line)
    )
    return len(matrix), path


def _runs(line: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Start and length of each row of dark modules that touch; one shape draws them."""
    at = 0
    for dark, modules in groupby(line):
        length = len(list(modules))
        if dark:
            yield at, length
        at += length


def rosette(radius: float, depth: float, waves: int, strands: int = 3) -> tuple[str, ...]:
    """Closed wave lines about the origin, the engraver's guilloche of a seal."""
    paths = []
    for strand in range(strands):
        phase = 2 * math.pi * strand / strands
        points = []
        for step in range(waves * 12):
            angle = 2 * math.pi * step / (waves * 12)
            reach = radius + depth * math.cos(waves * angle + phase)
            points.append(f"{reach * math.cos(angle):.2f} {reach * math.sin(angle):.2f}")
        paths.append("M" + "L".join(points) + "Z")
    return tuple(paths)


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> _Scale:
        low = max(min([*values, 0.0]), _WINDOW[0])
        high = min(max([*values, 1.0]), _WINDOW[1])
        return cls(math.floor(low / _STEP - 0.1) * _STEP, math.ceil(high / _STEP + 0.1) * _STEP)

    def x(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return round(LEFT + (RIGHT - LEFT) * (inside - self.low) / (self.high - self.low), 2)

    def span(self, lower: float, upper: float) -> Span:
        return Span(
            left=self.x(lower),
            right=self.x(upper),
            left_cut=lower < self.low,
            right_cut=upper > self.high,
        )

    def ticks(self) -> tuple[float, ...]:
        count = round((self.high - self.low) / _STEP)
        return tuple(self.low + _STEP * number for number in range(count + 1))


def _swarm(values: Sequence[str], scale: _Scale, row: float) -> tuple[Mark, ...]:
    """Marks in a row; neighbours that would overlap are set alternately below and above it."""
    marks: list[Mark] = []
    lane, last = 0, -math.inf
    for value in sorted(values, key=float):
        x = scale.x(float(value))
        lane = (lane + 1) % 3 if x - last < _APART else 0
        marks.append(Mark(x=x, y=row + (0.0, 7.0, -7.0)[lane], value=value))
        last = x
    return tuple(marks)


def _describe(influence: Mapping[str, Any], margin: str, language: Language) -> str:
    estimate = influence["equivalence"]
    return language.say(
        "Axis of residual influence, where 0 is the average model trained without the images and 1 "
        "the average model trained with them. The margin reaches from -{margin} to {margin}. "
        "{out} models trained without the images lie between {out_lowest} and {out_highest}. "
        "{untouched} untouched models lie between {untouched_lowest} and {untouched_highest}. The "
        "audited model lies at {point}, with a {level} % interval from {lower} to {upper}.",
        margin=language.decimals(margin),
        out=len(influence["out"]),
        out_lowest=language.decimals(min(influence["out"], key=float)),
        out_highest=language.decimals(max(influence["out"], key=float)),
        untouched=len(influence["untouched"]),
        untouched_lowest=language.decimals(min(influence["untouched"], key=float)),
        untouched_highest=language.decimals(max(influence["untouched"], key=float)),
        level=f"{100 * float(estimate['level']):.0f}",
        **{key: language.decimals(estimate[key]) for key in ("lower", "point", "upper")},
    )
