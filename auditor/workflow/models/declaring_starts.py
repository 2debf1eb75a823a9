"""Declaring weights that trainings may start from, and taking the word back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.artefact import Digest
from auditor.domain.event import StartingWeightsDeclared, StartingWeightsWithdrawn
from auditor.domain.kind import is_token
from auditor.domain.model_events import MadeOf
from auditor.domain.request import Outcome
from auditor.domain.role import require_role
from auditor.errors import MisuseError
from auditor.learning.starting import may_be_trained
from auditor.learning.weights import convert_checkpoint, load_tensors
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import record_next
from auditor.workflow.homes.registry import list_models
from auditor.workflow.homes.starts import STARTS, Start, list_starts, start_of
from auditor.workflow.models.deployment import require_not_replaced
from auditor.workflow.models.lineage import cases_of, under_way

_LONGEST_NAME = 64  # as of models


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """What rests on a word that was taken back: models in the home, and certificates by case."""

    models: tuple[str, ...]
    certificates: tuple[str, ...]


def declare_start(home: Home, path: Path, *, name: str, made_of: MadeOf, actor: str) -> Start:
    """Keep weights to start from, and put on the books what the controller says they are made of.

    Args:
        path: safetensors, or a plain ``torch.save`` of a ``state_dict()``.
        name: a short one, by which documents name them.

    Raises:
        ModelError: the file can't be read.
        MisuseError: a name that is no short token, weights that stand declared, or some that are in
            a model of this home: it was trained on the home's own patients.
        HomeError: another run is working.
        TamperedError: the ledger is read-only.
    """
    require_role(actor)
    if not is_token(name) or len(name) > _LONGEST_NAME:
        raise MisuseError("name the weights in a word, such as IMAGENET1K_V1; no blanks")
    content = convert_checkpoint(path)
    weights = Digest.of(content)
    with alone(home):
        require_writable(home.root, home.ledger)
        if any(item.weights == weights and not item.withdrawn for item in list_starts(home)):
            raise MisuseError("these weights are declared already; see `auditor model start list`")
        require_not_replaced(home, weights, str(path))
        _require_not_trained_here(home, content)
        home.store.put(content)
        event = StartingWeightsDeclared(weights=weights, called=name, made_of=made_of, actor=actor)
        record_next(home, STARTS, event)
    return _found(home, weights)


def withdraw_start(home: Home, weights: Digest, *, actor: str) -> Resting:
    """Take the word back, and destroy the weights: nothing is trained from them any more.

    Returns:
        What is in the home by trainings that started there.

    Raises:
        MisuseError: they were never declared, or a case is under way on a model that starts there.
        HomeError: another run is working.
        TamperedError: the ledger is read-only.
    """
    require_role(actor)
    with alone(home):
        require_writable(home.root, home.ledger)
        start = _found(home, weights)
        for model in _models(home, weights):
            for case, _ in under_way(home, model):
                raise MisuseError(
                    f"case {case} is under way on a model that starts from them; finish it first, "
                    f"or have the desk withdraw it: auditor request decide {case} --withdraw"
                )
        if not start.withdrawn:
            record_next(home, STARTS, StartingWeightsWithdrawn(weights=weights, actor=actor))
        home.store.destroy(weights)
    return _resting(home, weights)


def _found(home: Home, weights: Digest) -> Start:
    for start in list_starts(home):
        if start.weights == weights:
            return start
    raise MisuseError("no such weights are declared; see `auditor model start list`")


def _resting(home: Home, weights: Digest) -> Resting:
    models = _models(home, weights)
    certified = tuple(
        case
        for model in models
        for case, state in cases_of(home, model)
        if state.issued is not None and state.issued.outcome is Outcome.CERTIFIED
    )
    return Resting(models=models, certificates=certified)


def _models(home: Home, weights: Digest) -> tuple[str, ...]:
    starts = {view.name: start_of(home, view.current) for view in list_models(home)}
    return tuple(
        name for name, start in starts.items() if start is not None and start.weights == weights
    )


def _require_not_trained_here(home: Home, content: bytes) -> None:
    """See that no layer is a model's on the books, unless from weights that were declared before.

    Whoever alters each layer a little isn't found out.
    """
    stored = [item.weights for item in list_starts(home) if home.store.has(item.weights)]
    vouched = {layer for weights in stored for layer in _layers(home.store.get(weights))}
    offered = set(_layers(content)) - vouched
    for view in list_models(home):
        for version in view.versions:
            if home.store.has(version.weights) and not offered.isdisjoint(
                _layers(home.store.get(version.weights))
            ):
                raise MisuseError(
                    f"these weights hold layers of {view.name} version {version.version}, which "
                    "was trained on patients of this home; take weights from before that"
                )


def _layers(content: bytes) -> Iterator[bytes]:
    """What can be a training's work, hashed tensor by tensor, whatever it is called."""
    for value in load_tensors(content).values():
        if may_be_trained(value):
            yield hashlib.sha256(value.numpy().tobytes()).digest()
