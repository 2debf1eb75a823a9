"""An event's place in the ledger, and the bytes that are hashed there."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from auditor.domain.canonical import canonical_bytes
from auditor.domain.kind import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event as the ledger holds it: its place, its stream, when it was written.

    ``recorded_at`` is RFC 3339 UTC with whole seconds; it is the writer's clock, not trusted time.
    """

    sequence: int
    stream: str
    version: int
    event_id: UUID
    recorded_at: str
    event: Event


def entry_bytes(
    event: Event, *, stream: str, version: int, event_id: UUID, recorded_at: str
) -> bytes:
    """The bytes a leaf is the hash of. Written once; never re-made to verify."""
    return canonical_bytes(
        {
            "data": event.data(),
            "event_id": str(event_id),
            "kind": event.kind,
            "recorded_at": recorded_at,
            "stream": stream,
            "version": version,
        }
    )
