"""Models of stopped work that lie in the home and that nothing on the books needs any more.

Work leaves some where the desk closes a case on the way, where nobody ends a qualification, and
where the power fails between keeping a model and entering it. They carry patients as others do
(DESIGN section 4 point 13), also those whom a later case makes the model forget. Needs no engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.artefact import ArtefactKind, Digest
from auditor.domain.case import ErasureCase
from auditor.domain.event import CurvatureCached
from auditor.domain.request import DecisionKind
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, load_case, model_stream
from auditor.workflow.homes.registry import list_models, require_model
from auditor.workflow.homes.starts import list_starts

REFERENCES = "references"
QUALIFICATIONS = "qualifications"

LISTED_KINDS = {
    "in": ArtefactKind.REFERENCE_IN,
    "scouts": ArtefactKind.SCOUT,
    "out": ArtefactKind.REFERENCE_OUT,
}
"""What the models of each name in a bank's listing are."""

_BY_FILE = {"in": LISTED_KINDS["in"], "out": LISTED_KINDS["out"], "scout": LISTED_KINDS["scouts"]}
_STORED = re.compile(r"([0-9a-f]{64})|\.([0-9a-f]{64})\.\d+\.part")  # whole, and half done
_LENGTH = 8  # bytes before the header of a safetensors file, which say how long it is
_LONGEST = 100_000_000  # a header may be, by the format's own rule


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """One file with a model in it, and what an inventory calls it."""

    artefact: Digest
    kind: ArtefactKind
    path: Path


def references_folder(home: Home, weights: Digest) -> Path:
    """Where reference models of a model version lie while they are needed."""
    return home.root / REFERENCES / weights.value[:16]


def qualification_folder(home: Home, weights: Digest) -> Path:
    """Where models trained for a qualification lie until it ends; they carry patients."""
    return home.root / QUALIFICATIONS / weights.value[:16]


def left_behind(home: Home, case: str, model: str) -> Iterator[LeftBehind]:
    """What is to go when a case ends; only where no other process trains.

    Reference models of any version of its model, and of a qualification that didn't end, can all be
    trained again. In the store, models that are no version's and were made by no case that may go
    on, whichever model they were made of: nobody can say of those that aren't on the books.

    Args:
        case: the one that ends.
    """
    for version in require_model(home, model).versions:
        for folder in (
            references_folder(home, version.weights),
            qualification_folder(home, version.weights),
        ):
            yield from _trained(folder)
    needed, made = _needed(home, case), _made(home)
    for path in sorted(home.store.root.glob("*")):
        if named := _STORED.fullmatch(path.name):
            digest = Digest(named[1] or named[2])
            if digest not in needed and (digest in made or _holds_tensors(path)):
                yield LeftBehind(artefact=digest, kind=ArtefactKind.CANDIDATE, path=path)


def _trained(folder: Path) -> Iterator[LeftBehind]:
    for path in sorted(folder.glob("*")):
        kind = _BY_FILE.get(path.name.partition("-")[0], ArtefactKind.CANDIDATE)
        yield LeftBehind(artefact=Digest.of(path.read_bytes()), kind=kind, path=path)


def _needed(home: Home, case: str) -> set[Digest]:
    """Versions, what they start from and what was kept of them, and models of cases that go on."""
    needed = {item.weights for item in list_starts(home) if not item.withdrawn}
    for view in list_models(home):
        needed.update(version.weights for version in view.versions)
        for item in home.ledger.replay(model_stream(view.name)):
            if isinstance(item.event, CurvatureCached):
                needed.add(item.event.cache)
    for other, state in _cases(home):
        if other != case and _may_go_on(home, state):
            needed |= made_by(state)
    return needed


def _made(home: Home) -> set[Digest]:
    return {digest for _, state in _cases(home) for digest in made_by(state)}


def made_by(state: ErasureCase) -> set[Digest]:
    """Candidates and controls, audited or not."""
    made = {item.completed.after for item in state.attempts if item.completed is not None}
    return made | {item.weights for item in state.audits}


def _may_go_on(home: Home, state: ErasureCase) -> bool:
    """Begun, without a statement, and neither closed by the desk nor overtaken by another version.

    One that has its verdict is overtaken by none (`auditor.workflow.models.lineage`).
    """
    if state.requested is None or state.scope is None or state.prepared is not None:
        return False
    closed = (DecisionKind.REFUSED, DecisionKind.WITHDRAWN)
    if state.decided is not None and state.decided.decision in closed:
        return False
    current = require_model(home, state.requested.model).current.weights
    return state.reached is not None or current == state.scope.weights


def _cases(home: Home) -> Iterator[tuple[str, ErasureCase]]:
    for stream in home.ledger.streams(CASE_PREFIX):
        case = stream.removeprefix(CASE_PREFIX)
        yield case, load_case(home, case)


def _holds_tensors(path: Path) -> bool:
    """Whether a file begins as a safetensors file does; others in the store are text or arrays."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if not 0 < length <= _LONGEST or file.read(1) != b"{":
            return False
        file.seek(_LENGTH)
        head = file.read(length)
    try:
        header = json.loads(head)
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and any(
        isinstance(item, dict) and "data_offsets" in item for item in header.values()
    )
