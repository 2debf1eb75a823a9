"""Every copy that carries the patient's influence: replaced, destroyed or retained with a ground.

Nothing here needs the engine's data: what there is to account for stands in the ledger and in the
bank's listing, so the step can be taken again after a stop, when half of it is gone already.
"""

from __future__ import annotations

import json

from auditor.domain import event as ev
from auditor.domain.artefact import NOT_ESTABLISHED as NOT_ERASED
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.case import ErasureCase
from auditor.domain.verdict import Basis
from auditor.errors import MisuseError
from auditor.learning.store import destroy_file
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, record
from auditor.workflow.homes.registry import data_record, deploy, register_version, require_model
from auditor.workflow.models.curvature_book import curvatures_of
from auditor.workflow.models.left_behind import LISTED_KINDS, left_behind, made_by
from auditor.workflow.models.lineage import under_way
from auditor.workflow.models.shared_bank_book import bank_store, members, shared_banks
from auditor.workflow.models.training_book import checkpoint_store, checkpoints_of

REPLACED = "replaced-in-service"
NO_LONGER_NEEDED = "no-longer-needed"
MEDICAL_RECORD = "medical-record-retention"
ACCOUNTABILITY = "gdpr-5-2-accountability"
OTHER_REQUESTS = "verification-of-other-requests"
EXCLUSION = "exclusion-from-training"


def account(home: Home, case: str, state: ErasureCase) -> None:
    """Deploy what was earned, then account for every artefact; the model before comes last.

    Raises:
        MisuseError: the case has no verdict yet, or its model was replaced since it began.
    """
    if state.requested is None or state.scope is None or state.reached is None:
        raise MisuseError(f"case {case} has reached no verdict yet")
    before, reached = state.scope.weights, state.reached
    erased = reached.basis is not Basis.NONE
    if erased:
        _put_into_service(home, state.requested.model, before, reached.weights, state.scope)
    _account_references(home, case, state)
    for weights in sorted(_candidates(state) - {reached.weights, before}, key=str):
        home.store.destroy(weights)
        _write(
            home, case, weights, ArtefactKind.CANDIDATE, ArtefactFate.DESTROYED, NO_LONGER_NEEDED
        )
    _destroy_left_behind(home, case, state.requested.model)
    _settle_curvatures(home, case, state.requested.model, before, erased=erased)
    _settle_checkpoints(home, case, state.requested.model, state.scope)
    _settle_shared_banks(home, case, state.requested.model, state.scope, erased=erased)
    for kept in state.scores:
        _write(
            home,
            case,
            kept.scores,
            ArtefactKind.SCORES,
            ArtefactFate.RETAINED,
            ACCOUNTABILITY,
        )
    payload, data = state.requested.payload, _data_commitment(home, state)
    _write(home, case, data, ArtefactKind.TRAINING_DATA, ArtefactFate.RETAINED, MEDICAL_RECORD)
    _write(home, case, payload, ArtefactKind.REQUEST_PAYLOAD, ArtefactFate.RETAINED, ACCOUNTABILITY)
    if erased:
        home.store.destroy(before)
        _write(home, case, before, ArtefactKind.MODEL, ArtefactFate.DESTROYED, REPLACED)
    else:
        _write(home, case, before, ArtefactKind.MODEL, ArtefactFate.RETAINED, NOT_ERASED)


def account_closed(home: Home, case: str, state: ErasureCase) -> None:
    """Destroy and account for what a case leaves that the desk closed after it had begun.

    Where another case of the model is under way, what lies there may be that one's: it is seen to
    when that one ends. Once a statement is drafted, nothing more can come into it.
    """
    if state.requested is None or state.scope is None or state.drafted is not None:
        return
    if not any(other != case for other, _ in under_way(home, state.requested.model)):
        _destroy_left_behind(home, case, state.requested.model)


def _data_commitment(home: Home, state: ErasureCase) -> Digest:
    """What the ledger knows the training images by."""
    if state.requested is None:
        raise MisuseError("a case without a request has no data")
    name = require_model(home, state.requested.model).versions[0].data_set
    return data_record(home, name)[0].commitment


def _put_into_service(
    home: Home, model: str, before: Digest, after: Digest, scope: ev.ScopeEstablished
) -> None:
    view = require_model(home, model)
    if view.in_service not in (before, after, None):
        raise MisuseError(
            "the model was replaced since this case began; deploy the version that it began with, "
            "then run it again: auditor model deploy"
        )
    known = {version.weights: version for version in view.versions}
    if after not in known:
        old = known[before]
        known[after] = register_version(
            home,
            model=model,
            architecture=old.architecture,
            weights=after,
            recipe=old.recipe,
            data_set=old.data_set,
            training_images=old.training_images - scope.training_images,
        )
    deploy(home, known[after])


def _account_references(home: Home, case: str, state: ErasureCase) -> None:
    """Those of the case's own bank; their files go with whatever is left behind."""
    if state.bank is None:
        return
    listing = json.loads(home.store.get(state.bank.bank))
    for name, kind in LISTED_KINDS.items():
        for text in listing[name]:
            _write(home, case, Digest.parse(text), kind, ArtefactFate.DESTROYED, NO_LONGER_NEEDED)


def _destroy_left_behind(home: Home, case: str, model: str) -> None:
    """The books say so first: afterwards nobody could tell what it was."""
    for found in left_behind(home, case, model):
        fate, ground = ArtefactFate.DESTROYED, NO_LONGER_NEEDED
        _write(home, case, found.artefact, found.kind, fate, ground)
        destroy_file(found.path)


def _settle_curvatures(home: Home, case: str, model: str, before: Digest, *, erased: bool) -> None:
    """They leave with the version they were made of."""
    for kept in curvatures_of(home, model, before):
        if erased:
            home.store.destroy(kept.cache)
        fate = ArtefactFate.DESTROYED if erased else ArtefactFate.RETAINED
        ground = NO_LONGER_NEEDED if erased else NOT_ERASED
        _write(home, case, kept.cache, ArtefactKind.CURVATURE, fate, ground)


def _settle_checkpoints(home: Home, case: str, model: str, scope: ev.ScopeEstablished) -> None:
    """Destroy those that nothing speaks for keeping; what lists them all may be gone, so say first.

    Where nobody was erased, those that carry the patient stay as they are.
    """
    store = checkpoint_store(home)
    store.clear_half_done()
    found = checkpoints_of(home, model)
    affected = found.listed.intersection(scope.affected)
    for digest in sorted(found.astray | affected - found.sound, key=str):
        fate, ground = ArtefactFate.DESTROYED, NO_LONGER_NEEDED
        _write(home, case, digest, ArtefactKind.TRAINING_CHECKPOINT, fate, ground)
        store.destroy(digest)
    for digest in sorted(affected & found.sound, key=str):
        fate, ground = ArtefactFate.RETAINED, NOT_ERASED
        _write(home, case, digest, ArtefactKind.TRAINING_CHECKPOINT, fate, ground)


def _settle_shared_banks(
    home: Home, case: str, model: str, scope: ev.ScopeEstablished, *, erased: bool
) -> None:
    """Their models that the patient's images had trained: destroyed, or kept until their day."""
    kept = NOT_ERASED if not erased else OTHER_REQUESTS if home.config.keep_erased else ""
    for bank in shared_banks(home, model):
        for digest in sorted(set(members(home, bank)).intersection(scope.affected), key=str):
            if kept and not bank.destroyed:
                fate, ground = ArtefactFate.RETAINED, kept
            else:
                bank_store(home).destroy(digest)
                fate, ground = ArtefactFate.DESTROYED, NO_LONGER_NEEDED
            _write(home, case, digest, ArtefactKind.SHARED_REFERENCE, fate, ground)


def _candidates(state: ErasureCase) -> set[Digest]:
    """Controls of earlier versions were entered once audited, so they stand there alone."""
    return made_by(state) | {item.weights for item in state.controls}


def _write(
    home: Home, case: str, artefact: Digest, kind: ArtefactKind, fate: ArtefactFate, ground: str
) -> None:
    event = ev.ArtefactAccounted(
        case=case, artefact=artefact, artefact_kind=kind, fate=fate, ground=ground
    )
    record(home, case_stream(case), event, f"accounted-{artefact.value}")
