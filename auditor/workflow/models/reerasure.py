"""What was destroyed and is here again: a restored backup brings back what was forgotten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.kind import Event
from auditor.domain.verdict import Basis
from auditor.learning.store import destroy_file
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import record
from auditor.workflow.models.deployment import serving
from auditor.workflow.models.left_behind import REFERENCES, references_folder
from auditor.workflow.models.shared_bank_book import bank_store, strays
from auditor.workflow.models.training_book import checkpoint_store, listed_checkpoints

_PAYLOAD = "vault-payload"
_PAYLOAD_GONE = "a vault payload is missing"
_MODEL_GONE = "the model after the erasure is missing"
_ENTRIES_GONE = "entries of an issued document are missing"
_ROLLED_BACK = "a version that was replaced is in service"

_DOCUMENT = re.compile(r"[0-9a-f]{16}\.pdf")  # other files have names that are nobody's to print


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

    Stopped in between, it is done again, and each payload stands on the books once.

    Returns:
        How many payloads there were.
    """
    for commitment in home.vault.commitments(subject):
        event = ev.PayloadForgotten(payload=commitment)
        record(home, "vault", event, f"forgotten-{commitment.value}")
    return home.vault.forget(subject)


def came_back(home: Home, *, destroy: bool) -> tuple[CameBack, ...]:
    """What the ledger says was destroyed and is here, and what it says is here and isn't.

    Args:
        destroy: destroy again what can be; the ledger has its ground already.
    """
    books = _Books()
    for recorded in home.ledger.read():
        books.take(home, recorded.event)
    return (
        *_payloads(home, books, destroy=destroy),
        *_artefacts(home, books, destroy=destroy),
        *_shared_references(home, books, destroy=destroy),
        *_missing(home, books),
        *_rolled_back(home, books),
    )


@dataclass(slots=True)
class _Books:
    """What the ledger says is, and isn't, by its last word on each thing."""

    forgotten: dict[Digest, None] = field(default_factory=dict)
    destroyed: dict[Digest, ev.ArtefactAccounted] = field(default_factory=dict)
    sealed: dict[Digest, str] = field(default_factory=dict)
    """Payloads of the vault, each with its case, or "" for those of a data set or a training."""
    reached: dict[str, ev.VerdictReached] = field(default_factory=dict)
    issued: set[str] = field(default_factory=set)
    at_work: dict[str, Digest] = field(default_factory=dict)
    """Cases that train reference models of a model: what lies in its folder is theirs."""

    def take(self, home: Home, event: Event) -> None:
        for digest in _made(home, event):  # made once more after it was destroyed, and rightly here
            self.destroyed.pop(digest, None)
        match event:
            case ev.DataRegistered():
                self.sealed[event.commitment] = ""
            case ev.ErasureRequested():
                self.sealed[event.payload] = event.case
            case ev.TrainingRecorded():
                self.sealed[event.order] = ""
            case ev.SharedBankPlanned():
                self.sealed[event.inclusion] = ""
            case ev.RecipientRecorded():
                self.sealed[event.details] = event.case
            case ev.RecipientInformed() if event.letter != UNSIGNED:
                self.sealed[event.letter] = event.case
            case ev.LetterSent() | ev.DocumentFiled():
                self.sealed[event.document] = event.case
            case ev.PayloadForgotten():
                self.forgotten[event.payload] = None
            case ev.ScopeEstablished():
                self.at_work[event.case] = event.weights
            case ev.ArtefactAccounted():
                self.at_work.pop(event.case, None)
                if event.fate is ArtefactFate.DESTROYED:
                    self.destroyed[event.artefact] = event
            case ev.VerdictReached():
                self.reached[event.case] = event
            case ev.CertificateIssued():
                self.issued.add(event.case)
            case _:
                pass


def _made(home: Home, event: Event) -> Iterable[Digest]:
    """What exists from this event on. Training is deterministic: it may have existed before."""
    match event:
        case ev.ModelRegistered() | ev.CandidateVerified():
            return (event.weights,)
        case ev.UnlearningCompleted():
            return (event.after,)
        case ev.CurvatureCached():
            return (event.cache,)
        case ev.TrainingRecorded() if home.store.has(event.checkpoints):
            return [saved.digest for saved in listed_checkpoints(home, event)]
        case ev.BankTrained() if home.store.has(event.bank):
            listing = json.loads(home.store.get(event.bank))
            return [
                Digest.parse(text) for name in ("in", "out", "scouts") for text in listing[name]
            ]
        case _:
            return ()


def _payloads(home: Home, books: _Books, *, destroy: bool) -> Iterator[CameBack]:
    for payload in books.forgotten:
        if home.vault.holds(payload):
            if destroy:
                home.vault.forget_payload(payload)
            yield CameBack(case="", what=_PAYLOAD, artefact=payload, destroyed=destroy)


def _artefacts(home: Home, books: _Books, *, destroy: bool) -> Iterator[CameBack]:
    stores = (home.store, checkpoint_store(home), bank_store(home))
    files: dict[Digest, list[Path]] = {}
    for path in _reference_files(home, books):
        files.setdefault(Digest.of(path.read_bytes()), []).append(path)
    for digest, accounted in books.destroyed.items():
        if digest not in files and not any(store.has(digest) for store in stores):
            continue
        if destroy:
            for store in stores:
                store.destroy(digest)
            for path in files.get(digest, ()):
                destroy_file(path)
        yield CameBack(
            case=accounted.case,
            what=accounted.artefact_kind.value,
            artefact=digest,
            destroyed=destroy,
        )


def _shared_references(home: Home, books: _Books, *, destroy: bool) -> Iterator[CameBack]:
    """Models of shared banks that are destroyed, or that the ledger knows nothing of."""
    for digest in set(strays(home)) - books.destroyed.keys():
        if destroy:
            bank_store(home).destroy(digest)
        what = ArtefactKind.SHARED_REFERENCE.value
        yield CameBack(case="", what=what, artefact=digest, destroyed=destroy)


def _reference_files(home: Home, books: _Books) -> Iterator[Path]:
    busy = {references_folder(home, weights) for weights in books.at_work.values()}
    for path in sorted((home.root / REFERENCES).glob("*/*")):
        if path.is_file() and path.parent not in busy:
            yield path


def _missing(home: Home, books: _Books) -> Iterator[CameBack]:
    for payload, case in books.sealed.items():
        if payload not in books.forgotten and not home.vault.holds(payload):
            yield CameBack(case=case, what=_PAYLOAD_GONE, artefact=payload)
    for verdict in books.reached.values():
        kept = verdict.basis is not Basis.NONE and verdict.weights not in books.destroyed
        if kept and not home.store.has(verdict.weights):
            yield CameBack(case=verdict.case, what=_MODEL_GONE, artefact=verdict.weights)
    for path in sorted(home.certificates.glob("*.pdf")):
        if _DOCUMENT.fullmatch(path.name) and path.stem not in books.issued:
            yield CameBack(case=path.stem, what=_ENTRIES_GONE, artefact=None)


def _rolled_back(home: Home, books: _Books) -> Iterator[CameBack]:
    """Whoever works with such a version has to be given another; that is for a person to do."""
    for item in serving(home, books.destroyed):
        case = books.destroyed[item.weights].case
        yield CameBack(case=case, what=_ROLLED_BACK, artefact=item.weights)
