"""What is known of a task's module beyond its weights, and where what was made of it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from auditor.domain.artefact import Digest


class Shelf(Protocol):
    """Keeps bytes that were made of one model version, until that version leaves service.

    Whatever lies on it carries the influence of patients (DESIGN section 4 point 13).
    """

    def find(self, key: Digest) -> bytes | None:
        """What was kept under the key, or None; never anything but the very bytes."""
        ...

    def keep(self, key: Digest, content: bytes, *, images: int) -> None:
        """Keep bytes that were made of so many images."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownModel:
    """A model version on the books.

    Attributes:
        identity: digest over weights, recipe and data: another version has another one.
        training: indices of all images it was trained on.
        shelf: where its curvature is kept.
    """

    identity: Digest
    training: tuple[int, ...]
    shelf: Shelf
