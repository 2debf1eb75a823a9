"""What a network keeps beside its weights, which carries the patient too.

BatchNorm's running statistics can be taken anew from retained images. What else a training wrote
into buffers, such as prototypes, codebooks or the statistics of other layers, nobody knows how to
make without the patient, but by training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from auditor.errors import UnlearningError
from auditor.learning.start import begin
from auditor.unlearning.passes import BATCH
from auditor.unlearning.task import Task


def written_buffers(task: Task) -> tuple[str, ...]:
    """Names of the buffers, BatchNorm's aside, in which the model isn't as a fresh network is.

    Constants are; one that is drawn with the weights can't be told from one that was trained.
    """
    norms = {
        f"{name}." if name else ""
        for name, layer in task.module.named_modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    }
    saved = task.module.state_dict()
    others = {
        name: value
        for name, value in task.module.named_buffers()
        if name in saved and name[: name.rfind(".") + 1] not in norms
    }
    if not others:
        return ()
    fresh = dict(begin(task.recipe, task.seed).named_buffers())
    return tuple(
        name
        for name, value in others.items()
        if name not in fresh or not torch.equal(fresh[name].to(value), value)
    )


def require_known_buffers(task: Task) -> None:
    """See that a model's step away from images leaves nothing of them beside its weights.

    Raises:
        UnlearningError: it would, in a buffer that the training wrote.
    """
    if names := written_buffers(task):
        raise UnlearningError(
            f"buffer {names[0]} holds something of all images the model was trained on, which "
            "can't be taken anew for this kind of layer; choose retrain"
        )


def reestimate_norms(module: nn.Module, images: Tensor, retained: Sequence[int]) -> None:
    """Take running statistics anew, as plain averages over batches of retained images.

    The batches are drawn by a fixed seed: a manifest sorted by label or site would make each batch
    more alike than those of a training, and the variances too small.

    Args:
        module: changed in place; left in evaluation mode.
        images: (n, 1, H, W), all of them.
        retained: indices of those to average over.

    Raises:
        UnlearningError: too few of them, or statistics that can't be taken so.
    """
    module.eval()
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.instancenorm._InstanceNorm) and layer.track_running_stats:
            raise UnlearningError(
                f"layer {name} keeps statistics of all images it was trained on, which can't be "
                "taken anew for this kind of layer; choose retrain"
            )
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    kept = [norm.momentum for norm in norms]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    like = next(module.parameters())
    with torch.no_grad():
        for part in batches(_mixed(retained), BATCH):
            try:
                module(images[part].to(like))
            except ValueError as error:  # BatchNorm has nothing to normalise one value by
                raise UnlearningError(
                    f"{len(part)} retained images are too few for the network's batch "
                    "normalisation; choose retrain"
                ) from error
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    module.eval()


def _mixed(retained: Sequence[int]) -> Tensor:
    order = torch.randperm(len(retained), generator=torch.Generator().manual_seed(0))
    return torch.tensor(retained)[order]


def batches(indices: Tensor, size: int) -> list[Tensor]:
    """Indices in batches; one left over joins the last, since alone it may have no variance."""
    parts = list(torch.split(indices, size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts
