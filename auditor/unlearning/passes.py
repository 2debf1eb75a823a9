"""A network's passes over chosen images, in blocks that fit the memory, in one precision.

Everything that the Newton step asks of the network: logits, the gradient of the summed loss,
Jacobian-vector and vector-Jacobian products, and, layer by layer, what per-example gradients are
made of.
"""

from __future__ import annotations

import copy
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from auditor.errors import UnlearningError
from auditor.learning.datasets import ImageSet
from auditor.learning.determinism import one_thread
from auditor.unlearning.gradients import wide

BATCH = 64  # images a pass at most where no per-example part is kept
PRECISIONS: Mapping[str, torch.dtype] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A loss by what the step needs of it.

    Attributes:
        total: from logits (n, classes) and labels (n,) to the sum over images.
        factors: from logits to B (n, classes, r), with B B^T the curvature in the logits.
    """

    total: Callable[[Tensor, Tensor], Tensor]
    factors: Callable[[Tensor], Tensor]


def softmax_factors(logits: Tensor) -> Tensor:
    """B (n, classes, r) with B B^T = diag(p) - p p^T, the softmax loss's curvature in the logits.

    Two classes need one column: sqrt(p0 p1) times (-1, 1). In general
    B = diag(sqrt p) (I - sqrt p sqrt p^T), since the projector in it is its own square.
    """
    p = torch.softmax(logits, 1)
    if p.shape[1] == 2:
        root = (p[:, 0] * p[:, 1]).sqrt()
        return torch.stack([-root, root], 1)[:, :, None]
    root = p.sqrt()
    projector = torch.eye(p.shape[1]).to(p) - root[:, :, None] * root[:, None, :]
    return root[:, :, None] * projector


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits, labels, reduction="sum")


SOFTMAX = Loss(total=_cross_entropy, factors=softmax_factors)


@contextmanager
def steady(device: torch.device) -> Iterator[None]:
    """Same bits on every run on a CPU; elsewhere deterministic kernels where there are any.

    Only the CPU was tested.
    """
    with one_thread():
        if device.type != "cpu":
            torch.use_deterministic_algorithms(True, warn_only=True)
        yield


@contextmanager
def understanding() -> Iterator[None]:
    """Say in our words that a network works in a way in which the step can't take it apart.

    Raises:
        UnlearningError: torch or Python stumbled over it.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError, TypeError, AttributeError) as error:
        raise UnlearningError(
            "the network works in a way that the Newton step doesn't know; name layers to leave "
            f"others out, or choose another method (torch: {str(error).partition(chr(10))[0]})"
        ) from error


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention by its formula: torch's fused kernels have no forward-mode derivative."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


class Passes:
    """A copy of the network in evaluation mode, on its device, in the precision of the passes.

    In the network's own precision it shares the network's weights, which nothing here changes.

    Args:
        module: the network; it isn't changed.
        chosen: names of the parameters that step; all others are constants.
        images: the data set, on the CPU.
        memory: bytes that the activations of one pass may take, as counted on one image.
        batch: images whose activations in float32 they may take in any case.
    """

    def __init__(
        self,
        module: nn.Module,
        chosen: Sequence[str],
        images: ImageSet,
        *,
        precision: str,
        memory: int,
        batch: int = 0,
        loss: Loss,
    ) -> None:
        """Copy the network and count what one image keeps alive between forward and backward."""
        self.dtype = PRECISIONS[precision]
        self.images = images
        self.loss = loss
        wanted = set(chosen)
        own = {
            name: nn.Parameter(
                value.detach().to(self.dtype) if value.is_floating_point() else value.detach(),
                requires_grad=name in wanted,
            )
            for name, value in module.named_parameters()
        }
        memo = {id(value): own[name] for name, value in module.named_parameters()}
        self.module = copy.deepcopy(module, memo).to(self.dtype).eval()
        self.values = {name: value for name, value in own.items() if value.requires_grad}
        self.device = next(self.module.parameters()).device
        with understanding():
            image = max(1, self._bytes_per_image())
        self.memory = max(memory, batch * image * torch.float32.itemsize // self.dtype.itemsize)
        self.block = max(1, self.memory // image)

    def pictures(self, indices: Sequence[int]) -> Tensor:
        """Images by index, (n, 1, H, W), where and as the network wants them."""
        return self.images.images[torch.tensor(indices)].to(self.device, self.dtype)

    def split(self, indices: Sequence[int], most: int) -> list[Sequence[int]]:
        """Indices in blocks that fit the memory, of ``most`` at most."""
        size = min(self.block, most)
        return [indices[start : start + size] for start in range(0, len(indices), size)]

    def logits(self, indices: Sequence[int]) -> Tensor:
        """Logits (n, classes), in float64."""
        with torch.no_grad():
            parts = [self.module(self.pictures(part)) for part in self.split(indices, BATCH)]
        return torch.cat(parts).double()

    def gradient(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Gradient of the summed loss, by parameter."""
        labels = self.images.labels

        def part_of(part: Sequence[int]) -> Tensor:
            target = labels[torch.tensor(part)].to(self.device)
            return self.loss.total(self.module(self.pictures(part)).double(), target)

        return self._summed(part_of(part) for part in self.split(indices, len(indices)))

    def push(self, indices: Sequence[int], vector: Mapping[str, Tensor]) -> Tensor:
        """Jacobian-vector product: how logits move along a vector by parameter, (n, classes).

        Raises:
            UnlearningError: the network has an operation without a forward-mode derivative.
        """
        values = {name: value.detach() for name, value in self.values.items()}
        along = {name: vector[name].to(value) for name, value in values.items()}

        def part_of(part: Sequence[int]) -> Tensor:
            pictures = self.pictures(part)

            def forward(parameters: dict[str, Tensor]) -> Tensor:
                logits: Tensor = torch.func.functional_call(self.module, parameters, (pictures,))
                return logits

            try:
                moved: Tensor = torch.func.jvp(forward, (values,), (along,))[1]
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                raise UnlearningError(
                    "the network has an operation that torch can't differentiate forwards, as the "
                    "Newton step must; choose another method"
                ) from error
            return moved

        with torch.no_grad(), _plain_attention(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's, about how it is made itself
            parts = [part_of(part) for part in self.split(indices, BATCH)]
        return torch.cat(parts).double()

    def pull(self, indices: Sequence[int], mixing: Tensor) -> dict[str, Tensor]:
        """Vector-Jacobian product: the gradient of ``(mixing * logits).sum()``, (n, classes)."""
        parts = self.split(range(len(indices)), BATCH)

        def part_of(part: Sequence[int]) -> Tensor:
            picked = self.pictures([indices[place] for place in part])
            mixed: Tensor = mixing[part[0] : part[-1] + 1] * self.module(picked)
            return mixed.sum()

        return self._summed(part_of(part) for part in parts)

    def _summed(self, totals: Iterator[Tensor]) -> dict[str, Tensor]:
        product: dict[str, Tensor] = {}
        for total in totals:
            found = deque(
                torch.autograd.grad(
                    total, list(self.values.values()), allow_unused=True, materialize_grads=True
                )
            )
            for name in self.values:
                part = wide(found.popleft())  # let go one by one: they are as large as the network
                product[name] = product[name] + part if name in product else part
        return product

    def _bytes_per_image(self) -> int:
        held: dict[int, int] = {}
        own = {value.untyped_storage().data_ptr() for value in self.module.parameters()}

        def count(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                held[storage.data_ptr()] = storage.nbytes()
            return tensor

        with saved_tensors_hooks(count, lambda tensor: tensor):
            kept = self.module(self.pictures([0]))
        if not bool(torch.isfinite(kept).all()):
            raise UnlearningError("the network's logits are NaN or infinite; load other weights")
        return sum(held.values())
