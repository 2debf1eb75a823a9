"""From a model to numbers: with `queries` and `repeatable` all of the laboratory that has torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from auditor.errors import UnauditableError
from auditor.learning.depths import find_depths, watched
from auditor.verification.layout import Numbers
from auditor.verification.measurements import Measurements
from auditor.verification.queries import AUGMENTATIONS, NOISES, Query

__all__ = ["Measurements", "measure"]

_BATCH = 256


def measure(
    module: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    queries: bool = False,
) -> Measurements:
    """Measure a model, in evaluation mode, on its own device; one run per batch and query.

    Args:
        images: (n, 1, H, W).
        labels: (n,).
        queries: also ask about the images shifted, flipped and under noise (`queries`).

    Raises:
        EvidenceError: the model gives NaN or infinite values.
    """
    device = next(module.parameters()).device
    truth = labels.cpu()
    module.eval()
    features: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        logits = []
        looked_at = find_depths(module, images[:2].to(device))
        with watched(module, looked_at) as caught:
            for batch in torch.split(images, _BATCH):
                logits.append(module(batch.to(device)).double().cpu())
                for name, vectors in caught.items():
                    features.setdefault(name, []).append(vectors.cpu())
        augmented, noisy = (
            [_ask(module, images, query, device) for query in kind] if queries else []
            for kind in (AUGMENTATIONS, NOISES)
        )
    values = torch.cat(logits)
    depths = {name: torch.cat(parts) for name, parts in features.items()}
    if not all(
        bool(torch.isfinite(part).all()) for part in (values, *augmented, *noisy, *depths.values())
    ):
        raise UnauditableError("the model's outputs are NaN or infinite; it can't be audited")
    return Measurements(
        margins=_margin(values, truth).numpy(),
        scores=_margin(values, torch.ones_like(truth)).numpy(),
        features={name: part.numpy() for name, part in depths.items()},
        augmented=_margins(augmented, truth),
        noisy=_margins(noisy, truth),
        lengths=_lengths(module, looked_at.head),
    )


def _lengths(module: nn.Module, head: str) -> Numbers:
    """Logs of lengths of the weights (`Measurements.lengths`).

    Raises:
        EvidenceError: weights that are NaN or infinite.
    """
    layers = [value.detach().double() for value in module.parameters() if value.ndim > 1]
    last = module.get_parameter(f"{head}.weight").detach().double() if head else layers[-1]
    apart = last - last.mean(dim=0)  # what is added to all rows alike changes no margin
    squares = [sum(float(value.square().sum()) for value in part) for part in (layers, [apart])]
    if not np.isfinite(squares).all():
        raise UnauditableError("the model's weights are NaN or infinite; it can't be audited")
    return np.log(np.maximum(squares, np.finfo(np.float64).tiny)) / 2


def _ask(module: nn.Module, images: Tensor, query: Query, device: torch.device) -> Tensor:
    answers = [module(query(batch).to(device)) for batch in torch.split(images, _BATCH)]
    return torch.cat(answers).double().cpu()


def _margins(answers: Sequence[Tensor], labels: Tensor) -> Numbers:
    return np.array([_margin(part, labels).numpy() for part in answers]).reshape(-1, len(labels))


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own - torch.logsumexp(others, 1)
