"""Patients who must not be trained on again, by name and by picture, and who may again.

When a granted case ends, its subjects go onto a keyed list
(`auditor.workflow.models.exclusion_list`) that outlives the erasure, and every data set is held
against it before a model is trained on it or registered (Art. 7(3), 17 and 21 GDPR). Before that,
from the grant or a restriction on (Art. 18 GDPR), they are looked up in the vault and among the
images of the model they asked about. ``docs/scope.md`` says what is found and what isn't.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.case import ErasureCase, project
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.kind import Event
from auditor.domain.scope_events import Readmission
from auditor.domain.subject_id import alike
from auditor.errors import DataError, HomeError, MisuseError
from auditor.learning.manifest import Manifest, Row, read_rows
from auditor.learning.patients import known_as
from auditor.learning.pictures import read_grey
from auditor.verification.fingerprint import (
    BANDS,
    SIDE,
    Bands,
    Listed,
    asked_views,
    listed_views,
)
from auditor.workflow.desk.desk import require_case, subjects_of
from auditor.workflow.desk.signing import Hand, as_vouched, enter, stands
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.founding import EXCLUSION_KEY, SYMMETRIC_BYTES
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, every_case, record
from auditor.workflow.homes.registry import data_record, require_model
from auditor.workflow.models.accounting import EXCLUSION, NO_LONGER_NEEDED
from auditor.workflow.models.exclusion_list import entries_bytes, read_entries
from auditor.workflow.models.keyed_names import keyed_name
from auditor.workflow.models.lineage import is_settled
from auditor.workflow.models.restrictions import is_restricting

E = TypeVar("E", bound=Event)

_SHOWN = 20
_AT_ONCE = 64  # pictures: their views take a megabyte each


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Patients:
    """Who is kept out: ids as they are filed, keyed ids, and pictures (n, views, BANDS)."""

    names: frozenset[str] = frozenset()
    keyed: frozenset[str] = frozenset()
    pictures: Bands


def exclude(home: Home, case: str) -> None:
    """Put a case's subjects on the list, if they aren't; it stands in the case's inventory.

    Raises:
        DataError: the images of the model they asked about can't be read.
        HomeError: the list's key can't be read.
    """
    events = _events(home, case)
    found = _last(events, ev.SubjectsExcluded)
    entries = _write_entries(home, case, project(events)) if found is None else found.entries
    _account(home, case, entries, ArtefactFate.RETAINED, EXCLUSION)


def require_admitted(home: Home, manifest: Manifest) -> None:
    """Refuse a data set that holds somebody who must not be trained on.

    Raises:
        DataError: naming the rows, never a patient.
        HomeError: the list can't be read.
    """
    if rows := excluded_rows(home, manifest):
        shown = ", ".join(map(str, rows[:_SHOWN]))
        raise DataError(
            f"{manifest.path}: {len(rows)} images show patients who must not be trained on "
            f"(rows {shown}{', ...' if len(rows) > _SHOWN else ''})"
        )


def excluded_rows(home: Home, manifest: Manifest) -> tuple[int, ...]:
    """Numbers of the rows that must not be trained on: by the patient's id, or by a picture.

    A patient is found whole: by any of the ids or pictures that the manifest files together.

    Raises:
        DataError, HomeError: as `require_admitted`.
    """
    kept_out = tuple(_kept_out(home))
    if not kept_out:
        return ()
    found = _by_name(home, manifest, kept_out)
    rest = [row for row in manifest.rows if row.subject not in found]
    found |= _by_picture(manifest, rest, kept_out)
    return tuple(row.number for row in manifest.rows if row.subject in found)


def readmit(home: Home, case: str, reason: Readmission, by: Hand) -> None:
    """Take a case's entries off the list and destroy them; its patients may be trained on again.

    Those whom another case keeps out as well stay out until that is readmitted, too.

    Raises:
        MisuseError: no such case, it keeps nobody out, its entries are all that its model knows the
            patients by, or the desk's key is missing.
        HomeError: another run is working.
        TamperedError: the ledger is read-only.
    """
    with alone(home):
        state = require_case(home, case)
        if state.forgotten and is_settled(state):
            raise MisuseError(
                f"case {case} is forgotten: by its entries alone its model leaves the patients out"
            )
        found = _last(_events(home, case), ev.SubjectsExcluded)
        done = _is_readmitted(home, case)
        if found is None or (done and not home.store.has(found.entries)):
            raise MisuseError(f"case {case} keeps nobody out of training")
        if not done:
            act = ev.SubjectsReadmitted(
                case=case,
                entries=found.entries,
                reason=reason,
                actor=by.role,
                signature=UNSIGNED,
            )
            enter(home, act, by)
        _account(home, case, found.entries, ArtefactFate.DESTROYED, NO_LONGER_NEEDED)
        home.store.destroy(found.entries)


def _write_entries(home: Home, case: str, state: ErasureCase) -> Digest:
    shown = _asked_about(home, state)
    content = entries_bytes(_secret(home), case, shown.names, shown.pictures)
    event = ev.SubjectsExcluded(
        case=case,
        entries=home.store.put(content),
        subjects=_requested(state).subjects,
        images=len(shown.pictures),
    )
    record(home, case_stream(case), event, "excluded")
    return event.entries


def _account(home: Home, case: str, entries: Digest, fate: ArtefactFate, ground: str) -> None:
    event = ev.ArtefactAccounted(
        case=case,
        artefact=entries,
        artefact_kind=ArtefactKind.EXCLUSION_ENTRIES,
        fate=fate,
        ground=ground,
    )
    record(home, case_stream(case), event, f"exclusion-{fate.value}")


def _kept_out(home: Home) -> Iterator[_Patients]:
    """Everybody who must not be trained on now, case by case."""
    for case in every_case(home):
        events = _events(home, case)
        found, state = _last(events, ev.SubjectsExcluded), project(events)
        if found is not None:
            if not _is_readmitted(home, case):
                yield _listed(home, case, events, found.entries)
        elif _is_held(home, case, state):
            yield _asked_about(home, state)


def _listed(home: Home, case: str, events: Sequence[Event], entries: Digest) -> _Patients:
    """A case's entries; where a readmission that doesn't hold destroyed them, whom it asked about.

    Raises:
        HomeError: they are gone, and nobody knows any more whom it asked about.
    """
    if home.store.has(entries):
        listed = read_entries(_secret(home), home.store.get(entries))
        return _Patients(keyed=listed.names, pictures=listed.pictures)
    state = project(events)
    if _last(events, ev.SubjectsReadmitted) and home.vault.holds(_requested(state).payload):
        return _asked_about(home, state)
    raise HomeError(
        f"case {case} keeps patients out of training, and its entries are gone: put {entries} "
        "back into store/ from a backup, or let the patients in by a key of the desk that holds: "
        f"auditor model readmit {case}"
    )


def _is_held(home: Home, case: str, state: ErasureCase) -> bool:
    """Granted and not listed yet, or restricted meanwhile, and the vault still knows who."""
    return home.vault.holds(_requested(state).payload) and (
        state.granted or as_vouched(home, case).granted or is_restricting(home, case)
    )


def _is_readmitted(home: Home, case: str) -> bool:
    """By the desk's own hand; what somebody else wrote lets nobody in."""
    records = home.ledger.replay(case_stream(case))
    said = (item for item in records if isinstance(item.event, ev.SubjectsReadmitted))
    return any(stands(home, item, records) for item in said)


def _asked_about(home: Home, state: ErasureCase) -> _Patients:
    """The subjects as the vault and the data set of the model they asked about know them."""
    requested = _requested(state)
    asked = frozenset(subjects_of(home, requested))
    name = require_model(home, requested.model).versions[0].data_set
    _, data = data_record(home, name)
    every = read_rows(data.manifest, data.left_out)
    known = known_as((row.subject, row.filed_under, row.group) for row in every)
    patients = {known[name] for name in map(alike, asked) if name in known}
    rows = [row for row in every if row.subject in patients]
    return _Patients(
        names=asked | {row.filed_under for row in rows},
        pictures=listed_views(_pictures(data.manifest, rows)),
    )


def _requested(state: ErasureCase) -> ev.ErasureRequested:
    if state.requested is None:
        raise MisuseError("a case without a request concerns nobody")
    return state.requested


def _by_name(home: Home, manifest: Manifest, kept_out: Iterable[_Patients]) -> frozenset[str]:
    names = frozenset(alike(name) for each in kept_out for name in each.names)
    keyed = frozenset(name for each in kept_out for name in each.keyed)
    secret = _secret(home) if keyed else b""

    def is_named(name: str) -> bool:
        return name in names or (bool(keyed) and keyed_name(secret, name) in keyed)

    known = known_as((row.subject, row.filed_under, row.group) for row in manifest.rows)
    return frozenset(patient for name, patient in known.items() if is_named(name))


def _by_picture(
    manifest: Manifest, rows: Sequence[Row], kept_out: Iterable[_Patients]
) -> frozenset[str]:
    listed = Listed(np.concatenate([each.pictures.reshape(-1, BANDS) for each in kept_out]))
    found: set[str] = set()
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        hits = listed.agreeing(asked_views(_pictures(manifest.path, part)))
        found.update(row.subject for row, hit in zip(part, hits, strict=True) if hit)
    return frozenset(found)


def _pictures(manifest: Path, rows: Sequence[Row]) -> NDArray[np.float32]:
    pictures = [read_grey(row.path, SIDE, f"{manifest} row {row.number}") for row in rows]
    return np.array(pictures, dtype=np.float32).reshape(-1, SIDE, SIDE)


def _secret(home: Home) -> bytes:
    """The list's key; homes of before had none, and get one with their first entry.

    Raises:
        HomeError: there are entries and the key is gone, or it can't be read.
    """
    if not (home.keyring.folder / EXCLUSION_KEY).exists():
        if any(_last(_events(home, case), ev.SubjectsExcluded) for case in every_case(home)):
            raise HomeError(
                f"keys/{EXCLUSION_KEY} is missing, and the exclusion list says nothing without "
                "it; restore it from where the home's keys are kept"
            )
        home.keyring.write(EXCLUSION_KEY, secrets.token_bytes(SYMMETRIC_BYTES))
    return home.keyring.read(EXCLUSION_KEY)


def _events(home: Home, case: str) -> tuple[Event, ...]:
    return tuple(item.event for item in home.ledger.replay(case_stream(case)))


def _last(events: Sequence[Event], kind: type[E]) -> E | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)
