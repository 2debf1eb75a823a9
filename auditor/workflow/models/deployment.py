"""Versions going into service and out of it; a version that holds somebody erased never comes back.

The ledger knows what each erasure replaced, so a rollback of a model, or a file of old weights
brought back from a backup, is refused by its digest, whichever model of the home it is put under.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelRegistered
from auditor.domain.verdict import Basis
from auditor.errors import MisuseError
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import CASE_PREFIX, load_case
from auditor.workflow.homes.registry import deploy, list_models, require_model, retire
from auditor.workflow.models.left_behind import made_by


@dataclass(frozen=True, slots=True, kw_only=True)
class InService:
    """A model and the version of it that is in service."""

    model: str
    version: int
    weights: Digest


def put_into_service(home: Home, model: str, version: int) -> ModelRegistered:
    """Put a registered version into service, taking the one before it out.

    Raises:
        MisuseError: no such model or version, its weights aren't in the store, or an erasure has
            replaced it.
        TamperedError: its weights aren't those that were registered, or the ledger is read-only.
        HomeError: another run is working.
    """
    with alone(home):
        require_writable(home.root, home.ledger)
        found = _version(home, model, version)
        _require_allowed(home, found)
        if not home.store.has(found.weights):
            raise MisuseError(
                f"the weights of {model} version {version} aren't in the store; "
                "give their file: --weights FILE"
            )
        home.store.get(found.weights)
        deploy(home, found)
        return found


def put_weights_into_service(home: Home, model: str, content: bytes) -> ModelRegistered:
    """Put the registered version into service whose weights these are.

    Args:
        content: safetensors, as `auditor.learning.weights.convert_checkpoint` gives them.

    Raises:
        MisuseError: they are no version's.
        MisuseError, TamperedError, HomeError: as `put_into_service`.
    """
    digest = Digest.of(content)
    for found in require_model(home, model).versions:
        if found.weights == digest:
            _require_allowed(home, found)
            home.store.put(content)
            return put_into_service(home, model, found.version)
    raise MisuseError(
        f"these weights are no version of {model}; register them first: auditor model register"
    )


def take_out_of_service(home: Home, model: str) -> ModelRegistered:
    """Take a model out of service.

    Raises:
        MisuseError: no such model, or it isn't in service.
        TamperedError: the ledger is read-only.
        HomeError: another run is working.
    """
    with alone(home):
        view = require_model(home, model)
        if view.in_service is None:
            raise MisuseError(f"model {model} isn't in service")
        retire(home, view)
        return view.current


def serving(home: Home, affected: Collection[Digest]) -> tuple[InService, ...]:
    """Models of the home, whatever their names, that have one of these weights in service."""
    return tuple(
        InService(model=view.name, version=view.current.version, weights=view.in_service)
        for view in list_models(home)
        if view.in_service is not None and view.in_service in affected
    )


def replaced_versions(home: Home) -> Mapping[Digest, str]:
    """What an erasure took out of service for good, each with the case.

    So are models that any case made of such a version, but for those that an erasure put there.
    """
    found: dict[Digest, str] = {}
    taken: set[Digest] = set()
    made: list[tuple[Digest, set[Digest]]] = []
    for stream in home.ledger.streams(CASE_PREFIX):
        case = stream.removeprefix(CASE_PREFIX)
        state = load_case(home, case)
        if state.scope is None:
            continue
        made.append((state.scope.weights, made_by(state)))
        if state.reached is None or state.reached.basis is Basis.NONE:
            continue
        taken.add(state.reached.weights)
        for digest in {state.scope.weights, *state.scope.affected}:
            found.setdefault(digest, case)
    for before, models in made:
        if before in found:
            found |= dict.fromkeys(models - taken - found.keys(), found[before])
    return found


def require_not_replaced(home: Home, weights: Digest, what: str) -> None:
    """Refuse weights that an erasure has replaced.

    Args:
        what: they are called in the error.

    Raises:
        MisuseError: naming the case.
    """
    if case := replaced_versions(home).get(weights):
        raise MisuseError(
            f"{what} was trained on patients whom case {case} made a model forget; "
            "take a later version"
        )


def _require_allowed(home: Home, version: ModelRegistered) -> None:
    require_not_replaced(home, version.weights, f"{version.model} version {version.version}")


def _version(home: Home, model: str, version: int) -> ModelRegistered:
    view = require_model(home, model)
    found = [known for known in view.versions if known.version == version]
    if not found:
        raise MisuseError(f"no version {version} of {model}; see `auditor model show {model}`")
    return found[0]
