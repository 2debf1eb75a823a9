"""Many small networks trained as one: stacked weights, one set of kernels for all of them.

A small network's training is mostly the launching of small kernels. Stacked with `torch.func`
(functorch's model ensembling), M networks of one recipe take about as many launches as one. Each
keeps its own seed, images, batch order and rate, so it comes out as `training.train` makes it, to
float tolerance: sums are taken in another order.

Batches of different lengths are filled up with images of weight 0, and a model whose steps are done
goes on at rate 0. That is right only where an image's logits depend on no other image, so a network
with BatchNorm, with anything else it keeps outside its parameters, or that mixes images by hand,
isn't stacked. Nor is one with frozen or shared weights, which `training.train` steps otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from auditor.errors import ModelError
from auditor.learning.datasets import ImageSet
from auditor.learning.determinism import one_thread
from auditor.learning.models import build
from auditor.learning.order import batch_order
from auditor.learning.progress import Progress, silent
from auditor.learning.recipe import Recipe
from auditor.learning.start import begin
from auditor.learning.training import one_cycle

_CPU = torch.device("cpu")
_PROBES, _ALIKE = 3, 1e-3  # images, and how far rounding may take their logits
_EPSILON = 1e-8  # AdamW's, as torch sets it
_SQUARES = 0.999  # decay of the squares; the one-cycle schedule moves the other decay alone

Stack = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model of an ensemble: the images it is trained on, and its seed."""

    indices: tuple[int, ...]
    seed: int


def can_stack(recipe: Recipe) -> bool:
    """Whether networks of this recipe can be trained stacked; tried on two of them.

    Raises:
        ModelError: the recipe's network can't be built.
    """
    modules = [build(recipe, seed).train() for seed in (0, 1)]
    if any(isinstance(part, _BatchNorm) for part in modules[0].modules()):
        return False
    if any(True for _ in modules[0].buffers()) or not _all_stepped_alone(modules[0]):
        return False
    weights, _ = stack_module_state(modules)
    blank = torch.zeros(2, 1, 1, recipe.input_size, recipe.input_size)
    labels = torch.zeros(2, 1, dtype=torch.int64)
    try:
        _gradients(modules[0], weights, blank, labels, torch.ones(2, 1))
    except RuntimeError:  # it draws (dropout), or uses what torch can't vectorise
        return False
    return _takes_images_singly(modules[0], recipe)


def _all_stepped_alone(module: nn.Module) -> bool:
    """Whether no weight is frozen, and none is at work under two names."""
    everywhere = list(module.named_parameters(remove_duplicate=False))
    return all(value.requires_grad for _, value in everywhere) and len(everywhere) == len(
        list(module.parameters())
    )


def _takes_images_singly(module: nn.Module, recipe: Recipe) -> bool:
    """Whether, while training, an image's logits are the same alone and among others."""
    shape = (_PROBES, 1, recipe.input_size, recipe.input_size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), one_thread():
        together, singly = module(images), torch.cat([module(image[None]) for image in images])
    return torch.allclose(together, singly, rtol=_ALIKE, atol=_ALIKE)


def train_stacked(
    recipe: Recipe,
    images: ImageSet,
    members: Sequence[Member],
    *,
    device: torch.device = _CPU,
    progress: Progress = silent,
) -> list[nn.Module]:
    """Train all members together; returns them in order, in evaluation mode, on ``device``.

    Raises:
        ModelError: a member without images, a network that can't be stacked, or weights that
            became NaN or infinite.
    """
    if not members or not all(member.indices for member in members):
        raise ModelError("there is nothing to train on: no training images are left")
    if not can_stack(recipe):
        raise ModelError(f"networks of {recipe.architecture} can't be trained stacked")
    pixels, labels = images.images.to(device), images.labels.to(device)
    orders = [batch_order(recipe, images.subjects, m.indices, m.seed).steps for m in members]
    speeds, momenta = _rates(recipe, [len(order) for order in orders])
    with one_thread():
        modules = [begin(recipe, member.seed).to(device).train() for member in members]
        weights = {name: value.detach() for name, value in stack_module_state(modules)[0].items()}
        optimiser = _AdamW(weights, recipe.weight_decay)
        for step in range(len(speeds)):
            chosen, counted = _batch([order[step : step + 1] for order in orders])
            chosen = chosen.to(device)
            gradients = _gradients(
                modules[0], weights, pixels[chosen], labels[chosen], counted.to(device)
            )
            optimiser.step(gradients, speeds[step].to(device), momenta[step].to(device))
            progress("training", step + 1, len(speeds))
    return [_unstacked(module, weights, place) for place, module in enumerate(modules)]


def _gradients(
    module: nn.Module, weights: Stack, pixels: Tensor, labels: Tensor, counted: Tensor
) -> Stack:
    """Of each model's mean cross-entropy over the images that count.

    Args:
        module: any of the models; gives the network's form.
        pixels: (models, batch, 1, H, W).
        labels: (models, batch).
        counted: (models, batch), 1 for an image and 0 for what only fills up.
    """

    def loss(own: Stack, x: Tensor, y: Tensor, counts: Tensor) -> Tensor:
        each = functional.cross_entropy(functional_call(module, own, (x,)), y, reduction="none")
        return (each * counts).sum() / counts.sum().clamp(min=1)

    found: Stack = vmap(grad(loss))(weights, pixels, labels, counted)
    return found


def _batch(steps: Sequence[Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
    """One step's image indices of all models, filled up to the longest, and which of them count.

    Args:
        steps: for each model its minibatch, or nothing where its training is over.
    """
    batches = [step[0] if step else torch.empty(0, dtype=torch.int64) for step in steps]
    chosen = nn.utils.rnn.pad_sequence(batches, batch_first=True)
    lengths = torch.tensor([[len(batch)] for batch in batches])
    return chosen, (torch.arange(chosen.shape[1]) < lengths).float()


def _rates(recipe: Recipe, steps: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Each model's one-cycle rate and momentum at each step, (longest, models); then rate 0."""
    speeds = torch.zeros(max(steps), len(steps), dtype=torch.float64)
    momenta = torch.zeros_like(speeds)
    cycles = {count: one_cycle(recipe, count) for count in set(steps)}
    for model, count in enumerate(steps):
        for step, (speed, (momentum, _)) in enumerate(cycles[count]):
            speeds[step, model], momenta[step, model] = speed, momentum
    return speeds, momenta


class _AdamW:
    """AdamW (Loshchilov and Hutter 2019) as torch has it, but with a rate for each model."""

    def __init__(self, weights: Stack, decay: float) -> None:
        """Steps change ``weights`` in place."""
        self._weights = weights
        self._decay = decay
        self._means = {name: torch.zeros_like(value) for name, value in weights.items()}
        self._squares = {name: torch.zeros_like(value) for name, value in weights.items()}
        self._steps = 0

    def step(self, gradients: Stack, speed: Tensor, momentum: Tensor) -> None:
        """One step of all models; ``speed`` and ``momentum`` are float64, (models,)."""
        self._steps += 1
        rate = speed / (1 - momentum**self._steps)
        spread = (1 - _SQUARES**self._steps) ** 0.5
        for name, value in self._weights.items():
            each = (-1, *[1] * (value.dim() - 1))
            gradient, mean, square = gradients[name], self._means[name], self._squares[name]
            value *= (1 - speed * self._decay).to(value).view(each)
            mean.lerp_(gradient, (1 - momentum).to(value).view(each))
            square.mul_(_SQUARES).addcmul_(gradient, gradient, value=1 - _SQUARES)
            value -= rate.to(value).view(each) * mean / (square.sqrt() / spread + _EPSILON)


def _unstacked(module: nn.Module, weights: Stack, place: int) -> nn.Module:
    own = {name: value[place] for name, value in weights.items()}
    if not all(bool(torch.isfinite(value).all()) for value in own.values()):
        raise ModelError("training diverged (NaN or infinite weights); lower the learning rate")
    module.load_state_dict(own)
    return module.eval()
