"""Frozen values to canonical JSON and back, by their type hints.

One way in, one way out, for events, plans and evidence. Floats travel as their shortest exact
text, booleans as ``yes`` and ``no``; nothing outside the listed types passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from auditor.domain.artefact import Digest
from auditor.domain.canonical import Canonical

T = TypeVar("T")


def plain(value: object) -> Canonical:
    """Canonical JSON value of a dataclass, tuple, enum, digest, date, number or string.

    Raises:
        TypeError: the value holds something with no canonical form.
    """
    if type(value) is str or type(value) is int:  # as most values are
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (Digest, date)):
        return str(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return plain_fields(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")


def plain_fields(value: object) -> dict[str, Canonical]:
    """Canonical JSON values of a dataclass's fields, by name.

    Raises:
        TypeError: one of them has no canonical form.
    """
    cls: type = type(value)
    return {name: plain(getattr(value, name)) for name in _names(cls)}


def typed(cls: type[T], value: object) -> T:
    """Rebuild a ``cls`` from what `plain` made of one, running its own checks.

    Raises:
        ValueError: a field is missing, unknown or of another type.
    """
    return cast(T, _typed(cls, value))


def _typed(hint: Any, value: object) -> object:
    if is_dataclass(hint) and isinstance(hint, type) and hint is not Digest:
        return _record(hint, value)
    if get_origin(hint) is tuple:
        items = _expect(value, list)
        inner = get_args(hint)
        each = [inner[0]] * len(items) if inner[-1] is Ellipsis else list(inner)
        if len(each) != len(items):
            raise ValueError(f"expected {len(each)} items, found {len(items)}")
        return tuple(_typed(kind, item) for kind, item in zip(each, items, strict=True))
    if get_origin(hint) is not None and issubclass(get_origin(hint), Mapping):
        entries = _expect(value, dict)
        return {key: _typed(get_args(hint)[1], item) for key, item in entries.items()}
    if hint is int:
        if isinstance(value, bool):
            raise ValueError("expected an integer")
        return _expect(value, int)
    return _scalar(hint, _expect(value, str))


def _scalar(hint: Any, text: str) -> object:
    if hint is bool:
        if text not in ("yes", "no"):
            raise ValueError("expected yes or no")
        return text == "yes"
    if hint is float:
        return float(text)
    if hint is Digest:
        return Digest.parse(text)
    if hint is date:
        return date.fromisoformat(text)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(text)
    if hint is str:
        return text
    raise ValueError(f"no reading for a field of type {hint}")


def _record(cls: type, value: object) -> object:
    hints = _hints(cls)
    data = _expect(value, dict)
    if set(hints) != set(data):
        raise ValueError(f"{cls.__name__}: fields {sorted(data)}, expected {sorted(hints)}")
    return cls(**{name: _typed(hint, data[name]) for name, hint in hints.items()})


@cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


@cache
def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _expect(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value
