"""What makes a class a kind of event: a stable name and version, and no room for prose."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, TypeVar

from auditor.domain.canonical import Canonical
from auditor.domain.codec import plain_fields

# No prose; and no run of dotted numbers, which would be a DICOM UID (PS3.5 section 9.1).
_TOKEN = re.compile(r"(?!\d+(\.\d+){4,}$)[A-Za-z0-9][A-Za-z0-9._:/+-]{0,127}")


def is_token(text: str) -> bool:
    """Whether a text may stand in an entry.

    >>> is_token("dpo"), is_token("Dr. Müller")
    (True, False)
    """
    return _TOKEN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all kinds. Strings must be short tokens: nothing that reads as prose."""

    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            items = value if isinstance(value, tuple) else (value,)
            for item in items:
                if isinstance(item, str) and not is_token(item):
                    raise ValueError(f"{self.kind}.{field.name} is not a short token")

    def data(self) -> dict[str, Canonical]:
        """Fields as canonical JSON values."""
        return plain_fields(self)


KINDS: dict[str, type[Event]] = {}
E_ = TypeVar("E_", bound=type[Event])


def named(kind: str) -> Callable[[E_], E_]:
    """Class decorator: gives an event its kind, e.g. ``erasure-requested/v1``."""

    def register(cls: E_) -> E_:
        cls.kind = kind
        KINDS[kind] = cls
        return cls

    return register
