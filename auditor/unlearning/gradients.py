"""Per-example gradients, layer by layer and in blocks, never all of them at once.

One forward and one backward pass catch each layer's input a and the signal g that comes back to
its output; a layer's per-example gradient is made of these two. In evaluation mode examples don't
touch each other, so the gradient of a sum over examples holds every example's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import UnlearningError

_BLOCK_NUMBERS = 20_000_000  # per block of (examples x parameters); 160 MB in float64
_NORMS = (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._BatchNorm)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Caught:
    """A layer with its input and the signal that came back to its output."""

    name: str
    layer: nn.Module
    entering: Tensor
    returning: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Gradients of some rows of one parameter: (examples, numbers), from flat ``start`` on."""

    parameter: str
    start: int
    gradients: Tensor


def chosen_layers(module: nn.Module, prefixes: Sequence[str]) -> dict[str, nn.Module]:
    """Layers with parameters of their own under one of the name prefixes; none means all.

    Raises:
        UnlearningError: no such layer, or one whose per-example gradient isn't known here.
    """
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if any(True for _ in layer.parameters(recurse=False))
        and (not prefixes or any(name == p or name.startswith(f"{p}.") for p in prefixes))
    }
    if not layers:
        raise UnlearningError(f"no layer with parameters under {', '.join(prefixes)}")
    for name, layer in layers.items():
        if not isinstance(layer, (nn.Linear, nn.Conv2d, *_NORMS)):
            raise UnlearningError(
                f"layer {name} ({type(layer).__name__}) isn't supported; leave it out by naming "
                "layers"
            )
    return layers


def catch(
    module: nn.Module, layers: dict[str, nn.Module], images: Tensor, mixing: Tensor
) -> list[Caught]:
    """Run the images through and the mixed logits back.

    Args:
        module: in evaluation mode.
        layers: from `chosen_layers`.
        images: (n, 1, H, W).
        mixing: (n, classes), held constant; example i sends back the gradient of
            ``mixing[i] @ logits[i]``.
    """
    entering: dict[str, Tensor] = {}
    leaving: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if name in entering:
                raise UnlearningError(f"layer {name} is used twice in one pass; leave it out")
            entering[name], leaving[name] = inputs[0].detach(), output

        return hook

    hooks = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    try:
        total = (mixing * module(images)).sum()
        signals = torch.autograd.grad(total, [leaving[name] for name in layers])
    finally:
        for handle in hooks:
            handle.remove()
    return [
        Caught(name=name, layer=layer, entering=entering[name], returning=signal.detach())
        for (name, layer), signal in zip(layers.items(), signals, strict=True)
    ]


def blocks(caught: Caught) -> Iterator[Block]:
    """Per-example gradients of one layer's parameters."""
    layer, a, g = caught.layer, caught.entering, caught.returning
    if isinstance(layer, nn.Conv2d):
        yield from _conv(caught.name, layer, a, g)
    elif isinstance(layer, nn.Linear):
        flat_a, flat_g = a.reshape(len(a), -1, a.shape[-1]), g.reshape(len(g), -1, g.shape[-1])
        yield from _products(caught.name, flat_g.transpose(1, 2), flat_a)
        if layer.bias is not None:
            yield Block(parameter=f"{caught.name}.bias", start=0, gradients=flat_g.sum(1))
    else:
        yield from _norm(caught.name, layer, a, g)


def _conv(name: str, layer: nn.Conv2d, a: Tensor, g: Tensor) -> Iterator[Block]:
    if isinstance(layer.padding, str) or layer.groups != 1:
        raise UnlearningError(f"layer {name}: grouped or string-padded convolution; leave it out")
    patches = functional.unfold(
        a, layer.kernel_size, dilation=layer.dilation, padding=layer.padding, stride=layer.stride
    )
    yield from _products(name, g.flatten(2), patches.transpose(1, 2))
    if layer.bias is not None:
        yield Block(parameter=f"{name}.bias", start=0, gradients=g.sum((2, 3)))


def _products(name: str, signals: Tensor, inputs: Tensor) -> Iterator[Block]:
    """Weight gradients: for each example signals (out, places) times inputs (places, in)."""
    rows = max(1, _BLOCK_NUMBERS // (len(inputs) * inputs.shape[-1]))
    for start in range(0, signals.shape[1], rows):
        part = torch.bmm(signals[:, start : start + rows], inputs)
        yield Block(
            parameter=f"{name}.weight", start=start * inputs.shape[-1], gradients=part.flatten(1)
        )


def _norm(name: str, layer: nn.Module, a: Tensor, g: Tensor) -> Iterator[Block]:
    if isinstance(layer, nn.GroupNorm):
        normal = functional.group_norm(a, layer.num_groups, eps=layer.eps)
    elif isinstance(layer, nn.LayerNorm):
        normal = functional.layer_norm(a, layer.normalized_shape, eps=layer.eps)
        yield Block(
            parameter=f"{name}.weight", start=0, gradients=(g * normal).flatten(1, -2).sum(1)
        )
        yield Block(parameter=f"{name}.bias", start=0, gradients=g.flatten(1, -2).sum(1))
        return
    elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
        normal = functional.batch_norm(a, layer.running_mean, layer.running_var, eps=layer.eps)
    else:
        raise UnlearningError(f"layer {name} isn't supported; leave it out by naming layers")
    yield Block(parameter=f"{name}.weight", start=0, gradients=(g * normal).flatten(2).sum(2))
    yield Block(parameter=f"{name}.bias", start=0, gradients=g.flatten(2).sum(2))
