"""Findings as OSCAL assessment results (NIST, OSCAL 1.2; JSON), written by hand and in full.

Each case is one result: a finding for each rule that applies to it, an observation with the ledger
entries that bear on it. Ids are UUIDs of version 5 over the ledger's name, so the same ledger gives
the same document. OSCAL knows only whether a requirement is satisfied: what our finding was stands
beside it as a property, and nothing but MET counts as satisfied (docs/exports.md).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeAlias
from uuid import UUID, uuid5

from auditor import __version__
from auditor.domain.verdict import Finding, FindingStatus
from auditor.policies.load import is_shipped
from auditor.policies.rule import RulePack
from auditor.workflow.exports.cases import AssessedCase, Signed

OSCAL_VERSION = "1.2.1"
NAMESPACE = "urn:auditor:oscal:v1"

Json: TypeAlias = dict[str, Any]

_IDS = UUID("0d5ff0a4-7c2b-5f3a-8a44-1a2f3b7f6c11")
_REASONS = {FindingStatus.MET: "pass", FindingStatus.NOT_MET: "fail"}


def assessment_results(
    cases: Sequence[AssessedCase], signed: Signed, *, title: str, controller: str
) -> bytes:
    """The document as JSON.

    Args:
        cases: in the order in which they are to be told; there may be none.
        signed: the ledger's state that they were read from.
        title: of the document.
        controller: Art. 4(7) GDPR, as the assessed organisation.
    """
    ids = _Ids(f"{signed.checkpoint.origin}/{title}")
    packs = {pack.digest: pack for case in cases for pack in case.packs}
    judged = max((case.as_of for case in cases), default=date.min)
    document = {
        "uuid": ids.of("document", str(signed.checkpoint.size), *_days(cases)),
        "metadata": _metadata(ids, signed, title, controller, judged),
        "import-ap": {"href": f"#{ids.of('plan')}"},
        "results": [_result(ids, case, signed) for case in cases] or [_nothing(ids, signed)],
        "back-matter": {"resources": [_plan(ids, list(packs.values())), _state(ids, signed)]},
    }
    return _json({"assessment-results": document})


class _Ids:
    """Ids of a document's parts: the same part of the same ledger always has the same.

    The document itself has another one when it tells of another state or day (OSCAL, "uuid").
    """

    def __init__(self, document: str) -> None:
        self._document = document

    def of(self, *part: str) -> str:
        return str(uuid5(_IDS, "/".join((self._document, *part))))


def _days(cases: Sequence[AssessedCase]) -> Iterator[str]:
    """By which cases were judged: on another day the same entries may be found otherwise."""
    return (f"{case.case} {case.as_of.isoformat()}" for case in cases)


def _metadata(ids: _Ids, signed: Signed, title: str, controller: str, judged: date) -> Json:
    party = ids.of("controller")
    day = f"{judged.isoformat()}T00:00:00+00:00"
    return {
        "title": title,
        "last-modified": max(instant(signed.last), day),
        "version": str(signed.checkpoint.size),
        "oscal-version": OSCAL_VERSION,
        "props": [
            _prop("software", f"auditor-{__version__}"),
            _prop("ledger-origin", signed.checkpoint.origin),
            _prop("ledger-entries", str(signed.checkpoint.size)),
            _prop("ledger-root", signed.checkpoint.root.hex()),
        ],
        "roles": [{"id": "controller", "title": "Controller"}],
        "parties": [{"uuid": party, "type": "organization", "name": controller}],
        "responsible-parties": [{"role-id": "controller", "party-uuids": [party]}],
    }


def _result(ids: _Ids, case: AssessedCase, signed: Signed) -> Json:
    applied = [item for item in case.findings if item.status is not FindingStatus.NOT_APPLICABLE]
    first, last = case.records[0].recorded_at, case.records[-1].recorded_at
    told = [(_observation(ids, case, item, signed), item) for item in applied]
    result: Json = {
        "uuid": ids.of("result", case.case),
        "title": f"Case {case.case}",
        "description": (
            f"The ledger's record of case {case.case}, laid beside the rules that apply to it, "
            f"as of {case.as_of.isoformat()}. Each finding says whether there is evidence for a "
            "provision; whether the law is satisfied is for people to say."
        ),
        "start": instant(first),
        "end": instant(last),
        "props": [
            _prop("case", case.case),
            _prop("regime", case.regime.value),
            _prop("received", case.received.isoformat()),
            _prop("as-of", case.as_of.isoformat()),
        ],
        "reviewed-controls": {"control-selections": [_selection(applied)]},
    }
    if told:
        result["observations"] = [observation for observation, _ in told]
        result["findings"] = [
            _finding(ids, case, item, observation["uuid"]) for observation, item in told
        ]
    return result


def _nothing(ids: _Ids, signed: Signed) -> Json:
    """A result that OSCAL asks for even where there is nothing to tell."""
    return {
        "uuid": ids.of("result"),
        "title": "No case",
        "description": "No case falls into what this document reports on.",
        "start": instant(signed.last),
        "reviewed-controls": {"control-selections": [{"include-all": {}}]},
    }


def _selection(findings: Sequence[Finding]) -> Json:
    if not findings:
        return {"include-all": {}}
    return {"include-controls": [{"control-id": item.rule_id} for item in findings]}


def _observation(ids: _Ids, case: AssessedCase, finding: Finding, signed: Signed) -> Json:
    observation: Json = {
        "uuid": ids.of("observation", case.case, finding.rule_id),
        "title": f"Evidence for {finding.citation}",
        "description": "Entries of the ledger that bear on this finding.",
        "methods": ["EXAMINE"],
        "collected": instant(case.records[-1].recorded_at),
    }
    if finding.leaves:
        observation["relevant-evidence"] = [
            {
                "href": f"#{ids.of('state')}",
                "description": f"Ledger entry {leaf}",
                "props": [
                    _prop("ledger-entry", str(leaf)),
                    _prop("leaf-hash", signed.leaves[leaf].hex()),
                ],
            }
            for leaf in finding.leaves
        ]
    return observation


def _finding(ids: _Ids, case: AssessedCase, finding: Finding, observation: str) -> Json:
    met = finding.status is FindingStatus.MET
    pack = next(p for p in case.packs if finding.rule_id in {rule.id for rule in p.rules})
    return {
        "uuid": ids.of("finding", case.case, finding.rule_id),
        "title": finding.title,
        "description": f"{finding.citation}. {finding.explanation}",
        "props": [
            _prop("finding", finding.status.value),
            _prop("rule-pack", pack.name),
            _prop("rule-pack-shipped", "yes" if is_shipped(pack) else "no"),
        ],
        "target": {
            "type": "objective-id",
            "target-id": finding.rule_id,
            "status": {
                "state": "satisfied" if met else "not-satisfied",
                "reason": _REASONS.get(finding.status, "other"),
            },
        },
        "related-observations": [{"observation-uuid": observation}],
    }


def _plan(ids: _Ids, packs: Sequence[RulePack]) -> Json:
    """The rules, by digest: what OSCAL calls the assessment plan is pinned in the ledger."""
    resource: Json = {
        "uuid": ids.of("plan"),
        "title": "Rule packs",
        "description": "The rules that cases are laid beside; each case pins them on receipt.",
    }
    if packs:
        resource["rlinks"] = [
            {
                "href": f"urn:auditor:rule-pack:{pack.name}:{pack.version}",
                "hashes": [{"algorithm": "SHA-256", "value": pack.digest.value}],
            }
            for pack in packs
        ]
    return resource


def _state(ids: _Ids, signed: Signed) -> Json:
    return {
        "uuid": ids.of("state"),
        "title": "Signed checkpoint of the ledger",
        "description": (
            "A C2SP signed note over size and root of the ledger that the entries named stand in."
        ),
        "base64": {
            "filename": "checkpoint.txt",
            "media-type": "text/plain",
            "value": b64encode(signed.note.encode("utf-8")).decode("ascii"),
        },
    }


def _prop(name: str, value: str) -> Json:
    return {"name": name, "ns": NAMESPACE, "value": value}


def instant(recorded_at: str) -> str:
    """An instant of the ledger, RFC 3339 with its zone written out.

    >>> instant("2027-03-01T09:30:00Z")
    '2027-03-01T09:30:00+00:00'
    """
    return datetime.fromisoformat(recorded_at).isoformat()


def _json(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
