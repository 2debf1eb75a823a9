"""Canonical bytes: what digests and signatures are taken over.

The subset of RFC 8785 (JSON Canonicalization Scheme) that two implementations can't disagree
about: strings, integers below 2^53, lists and string-keyed maps. Decimals travel as strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from json.encoder import encode_basestring as _quoted
from typing import TypeAlias

Canonical: TypeAlias = "str | int | Sequence[Canonical] | Mapping[str, Canonical]"

_LARGEST_INTEGER = 2**53 - 1  # RFC 8785 section 3.2.2.3: beyond it, JSON numbers lose precision


def canonical_bytes(value: Canonical) -> bytes:
    """UTF-8 bytes of ``value``, keys sorted by UTF-16 code units (RFC 8785 section 3.2.3).

    Raises:
        TypeError: a float, boolean, null or other type outside the subset.
        ValueError: an integer of 2^53 or more, or a lone surrogate.

    >>> canonical_bytes({"b": 1, "a": ["x"]})
    b'{"a":["x"],"b":1}'
    """
    return _text(value).encode("utf-8")


def decimal_text(value: float, places: int = 4) -> str:
    """Fixed-point text of a float, the form in which measurements enter signed bytes.

    >>> decimal_text(-0.00001), decimal_text(0.12345)
    ('0.0000', '0.1235')
    """
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def power_text(power: float, places: int = 4) -> str:
    """Fixed-point text of a probability that is promised: never rounded up.

    >>> power_text(0.99996), power_text(0.7999, 2), power_text(0.29, 2)
    ('0.9999', '0.79', '0.29')
    """
    return str(Decimal(repr(power)).quantize(Decimal(10) ** -places, ROUND_FLOOR))


def _text(value: Canonical) -> str:
    if isinstance(value, str):  # first, as most values are
        return _quoted(value)
    if isinstance(value, bool):
        raise TypeError("booleans have no place in canonical bytes; use 'yes' and 'no'")
    if isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            raise ValueError(f"integer beyond 2^53 - 1: {value}; write it as a string")
        return int.__repr__(value)
    if isinstance(value, (dict, Mapping)):  # an abstract class alone takes much longer to ask
        members = [f"{_quoted(key)}:{_text(value[key])}" for key in _in_order(value)]
        return f"{{{','.join(members)}}}"
    if isinstance(value, (list, Sequence)) and not isinstance(value, (bytes, bytearray)):
        return f"[{','.join(map(_text, value))}]"
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _in_order(keys: Iterable[str]) -> list[str]:
    ordered = sorted(keys)
    if "".join(ordered).isascii():  # then code units are code points
        return ordered
    return sorted(ordered, key=_code_units)


def _code_units(key: str) -> bytes:
    return key.encode("utf-16-be")
