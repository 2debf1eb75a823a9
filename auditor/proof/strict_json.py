"""Reading JSON that a stranger wrote: bounded, no duplicate keys, no floats, exact fields."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Set
from typing import NoReturn

from auditor.errors import ProofError

_SURROGATE = re.compile(r"[\ud800-\udfff]")


def read_object(data: bytes, what: str, limit: int) -> Mapping[str, object]:
    """Parse one JSON object.

    Args:
        data: the bytes.
        what: names the thing in messages, e.g. ``the trust file``.
        limit: most bytes accepted.

    Raises:
        ProofError: too large, not UTF-8 JSON, a key twice, a number that isn't an integer.
    """
    if len(data) > limit:
        raise ProofError(f"{what} is larger than {limit} bytes")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError):
        raise ProofError(f"{what} is not well-formed JSON") from None
    return as_object(value, what)


def as_object(value: object, what: str) -> Mapping[str, object]:
    """The value as a map, else ProofError."""
    if not isinstance(value, dict):
        raise ProofError(f"{what} is not a JSON object")
    return value


def as_list(value: object, what: str) -> list[object]:
    """The value as a list, else ProofError."""
    if not isinstance(value, list):
        raise ProofError(f"{what} is not a list")
    return value


def as_text(value: object, what: str) -> str:
    """The value as a string that can be encoded (JSON carries lone surrogates), else ProofError."""
    if not isinstance(value, str) or _SURROGATE.search(value):
        raise ProofError(f"{what} is not a string of Unicode text")
    return value


def exact_fields(value: Mapping[str, object], names: Set[str], what: str) -> None:
    """Raise ProofError unless the map has these keys and no others."""
    if missing := sorted(names - set(value)):
        raise ProofError(f"{what} lacks {', '.join(missing)}")
    if len(value) != len(names):
        raise ProofError(f"{what} has unknown fields")


def as_base64(value: object, what: str) -> bytes:
    """Decode standard base64 (RFC 4648 section 4) in its one canonical form, else ProofError."""
    text = as_text(value, what)
    try:
        data = b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise ProofError(f"{what} is not base64") from None
    if b64encode(data).decode("ascii") != text:  # spare bits set: two texts for the same bytes
        raise ProofError(f"{what} is not canonical base64")
    return data


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _refuse_number(text: str) -> NoReturn:
    raise ValueError("not an integer")
