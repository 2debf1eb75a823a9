"""Per-example gradients, piece by piece, from what entered a layer and what came back to it.

One forward and one backward pass catch each layer's input a and the signal g that comes back to
its output; a layer's per-example gradient is made of these two. In evaluation mode examples don't
touch each other, so the gradient of a sum over examples holds every example's own.

    linear, convolution      g a^T, summed over places (a unfolded into patches)
    attention                two linear layers; what lies between them is run anew from a
    normalisation            g times the normalised a, and g
    any other single layer   its own backward pass, once per example (`torch.func.vmap`)
    a token or embedding     handed in as one copy per image, so that backward parts the images
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional

from auditor.errors import UnlearningError

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Direct:
    """Per-example gradients of one parameter, formed: (n, numbers)."""

    parameter: str
    gradients: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What is held in memory."""
        return (self.gradients,)

    def rows(self, start: int, stop: int, width: int) -> Tensor:
        """Gradients of the parameter's rows ``start`` to ``stop``, each ``width`` numbers long."""
        return self.gradients[:, start * width : stop * width]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Product:
    """Per-example gradients of one weight, not yet formed: signals times inputs.

    Attributes:
        signals: (n, out, places).
        inputs: (n, places, in), or what enters ``conv``, (n, channels, H, W).
    """

    parameter: str
    signals: Tensor
    inputs: Tensor
    conv: nn.Conv2d | None = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What is held in memory."""
        return (self.signals, self.inputs)

    @property
    def width(self) -> int:
        """Numbers in a row of the weight."""
        return self.inputs.shape[-1] if self.conv is None else self.conv.weight[0].numel()

    def patches(self) -> Tensor:
        """Inputs by place, (n, places, in)."""
        if self.conv is None:
            return wide(self.inputs)
        return functional.unfold(
            wide(self.inputs),
            self.conv.kernel_size,
            dilation=self.conv.dilation,
            padding=self.conv.padding,  # type: ignore[arg-type]  # numeric: see _plain
            stride=self.conv.stride,
        ).transpose(1, 2)

    def rows(self, start: int, stop: int, _width: int) -> Tensor:
        """Gradients of the weight's rows ``start`` to ``stop``."""
        return torch.bmm(wide(self.signals[:, start:stop]), self.patches()).flatten(1)


Piece = Direct | Product


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Caught:
    """A layer with its input and, per column of the mixing, the signal back to its output."""

    name: str
    layer: nn.Module
    entering: Tensor
    returning: tuple[Tensor, ...]


def wide(tensor: Tensor) -> Tensor:
    """In at least 32 bits: sums of bfloat16 numbers in bfloat16 would drown in rounding."""
    return tensor.float() if tensor.dtype is torch.bfloat16 else tensor


def catch(
    module: nn.Module,
    layers: Mapping[str, nn.Module],
    tokens: Sequence[str],
    images: Tensor,
    mixing: Tensor,
) -> tuple[list[Caught], list[Caught]]:
    """Run the images through once and the mixed logits back, once per column of the mixing.

    Args:
        module: in evaluation mode.
        layers: by name, with parameters of their own that require gradients.
        tokens: names of parameters that start with a dimension of 1, broadcast over images.
        images: (n, 1, H, W).
        mixing: (n, classes, columns), held constant; example i sends back the gradient of
            ``mixing[i, :, column] @ logits[i]``.

    Returns:
        What layers caught, and tokens (whose signals are their gradients, (n, ...)).

    Raises:
        UnlearningError: a layer is used in a way in which its gradient can't be told.
    """
    entering: dict[str, Tensor] = {}
    edges: dict[str, GradientEdge] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: Any, named: Mapping[str, Any], output: Any) -> None:
            if name in entering:
                raise UnlearningError(
                    f"layer {name} is used twice in one pass; leave it out by naming layers"
                )
            entering[name] = _only_input(name, layer, inputs, named).detach()
            output = output[0] if isinstance(layer, nn.MultiheadAttention) else output
            if not isinstance(output, Tensor):
                raise UnlearningError(
                    f"layer {name} gives more than one tensor; leave it out by naming layers"
                )
            # an edge, not the tensor: whoever changes the output in place moves the tensor on
            edges[name] = get_gradient_edge(output)

        return hook

    values = dict(module.named_parameters())
    copies = {name: values[name].expand(len(images), *values[name].shape[1:]) for name in tokens}
    hooks = [
        layer.register_forward_hook(keep(name), with_kwargs=True) for name, layer in layers.items()
    ]
    try:
        logits = torch.func.functional_call(module, copies, (images,))
    finally:  # before the way back, on which checkpointed layers run forward again
        for handle in hooks:
            handle.remove()
    ends = [*edges.values(), *(get_gradient_edge(copy) for copy in copies.values())]
    if not ends:  # none of the layers was called
        return [], []
    columns = mixing.unbind(2)
    signals = [
        torch.autograd.grad(
            (column.to(logits) * logits).sum(),
            ends,
            retain_graph=number < len(columns),
            allow_unused=True,
        )
        for number, column in enumerate(columns, 1)
    ]
    returned = dict(zip([*edges, *tokens], zip(*signals, strict=True), strict=True))
    of_layers = [
        Caught(name=name, layer=layers[name], entering=entering[name], returning=returned[name])
        for name in layers
        if name in edges and returned[name][0] is not None
    ]
    of_tokens = [
        Caught(name=name, layer=module, entering=images, returning=returned[name])
        for name in tokens
        if returned[name][0] is not None
    ]
    return of_layers, of_tokens


def _only_input(name: str, layer: nn.Module, inputs: Any, named: Mapping[str, Any]) -> Tensor:
    if isinstance(layer, nn.MultiheadAttention):
        masks = ("key_padding_mask", "attn_mask")
        plain = not any(named.get(mask) is not None for mask in masks)
        if not plain or len(inputs) != 3 or not inputs[0] is inputs[1] is inputs[2]:
            raise UnlearningError(
                f"attention {name} has masks or several inputs; leave it out by naming layers"
            )
    elif len(inputs) != 1 or named:
        raise UnlearningError(f"layer {name} has several inputs; leave it out by naming layers")
    found: Tensor = inputs[0]
    return found


def pieces(caught: Caught, column: int) -> Iterator[Piece]:
    """Per-example gradients of one layer's parameters, for one column of the mixing."""
    layer, a, g = caught.layer, caught.entering, caught.returning[column]
    at = f"{caught.name}." if caught.name else ""
    if type(layer) is nn.Conv2d and _plain(layer):
        yield Product(parameter=f"{at}weight", signals=g.flatten(2), inputs=a, conv=layer)
        if layer.bias is not None:
            yield Direct(parameter=f"{at}bias", gradients=wide(g).sum((2, 3)))
    elif type(layer) is nn.Linear:
        yield from _linear(f"{at}weight", f"{at}bias", a, g)
    elif isinstance(layer, nn.MultiheadAttention):
        yield from _attention(at, layer, a, g)
    elif type(layer) in (nn.GroupNorm, *_BATCH_NORMS):
        normal = wide(g) * wide(_normalised(layer, a))
        yield Direct(parameter=f"{at}weight", gradients=_places(normal).sum(2))
        yield Direct(parameter=f"{at}bias", gradients=_places(wide(g)).sum(2))
    elif type(layer) is nn.LayerNorm and len(layer.normalized_shape) == 1:
        normal = functional.layer_norm(a, layer.normalized_shape, eps=layer.eps)
        pushed, signal = wide(g) * wide(normal), wide(g)
        size = a.shape[-1]
        yield Direct(parameter=f"{at}weight", gradients=pushed.reshape(len(a), -1, size).sum(1))
        yield Direct(parameter=f"{at}bias", gradients=signal.reshape(len(a), -1, size).sum(1))
    else:
        yield from _one_by_one(at, layer, a, g)


def _plain(layer: nn.Conv2d) -> bool:
    numeric = not isinstance(layer.padding, str) and layer.padding_mode == "zeros"
    return numeric and layer.groups == 1


def _places(tensor: Tensor) -> Tensor:
    """(n, channels, ...) as (n, channels, places)."""
    return tensor.reshape(*tensor.shape[:2], -1)


def _normalised(layer: nn.Module, a: Tensor) -> Tensor:
    if isinstance(layer, nn.GroupNorm):
        return functional.group_norm(a, layer.num_groups, eps=layer.eps)
    mean, variance = layer.get_buffer("running_mean"), layer.get_buffer("running_var")
    eps = float(layer.eps)  # type: ignore[arg-type]  # a number, which nn.Module doesn't tell
    return functional.batch_norm(a, mean, variance, eps=eps)


def _linear(weight: str, bias: str, a: Tensor, g: Tensor) -> Iterator[Piece]:
    """A linear layer's; a is (n, ..., in), g is (n, ..., out)."""
    flat_a, flat_g = a.reshape(len(a), -1, a.shape[-1]), g.reshape(len(g), -1, g.shape[-1])
    yield Product(parameter=weight, signals=flat_g.transpose(1, 2), inputs=flat_a)
    yield Direct(parameter=bias, gradients=wide(flat_g).sum(1))


def _attention(at: str, layer: nn.MultiheadAttention, a: Tensor, g: Tensor) -> Iterator[Piece]:
    """Self-attention (Vaswani et al. 2017): project in, mix by head, project out; a is (n, T, d).

    Neither projection is called as a layer, so no hook sees what lies between: the mixing is run
    anew from a, and the signal taken back through it.
    """
    weight, out = layer.in_proj_weight, layer.out_proj.weight
    bias = None if layer.in_proj_bias is None else layer.in_proj_bias.detach()
    with torch.enable_grad():
        projected = functional.linear(a, weight.detach(), bias).requires_grad_()
        heads = projected.reshape(*a.shape[:2], 3, layer.num_heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = heads.unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).reshape(a.shape)
        (back,) = torch.autograd.grad(mixed, projected, functional.linear(g, out.detach().T))
    yield from _linear(f"{at}in_proj_weight", f"{at}in_proj_bias", a, back)
    yield from _linear(f"{at}out_proj.weight", f"{at}out_proj.bias", mixed.detach(), g)


def _one_by_one(at: str, layer: nn.Module, a: Tensor, g: Tensor) -> Iterator[Piece]:
    own = {key: value.detach() for key, value in layer.named_parameters(recurse=False)}

    def back(one: Tensor, signal: Tensor) -> dict[str, Tensor]:
        def forward(values: dict[str, Tensor]) -> Tensor:
            output: Tensor = torch.func.functional_call(layer, values, (one[None],))
            return output

        found: dict[str, Tensor] = torch.func.vjp(forward, own)[1](signal[None])[0]
        return found

    for key, value in torch.func.vmap(back)(a, g).items():
        yield Direct(parameter=f"{at}{key}", gradients=wide(value).flatten(1))
