"""Events of work on many cases at once; `auditor.domain.event` is where all kinds are found."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.domain.artefact import Digest
from auditor.domain.kind import Event, named


@named("batch-filed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFiled(Event):
    """Cases that are run together: those of one import, or named in a list.

    `cases` counts them, `listing` is the digest of the stored list of their ids.
    """

    batch: str
    cases: int
    listing: Digest


@named("quarter-reported/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterReported(Event):
    """A quarter's report stands signed; `envelope` is the digest of the DSSE bytes.

    `number` counts the reports on that quarter, as a later one may know more.
    """

    quarter: str
    number: int
    envelope: Digest
