"""The ledger's entries as FHIR R4 AuditEvents, and what was made of what as Provenance.

One Bundle of type ``collection``. No resource names a patient: a case, a model's weights and a
document are referred to by identifiers of ours (docs/exports.md). Ids are UUIDs of version 5 over
the ledger's name and the entry's number, so the same ledger gives the same Bundle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID, uuid5

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.entry import Recorded
from auditor.domain.kind import Event
from auditor.domain.verdict import Basis
from auditor.workflow.exports.oscal import instant

Json: TypeAlias = dict[str, Any]

_IDS = UUID("b0a4d8d2-35a7-5d36-9d2c-4f0f7d5f0a55")
_SYSTEM = "urn:auditor"
_DATA_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
# What an entry did, as AuditEvent.action has it; whatever isn't here was carried out (Execute).
_ACTIONS: Mapping[type[Event], str] = {
    ev.ErasureRequested: "C",
    ev.DocumentFiled: "C",
    ev.LetterSent: "C",
    ev.CertificatePrepared: "C",
    ev.CertificateIssued: "C",
    ev.RequestDecided: "U",
    ev.ModelDeployed: "U",
    ev.PayloadForgotten: "D",
}


def audit_bundle(records: Sequence[Recorded], *, origin: str, controller: str) -> bytes:
    """AuditEvents of the entries and Provenance of what some of them made, as one Bundle.

    Args:
        records: in the ledger's order; there may be none.
        origin: the ledger's name.
        controller: Art. 4(7) GDPR, on whose behalf all this was done.
    """
    bundle: Json = {
        "resourceType": "Bundle",
        "id": _id(origin, "bundle", *(str(item.sequence) for item in records)),
        "type": "collection",
    }
    if records:
        bundle["timestamp"] = instant(records[-1].recorded_at)
        bundle["entry"] = [
            {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
            for record in records
            for resource in _resources(record, origin, controller)
        ]
    return (json.dumps(bundle, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _resources(record: Recorded, origin: str, controller: str) -> Iterator[Json]:
    yield _audit_event(record, origin)
    if (made := _made(record)) is not None:
        target, operation, source = made
        yield _provenance(record, origin, controller, target, operation, source)


def _audit_event(record: Recorded, origin: str) -> Json:
    event = record.event
    actor = getattr(event, "actor", "")
    agent: Json = {"who": _known_as("actor", actor or "auditor"), "requestor": bool(actor)}
    return {
        "resourceType": "AuditEvent",
        "id": _id(origin, "event", str(record.sequence)),
        "type": {"system": f"{_SYSTEM}:event", "code": event.kind},
        "action": _ACTIONS.get(type(event), "E"),
        "recorded": instant(record.recorded_at),
        "outcome": "0",
        "agent": [agent],
        "source": {"observer": _known_as("ledger", origin)},
        "entity": [
            {
                "what": _known_as("ledger-entry", str(record.sequence)),
                "detail": [
                    {"type": name, "valueString": text} for name, text in _details(event) if text
                ],
            }
        ],
    }


def _details(event: Event) -> Iterator[tuple[str, str]]:
    for name, value in event.data().items():
        yield name, json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def _made(record: Recorded) -> tuple[Json, str, Json] | None:
    """What an entry says was made: the target, how, and of what."""
    match record.event:
        case ev.UnlearningCompleted() as done:
            return _weights(done.after), "CREATE", _weights(done.before)
        case ev.VerdictReached() as reached if reached.basis is not Basis.NONE:
            return _weights(reached.weights), "UPDATE", _known_as("case", reached.case)
        case ev.CertificateIssued() as issued:
            return (
                _known_as("document", str(issued.pdf)),
                "CREATE",
                _known_as("case", issued.case),
            )
        case _:
            return None


def _provenance(
    record: Recorded, origin: str, controller: str, target: Json, operation: str, source: Json
) -> Json:
    return {
        "resourceType": "Provenance",
        "id": _id(origin, "provenance", str(record.sequence)),
        "target": [target],
        "recorded": instant(record.recorded_at),
        "activity": {"coding": [{"system": _DATA_OPERATION, "code": operation}]},
        "agent": [
            {
                "type": {"coding": [{"system": _PARTICIPATION, "code": "performer"}]},
                "who": _known_as("ledger", origin),
                "onBehalfOf": {"display": controller},
            }
        ],
        "entity": [
            {"role": "source", "what": source},
            {"role": "source", "what": _known_as("ledger-entry", str(record.sequence))},
        ],
    }


def _weights(digest: Digest) -> Json:
    return _known_as("weights", str(digest))


def _known_as(kind: str, value: str) -> Json:
    """A reference by identifier alone: no server of resources stands behind this ledger."""
    return {"identifier": {"system": f"{_SYSTEM}:{kind}", "value": value}}


def _id(origin: str, *part: str) -> str:
    return str(uuid5(_IDS, "/".join((origin, *part))))
