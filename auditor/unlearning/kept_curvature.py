"""The curvature of a sample of images, kept between requests against one model version.

With B the rows of the loss's curvature (`curvature`), the matrix B B^T depends on the weights and
the sampled images, not on who is to be forgotten. It is computed once on a sample drawn from all
training images and kept on the version's shelf. A request takes it from there without the rows and
columns of the images that are to be forgotten or set apart: in the dual that is the exact
downdate, what is left is the matrix that was never made of them. Then the request costs the
gradient of its own images, a Jacobian-vector product (B g), a solve, and a vector-Jacobian product
(B^T u). What is computed goes the same way as what is found, so a result doesn't tell whether the
shelf was empty.

It holds no pixel, but inner products of per-image gradients: it carries the influence of every
image in the sample, those of the request among them, and is destroyed with the version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auditor.domain.artefact import Digest, digest_of
from auditor.errors import UnlearningError
from auditor.learning.weights import load_tensors, save_tensors
from auditor.unlearning.curvature import Rows, Tell, quiet
from auditor.unlearning.passes import Passes
from auditor.unlearning.sampling import Sample
from auditor.unlearning.shelf import KnownModel

_FORMAT = "1"  # of what is kept and of how it is computed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curvature:
    """What a solve needs of a sample of m images; r is the rank of the loss's curvature.

    Attributes:
        sample: image indices (m,).
        factors: the root of the loss's curvature in the logits, (m, classes, r), in float64.
        gram: B B^T (r m, r m) in float64; rows by column of the root, then image.
    """

    sample: tuple[int, ...]
    factors: Tensor
    gram: Tensor

    @classmethod
    def of_rows(cls, rows: Rows, tell: Tell = quiet) -> Curvature:
        """Compute it; ``tell`` is told how many groups of layers of how many are done.

        Raises:
            UnlearningError: gradients are NaN or infinite.
        """
        gram = rows.gram(tell)
        if not bool(torch.isfinite(gram).all()):
            raise UnlearningError("gradients are NaN or infinite; look at weights and images")
        return cls(sample=rows.sample, factors=rows.factors, gram=gram)

    def only(self, images: Sequence[int]) -> Curvature:
        """Without the rows and columns of all other images."""
        wanted = frozenset(images)
        places = [place for place, index in enumerate(self.sample) if index in wanted]
        count, _, ranks = self.factors.shape
        kept = torch.tensor(
            [column * count + place for column in range(ranks) for place in places],
            device=self.gram.device,
        )
        return Curvature(
            sample=tuple(self.sample[place] for place in places),
            factors=self.factors[places],
            gram=self.gram[kept][:, kept],
        )

    def product(self, passes: Passes, vector: Mapping[str, Tensor]) -> Tensor:
        """B times a vector by parameter, (r m,): one Jacobian-vector product."""
        moved = passes.push(self.sample, vector)
        return torch.einsum("ncr,nc->rn", self.factors, moved).flatten()

    def transpose_product(self, passes: Passes, dual: Tensor) -> dict[str, Tensor]:
        """B^T u for u (r m,): one vector-Jacobian product."""
        count, _, ranks = self.factors.shape
        mixing = torch.einsum("ncr,rn->nc", self.factors, dual.reshape(ranks, count))
        return passes.pull(self.sample, mixing)

    def to_bytes(self) -> bytes:
        """In safetensors form."""
        tensors = {
            "sample": torch.tensor(self.sample),
            "factors": self.factors.cpu(),
            "gram": self.gram.cpu(),
        }
        return save_tensors(tensors)

    @classmethod
    def from_bytes(cls, content: bytes, device: torch.device) -> Curvature:
        """What `to_bytes` gave."""
        found = load_tensors(content)
        return cls(
            sample=tuple(found["sample"].tolist()),
            factors=found["factors"].to(device),
            gram=found["gram"].to(device),
        )


def curvature_of(
    sample: Sample,
    known: KnownModel | None,
    settings: Mapping[str, str | tuple[str, ...]],
    device: torch.device,
    compute: Callable[[Sequence[int]], Curvature],
) -> Curvature:
    """The curvature of the images used: from the shelf where it lies there, else computed.

    Args:
        settings: all that the arithmetic depends on beyond model, images and machine.
        device: where the passes run.
        compute: the curvature of images by index.
    """
    if known is None or not sample.lasting:
        return compute(sample.drawn).only(sample.used)
    key = _key(known, settings, device)
    content = known.shelf.find(key)
    if content is not None:
        found = Curvature.from_bytes(content, device)
        if found.sample == sample.drawn:
            return found.only(sample.used)
    made = compute(sample.drawn)
    known.shelf.keep(key, made.to_bytes(), images=len(made.sample))
    return made.only(sample.used)


def _key(
    known: KnownModel, settings: Mapping[str, str | tuple[str, ...]], device: torch.device
) -> Digest:
    """Another machine or torch rounds otherwise: what it would find isn't what it would make."""
    cpu = torch.backends.cpu.get_cpu_capability()
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu
    return digest_of(
        {
            "format": _FORMAT,
            "model": str(known.identity),
            "machine": f"{device.type} {machine} torch {torch.__version__}",
            **settings,
        }
    )
