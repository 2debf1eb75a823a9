"""From a model to numbers: the only place in the laboratory that touches torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from auditor.errors import EvidenceError
from auditor.learning.depths import find_depths, watched
from auditor.verification.measurements import Measurements

__all__ = ["QUERIES", "Measurements", "measure"]

Query = Callable[[Tensor], Tensor]

_BATCH = 256
_NOISE_SEED = 20220512


def _shift(rows: int, columns: int) -> Query:
    """Move by a sixteenth of the side per step."""

    def moved(images: Tensor) -> Tensor:
        step = max(1, images.shape[-1] // 16)
        return images.roll((rows * step, columns * step), (-2, -1))

    return moved


def _noise(size: float) -> Query:
    """Add the same picture of Gaussian noise, ``size`` times the images' spread, to every image."""

    def noisy(images: Tensor) -> Tensor:
        draw = torch.Generator().manual_seed(_NOISE_SEED)
        noise = torch.randn(images.shape[1:], generator=draw).to(images)
        return images + size * images.std((1, 2, 3), keepdim=True) * noise

    return noisy


# After Choquette-Choo et al. 2021, but small enough to keep the diagnosis.
QUERIES: tuple[Query, ...] = (
    lambda images: images.flip(-1),
    _shift(1, 0),
    _shift(-1, 0),
    _shift(0, 1),
    _shift(0, -1),
    _noise(0.25),
    _noise(0.5),
    _noise(1.0),
)


def measure(
    module: nn.Module,
    images: Tensor,
    labels: Tensor,
    queries: tuple[Query, ...] = (),
) -> Measurements:
    """Measure a model, in evaluation mode, on its own device; one run per batch and query.

    Args:
        images: (n, 1, H, W).
        labels: (n,).
        queries: also ask for the images changed by each of these, such as `QUERIES`.

    Raises:
        EvidenceError: the model gives NaN or infinite values.
    """
    device = next(module.parameters()).device
    truth = labels.cpu()
    module.eval()
    features: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        logits = []
        with watched(module, find_depths(module, images[:2].to(device))) as caught:
            for batch in torch.split(images, _BATCH):
                logits.append(module(batch.to(device)).double().cpu())
                for name, vectors in caught.items():
                    features.setdefault(name, []).append(vectors.cpu())
        asked = [_ask(module, images, query, device) for query in queries]
    values = torch.cat(logits)
    depths = {name: torch.cat(parts) for name, parts in features.items()}
    if not all(bool(torch.isfinite(part).all()) for part in (values, *asked, *depths.values())):
        raise EvidenceError("the model's outputs are NaN or infinite; it can't be audited")
    return Measurements(
        margins=_margin(values, truth).numpy(),
        scores=_margin(values, torch.ones_like(truth)).numpy(),
        features={name: part.numpy() for name, part in depths.items()},
        queried=np.array([_margin(part, truth).numpy() for part in asked]).reshape(
            len(asked), len(truth)
        ),
    )


def _ask(module: nn.Module, images: Tensor, query: Query, device: torch.device) -> Tensor:
    answers = [module(query(batch).to(device)) for batch in torch.split(images, _BATCH)]
    return torch.cat(answers).double().cpu()


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own - torch.logsumexp(others, 1)
