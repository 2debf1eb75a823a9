"""Which parameters step: by name, or chosen by what the step would gain from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from auditor.errors import UnlearningError

_LATTER = 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """What steps as a whole.

    Attributes:
        layers: modules whose per-example gradients are told from input and signal.
        tokens: parameters that are broadcast over images, such as a class token.
        parameters: names of the chosen parameters, by layer or token.
    """

    layers: Mapping[str, nn.Module]
    tokens: tuple[str, ...]
    parameters: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """Layers and tokens, in a fixed order."""
        return (*self.layers, *self.tokens)


def named(module: nn.Module, prefixes: Sequence[str]) -> tuple[str, ...]:
    """Parameters with one of the names, or under one of them; no name means all.

    A frozen parameter never saw an image, and stays.

    Raises:
        UnlearningError: a name that no parameter bears that isn't frozen.
    """
    everything = [name for name, value in module.named_parameters() if value.requires_grad]

    def under(prefix: str) -> list[str]:
        return [name for name in everything if name == prefix or name.startswith(f"{prefix}.")]

    for prefix in prefixes:
        if not under(prefix):
            tops = ", ".join(dict.fromkeys(name.partition(".")[0] for name in everything))
            raise UnlearningError(
                f"no layer with parameters that train under {prefix}; there are {tops}, and what "
                "they hold (`auto` stands alone)"
            )
    chosen = {name for prefix in prefixes for name in under(prefix)}
    return tuple(name for name in everything if not prefixes or name in chosen)


def units(module: nn.Module, chosen: Sequence[str]) -> Units:
    """Sort chosen parameters into layers and tokens.

    Raises:
        UnlearningError: one that is neither.
    """
    layers: dict[str, nn.Module] = {}
    tokens: list[str] = []
    parameters: dict[str, tuple[str, ...]] = {}
    left = set(chosen)
    for name, layer in module.named_modules():
        whole = _whole(layer)
        start = f"{name}." if name else ""
        own = [
            start + key for key, _ in layer.named_parameters(recurse=whole) if start + key in left
        ]
        left -= set(own)
        if own and whole:
            _refuse_the_unknown(name, layer)
            layers[name], parameters[name] = layer, tuple(own)
        for key in own if not whole else ():
            shape = module.get_parameter(key).shape
            if len(shape) < 2 or shape[0] != 1:
                raise UnlearningError(
                    f"parameter {key} belongs to no layer that the Newton step knows; leave it out "
                    "by naming layers"
                )
            tokens.append(key)
            parameters[key] = (key,)
    return Units(layers=layers, tokens=tuple(tokens), parameters=parameters)


def latter(module: nn.Module) -> tuple[str, ...]:
    """The last third of the layers with parameters, in the network's order, the head among them."""
    trained = named(module, ())
    layers: list[str] = []
    for name, layer in module.named_modules():
        inside = bool(layers) and name.startswith(f"{layers[-1]}.")
        if _whole(layer) and not inside and any(key.startswith(f"{name}.") for key in trained):
            layers.append(name)
    return tuple(layers[-math.ceil(_LATTER * len(layers)) :])


def _whole(layer: nn.Module) -> bool:
    """Whether it steps as one: it holds no other layer, or is an attention."""
    return isinstance(layer, nn.MultiheadAttention) or not any(True for _ in layer.children())


def _refuse_the_unknown(name: str, layer: nn.Module) -> None:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is None:
        raise UnlearningError(
            f"layer {name} normalises by the batch at hand, so no example stands alone; leave it "
            "out by naming layers"
        )
    if isinstance(layer, nn.MultiheadAttention) and not (
        layer.batch_first
        and layer.in_proj_weight is not None
        and layer.bias_k is None
        and not layer.add_zero_attn
    ):
        raise UnlearningError(
            f"attention {name} isn't plain self-attention, batch first; leave it out by naming "
            "layers"
        )
