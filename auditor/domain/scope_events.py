"""Events of an erasure's scope; `auditor.domain.event` is where all kinds are found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.artefact import ArtefactKind, Digest
from auditor.domain.kind import Event, named


class Readmission(StrEnum):
    """Why the data of an excluded patient may be trained on again."""

    NEW_CONSENT = "new-consent"  # Art. 6(1)(a), 9(2)(a) GDPR
    OTHER_LEGAL_BASIS = "other-legal-basis"
    ENTERED_IN_ERROR = "entered-in-error"


@named("subjects-excluded/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectsExcluded(Event):
    """The case's subjects are kept out of future training, by name and by picture.

    `entries` is the digest of keyed entries in the store, which hold no identifier; `images` counts
    the pictures that they know.
    """

    case: str
    entries: Digest
    subjects: int
    images: int


@named("subjects-readmitted/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectsReadmitted(Event):
    """They may be trained on again, by the desk's own hand; written before `entries` are destroyed.

    `actor` and `signature` are as of the desk's other acts.
    """

    case: str
    entries: Digest
    reason: Readmission
    actor: str
    signature: Digest


@named("copy-declared/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CopyDeclared(Event):
    """The controller's word that a copy of a model, or of its data, lies outside this home.

    `copy` is the digest of its bytes, or commits to a name for it in the vault; it was made of the
    version with these `weights`.
    """

    model: str
    weights: Digest
    copy: Digest
    copy_kind: ArtefactKind
    actor: str
