"""Small numbers in what leaves the house: nobody is to be recognised among fewer than five.

Counts below `LEAST` are told as one. Where their sum is below it, too, the smallest of the larger
ones joins them, or it could be had from the total by subtraction. Where even all together are too
few, only that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LEAST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How many there are of these names together; None where that is 1 to ``LEAST - 1``."""

    names: tuple[str, ...]
    count: int | None


def merged(counts: Mapping[str, int]) -> tuple[Cell, ...]:
    """A partition's counts as they may be told, in the order given; what counts 0 is left out.

    Raises:
        ValueError: a count below 0.

    >>> [(cell.names, cell.count) for cell in merged({"a": 20, "b": 3, "c": 9})]
    [(('a',), 20), (('b', 'c'), 12)]
    """
    if any(count < 0 for count in counts.values()):
        raise ValueError("nothing is counted fewer than 0 times")
    shown = {name: count for name, count in counts.items() if count}
    joined = {name for name, count in shown.items() if count < LEAST}
    while joined and len(joined) < len(shown) and _sum(shown, joined) < LEAST:
        joined.add(min(shown.keys() - joined, key=lambda name: (shown[name], name)))
    cells = [Cell(names=(name,), count=shown[name]) for name in shown if name not in joined]
    if joined:
        names = tuple(name for name in shown if name in joined)
        total = _sum(shown, joined)
        cells.append(Cell(names=names, count=total if total >= LEAST else None))
    return tuple(cells)


def told(count: int) -> int | None:
    """A single count as it may be told: None where it is 1 to ``LEAST - 1``.

    Raises:
        ValueError: a count below 0.
    """
    if count < 0:
        raise ValueError("nothing is counted fewer than 0 times")
    return None if 0 < count < LEAST else count


def _sum(counts: Mapping[str, int], names: set[str]) -> int:
    return sum(counts[name] for name in names)
