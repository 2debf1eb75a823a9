"""Batches: cases that are run together, such as those of one import or of a quarter. No engine.

A batch is named by the digest of its list of cases, so that the same list is the same batch,
however often it is filed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.domain.canonical import canonical_bytes
from auditor.domain.event import BatchFiled
from auditor.errors import MisuseError
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, record

BATCH_PREFIX = "batch:"

_NAME_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch and its cases, in the order in which they were named."""

    batch: str
    recorded_at: str
    cases: tuple[str, ...]


def file_batch(home: Home, cases: Sequence[str]) -> str:
    """Put cases on the books as one batch; those that are one already stay that.

    Returns:
        The batch's name.

    Raises:
        MisuseError: no case, one twice, or one that there isn't.
        TamperedError: the ledger is read-only.
    """
    if not cases:
        raise MisuseError("a batch has at least one case; this one is empty")
    if len(set(cases)) != len(cases):
        raise MisuseError("a batch names each case once")
    known = {stream.removeprefix(CASE_PREFIX) for stream in home.ledger.streams(CASE_PREFIX)}
    if unknown := [case for case in cases if case not in known]:
        raise MisuseError(f"no case {unknown[0]}; see `auditor request list`")
    require_writable(home.root, home.ledger)
    listing = home.store.put(canonical_bytes({"cases": list(cases)}))
    batch = listing.value[:_NAME_DIGITS]
    event = BatchFiled(batch=batch, cases=len(cases), listing=listing)
    record(home, f"{BATCH_PREFIX}{batch}", event, "filed")
    return batch


def find_batch(home: Home, batch: str) -> Batch:
    """A batch by its name.

    Raises:
        MisuseError: there is none.
        TamperedError: its stored list was changed.
    """
    for item in home.ledger.replay(f"{BATCH_PREFIX}{batch}"):
        if isinstance(item.event, BatchFiled):
            listed = json.loads(home.store.get(item.event.listing))
            return Batch(batch=batch, recorded_at=item.recorded_at, cases=tuple(listed["cases"]))
    raise MisuseError(f"no batch {batch}; see `auditor request batch list`")


def list_batches(home: Home) -> tuple[Batch, ...]:
    """Every batch, oldest first.

    Raises:
        TamperedError: a stored list was changed.
    """
    streams = home.ledger.streams(BATCH_PREFIX)
    return tuple(find_batch(home, stream.removeprefix(BATCH_PREFIX)) for stream in streams)
