"""Is a report's list of cases whole? Told from the ledger's log alone, without the ledger.

The log gives every entry's bytes again (`exports.log`), so up to the size that the report was made
from its root can be computed and held against the one that was signed; and the same entries say
which cases were received or closed in the quarter, or open all through it. No case can be left out
of the list unseen, and none be put in.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from itertools import islice
from typing import Any

from auditor.domain.canonical import canonical_bytes
from auditor.domain.event import CertificateIssued, ErasureRequested, event_from
from auditor.domain.quarter import Quarter
from auditor.errors import InvalidCertificateError, PolicyError
from auditor.policies.zone import local_day
from auditor.proof.merkle import Frontier, leaf_hash


def verify_whole(log: Iterable[bytes], listed: bytes, predicate: Mapping[str, Any]) -> int:
    """See that a list of cases names every case of the quarter that the log tells of, and no other.

    Args:
        log: lines of `auditor report export --format jsonl`, from entry 0 on.
        listed: the list of cases, as CSV.
        predicate: of the report, verified.

    Returns:
        How many cases there are.

    Raises:
        InvalidCertificateError: the log isn't that of the ledger reported on, or the list isn't
            whole.
    """
    ledger, size = predicate["ledger"], int(predicate["ledger"]["size"])
    quarter = Quarter(
        name=predicate["quarter"],
        first=date.fromisoformat(predicate["first"]),
        last=date.fromisoformat(predicate["last"]),
    )
    frontier, found = Frontier(), _Found(quarter)
    for number, line in enumerate(islice(log, size)):
        entry, fields = _entry(line, number)
        frontier = frontier.append(leaf_hash(entry))
        found.take(fields)
    if frontier.size != size or frontier.root().hex() != ledger["root"]:
        raise InvalidCertificateError("the log is not that of the ledger that was reported on")
    told, cases = _listed(listed), found.cases
    if missing := cases - told:
        raise InvalidCertificateError(f"the list leaves out {len(missing)} of the quarter's cases")
    if unknown := told - cases:
        raise InvalidCertificateError(f"the list names {len(unknown)} cases of no such quarter")
    return len(told)


class _Found:
    """The quarter's cases, as entry after entry tells of them."""

    def __init__(self, quarter: Quarter) -> None:
        self._quarter = quarter
        self._zones: dict[str, str] = {}
        self._received: dict[str, date] = {}
        self._closed: dict[str, date] = {}

    @property
    def cases(self) -> set[str]:
        """Those of which all entries so far tell."""
        return {
            case
            for case, received in self._received.items()
            if self._quarter.concerns(received, self._closed.get(case))
        }

    def take(self, fields: Mapping[str, Any]) -> None:
        try:
            event = event_from(fields["kind"], fields["data"])
            if isinstance(event, ErasureRequested):
                self._zones[event.case] = event.time_zone
                self._received[event.case] = event.received
            elif isinstance(event, CertificateIssued):
                moment = datetime.fromisoformat(fields["recorded_at"])
                self._closed[event.case] = local_day(moment, self._zones[event.case])
        except (ValueError, TypeError, KeyError, OverflowError, PolicyError):
            raise InvalidCertificateError("the log holds an entry that can't be read") from None


def _entry(line: bytes, number: int) -> tuple[bytes, Mapping[str, Any]]:
    try:
        fields = json.loads(line)
        sequence, _ = fields.pop("sequence"), fields.pop("leaf")
        entry = canonical_bytes(fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InvalidCertificateError(f"line {number + 1} of the log can't be read") from None
    if sequence != number:
        raise InvalidCertificateError(f"line {number + 1} of the log is entry {sequence}")
    return entry, fields


def _listed(content: bytes) -> set[str]:
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
        cases = [row["case"] for row in rows]
    except (ValueError, KeyError, csv.Error):
        raise InvalidCertificateError("the list of cases can't be read") from None
    if len(set(cases)) != len(cases):
        raise InvalidCertificateError("the list names a case twice")
    return set(cases)
