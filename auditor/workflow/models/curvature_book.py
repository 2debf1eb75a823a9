"""A model version's curvatures: on the books first, then in the store. Needs no engine.

A file that carries patients' influence must not lie anywhere that no entry points to. So the entry
comes first; stopped in between, there is an entry without a file, and the curvature is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.domain.artefact import Digest, digest_of
from auditor.domain.event import CurvatureCached, ModelRegistered
from auditor.errors import TamperedError
from auditor.unlearning.shelf import KnownModel
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import model_stream, record


def known_model(
    home: Home, version: ModelRegistered, *, data: Digest, training: Sequence[int]
) -> KnownModel:
    """A registered version as the workshop knows it.

    Args:
        data: what the ledger knows the images by.
        training: indices of all images it was trained on.
    """
    made_of = {"weights": version.weights, "recipe": version.recipe, "data": data}
    return KnownModel(
        identity=digest_of({name: str(digest) for name, digest in made_of.items()}),
        training=tuple(training),
        shelf=CurvatureShelf(home=home, version=version),
    )


def curvatures_of(home: Home, model: str, weights: Digest) -> tuple[CurvatureCached, ...]:
    """What was kept of a version, oldest first."""
    return tuple(
        item.event
        for item in home.ledger.replay(model_stream(model))
        if isinstance(item.event, CurvatureCached) and item.event.weights == weights
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvatureShelf:
    """Keeps a version's curvatures until a case destroys them (`accounting`)."""

    home: Home
    version: ModelRegistered

    def find(self, key: Digest) -> bytes | None:
        """What was last kept under the key, or None.

        Raises:
            TamperedError: it was changed since.
        """
        kept = [item.cache for item in self._kept() if item.key == key]
        if not kept or not self.home.store.has(kept[-1]):
            return None
        try:
            return self.home.store.get(kept[-1])
        except TamperedError:
            raise TamperedError(
                f"the curvature {kept[-1]} in the store was changed or cut short; find out by "
                "whom, then remove that file: the next run makes it anew"
            ) from None

    def keep(self, key: Digest, content: bytes, *, images: int) -> None:
        """Enter it, then keep it."""
        cache = Digest.of(content)
        event = CurvatureCached(
            model=self.version.model,
            weights=self.version.weights,
            key=key,
            cache=cache,
            images=images,
        )
        step = f"curvature-{key.value}-{cache.value}"
        record(self.home, model_stream(self.version.model), event, step)
        self.home.store.put(content)

    def _kept(self) -> tuple[CurvatureCached, ...]:
        return curvatures_of(self.home, self.version.model, self.version.weights)
