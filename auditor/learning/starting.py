"""Whether a network's first weights are drawn from the seed, or were there before.

Training again without a patient forgets them only where nothing of them is in what the training
starts from. Whether weights that a factory brings along were ever trained on a patient can't be
seen in them, and no reference model tells either, as all of them start there. So a network is built
by two seeds: what comes out the same under both was drawn, trained or set before.

Set by hand, and no training's work, is what takes a few values only (zeros and ones of norms, one
scale for a layer, an identity, an edge filter, a prior on the head) and what points at places
(64-bit integers, which no gradient reaches). A table that a formula gives, such as sinusoids of
positions, can't be told from trained weights by its values; a factory registers it as a buffer that
isn't saved (``persistent=False``), and so says that the code gives it, not a training.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from auditor.errors import ModelError
from auditor.learning.models import build
from auditor.learning.recipe import Recipe

_SET_BY_HAND = 16  # values at most; trained tensors take about as many as they have places


def starting_weights(recipe: Recipe) -> tuple[str, ...]:
    """Names of weights that a recipe's network starts from whatever the seed is.

    The built-in networks and torchvision's draw all that training writes; factories are looked at.

    Raises:
        ModelError: the network can't be built.
    """
    if ":" not in recipe.architecture:
        return ()
    one, other = (build(recipe, seed).state_dict() for seed in (0, 1))
    return tuple(
        name
        for name, value in one.items()
        if name in other and torch.equal(value, other[name]) and may_be_trained(value)
    )


def require_drawn(recipe: Recipe) -> None:
    """Refuse a network that starts from weights of before.

    Raises:
        ModelError: naming one of them; or the network can't be built.
    """
    if found := starting_weights(recipe):
        raise ModelError(
            f"factory {recipe.architecture} gives {found[0]} the same values whatever the seed: "
            "weights of before may hold patients whom no training without them forgets; draw them "
            "from torch's generator, register tables of a formula with persistent=False, and "
            "declare weights to start from: auditor model start add"
        )


def may_be_trained(value: Tensor) -> bool:
    """Whether its values can be a training's work: neither places nor a few set by hand."""
    return value.dtype != torch.int64 and len(np.unique(value.detach().double())) > _SET_BY_HAND
