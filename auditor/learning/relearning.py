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
_BATCH = 128


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
        images: those to learn, (n, 1, H, W).
        labels: (n,).

    Raises:
        ModelError: there is no gradient, or it is NaN or infinite.
    """
    pupil = copy.deepcopy(module).eval()
    weights = [value for value in pupil.parameters() if value.requires_grad]
    margins = []
    with one_thread():
        for _ in range(steps):
            before, slopes = _look(pupil, weights, images, labels)
            margins.append(before)
            _walk(weights, slopes, length)
        margins.append(_look(pupil, weights, images, labels)[0])
    return torch.stack(margins)


def _look(
    pupil: nn.Module, weights: list[nn.Parameter], images: Tensor, labels: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Margins, (n,), and the mean cross-entropy's gradient, by as many images as fit at once."""
    device, margins = weights[0].device, []
    slopes = [torch.zeros_like(value) for value in weights]
    for some, classes in zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True):
        logits, truth = pupil(some.to(device)), classes.to(device)
        margins.append(_margins(logits.detach(), truth))
        loss = functional.cross_entropy(logits, truth, reduction="sum") / len(images)
        for slope, part in zip(
            slopes, torch.autograd.grad(loss, weights, materialize_grads=True), strict=True
        ):
            slope += part
    return torch.cat(margins), slopes


def _walk(weights: list[nn.Parameter], slopes: list[Tensor], length: float) -> None:
    size = get_total_norm(slopes)
    if not bool(torch.isfinite(size)):
        raise ModelError("relearning gave NaN or infinite numbers; the model can't be audited")
    if not bool(size > 0):
        raise ModelError("the model has no gradient on these images; it can't be relearned")
    with torch.no_grad():
        step = length * get_total_norm(weights) / size
        for value, slope in zip(weights, slopes, strict=True):
            value.sub_(step * slope)


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """z_y less the logsumexp of the other classes, as the laboratory measures it."""
    values = logits.double().cpu()
    own = labels.cpu()[:, None]
    others = values.scatter(1, own, -torch.inf)
    return values.gather(1, own)[:, 0] - torch.logsumexp(others, 1)
