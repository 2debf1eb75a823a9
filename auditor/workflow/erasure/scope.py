"""What a request touches: whose images trained the model in service, and what stands in the way."""

from __future__ import annotations

import numpy as np

from auditor.domain import event as ev
from auditor.domain.route import Obstacle
from auditor.learning.starting import starting_weights
from auditor.unlearning.method import METHODS
from auditor.unlearning.task import Need
from auditor.verification.near_duplicates import require_apart
from auditor.workflow.audit.auditable import lacking_in
from auditor.workflow.audit.references import thin_classes
from auditor.workflow.audit.scene import require_auditable
from auditor.workflow.audit.training_history import carrying_checkpoints
from auditor.workflow.erasure.casework import Casework
from auditor.workflow.homes.starts import stands
from auditor.workflow.models.inventory import standing_copies
from auditor.workflow.models.lineage import require_free, settled, since_exact
from auditor.workflow.models.shared_bank_book import carrying_members


def establish_scope(work: Casework) -> None:
    """Find the subjects' images, and earlier cases that concern some of them.

    Raises:
        MisuseError: another case has begun on the same model and isn't finished, or a shared bank
            of it isn't.
        EvidenceError: other images show the subjects under another name, or the model in service
            can't be audited.
    """
    require_free(work.home, work.requested.model, work.case)
    _require_no_copies(work)
    if work.forgotten:
        require_auditable(work.home, work.scene)
    images, asked = work.scene.images, frozenset(work.asked)
    held_out = {i for i in work.scene.split.held_out if images.subjects[i] in asked}
    event = ev.ScopeEstablished(
        case=work.case,
        weights=work.scene.version.weights,
        training_images=len(work.forgotten),
        held_out_images=len(held_out),
        earlier=tuple(
            item.case
            for item in settled(work.home, work.requested.model)
            if images.patients_of(item.subjects) & asked
        ),
        obstacle=_obstacle(work, held_out),
        affected=(
            work.scene.version.weights,
            work.scene.commitment,
            work.requested.payload,
            *carrying_checkpoints(work.home, work.scene, work.forgotten),
            *carrying_members(work.home, work.requested.model, work.asked),
            *standing_copies(work.home, work.requested.model),
        ),
    )
    work.write(event, "scope")


def _require_no_copies(work: Casework) -> None:
    """See that no image of somebody else is one of the subjects', where either was trained on.

    Else a retrain would be trained on the subjects all the same, or the audit compare them with
    themselves.
    """
    scene = work.scene
    pictures, rows = scene.images.images[:, 0].numpy(), scene.images.rows
    theirs = {i for i, name in enumerate(scene.images.subjects) if name in work.asked}
    retained = scene.without(work.forgotten)
    others = (*retained, *(i for i in scene.split.held_out if i not in theirs))
    apart = theirs.intersection(scene.split.held_out)
    for asked, held in ((work.forgotten, others), (sorted(apart), retained)):
        require_apart(pictures, np.asarray(asked, int), np.asarray(held, int), rows)


def _obstacle(work: Casework, held_out: set[int]) -> Obstacle:
    scene, forgotten = work.scene, work.forgotten
    if forgotten and len(forgotten) == len(scene.training):
        return Obstacle.NOTHING_LEFT
    concerned = {int(scene.images.labels[index]) for index in forgotten}
    if concerned & thin_classes(scene, scene.without(forgotten)):
        return Obstacle.CLASS_LEFT_EMPTY
    if forgotten and lacking_in(scene.images, scene.split, scene.without(forgotten)):
        return Obstacle.TOO_FEW_TO_COMPARE
    if forgotten and (starting_weights(scene.recipe) or not stands(work.home, scene.recipe)):
        return Obstacle.STARTS_TRAINED
    if not held_out.isdisjoint(scene.split.validation) and _read_unseen(work):
        return Obstacle.READ_BY_METHOD
    return Obstacle.NONE


def _read_unseen(work: Casework) -> bool:
    """Whether a method that learns from never-seen patients had a hand in the model in service."""
    behind = since_exact(work.home, work.requested.model)
    return any(Need.UNSEEN in METHODS[item.method].needs for item in behind)
