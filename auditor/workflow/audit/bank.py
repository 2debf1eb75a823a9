"""A case's reference bank: two blocks, each OUT for those the other was trained with.

Block A is trained without the cohort F but with the surrogates S, block B without S but with F:
A is OUT for F and IN for S, B the reverse (DESIGN section 4 point 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.domain.artefact import Digest
from auditor.domain.bank_events import BankDesign
from auditor.domain.canonical import canonical_bytes
from auditor.learning.progress import Progress
from auditor.workflow.audit.references import Block, thin_classes, train_block
from auditor.workflow.audit.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Both blocks, the images they differ in, and the canonical list of all their digests.

    Attributes:
        design: who the models were trained without; OUT models of random subsets aren't
            exchangeable with a retrain.
    """

    forgotten: tuple[int, ...]
    surrogates: tuple[tuple[int, ...], ...]
    out: Block
    untouched: Block
    listing: bytes
    design: BankDesign = BankDesign.LEAVE_COHORT_OUT

    @property
    def digest(self) -> Digest:
        """Digest of the listing; under it the listing lies in the store."""
        return Digest.of(self.listing)


def sparing(
    scene: Scene, forgotten: Sequence[int], groups: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], ...]:
    """The first of these groups of training images that leave enough images of every class.

    An audit needs some of each class among those who are neither forgotten nor surrogates.
    """
    kept: list[tuple[int, ...]] = []
    for group in groups:
        if not thin_classes(scene, scene.without(forgotten, *kept, group)):
            kept.append(tuple(group))
    return tuple(kept)


def train_bank(
    scene: Scene,
    forgotten: Sequence[int],
    surrogates: Sequence[Sequence[int]],
    *,
    scouts: Block,
    seed: str,
    out_models: int,
    in_models: int,
    workers: int,
    progress: Progress,
    relearning: Sequence[int] = (),
) -> Bank:
    """Train both blocks of a case's bank; without surrogates no method can be tuned on it.

    Args:
        relearning: images that OUT models are to relearn (`relearning_images`), if any.
    """
    apart = tuple(index for group in surrogates for index in group)
    out = train_block(
        scene,
        "out",
        [scene.without(forgotten)] * out_models,
        seed,
        workers=workers,
        progress=progress,
        relearning=relearning,
    )
    untouched = train_block(
        scene, "in", [scene.without(apart)] * in_models, seed, workers=workers, progress=progress
    )
    listing = canonical_bytes(
        {
            "recipe": str(scene.recipe.digest),
            "weights": str(scene.version.weights),
            "out": [str(item) for item in out.weights],
            "in": [str(item) for item in untouched.weights],
            "scouts": [str(item) for item in scouts.weights],
        }
    )
    return Bank(
        forgotten=tuple(forgotten),
        surrogates=tuple(tuple(group) for group in surrogates),
        out=out,
        untouched=untouched,
        listing=listing,
    )
