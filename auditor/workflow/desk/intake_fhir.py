"""Requests in FHIR R4 (hl7.org/fhir/R4): a withdrawn Consent, a Task that asks, Bundles of them.

    Consent  status inactive, or active with provision.type deny: consent is withdrawn; received on
             the day of meta.lastUpdated, as the resource has no day of its withdrawal
    Task     status requested, received, accepted or ready; code.coding of the system below names
             the ground; received on the day of authoredOn
    Bundle   entries that hold one of these each

The patient is `patient.identifier.value` (`for` in a Task), else the id in the reference. What is
read is held to its form; whatever else a resource holds is passed over. Neither names a model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias

from auditor.domain.request import Ground, Regime
from auditor.policies.zone import local_day
from auditor.workflow.desk.intake import Cells, Flaw, IntakeError

GROUND_SYSTEM = "urn:auditor:erasure-ground"
"""CodeSystem of the grounds a Task may ask on; its codes are those of `Ground`."""

MOST_ENTRIES = 200_000

_WITHDRAWN = {
    Regime.GDPR: Ground.CONSENT_WITHDRAWN,
    Regime.UK_GDPR: Ground.UK_CONSENT_WITHDRAWN,
    Regime.HIPAA: Ground.AUTHORISATION_REVOKED,
    Regime.CCPA: Ground.DELETION_REQUESTED,
}
_OPEN = frozenset({"requested", "received", "accepted", "ready"})
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_REFERENCE = re.compile(
    r"(?:https?://\S+/)?Patient/([A-Za-z0-9.-]{1,64})(?:/_history/\S+)?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII
)

Resource: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the resources don't say.

    Attributes:
        regime: that a withdrawn consent is handled under.
        zone: the controller's, whose days count.
        received: day of receipt of them all; None for what each says.
    """

    model: str
    regime: Regime
    zone: str
    received: date | None = None


class _Unread(Exception):
    """A place in a resource that can't be read: its path, and why."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path)
        self.path, self.problem = path, problem


def read_fhir(data: bytes, setting: Setting) -> Sequence[tuple[int, Cells]]:
    """Number and cells of each resource; the one resource of a file is number 1.

    Raises:
        IntakeError: not JSON, a resource of another type, or one that can't be read.
    """
    rows: list[tuple[int, Cells]] = []
    flaws: list[Flaw] = []
    for number, resource in enumerate(_resources(_parsed(data)), start=1):
        try:
            rows.append((number, _cells(resource, setting)))
        except _Unread as unread:
            flaws.append(Flaw(row=number, column=unread.path, problem=unread.problem))
    if flaws:
        raise IntakeError(flaws)
    return rows


def _parsed(data: bytes) -> Resource:
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise IntakeError([_whole("is not well-formed JSON")]) from None
    if not isinstance(value, dict):
        raise IntakeError([_whole("is no FHIR resource")])
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _resources(content: Resource) -> Sequence[Any]:
    if content.get("resourceType") != "Bundle":
        return [content]
    entries = content.get("entry", [])
    if not isinstance(entries, list) or len(entries) > MOST_ENTRIES:
        raise IntakeError([_whole(f"a Bundle's entry is a list of at most {MOST_ENTRIES}")])
    return [entry.get("resource") if isinstance(entry, dict) else None for entry in entries]


def _cells(resource: Any, setting: Setting) -> Cells:
    kind = _text(resource.get("resourceType")) if isinstance(resource, dict) else ""
    if kind not in _READERS:
        raise _Unread("resourceType", f"must be one of {', '.join(_READERS)}")
    identity = _text(resource.get("id"))
    if not _ID.fullmatch(identity):
        raise _Unread(f"{kind}.id", "is missing, or no FHIR id")
    ground, patient, day = _READERS[kind](resource, setting)
    return {
        "external_id": f"{kind}/{identity}",
        "subject_id": patient,
        "model": setting.model,
        "regime": next(regime for regime in Regime if ground.startswith(f"{regime.value}-")),
        "ground": ground,
        "received": str(day),
    }


def _consent(resource: Resource, setting: Setting) -> tuple[str, str, date]:
    status, provision = resource.get("status"), resource.get("provision", {})
    denied = isinstance(provision, dict) and provision.get("type") == "deny"
    if status != ("active" if denied else "inactive"):  # an ended denial is no withdrawal
        raise _Unread(
            "Consent.status", "tells of no withdrawal: neither a consent that ended nor a denial"
        )
    meta = resource.get("meta", {})
    updated = meta.get("lastUpdated") if isinstance(meta, dict) else None
    return (
        _WITHDRAWN[setting.regime].value,
        _patient(resource.get("patient"), "Consent.patient"),
        _day(updated, "Consent.meta.lastUpdated", setting),
    )


def _task(resource: Resource, setting: Setting) -> tuple[str, str, date]:
    if _text(resource.get("status")) not in _OPEN:
        raise _Unread("Task.status", f"asks for nothing; it must be one of {_listed(_OPEN)}")
    return (
        _ground(resource.get("code")),
        _patient(resource.get("for"), "Task.for"),
        _day(resource.get("authoredOn"), "Task.authoredOn", setting),
    )


_READERS: Mapping[str, Callable[[Resource, Setting], tuple[str, str, date]]] = {
    "Consent": _consent,
    "Task": _task,
}


def _ground(code: Any) -> str:
    codings = code.get("coding", []) if isinstance(code, dict) else []
    listed = codings if isinstance(codings, list) else []
    named = [
        coding.get("code")
        for coding in listed
        if isinstance(coding, dict) and coding.get("system") == GROUND_SYSTEM
    ]
    if len(named) != 1 or named[0] not in [ground.value for ground in Ground]:
        raise _Unread("Task.code", f"names no ground by one coding of {GROUND_SYSTEM}")
    return str(named[0])


def _patient(reference: Any, path: str) -> str:
    found = reference if isinstance(reference, dict) else {}
    identifier = found.get("identifier")
    if isinstance(identifier, dict) and _text(identifier.get("value")):
        return _text(identifier["value"])
    match = _REFERENCE.fullmatch(_text(found.get("reference")))
    if match is None:
        raise _Unread(path, "is neither Patient/ID nor has identifier.value")
    return match[1]


def _day(value: Any, path: str, setting: Setting) -> date:
    if setting.received is not None:
        return setting.received
    text = _text(value)
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
        if _INSTANT.fullmatch(text):
            return local_day(datetime.fromisoformat(text), setting.zone)
    except (ValueError, OverflowError):
        raise _Unread(path, "there is no such day") from None
    raise _Unread(path, "is no day; give the day of receipt: --received")


def _text(value: Any) -> str:
    """A string of a resource; "" for whatever else stands there."""
    return value if isinstance(value, str) else ""


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))


def _whole(problem: str) -> Flaw:
    return Flaw(row=1, column="", problem=problem)
