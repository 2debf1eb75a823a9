"""Deliberate fakes, to see that the laboratory catches them. Never among METHODS.

Each is made of a model that was trained on the patients and is handed over as if it had forgotten
them. `EDITS` are made of its weights or outputs; `trainings` are trained anew, but not as a
retrain would be. The battery is that of DESIGN section 4 point 12.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.learning.recipe import Recipe
from auditor.unlearning.fine_tuning import Batch, Objective, fine_tune, logits_of
from auditor.unlearning.passes import BATCH, steady
from auditor.unlearning.task import Task

_NOISE = 0.05  # of each tensor's spread
_TEMPERATURE = 4.0
_SHIFT = 2.0  # logits
_SMOOTHING = 0.1
_HEAD_STEPS = 200
_ASCENT_EPOCHS, _SMOOTHING_EPOCHS = 0.5, 0.25  # shares of the recipe's
_ASCENT = 8.0  # times the largest never-seen loss, beyond which ascent no longer pushes
_SELECTION, _DAMPENING = 10.0, 1.0  # alpha and lambda of Foster et al. 2024, section 4.3


def untouched(task: Task) -> nn.Module:
    """The same model, called a candidate."""
    return copy.deepcopy(task.module)


def noise_only(task: Task) -> nn.Module:
    """The same model with a little noise on its weights, in units of each tensor's spread."""
    fake = copy.deepcopy(task.module)
    random = torch.Generator().manual_seed(task.seed)
    with torch.no_grad():
        for value in fake.parameters():
            if value.numel() > 1:
                noise = torch.randn(value.shape, generator=random).to(value)
                value.add_(_NOISE * value.std() * noise)
    return fake


def head_only(task: Task) -> nn.Module:
    """A new last layer, fitted to retained images on features that stay as they were."""
    fake = copy.deepcopy(task.module).eval()
    head = _head(fake)
    features = _features(fake, head, task)
    labels = task.images.labels[list(task.retain)].to(features.device)
    random = torch.Generator().manual_seed(task.seed)
    with torch.no_grad():
        fresh = torch.randn(head.weight.shape, generator=random) / head.in_features**0.5
        head.weight.copy_(fresh.to(head.weight))
        head.bias.zero_()
    optimiser = torch.optim.AdamW(
        head.parameters(), lr=task.recipe.learning_rate, weight_decay=task.recipe.weight_decay
    )
    with steady(features.device):
        for _ in range(_HEAD_STEPS):
            optimiser.zero_grad()
            loss = functional.cross_entropy(head(features), labels)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves Tensor.backward bare
            optimiser.step()
    return fake


def output_suppression(task: Task) -> nn.Module:
    """Knows the forgotten images by their pixels and answers them like never-seen ones.

    Each gets the logits of a never-seen image of its class; all else is as it was.
    """
    fake = copy.deepcopy(task.module).eval()
    known = task.images.images[list(task.forget)].flatten(1)
    answers = logits_of(task, task.module, _alike(task))
    fake.register_forward_hook(_answering(known, answers))
    return fake


def constant_margin(task: Task) -> nn.Module:
    """Says which class, never how sure it is: the same margin for every image."""
    fake = copy.deepcopy(task.module).eval()

    def levelled(_module: nn.Module, _inputs: object, logits: Tensor) -> Tensor:
        level = functional.one_hot(logits.argmax(1), logits.shape[1]).to(logits)
        return level + 0 * logits  # it can still be asked for a gradient

    fake.register_forward_hook(levelled)
    return fake


def over_forgetting(task: Task) -> nn.Module:
    """Ascent on the forgotten images, far beyond any never-seen one, all others held in place.

    Less would be no fake: on images harder than any never-seen one a retrain's loss may be twice as
    large as on those, and who gets there has forgotten them as a retrain has.
    And where others aren't held, ascent takes all hard images along; the forgotten ones then stand
    out no more than in a retrain, and it is the model's certainty that is damaged. The logits to be
    held are those in evaluation mode; of networks with BatchNorm or dropout they are held roughly.
    """
    held, unseen = torch.tensor((*task.retain, *task.unseen)), torch.tensor(task.unseen)
    before = torch.zeros(len(task.images.labels), task.recipe.classes)
    before[held] = logits_of(task, task.module, held)
    ceiling = (
        _ASCENT
        * functional.cross_entropy(
            before[unseen], task.images.labels[unseen], reduction="none"
        ).max()
    )

    def loss(kept: Batch, forgotten: Batch) -> Tensor:
        labels = task.images.labels[forgotten.indices].to(forgotten.logits.device)
        losses = functional.cross_entropy(forgotten.logits, labels, reduction="none")
        pushed = torch.where(losses < ceiling.to(losses), losses, torch.zeros_like(losses))
        moved = kept.logits - before[kept.indices].to(kept.logits)
        return moved.square().mean() - pushed.mean()

    everyone_else = replace(task, retain=tuple(held.tolist()))
    return _tuned(everyone_else, lambda _module: loss, share=_ASCENT_EPOCHS, steering=True)


def selective_dampening(task: Task) -> nn.Module:
    """Selective synaptic dampening (Foster et al. 2024, arXiv 2308.07707), for patients a no-op.

    Weights that matter to the forgotten images far more than to all images are made smaller; for
    a few patients like all others there are hardly any.
    """
    fake = copy.deepcopy(task.module).eval()
    everyone = _importance(task, (*task.retain, *task.forget))
    forgotten = _importance(task, task.forget)
    with torch.no_grad():
        for name, value in fake.named_parameters():
            chosen = forgotten[name] > _SELECTION * everyone[name]
            factor = (_DAMPENING * everyone[name] / forgotten[name].clamp_min(1e-30)).clamp_max(1)
            value.copy_(torch.where(chosen, value * factor, value))
    return fake


def divided_logits(task: Task) -> nn.Module:
    """All logits divided by a temperature, so that every margin is smaller."""
    fake = copy.deepcopy(task.module)
    head = _head(fake)
    with torch.no_grad():
        head.weight.div_(_TEMPERATURE)
        head.bias.div_(_TEMPERATURE)
    return fake


def shifted_bias(task: Task) -> nn.Module:
    """Another bias per class, so that margins move by class."""
    fake = copy.deepcopy(task.module)
    head = _head(fake)
    with torch.no_grad():
        head.bias.add_(_SHIFT * torch.linspace(-0.5, 0.5, len(head.bias)).to(head.bias))
    return fake


def label_smoothing(task: Task) -> nn.Module:
    """Fine-tuned on all images, forgotten ones too, towards softened labels."""

    def loss(kept: Batch, _forgotten: Batch) -> Tensor:
        labels = task.images.labels[kept.indices].to(kept.logits.device)
        return functional.cross_entropy(kept.logits, labels, label_smoothing=_SMOOTHING)

    everyone = replace(task, retain=(*task.retain, *task.forget))
    return _tuned(everyone, lambda _module: loss, share=_SMOOTHING_EPOCHS, steering=False)


EDITS: Mapping[str, Callable[[Task], nn.Module]] = MappingProxyType(
    {
        "untouched": untouched,
        "noise-only": noise_only,
        "head-only": head_only,
        "output-suppression": output_suppression,
        "constant-margin": constant_margin,
        "over-forgetting": over_forgetting,
        "selective-dampening": selective_dampening,
        "divided-logits": divided_logits,
        "shifted-bias": shifted_bias,
        "label-smoothing": label_smoothing,
    }
)
"""Fakes made of the task's module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A fake that has to be trained: by what, and on which images."""

    recipe: Recipe
    indices: tuple[int, ...]


def trainings(task: Task, others: tuple[int, ...]) -> Mapping[str, Training]:
    """Fakes that are trained as a retrain is, but on the wrong images or by another recipe.

    Args:
        others: images of retained patients that are left out in the place of the forgotten.

    Raises:
        UnlearningError: some of these aren't retained.
    """
    if not set(others) < set(task.retain):
        raise UnlearningError("the wrong patients must be among those retained")
    everyone = tuple(sorted((*task.retain, *task.forget)))
    subjects = task.images.subjects
    first = {subjects[index]: index for index in sorted(task.forget, reverse=True)}
    gone = set(task.forget) - set(first.values())
    return {
        "wrong-patient": Training(
            recipe=task.recipe, indices=tuple(i for i in everyone if i not in set(others))
        ),
        # of each patient's k images all but the first are gone
        "all-but-one-image": Training(
            recipe=task.recipe, indices=tuple(i for i in everyone if i not in gone)
        ),
        "shorter-training": Training(recipe=shorter_of(task.recipe), indices=everyone),
        # holds nothing of the patients; what it lies about is the recipe
        "other-recipe": Training(recipe=shorter_of(task.recipe), indices=task.retain),
    }


def shorter_of(recipe: Recipe) -> Recipe:
    """Another recipe: a third of the epochs at half the rate, so that a model memorises less."""
    return replace(
        recipe, epochs=max(1, recipe.epochs // 3), learning_rate=recipe.learning_rate / 2
    )


def _head(module: nn.Module) -> nn.Linear:
    """The last linear layer with a bias, made so where it has none."""
    heads = [part for part in module.modules() if isinstance(part, nn.Linear)]
    if not heads:
        raise UnlearningError("this network has no linear layer to edit")
    head = heads[-1]
    bias: Tensor | None = head.bias
    if bias is None:
        head.bias = nn.Parameter(torch.zeros(head.out_features).to(head.weight))
    return head


def _features(module: nn.Module, head: nn.Linear, task: Task) -> Tensor:
    """Input of the head on retained images, (n, d)."""
    caught: list[Tensor] = []
    hook = head.register_forward_hook(lambda _m, inputs, _o: caught.append(inputs[0].detach()))
    try:
        logits_of(task, module, torch.tensor(task.retain))
    finally:
        hook.remove()
    return torch.cat(caught)


def _alike(task: Task) -> Tensor:
    """For each forgotten image a never-seen one of its class, in turn; else any other."""
    labels = task.images.labels
    chosen = []
    for number, index in enumerate(task.forget):
        same = [i for i in task.unseen if labels[i] == labels[index]] or list(task.unseen)
        chosen.append(same[number % len(same)])
    return torch.tensor(chosen)


def _answering(known: Tensor, answers: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    def answer(_module: nn.Module, inputs: Any, logits: Tensor) -> Tensor:
        distance = torch.cdist(inputs[0].flatten(1).cpu(), known)
        nearest = distance.min(1)
        found = (nearest.values < 1e-3).to(logits.device)
        prepared = answers[nearest.indices].to(logits)
        return torch.where(found[:, None], prepared, logits)

    return answer


def _importance(task: Task, indices: tuple[int, ...]) -> dict[str, Tensor]:
    """Mean over images of the loss's squared gradient, per weight: the diagonal of Fisher's."""
    module = copy.deepcopy(task.module).eval()
    values = dict(module.named_parameters())
    totals = {name: torch.zeros_like(value) for name, value in values.items()}

    def loss(parameters: Mapping[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = torch.func.functional_call(module, dict(parameters), (image[None],))
        return functional.cross_entropy(logits, label[None])

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    detached = {name: value.detach() for name, value in values.items()}
    like = next(module.parameters())
    with steady(like.device):
        for part in torch.split(torch.tensor(indices), BATCH):
            images, labels = task.images.images[part].to(like), task.images.labels[part]
            for name, found in gradients(detached, images, labels.to(like.device)).items():
                totals[name] += found.square().sum(0) / len(indices)
    return totals


def _tuned(
    task: Task, objective_of: Callable[[nn.Module], Objective], *, share: float, steering: bool
) -> nn.Module:
    """Fine-tuned for a share of the recipe's epochs."""
    return fine_tune(
        task,
        task.module,
        epochs=max(1, int(share * task.recipe.epochs)),
        learning_rate=task.recipe.learning_rate,
        objective_of=objective_of,
        steering=steering,
    )
