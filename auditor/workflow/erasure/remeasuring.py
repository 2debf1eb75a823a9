"""An audit measured again, by someone who holds the data and was handed the models.

Nothing here needs a home. Every file is held against the digest that the bundle's plan binds, and
the plan's against the ledger (`auditor.workflow.audit.bundling`): recipe, list of reference models,
every model, and the data set by its commitment.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.artefact import Digest
from auditor.errors import DataError, EvidenceError, InvalidCertificateError
from auditor.given import read_given
from auditor.learning.datasets import ImageSet, Split, load_images, split_by_patient
from auditor.learning.manifest import Manifest, read_manifest
from auditor.learning.progress import Progress, silent
from auditor.learning.recipe import Recipe, parse_recipe
from auditor.ledger.vault import opened_payload
from auditor.verification.bundle import Bundle, Roles
from auditor.verification.layout import Layout
from auditor.verification.measurements import Measurements
from auditor.verification.relearning import relearning_images
from auditor.verification.scores import Scores
from auditor.workflow.audit.references import layout_of, measure_block
from auditor.workflow.audit.shared_bank import SHARED_IN, SHARED_OUT, is_shared
from auditor.workflow.homes.registry import DataRecord, read_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """What a receiver measures models on."""

    recipe: Recipe
    images: ImageSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Digests of the models of an audit, in the order of the bank's list.

    Attributes:
        relearning: whether OUT models and the candidate relearned some images, too.
    """

    out: tuple[Digest, ...]
    untouched: tuple[Digest, ...]
    original: Digest
    candidate: Digest
    relearning: bool

    @property
    def every(self) -> tuple[Digest, ...]:
        """All of them."""
        return (*self.out, *self.untouched, self.original, self.candidate)


def read_models(listing: bytes, *, original: Digest, candidate: Digest) -> Models:
    """The models of an audit.

    Args:
        listing: of the bank, whose digest the plan binds.

    Raises:
        EvidenceError: a list of another version of auditor.
    """
    try:
        listed, shared = json.loads(listing), is_shared(listing)
        sides = (SHARED_OUT, SHARED_IN) if shared else ("out", "in")
        out, untouched = (tuple(Digest.parse(text) for text in listed[side]) for side in sides)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise EvidenceError("the bank's list was made by another version of auditor") from None
    return Models(
        out=out,
        untouched=untouched,
        original=original,
        candidate=candidate,
        relearning=not shared,
    )


def measure_again(
    bundle: Bundle,
    *,
    data: Path,
    weights: Path,
    factories: Collection[str] = (),
    progress: Progress = silent,
) -> Scores:
    """Measure every model of a bundle's audit on the data, as the case did.

    Args:
        data: the manifest of the data set.
        weights: folder of files named by their digest, as `auditor.workflow.erasure.handing_over`
            made it.
        factories: that models may be built by here.

    Raises:
        EvidenceError: the bundle has no roles, a file is missing, or the scores in the bundle are
            of other roles.
        InvalidCertificateError: a file, the data's digest or a role isn't what is bound.
        DataError: another data set than the audit's.
    """
    plan, roles = bundle.manifest.plan, bundle.roles
    if roles is None:
        raise EvidenceError(
            "the bundle doesn't say which image had which role; ask for one with weights"
        )
    recipe = parse_recipe(_content(weights, plan.origin.recipe), factories)
    models = read_models(
        _content(weights, plan.origin.bank),
        original=plan.origin.model,
        candidate=bundle.manifest.evidence.weights,
    )
    record = _registered(roles, plan.origin.data)
    manifest = read_manifest(data, record.left_out)
    if manifest.digest != record.digest:
        raise DataError(
            f"{data} isn't the audit's data set ({record.digest}), but {manifest.digest}"
        )
    images = load_images(manifest, recipe.input_size)
    layout = _layout(roles, manifest, images, split_by_patient(images, recipe, record.split_seed))
    relearning = relearning_images(layout).tolist() if models.relearning else []
    lent, every, first = Lent(recipe=recipe, images=images), models.every, len(models.out)
    for digest in every:  # so that a swapped file is seen before anything is measured
        _content(weights, digest)
    measured: list[Measurements] = []
    for number, digest in enumerate(every):
        progress("measuring models", number, len(every))
        learns = number < first or number == len(every) - 1
        content = _content(weights, digest)
        measured += measure_block(lent, [content], relearning if learns else ()).measured
    progress("measuring models", len(every), len(every))
    *references, original, candidate = measured
    return Scores(
        layout=layout,
        out=tuple(references[:first]),
        untouched=tuple(references[first:]),
        original=original,
        candidate=candidate,
    )


def image_digests(manifest: Manifest) -> tuple[Digest, ...]:
    """Digest of each image's file, in the manifest's order."""
    return tuple(Digest.of(read_given(row.path)) for row in manifest.rows)


def _content(folder: Path, digest: Digest) -> bytes:
    try:
        content = read_given(folder / digest.value)
    except OSError:
        raise EvidenceError(f"{folder} lacks a file that the plan binds: {digest}") from None
    if Digest.of(content) != digest:
        raise InvalidCertificateError(f"the file named {digest} holds something else; refused")
    return content


def _registered(roles: Roles, commitment: Digest) -> DataRecord:
    """The data set that the plan commits to."""
    try:
        opening = bytes.fromhex(roles.data)
        if Digest.of(opening) == commitment:
            return read_data(opened_payload(opening))
    except (ValueError, KeyError, TypeError):
        pass
    raise InvalidCertificateError("the bundle's data set isn't the one that the plan commits to")


def _layout(roles: Roles, manifest: Manifest, images: ImageSet, split: Split) -> Layout:
    """Who is who; refused where it goes against the split that the data set was registered with."""
    places = {digest: place for place, digest in enumerate(image_digests(manifest))}
    try:
        forgotten, retained, unseen = (
            tuple(places[digest] for digest in part)
            for part in (roles.forgotten, roles.retained, roles.unseen)
        )
    except KeyError:
        raise InvalidCertificateError("an image with a role isn't in the data set") from None
    asked = {images.subjects[place] for place in forgotten}
    theirs = {place for place in split.train if images.subjects[place] in asked}
    if set(forgotten) != theirs:
        raise InvalidCertificateError(
            "the forgotten images aren't all training images of some patients"
        )
    if not set(retained) <= set(split.train) or not set(unseen) <= set(split.test):
        raise InvalidCertificateError(
            "an image that is called retained or never-seen isn't so by the data set's split"
        )
    if any(len(set(part)) != len(part) for part in (forgotten, retained, unseen)):
        raise InvalidCertificateError("an image has a role twice")
    return layout_of(images, forgotten=forgotten, retained=retained, unseen=unseen)
