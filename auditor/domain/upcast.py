"""Older kinds of events, read as the newer kind that took their place.

Stored bytes never change: what was written as ``home-created/v1`` stays that in its leaf for good.
Reading lifts it step by step to the newest version. Each step is a pure function from the fields of
one version to the fields of the next; a retired kind is never taken out of this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeAlias

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.request import DecisionReason
from auditor.domain.route import Obstacle

Fields: TypeAlias = Mapping[str, object]
Upcaster: TypeAlias = Callable[[Fields], Fields]

UNRECORDED = "unrecorded"
EMPTY = Digest.of(canonical_bytes({}))


def _home_created_v1(fields: Fields) -> Fields:
    """Version 1 didn't say under which origin the ledger signs its checkpoints."""
    return {**fields, "origin": UNRECORDED}


def _erasure_requested_v1(fields: Fields) -> Fields:
    """Version 1 took the days of UTC, and whatever holidays the settings named."""
    return {**fields, "time_zone": "UTC", "tzdata": UNRECORDED, "holidays": UNRECORDED}


def _method_calibrated_v1(fields: Fields) -> Fields:
    """Version 1 kept neither the model nor what was measured."""
    return {**fields, "weights": str(EMPTY), "findings": str(EMPTY)}


def _unlearning_completed_v1(fields: Fields) -> Fields:
    """Version 1 kept no record of the run beyond its device and time."""
    return {**fields, "record": str(EMPTY)}


def _scope_established_v1(fields: Fields) -> Fields:
    """Version 1 looked at training images alone."""
    return {**fields, "held_out_images": 0, "earlier": [], "obstacle": Obstacle.NONE.value}


def _request_decided_v1(fields: Fields) -> Fields:
    """Version 1 gave no reason, and nobody signed it."""
    unsigned = {"reason": DecisionReason.NONE.value, "signature": str(EMPTY)}
    return {**fields, **unsigned, "review": str(date.max)}


def _scores_kept_v1(fields: Fields) -> Fields:
    """Version 1 promised no last day."""
    return {**fields, "destroy_by": str(date.max)}


def _shared_bank_tried_v1(fields: Fields) -> Fields:
    """Version 1 said no margin; this one is wider than any, so it counts for no case."""
    return {**fields, "margin_millionths": 1_000_000}


UPCASTERS: Mapping[str, tuple[str, Upcaster]] = {
    "home-created/v1": ("home-created/v2", _home_created_v1),
    "erasure-requested/v1": ("erasure-requested/v2", _erasure_requested_v1),
    "request-decided/v1": ("request-decided/v2", _request_decided_v1),
    "scope-established/v1": ("scope-established/v2", _scope_established_v1),
    "method-calibrated/v1": ("method-calibrated/v2", _method_calibrated_v1),
    "unlearning-completed/v1": ("unlearning-completed/v2", _unlearning_completed_v1),
    "scores-kept/v1": ("scores-kept/v2", _scores_kept_v1),
    "shared-bank-tried/v1": ("shared-bank-tried/v2", _shared_bank_tried_v1),
}


def upcast(kind: str, fields: Fields) -> tuple[str, Fields]:
    """The newest kind that a stored kind has become, and its fields in that version."""
    while kind in UPCASTERS:
        kind, step = UPCASTERS[kind]
        fields = step(fields)
    return kind, fields
