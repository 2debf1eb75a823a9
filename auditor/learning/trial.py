"""One step on two pictures of noise: whether a recipe's network can be trained at all.

A network of a hospital's own, or one of torchvision's that is shown pictures too small for it, may
raise anything out of its layers. Tried before anything is on the books, it is refused in a line.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parameter import is_lazy

from auditor.errors import ModelError
from auditor.learning.recipe import Recipe
from auditor.learning.start import begin


def require_trainable(recipe: Recipe) -> None:
    """See that the network takes grey pictures, gives logits, and that there is a way back.

    Raises:
        ModelError: it doesn't, all its weights are frozen or have no shape yet, or it can't be
            built.
    """
    module = begin(recipe, 0).train()
    if any(is_lazy(value) for value in module.parameters()):
        raise ModelError(
            f"{recipe.architecture} has weights without a shape; run the network once in its "
            "factory"
        )
    if not any(value.requires_grad for value in module.parameters()):
        raise ModelError(f"all weights of {recipe.architecture} are frozen: there's none to train")
    draw = torch.Generator().manual_seed(0)
    pictures = torch.randn(2, 1, recipe.input_size, recipe.input_size, generator=draw)
    try:
        logits = _logits(module, pictures)
        fit = logits is not None and logits.shape == (len(pictures), recipe.classes)
        if logits is not None and fit:
            loss = cross_entropy(logits, torch.tensor([0, 1]))
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves Tensor.backward bare
    except Exception as error:  # a hospital's own network raises what it likes
        (told, *_) = str(error).splitlines() or [""]
        raise ModelError(
            f"{recipe.architecture} can't be trained on grey pictures of {recipe.input_size} "
            f"pixels a side: {type(error).__name__}: {told}"
        ) from error
    if not fit:
        raise ModelError(
            f"{recipe.architecture} has to give one tensor of logits, a number for each picture "
            f"and each of {recipe.classes} classes"
        )


def _logits(module: nn.Module, pictures: Tensor) -> Tensor | None:
    with torch.random.fork_rng(devices=[]):
        found = module(pictures)
    return found if isinstance(found, Tensor) and found.is_floating_point() else None
