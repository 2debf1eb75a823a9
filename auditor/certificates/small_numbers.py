"""Small numbers in what leaves the house: nobody is to be recognised among fewer than five.

Counts below `LEAST` are told as one. Where their sum is below it, too, the smallest of the larger
ones joins them, or it could be had from the total by subtraction. Where even all together are too
few, only that is said.

Where two tables count the same cases, what one keeps back mustn't follow from the other (`linked`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

LEAST = 5

Part: TypeAlias = tuple[str, frozenset[str]]
"""Some names of a table, by the table's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How many there are of these names together; None where that is 1 to ``LEAST - 1``."""

    names: tuple[str, ...]
    count: int | None


def linked(
    tables: Mapping[str, Mapping[str, int]], links: Sequence[tuple[Part, Part]]
) -> dict[str, tuple[Cell, ...]]:
    """Tables as they may be told together.

    Args:
        links: parts of two tables that count the same cases, or nearly.
    """
    hidden: dict[str, set[frozenset[str]]] = {name: set() for name in tables}
    while True:
        cells = {name: merged(counts, hidden[name]) for name, counts in tables.items()}
        found = [
            part
            for pair in links
            for kept, part in (pair, pair[::-1])
            if {kept[0], part[0]} <= cells.keys()
            and not tells(cells[kept[0]], kept[1])
            and tells(cells[part[0]], part[1])
            and part[1] not in hidden[part[0]]
        ]
        if not found:
            return cells
        for name, names in found:
            hidden[name].add(names)


def tells(cells: Iterable[Cell], names: Collection[str]) -> bool:
    """Whether the number of these names together follows from a table."""
    inside = [cell for cell in cells if not set(cell.names).isdisjoint(names)]
    return all(cell.count is not None and set(cell.names) <= set(names) for cell in inside)


def merged(counts: Mapping[str, int], hidden: Iterable[Collection[str]] = ()) -> tuple[Cell, ...]:
    """A partition's counts as they may be told, in the order given; what counts 0 is left out.

    Args:
        hidden: names whose number together isn't to be told, unless they are all or none.

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
        joined.add(_smallest(shown, shown.keys() - joined))
    for names in hidden:
        inside, outside = shown.keys() & set(names), shown.keys() - set(names)
        if inside and outside and (joined.isdisjoint(inside) or joined <= inside):
            joined |= {_smallest(shown, inside), _smallest(shown, outside)}
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


def _smallest(counts: Mapping[str, int], names: Iterable[str]) -> str:
    return min(names, key=lambda name: (counts[name], name))


def _sum(counts: Mapping[str, int], names: set[str]) -> int:
    return sum(counts[name] for name in names)
