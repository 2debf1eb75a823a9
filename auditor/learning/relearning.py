"""How fast a model learns images again: a few small steps on a copy of it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import get_total_norm

from auditor.errors import ModelError
from auditor.learning.determinism import one_thread

STEPS = 8
LENGTH = 0.004  # of a step, as a share of the weights' own length


def relearn(
    module: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int = STEPS,
    length: float = LENGTH,
) -> Tensor:
    """Signed logit margins before and after each step, (steps + 1, n), float64 on the CPU.

    Every step goes down the gradient of the mean cross-entropy of all images, by a fixed share of
    the weights' length, so that models with sharper or flatter outputs go equally far. The
    network stays in evaluation mode; the module given isn't changed.

    Args:
        images: those to learn, (n, 1, H, W), few enough for one batch.
        labels: (n,).

    Raises:
        ModelError: there is no gradient, or it is NaN or infinite.
    """
    pupil = copy.deepcopy(module).eval()
    weights = [value for value in pupil.parameters() if value.requires_grad]
    device = weights[0].device
    images, labels = images.to(device), labels.to(device)
    margins = []
    with one_thread():
        for _ in range(steps):
            logits = pupil(images)
            margins.append(_margins(logits.detach(), labels))
            loss = functional.cross_entropy(logits, labels)
            gradient = torch.autograd.grad(loss, weights, allow_unused=True)
            _walk(weights, gradient, length)
        with torch.no_grad():
            margins.append(_margins(pupil(images), labels))
    return torch.stack(margins)


def _walk(weights: list[nn.Parameter], gradient: tuple[Tensor | None, ...], length: float) -> None:
    moved = [(value, g) for value, g in zip(weights, gradient, strict=True) if g is not None]
    size = get_total_norm([g for _, g in moved])
    if not bool(torch.isfinite(size)):
        raise ModelError("relearning gave NaN or infinite numbers; the model can't be audited")
    if not bool(size > 0):
        raise ModelError("the model has no gradient on these images; it can't be relearned")
    with torch.no_grad():
        step = length * get_total_norm([value for value, _ in moved]) / size
        for value, g in moved:
            value.sub_(step * g)


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """z_y less the logsumexp of the other classes, as the laboratory measures it."""
    values = logits.double().cpu()
    own = labels.cpu()[:, None]
    others = values.scatter(1, own, -torch.inf)
    return values.gather(1, own)[:, 0] - torch.logsumexp(others, 1)
