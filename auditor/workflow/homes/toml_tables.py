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


def tables_of(
    found: Mapping[str, object], wanted: Mapping[str, Mapping[str, object]]
) -> Mapping[str, Mapping[str, object]]:
    """The tables of a file: each with its own keys, and no others.

    Args:
        found: what the file holds.
        wanted: for each table its keys and what to write there; None where nobody can tell.

    Raises:
        HomeError: naming the first table or key that is unknown, or no table; else all that are
            missing, and what to write for each.
    """
    _require_known(found, "the file", wanted)
    for name, table in found.items():
        if not isinstance(table, dict):
            raise HomeError(f"{name} must be a table, [{name}]")
        _require_known(table, f"[{name}]", wanted[name])
    held = {
        name: {**table} if isinstance(table := found.get(name), dict) else {} for name in wanted
    }
    missing = [
        f"{key} is missing in [{name}]" + ("" if usual is None else f", add {key} = {_toml(usual)}")
        for name, keys in wanted.items()
        for key, usual in keys.items()
        if key not in held[name]
    ]
    if missing:
        raise HomeError("; ".join(missing))
    return held


def _require_known(found: Mapping[str, object], where: str, keys: Mapping[str, object]) -> None:
    if unknown := sorted(set(found) - set(keys)):
        raise HomeError(f"unknown key {unknown[0]} in {where}; known are {', '.join(sorted(keys))}")


def _toml(usual: object) -> str:
    """For texts, numbers, truths and lists of them JSON is TOML."""
    return json.dumps(usual, ensure_ascii=False)


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
