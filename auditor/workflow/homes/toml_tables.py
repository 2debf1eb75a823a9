"""Reading tables of a TOML file: exactly the keys asked for, of exactly their types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar

from auditor.errors import HomeError

T = TypeVar("T", str, float, int, bool)

_NAMES: Mapping[type, str] = {
    str: "text",
    float: "a number with a decimal point",
    int: "a count",
    bool: "true or false",
}


def table(tables: Mapping[str, object], name: str, keys: set[str]) -> Mapping[str, object]:
    """The table of that name.

    Raises:
        HomeError: it is none, or has other keys.
    """
    found = tables[name]
    if not isinstance(found, dict):
        raise HomeError(f"{name} must be a table, [{name}]")
    only(found, f"[{name}]", keys)
    return found


def only(found: Mapping[str, object], where: str, keys: set[str]) -> None:
    """See that a table has these keys and no others.

    Raises:
        HomeError: naming the first that is unknown or missing.
    """
    if unknown := sorted(set(found) - keys):
        raise HomeError(f"unknown key {unknown[0]} in {where}; known are {', '.join(sorted(keys))}")
    if missing := sorted(keys - set(found)):
        raise HomeError(f"{missing[0]} is missing in {where}")


def value(found: Mapping[str, object], key: str, kind: type[T]) -> T:
    """A table's value, if it is of that type.

    Raises:
        HomeError: it isn't.
    """
    held = found[key]
    if type(held) is not kind:
        raise HomeError(f"{key} must be {_NAMES[kind]}")
    return held


def texts(found: Mapping[str, object], key: str) -> tuple[str, ...]:
    """A table's list of texts.

    Raises:
        HomeError: it is something else.
    """
    held = found[key]
    if not isinstance(held, list) or not all(isinstance(item, str) for item in held):
        raise HomeError(f"{key} must be a list of texts")
    return tuple(held)


def quoted(text: str) -> str:
    """A TOML basic string; for printable text JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)
