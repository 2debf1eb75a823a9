"""Fine-tuning on retained images by the recipe's optimiser, shared by all that heal or steer.

Every step takes a batch of retained images; a method that steers adds forgotten ones to it. One
pass sees both, so that batch normalisation sees what it is used to. Whatever is drawn is drawn
from the task's seed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.unlearning.norms import batches, reestimate_norms, require_known_buffers
from auditor.unlearning.passes import BATCH, steady
from auditor.unlearning.task import Method, Need, Task


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Some images of one step: their indices (n,) and the network's logits (n, classes)."""

    indices: Tensor
    logits: Tensor


Objective = Callable[[Batch, Batch], Tensor]
"""From a step's retained and forgotten images to the loss."""


def check_task(method: Method, task: Task, *, afresh: bool = False) -> None:
    """See that there is something to forget, something to keep, and what the method needs.

    Args:
        afresh: the method takes no buffer of the model's over.

    Raises:
        UnlearningError: there isn't, or the model's buffers would keep something.
    """
    if not afresh:
        require_known_buffers(task)
    if not task.forget or not task.retain:
        raise UnlearningError(
            f"{method.name} needs forgotten images and retained ones; name some of each"
        )
    if Need.UNSEEN in method.needs and not task.unseen:
        raise UnlearningError(
            f"{method.name} needs images of patients that no model was trained on; set some aside"
        )


def fine_tune(
    task: Task,
    module: nn.Module,
    *,
    epochs: int,
    learning_rate: float,
    objective_of: Callable[[nn.Module], Objective],
    steering: bool = False,
) -> nn.Module:
    """Fine-tune a copy of ``module``, by AdamW under a one-cycle rate as the recipe trains.

    Args:
        learning_rate: the highest of the cycle.
        objective_of: asked before each epoch, with the network in evaluation mode.
        steering: whether forgotten images come along.

    Returns:
        The network in evaluation mode, BatchNorm's running statistics taken anew on retained
        images.

    Raises:
        UnlearningError: weights became NaN or infinite.
    """
    result = copy.deepcopy(module)
    device = next(result.parameters()).device
    drawn = torch.Generator().manual_seed(task.seed)
    with drawing(task.seed, device):
        steps = epochs * len(batches(torch.tensor(task.retain), task.recipe.batch_size))
        step = _stepper(task, result, learning_rate, total_steps=steps)
        for done, part in enumerate(_epochs(task, epochs, drawn, steering=steering)):
            task.progress("fine-tuning", done, epochs)
            objective = objective_of(result.eval())
            result.train()
            for kept, along in part:
                step(objective, kept, along)
        task.progress("fine-tuning", epochs, epochs)
        reestimate_norms(result, task.images.images, task.retain)
    return finite(result)


@contextmanager
def drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Same bits on every run; what the network draws (dropout) leaves the caller's state alone."""
    with steady(device), torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def in_turn(indices: Tensor, size: int, drawn: torch.Generator) -> Iterator[Tensor]:
    """Batches without end, in which each index comes as often as any other."""
    while True:
        yield from batches(indices[torch.randperm(len(indices), generator=drawn)], size)


def retained_loss(task: Task) -> Objective:
    """The recipe's own loss, on retained images."""

    def loss(retained: Batch, _forgotten: Batch) -> Tensor:
        labels = task.images.labels[retained.indices].to(retained.logits.device)
        return functional.cross_entropy(retained.logits, labels)

    return loss


def by_class(task: Task) -> dict[int, tuple[Tensor, Tensor]]:
    """Forgotten and never-seen images of each class that forgotten images have.

    Raises:
        UnlearningError: a class without never-seen images.
    """
    labels = task.images.labels
    forgotten, unseen = torch.tensor(task.forget), torch.tensor(task.unseen)
    found = {}
    for label in sorted(set(labels[forgotten].tolist())):
        alike = unseen[labels[unseen] == label]
        if not len(alike):
            raise UnlearningError(
                f"no never-seen image of class {label} to tell what one looks like to the model; "
                "set some aside"
            )
        found[label] = forgotten[labels[forgotten] == label], alike
    return found


def logits_of(task: Task, module: nn.Module, indices: Tensor) -> Tensor:
    """A network's logits in evaluation mode, (n, classes), on the CPU.

    Raises:
        UnlearningError: NaN or infinite.
    """
    like = next(module.parameters())
    if module.training:
        module = copy.deepcopy(module).eval()
    with steady(like.device), torch.no_grad():
        parts = torch.split(indices, BATCH)
        found = torch.cat([module(task.images.images[part].to(like)) for part in parts]).cpu()
    if not bool(torch.isfinite(found).all()):
        raise UnlearningError("the network's logits are NaN or infinite; load other weights")
    return found


def finite(module: nn.Module) -> nn.Module:
    """The module, in evaluation mode; raises UnlearningError where it holds NaN or infinity."""
    if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
        raise UnlearningError("unlearning led to NaN or infinite weights; lower the learning rate")
    return module.eval()


def _epochs(
    task: Task, epochs: int, drawn: torch.Generator, *, steering: bool
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """By epoch and step, the indices of retained and of forgotten images."""
    size = task.recipe.batch_size
    forgotten = in_turn(torch.tensor(task.forget), size, drawn)
    retained = torch.tensor(task.retain)
    for _ in range(epochs):
        turned = retained[torch.randperm(len(retained), generator=drawn)]
        yield [(kept, next(forgotten) if steering else kept[:0]) for kept in batches(turned, size)]


def _stepper(
    task: Task, module: nn.Module, learning_rate: float, *, total_steps: int
) -> Callable[[Objective, Tensor, Tensor], None]:
    """One step of the recipe's optimiser."""
    like = next(module.parameters())
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=learning_rate, weight_decay=task.recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=total_steps
    )

    def step(objective: Objective, kept: Tensor, along: Tensor) -> None:
        optimiser.zero_grad()
        logits = module(task.images.images[torch.cat([kept, along])].to(like))
        retained = Batch(indices=kept, logits=logits[: len(kept)])
        forgotten = Batch(indices=along, logits=logits[len(kept) :])
        loss = objective(retained, forgotten)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves Tensor.backward bare
        optimiser.step()
        schedule.step()

    return step
