"""Where to look inside a network: a few named depths, found without knowing the architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD = "head"
SHARES = (1 / 3, 2 / 3)  # of the layers with weights: how deep the inner depths lie
LARGEST = 128  # numbers kept of an image at one depth
_GRID = 2
_PROJECTION_SEED = 20260127


@dataclass(frozen=True, slots=True)
class Depths:
    """The modules whose outputs are looked at, shallow first, and the head whose input is.

    Attributes:
        inner: dotted names of modules, (at most two).
        head: dotted name of the last linear layer that ran; empty where there is none.
    """

    inner: tuple[str, ...]
    head: str


@dataclass(frozen=True, slots=True)
class _Call:
    """One module that ran: its name, whether it has weights of its own, whether images came out."""

    name: str
    weighted: bool
    linear: bool
    usable: bool


def find_depths(module: nn.Module, example: Tensor) -> Depths:
    """Choose depths from one run of the network.

    The module tree is opened from the root, largest part first, until no part holds more than a
    third of the layers with weights; of these parts those are taken that end nearest to one and
    two thirds of the layers. In a ResNet that is a stage, in a transformer an encoder block. Two
    networks of one architecture have the same depths.

    Args:
        module: in evaluation mode.
        example: a few images, (n, 1, H, W).
    """
    calls = _trace(module, example)
    weighted = [call.name for call in calls if call.weighted]
    ends = {
        call.name: sum(other.weighted for other in calls[: number + 1])
        for number, call in enumerate(calls)
    }
    parts = _parts(module, weighted, set(ends), len(weighted) * min(SHARES))
    once = [name for name in ends if sum(call.name == name for call in calls) == 1]
    usable = {call.name for call in calls if call.usable and call.name in once}
    candidates = [name for name in parts if name in usable and 0 < ends[name] < len(weighted)]
    nearest = {
        min(candidates, key=lambda name: abs(ends[name] - share * len(weighted)))
        for share in SHARES
        if candidates
    }
    linear = [call.name for call in calls if call.linear]
    return Depths(
        inner=tuple(sorted(nearest, key=lambda name: ends[name])), head=linear[-1] if linear else ""
    )


@contextmanager
def watched(module: nn.Module, depths: Depths) -> Iterator[dict[str, Tensor]]:
    """While open, each run of ``module`` leaves its pooled features, (n, d) by depth's name."""
    caught: dict[str, Tensor] = {}

    def catch_output(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            caught[name] = bounded(output)

        return hook

    def catch_input(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        caught[HEAD] = bounded(inputs[0])

    handles = [
        module.get_submodule(name).register_forward_hook(catch_output(name))
        for name in depths.inner
    ]
    if depths.head:
        handles.append(module.get_submodule(depths.head).register_forward_pre_hook(catch_input))
    try:
        yield caught
    finally:
        for handle in handles:
            handle.remove()


def bounded(output: Tensor) -> Tensor:
    """Vectors of at most `LARGEST` numbers, (n, d), from maps, tokens or vectors.

    Maps (n, c, H, W), or (n, H, W, c) as some transformers have them, become a grid of means, so
    that where a thing lies still counts; tokens (n, t, c) their mean. What is longer is multiplied
    by a fixed random matrix, which keeps distances (Johnson and Lindenstrauss 1984).
    """
    values = output.float()
    if values.ndim == 4:
        if values.shape[1] == values.shape[2] != values.shape[3]:
            values = values.permute(0, 3, 1, 2)
        values = functional.adaptive_avg_pool2d(values, _GRID)
    elif values.ndim == 3:
        values = values.mean(dim=1)
    vectors = values.flatten(1)
    width = vectors.shape[1]
    if width <= LARGEST:
        return vectors
    return torch.mm(vectors, _projection(width).to(vectors.device))


def _projection(width: int) -> Tensor:
    draw = torch.Generator().manual_seed(_PROJECTION_SEED)
    matrix: Tensor = torch.randn(width, LARGEST, generator=draw)
    return matrix.div(LARGEST**0.5)


def _trace(module: nn.Module, example: Tensor) -> list[_Call]:
    calls: list[_Call] = []

    def note(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(inner: nn.Module, _inputs: object, output: object) -> None:
            calls.append(
                _Call(
                    name=name,
                    weighted=next(inner.parameters(recurse=False), None) is not None,
                    linear=isinstance(inner, nn.Linear),
                    usable=isinstance(output, Tensor) and output.shape[0] == len(example),
                )
            )

        return hook

    named = [(name, inner) for name, inner in module.named_modules() if name]
    handles = [inner.register_forward_hook(note(name)) for name, inner in named]
    try:
        with torch.no_grad():
            module(example)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _parts(module: nn.Module, weighted: list[str], ran: set[str], most: float) -> list[str]:
    """Names of the parts of the tree that hold at most ``most`` of the weighted layers each."""

    def held(name: str) -> int:
        return sum(other == name or other.startswith(f"{name}.") for other in weighted)

    found, open_parts = [], [name for name, _ in module.named_children()]
    while open_parts:
        name = open_parts.pop(0)
        children = [f"{name}.{child}" for child, _ in module.get_submodule(name).named_children()]
        if children and (held(name) > most or name not in ran):
            open_parts += children
        else:
            found.append(name)
    return found
