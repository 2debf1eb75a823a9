"""Digests, and the artefacts they name."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.canonical import Canonical, canonical_bytes

_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256 value that never travels without its algorithm (FIPS 180-4)."""

    value: str
    algorithm: str = "sha256"

    def __post_init__(self) -> None:
        if self.algorithm != "sha256" or not _HEX_SHA256.fullmatch(self.value):
            raise ValueError(f"not a SHA-256 digest: {self.algorithm}:{self.value[:80]}")

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read ``sha256:<64 hex digits>``. Raises ValueError otherwise."""
        algorithm, _, value = text.partition(":")
        return cls(value=value, algorithm=algorithm)

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Digest of bytes."""
        return cls(value=hashlib.sha256(data).hexdigest())


def digest_of(value: Canonical) -> Digest:
    """Digest of a value's canonical bytes."""
    return Digest.of(canonical_bytes(value))


class ArtefactKind(StrEnum):
    """What may carry a patient's influence (DESIGN section 4 point 13)."""

    MODEL = "model"
    REFERENCE_IN = "reference-in"
    REFERENCE_OUT = "reference-out"
    SHARED_REFERENCE = "shared-reference"
    SCOUT = "scout"
    CANDIDATE = "candidate"
    TRAINING_CHECKPOINT = "training-checkpoint"
    CURVATURE = "curvature"
    TRAINING_DATA = "training-data"
    SCORES = "scores"
    REQUEST_PAYLOAD = "request-payload"
    EXCLUSION_ENTRIES = "exclusion-entries"
    SOURCE = "source"
    SPLIT = "split"
    CACHE = "cache"
    DERIVED_MODEL = "derived-model"
    EXPORT = "export"
    BACKUP = "backup"


class ArtefactFate(StrEnum):
    """What became of an artefact that a case affects."""

    REPLACED = "replaced"
    DESTROYED = "destroyed"
    RETAINED = "retained"


NOT_ESTABLISHED = "erasure-not-established"
"""The ground of a copy that stays because nobody was erased; no reason to keep it."""


class ItemStatus(StrEnum):
    """How one copy ended, after the media records of NIST SP 800-88 (Rev. 1, Appendix G)."""

    ERASED = "erased"
    EXCEPTED = "with-exceptions"
    NOT_ERASED = "not-erased"


def item_status(fate: ArtefactFate, ground: str) -> ItemStatus:
    """What may be said of one copy by itself, whatever the verdict on the model.

    A copy that is kept on a ground is an exception; one that is kept for want of an erasure isn't.
    """
    if fate is not ArtefactFate.RETAINED:
        return ItemStatus.ERASED
    return ItemStatus.NOT_ERASED if ground == NOT_ESTABLISHED else ItemStatus.EXCEPTED
