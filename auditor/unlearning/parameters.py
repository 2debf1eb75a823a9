"""Parameters of a method: texts, as a plan pins them, into a frozen record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

from auditor.errors import UnlearningError

T = TypeVar("T")

_READ: Mapping[Any, tuple[Callable[[str], Any], str]] = {
    int: (int, "a count"),
    float: (float, "a number"),
    float | None: (float, "a number"),
    str: (str, "a word"),
    Sequence[str]: (str.split, "words"),
}


def parse(kind: type[T], method: str, texts: Mapping[str, str]) -> T:
    """Read the fields of a dataclass, each of a type in `_READ`.

    Args:
        kind: its own checks run as it is made.
        method: whom errors speak of.

    Raises:
        UnlearningError: unknown, missing or not of its type.
    """
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    if unknown := sorted(set(texts) - set(known)):
        takes = f"; it takes {', '.join(known)}" if known else "; it takes none"
        raise UnlearningError(f"{method}: unknown parameter {unknown[0]}{takes}")
    for name, field in known.items():
        if name not in texts and field.default is MISSING:
            raise UnlearningError(f"{method} needs {name}, {_READ[hints[name]][1]}")
    found: dict[str, Any] = {}
    for name, text in texts.items():
        read, words = _READ[hints[name]]
        try:
            found[name] = read(text)
        except ValueError:
            raise UnlearningError(f"{method}: {name} is {words}") from None
    return kind(**found)
