"""The retained images' curvature H = A^T A by its rows, never held all at once.

Row by row A is the square root of the loss's curvature in the logits times their Jacobian: as
many rows as images (times columns of the root), as many columns as parameters. A A^T is summed up
layer by layer: the network runs over the images in blocks, once per group of layers, and of every
layer in the group the smaller of two things is kept for all images: the (input, signal) pair or
the gradients themselves. So memory is that of one pass over a block, of one group, and of A A^T;
it costs one forward and one backward pass over the images per group. Layers come in the same order
whatever the groups, so that the memory given hardly changes a bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auditor.errors import UnlearningError
from auditor.unlearning.gradients import Caught, Direct, Piece, Product, catch, pieces, wide
from auditor.unlearning.layers import Units
from auditor.unlearning.passes import Passes, understanding

Tell = Callable[[int, int], None]  # how many of how many are done
_BLOCK_NUMBERS = 20_000_000  # per block of (images x parameters); 160 MB in float64


def quiet(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stacked:
    """Rows of A in one parameter's columns: pieces by column of the root, then block of images."""

    parameter: str
    shape: torch.Size
    images: int
    pieces: tuple[Piece, ...]

    def chunks(self) -> Iterator[tuple[int, Tensor]]:
        """From column ``start`` on, (rows, some columns)."""
        height = self.shape[0] if self.shape else 1
        width = self.shape.numel() // height
        step = max(1, _BLOCK_NUMBERS // (self.images * width))
        for start in range(0, height, step):
            parts = [piece.rows(start, start + step, width) for piece in self.pieces]
            yield start * width, torch.cat(parts)

    def product(self, vector: Tensor) -> Tensor:
        """Rows times a vector of the parameter's shape, (rows,)."""
        flat = vector.flatten()
        total = torch.zeros(1, dtype=torch.float64, device=vector.device)
        for start, rows in self.chunks():
            total = total + rows @ flat[start : start + rows.shape[1]]
        return total

    def add_to(self, gram: Tensor) -> None:
        """Add these columns' share to A A^T."""
        if _few_places(self.pieces[0]):
            self._add_by_places(gram)
            return
        for _, rows in self.chunks():
            gram += rows @ rows.T

    def _add_by_places(self, gram: Tensor) -> None:
        """Without forming gradients: <g a^T, g' a'^T> is <a, a'> <g, g'>, summed over places."""
        products = [piece for piece in self.pieces if isinstance(piece, Product)]
        signals = torch.cat([wide(piece.signals) for piece in products]).transpose(1, 2)
        inputs = torch.cat([piece.patches() for piece in products])
        count, places = signals.shape[:2]
        step = max(1, _BLOCK_NUMBERS // (count * places**2))
        for start in range(0, count, step):
            some = slice(start, start + step)
            both = inputs[some].flatten(0, 1) @ inputs.flatten(0, 1).T
            both *= signals[some].flatten(0, 1) @ signals.flatten(0, 1).T
            gram[some] += both.reshape(-1, places, count, places).sum((1, 3))


class Rows:
    """The matrix A of a sample of images.

    Args:
        passes: what is run layer by layer.
        exact: what logits come from; in bfloat16 they are too coarse.
        units: the layers and tokens that step.
        sample: image indices.
        memory: bytes that a group of layers may keep; a layer that needs more is a group by itself.
    """

    def __init__(
        self,
        passes: Passes,
        exact: Passes,
        units: Units,
        sample: Sequence[int],
        *,
        memory: int,
    ) -> None:
        """Take the logits' curvature, check the layers and divide them into groups."""
        self.passes = passes
        self.exact = exact
        self.units = units
        self.sample = tuple(sample)
        self.factors = exact.loss.factors(exact.logits(self.sample))
        self.groups = self._groups(memory)

    def gram(self, tell: Tell = quiet) -> Tensor:
        """A A^T (m r, m r) in float64; ``tell`` is told how many groups of layers are done."""
        size = self.factors.shape[0] * self.factors.shape[2]
        gram = torch.zeros(size, size, dtype=torch.float64, device=self.passes.device)
        for number, group in enumerate(self.groups):
            tell(number, len(self.groups))
            for stacked in self._of_group(group):
                stacked.add_to(gram)
        tell(len(self.groups), len(self.groups))
        return gram

    def by_parameter(self) -> Iterator[Stacked]:
        """Columns of A, parameter by parameter."""
        for group in self.groups:
            yield from self._of_group(group)

    def _of_group(self, group: Sequence[str]) -> Iterator[Stacked]:
        count = len(self.sample)
        kept: dict[str, list[list[list[Piece]]]] = {name: [] for name in group}
        for part in self.passes.split(range(count), count):
            indices, factors = [self.sample[place] for place in part], self.factors[list(part)]
            for name, found in self._pieces(group, indices, factors).items():
                kept[name].append(found)
        for name in group:
            yield from self._stack(kept.pop(name))

    def _stack(self, blocks: Sequence[Sequence[Sequence[Piece]]]) -> Iterator[Stacked]:
        """From pieces by block, column of the root and parameter to parameters."""
        for number, first in enumerate(blocks[0][0]):
            columns = range(len(blocks[0]))
            yield Stacked(
                parameter=first.parameter,
                shape=self.passes.values[first.parameter].shape,
                images=len(self.sample),
                pieces=tuple(block[column][number] for column in columns for block in blocks),
            )

    def _pieces(
        self, group: Sequence[str], indices: Sequence[int], factors: Tensor
    ) -> dict[str, list[list[Piece]]]:
        """By layer or token, column of the root and parameter."""
        layers, tokens = catch(
            self.passes.module,
            {name: layer for name, layer in self.units.layers.items() if name in group},
            [name for name in self.units.tokens if name in group],
            self.passes.pictures(indices),
            factors,
        )
        columns = range(factors.shape[2])
        found = {item.name: [self._of_layer(item, column) for column in columns] for item in layers}
        for item in tokens:
            signals = [wide(signal).flatten(1) for signal in item.returning]
            found[item.name] = [
                [Direct(parameter=item.name, gradients=signal)] for signal in signals
            ]
        return found

    def _of_layer(self, caught: Caught, column: int) -> list[Piece]:
        found = pieces(caught, column)
        return [_leaner(piece) for piece in found if piece.parameter in self.passes.values]

    def _groups(self, memory: int) -> list[list[str]]:
        """Layers that are kept together, after a check and a count on two images."""
        some = self.sample[:2]
        mixing = torch.linspace(1, -1, self.factors[:2].numel(), device=self.passes.device)
        mixing = mixing.double().view_as(self.factors[:2])
        with understanding():
            found = self._pieces(self.units.names, some, mixing)
        self._check(found, some, mixing)
        groups: list[list[str]] = []
        room = 0
        for name in self.units.names:
            if name not in found:
                continue  # not used in evaluation mode: its gradient is zero
            need = _bytes(found[name]) * len(self.sample) // len(some)
            if not groups or need > room:
                groups.append([])
                room = memory
            groups[-1].append(name)
            room -= need
        return groups

    def _check(
        self, found: Mapping[str, list[list[Piece]]], some: Sequence[int], mixing: Tensor
    ) -> None:
        """Each image's gradients are its own, or a layer works in a way unknown here."""
        for place, image in enumerate(some):
            wanted = self.passes.pull([image], mixing[place : place + 1, :, 0])
            size = sum(float(value.double().square().sum()) for value in wanted.values()) ** 0.5
            allowed = torch.finfo(self.passes.dtype).eps ** 0.5 * size
            for columns in found.values():
                for stacked in self._stack([columns[:1]]):
                    own = [rows for _, rows in stacked.chunks()]
                    if len(own[0]) != len(some):
                        raise _unknown(stacked.parameter)
                    left = wanted[stacked.parameter].flatten()
                    wanted[stacked.parameter] = left - torch.cat([rows[place] for rows in own])
            for name, left in wanted.items():
                if not float(left.double().norm()) <= allowed:
                    raise _unknown(name)


def _unknown(parameter: str) -> UnlearningError:
    return UnlearningError(
        f"parameter {parameter} acts in a way the Newton step doesn't know; leave it out by naming "
        "layers"
    )


def _leaner(piece: Piece) -> Piece:
    """The gradients themselves where they take less memory than what they are made of."""
    if isinstance(piece, Direct) or _few_places(piece):
        return piece
    images, height, _ = piece.signals.shape
    if images * height * piece.width > piece.signals.numel() + piece.inputs.numel():
        return piece
    return Direct(parameter=piece.parameter, gradients=piece.rows(0, height, piece.width))


def _few_places(piece: Piece) -> bool:
    """Whether products of inputs and of signals are by far cheaper than gradients."""
    if isinstance(piece, Direct):
        return False
    _, height, places = piece.signals.shape
    return 4 * places**2 * (height + piece.width) <= height * piece.width


def _bytes(columns: Sequence[Sequence[Piece]]) -> int:
    """What a layer's pieces hold, counting what they share once."""
    tensors = [tensor for found in columns for piece in found for tensor in piece.tensors]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
