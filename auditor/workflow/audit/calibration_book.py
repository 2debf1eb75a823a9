"""Calibrations on the books: findings in the store, their digest in the case. Needs no engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from auditor.domain.artefact import Digest
from auditor.domain.calibration import Findings
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain, typed
from auditor.domain.event import MethodCalibrated
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, case_stream, record

if TYPE_CHECKING:
    from auditor.workflow.audit.calibration import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One calibration of a model version.

    Attributes:
        on: day of the entry, by the writer's clock.
    """

    method: str
    on: str
    findings: Findings


def enter_calibration(
    home: Home, case: str, weights: Digest, calibration: Calibration
) -> MethodCalibrated:
    """Store what a calibration found and write it into the case.

    Where no variant was chosen the parameters are empty, and the findings say why.

    Args:
        weights: of the version that the method was tuned for.
    """
    event = MethodCalibrated(
        case=case,
        weights=weights,
        method=calibration.method,
        parameters=home.store.put(canonical_bytes(plain(calibration.parameters or {}))),
        findings=home.store.put(calibration.findings),
    )
    record(home, case_stream(case), event, f"calibrated-{calibration.method}")
    return event


def latest_calibrations(home: Home, weights: Digest) -> tuple[Known, ...]:
    """The last calibration of each method for a model version, by the method's name."""
    entered = [
        (item.sequence, item.recorded_at, item.event)
        for stream in home.ledger.streams(CASE_PREFIX)
        for item in home.ledger.replay(stream)
        if isinstance(item.event, MethodCalibrated) and item.event.weights == weights
    ]
    latest = {event.method: (at, event) for _, at, event in sorted(entered, key=itemgetter(0))}
    return tuple(
        Known(
            method=method,
            on=at[:10],
            findings=typed(Findings, json.loads(home.store.get(event.findings))),
        )
        for method, (at, event) in sorted(latest.items())
    )
