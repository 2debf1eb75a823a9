"""What was destroyed and is here again: a restored backup brings back what was forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, Digest
from auditor.domain.verdict import Basis
from auditor.learning.store import destroy_file
from auditor.workflow.accounting import REFERENCES
from auditor.workflow.home import Home

_PAYLOAD = "vault-payload"
_MODEL_GONE = "the model after the erasure is missing"
_ENTRIES_GONE = "entries of an issued document are missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class CameBack:
    """One thing that an erasure has to be run again for.

    Attributes:
        case: whose erasure; empty for a vault payload that belongs to none.
        what: the kind of artefact that is here again, or what is missing.
        artefact: its digest, or None where a whole case has to be run again.
        destroyed: whether it was destroyed again.
    """

    case: str
    what: str
    artefact: Digest | None
    destroyed: bool = False


def forget_subject(home: Home, subject: str) -> int:
    """Destroy what the vault holds under a subject; the ledger says so first.

    Returns:
        How many payloads there were.
    """
    held = home.vault.commitments(subject)
    if held:
        events = [ev.PayloadForgotten(payload=commitment) for commitment in held]
        home.ledger.append(
            "vault",
            events,
            expected_version=home.ledger.version("vault"),
            event_ids=[uuid4() for _ in held],
        )
    return home.vault.forget(subject)


def came_back(home: Home, *, destroy: bool) -> tuple[CameBack, ...]:
    """What the ledger says was destroyed and is here, and whose erasure is gone.

    Args:
        destroy: destroy again what can be; the ledger has its ground already.
    """
    found: list[CameBack] = []
    fates: dict[Digest, ev.ArtefactAccounted] = {}
    reached: dict[str, ev.VerdictReached] = {}
    issued: set[str] = set()
    for recorded in home.ledger.read():
        match recorded.event:
            case ev.ArtefactAccounted() as accounted:
                fates[accounted.artefact] = accounted
            case ev.PayloadForgotten(payload=payload) if home.vault.holds(payload):
                if destroy:
                    home.vault.forget_payload(payload)
                found.append(CameBack(case="", what=_PAYLOAD, artefact=payload, destroyed=destroy))
            case ev.VerdictReached() as verdict:
                reached[verdict.case] = verdict
            case ev.CertificateIssued() as certificate:
                issued.add(certificate.case)
            case _:
                pass
    found += _artefacts(home, fates, destroy=destroy)
    kept = [item for item in reached.values() if item.basis is not Basis.NONE]
    found += [
        CameBack(case=item.case, what=_MODEL_GONE, artefact=item.weights)
        for item in kept
        if not home.store.has(item.weights) and not _destroyed(fates.get(item.weights))
    ]
    found += [
        CameBack(case=path.stem, what=_ENTRIES_GONE, artefact=None)
        for path in sorted(home.certificates.glob("*.pdf"))
        if path.stem not in issued
    ]
    return tuple(found)


def _artefacts(
    home: Home, fates: Mapping[Digest, ev.ArtefactAccounted], *, destroy: bool
) -> Iterator[CameBack]:
    files = {Digest.of(path.read_bytes()): path for path in _reference_files(home)}
    for digest, accounted in fates.items():
        if not _destroyed(accounted) or not (digest in files or home.store.has(digest)):
            continue
        if destroy:
            home.store.destroy(digest)
            if digest in files:
                destroy_file(files[digest])
        yield CameBack(
            case=accounted.case,
            what=accounted.artefact_kind.value,
            artefact=digest,
            destroyed=destroy,
        )


def _reference_files(home: Home) -> Iterator[Path]:
    return (path for path in (home.root / REFERENCES).glob("*/*") if path.is_file())


def _destroyed(accounted: ev.ArtefactAccounted | None) -> bool:
    return accounted is not None and accounted.fate is ArtefactFate.DESTROYED
