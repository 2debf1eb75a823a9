"""What a training starts from: weights drawn from the seed, or weights of before and a drawn head.

Hospitals seldom train from nothing: they take a network that learnt to see on other images, such as
ImageNet, and give it a head of their own. Such weights are named by digest in the recipe. That no
patient is in them can't be seen in them; it is declared, and told on every document
(`auditor.workflow.homes.starts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from torch import Tensor, nn

from auditor.domain.artefact import Digest
from auditor.learning.models import GreyNetwork, build
from auditor.learning.recipe import Recipe
from auditor.learning.store import ContentStore
from auditor.learning.weights import load_tensors, require_fit


def begin(recipe: Recipe, seed: int) -> nn.Module:
    """A network as the training of that seed starts; its head is drawn in any case.

    Raises:
        ModelError: the network can't be built, or the weights of before don't fit it.
        LedgerError: they aren't in the store.
        TamperedError: they were changed there.
    """
    module = build(recipe, seed)
    if recipe.starts_from:
        _put_in(module, _weights(recipe.store, recipe.starts_from), recipe.architecture)
    return module


@lru_cache(maxsize=1)  # every model of a bank starts from the same
def _weights(store: str, digest: str) -> Mapping[str, Tensor]:
    return load_tensors(ContentStore(Path(store)).get(Digest.parse(digest)))


def _put_in(module: nn.Module, weights: Mapping[str, Tensor], architecture: str) -> None:
    """Put all but the head in, by the names that torchvision, or a factory, gives them."""
    network = module.network if isinstance(module, GreyNetwork) else module
    own, given = _but_the_head(network, network.state_dict()), _but_the_head(network, weights)
    require_fit(own, given, f"the weights to start from don't fit architecture {architecture}")
    network.load_state_dict(given, strict=False)


def _but_the_head(network: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without those of the last linear layer, which has a number for each class."""
    linear = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
    heads = tuple(f"{name}." for name in linear[-1:])
    return {name: value for name, value in weights.items() if not name.startswith(heads)}
