"""Taking a file of requests in: all of it or nothing, and the same file again changes nothing.

A request's case id is a keyed name (HMAC) of its external id, so the ledger itself refuses to hold
it twice, and nobody without the key can tell which request a case is. Payloads are sealed before
the entries are written, each all at once: what a stop in between leaves in the vault, the next
intake of the same rows destroys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from auditor.domain.canonical import canonical_bytes
from auditor.domain.event import ErasureRequested
from auditor.domain.request import Regime
from auditor.domain.subject_id import alike
from auditor.errors import MisuseError
from auditor.learning.manifest import read_rows as manifest_rows
from auditor.ledger.ledger import Append
from auditor.policies.deadlines import in_law_since
from auditor.policies.facts import NO_HOLIDAYS
from auditor.policies.zone import TZDATA, local_day
from auditor.workflow.desk.desk import subjects_of
from auditor.workflow.desk.intake import Asked, Cells, Flaw, IntakeError, Known, read_rows
from auditor.workflow.desk.intake_csv import read_csv
from auditor.workflow.desk.intake_fhir import Setting, read_fhir
from auditor.workflow.desk.library import packs_in_use, pin_packs
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, case_stream, event_id
from auditor.workflow.homes.registry import data_record, list_models

_CASE_DIGITS = 16  # 64 bits, as ids drawn at random have
_DATA_PREFIX = "data:"
_BLANKS = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A row that is on the books, and whether it was before."""

    row: int
    case: str
    before: bool


def read_file_of_requests(
    home: Home, data: bytes, *, model: str | None, regime: Regime, received: date | None
) -> Sequence[tuple[int, Cells]]:
    """The rows of a CSV table, or of FHIR resources.

    Args:
        model, regime, received: what FHIR resources don't say (`intake_fhir.Setting`).

    Raises:
        IntakeError: the file can't be read.
        MisuseError: FHIR without a model, or a table with one.
    """
    if not data.lstrip(_BLANKS).startswith(b"{"):
        if model is not None or received is not None:
            raise MisuseError("a table names model and day in each row; leave them out")
        return read_csv(data)
    if model is None:
        raise MisuseError("FHIR names no model; say which is to forget: --model")
    setting = Setting(model=model, regime=regime, zone=home.config.time_zone, received=received)
    return read_fhir(data, setting)


def take_in(
    home: Home, rows: Sequence[tuple[int, Cells]], *, check_only: bool = False
) -> tuple[Taken, ...]:
    """File every request of a file that isn't filed yet, in one durable commit.

    Args:
        check_only: read and check the rows, and write nothing.

    Raises:
        IntakeError: something is wrong with a row; none was taken in.
        DataError: a registered data set's manifest can't be read.
        HomeError: another intake is working.
        TamperedError: the ledger is read-only.
    """
    with alone(home, "intake"):
        require_writable(home.root, home.ledger)
        asked = read_rows(rows, _known(home))
        cases = {item.row: _case_of(home, item) for item in asked}
        there = {name.removeprefix(CASE_PREFIX) for name in home.ledger.streams(CASE_PREFIX)}
        _require_same(home, [item for item in asked if cases[item.row] in there], cases)
        new = [item for item in asked if cases[item.row] not in there]
        if new and not check_only:
            _file(home, [(cases[item.row], item) for item in new])
        return tuple(
            Taken(row=item.row, case=cases[item.row], before=cases[item.row] in there)
            for item in asked
        )


def _known(home: Home) -> Known:
    packs = packs_in_use(home)
    return Known(
        models=frozenset(view.name for view in list_models(home)),
        subjects=_known_subjects(home),
        today=local_day(datetime.now(UTC), home.config.time_zone),
        since={regime: in_law_since(packs, regime) for regime in Regime},
    )


def _known_subjects(home: Home) -> frozenset[str]:
    """Every patient of a registered data set, as ids are compared; no image is read."""
    names = (stream.removeprefix(_DATA_PREFIX) for stream in home.ledger.streams(_DATA_PREFIX))
    manifests = {data_record(home, name)[1].manifest for name in names}
    return frozenset(
        alike(subject)
        for manifest in manifests
        for row in manifest_rows(manifest)
        for subject in (row.filed_under, row.group)
        if subject
    )


def _case_of(home: Home, item: Asked) -> str:
    return home.vault.pseudonym("external-id", item.external_id)[:_CASE_DIGITS]


def _require_same(home: Home, asked: Sequence[Asked], cases: dict[int, str]) -> None:
    """See that what is on the books under an external id is what the row asks.

    Raises:
        IntakeError: it is something else.
    """
    flaws = [
        Flaw(
            row=item.row,
            column="external_id",
            problem=f"was used before for something else, case {cases[item.row]}",
        )
        for item in asked
        if not _is_same(home, item, cases[item.row])
    ]
    if flaws:
        raise IntakeError(flaws)


def _is_same(home: Home, item: Asked, case: str) -> bool:
    (requested,) = (
        entry.event
        for entry in home.ledger.replay(case_stream(case))
        if isinstance(entry.event, ErasureRequested)
    )
    same = (requested.model, requested.regime, requested.ground, requested.received) == (
        item.model,
        item.regime,
        item.ground,
        item.received,
    )
    if not home.vault.holds(requested.payload):  # erased since
        return same
    return same and [*map(alike, subjects_of(home, requested))] == [alike(item.subject_id)]


def _file(home: Home, items: Sequence[tuple[str, Asked]]) -> None:
    pinned = {regime: pin_packs(home, regime) for regime in _regimes(items)}
    streams = [case_stream(case) for case, _ in items]
    home.vault.forget_all(streams)  # of an intake that was stopped
    payloads = home.vault.seal_all(
        [
            (stream, canonical_bytes({"subjects": [item.subject_id]}))
            for stream, (_, item) in zip(streams, items, strict=True)
        ]
    )
    events = [
        ErasureRequested(
            case=case,
            regime=item.regime,
            ground=item.ground,
            received=item.received,
            model=item.model,
            subjects=1,
            payload=payload,
            policies=pinned[item.regime],
            time_zone=home.config.time_zone,
            tzdata=TZDATA,
            holidays=home.config.country or NO_HOLIDAYS,
        )
        for payload, (case, item) in zip(payloads, items, strict=True)
    ]
    home.ledger.append_all(
        [
            Append(
                stream=stream,
                events=(event,),
                expected_version=0,
                event_ids=(event_id(stream, "requested"),),
            )
            for stream, event in zip(streams, events, strict=True)
        ]
    )


def _regimes(items: Sequence[tuple[str, Asked]]) -> frozenset[Regime]:
    return frozenset(item.regime for _, item in items)
