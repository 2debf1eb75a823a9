"""What `benchmarks/unlearning.py` sets beside our methods: none of it is part of the product."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout

import torch
from torch import nn
from torch.nn import functional

from auditor.learning.determinism import one_thread
from auditor.unlearning.task import Task


def fine_tuned(task: Task, parameters: Mapping[str, str]) -> nn.Module:
    """A few more epochs on retained images at the recipe's rate."""
    with one_thread():
        module = task.module.train()
        optimiser = torch.optim.AdamW(module.parameters(), lr=task.recipe.learning_rate / 10)
        order = torch.Generator().manual_seed(task.seed)
        retained = torch.tensor(task.retain)
        for _ in range(int(parameters["epochs"])):
            shuffled = retained[torch.randperm(len(retained), generator=order)]
            for batch in torch.split(shuffled, task.recipe.batch_size):
                descend(task, module, optimiser, batch)
    return module.eval()


def descend(
    task: Task, module: nn.Module, optimiser: torch.optim.Optimizer, batch: torch.Tensor
) -> None:
    """One step of an optimiser down the loss of a batch of image indices."""
    device = next(module.parameters()).device
    optimiser.zero_grad()
    logits = module(task.images.images[batch].to(device))
    functional.cross_entropy(logits, task.images.labels[batch].to(device)).backward()
    optimiser.step()


def torchunlearn_loop(kind: str, task: Task, parameters: Mapping[str, str]) -> nn.Module:
    """The package's training loop; its release lacks the modules of its own methods.

    `torchunlearn` 0.1.0 on PyPI leaves out ``unlearn/trainers`` and ``unlearn/nontrainers``, so
    that each of its methods raises ModuleNotFoundError. What runs is its `Trainer`; the cost of
    fine-tuning and of ascent is written here.
    """
    from torchunlearn import RobModel
    from torchunlearn.unlearn.trainer import Trainer

    class Costed(Trainer):  # type: ignore[misc]  # published without type information
        def calculate_cost(self, batch: Sequence[torch.Tensor]) -> torch.Tensor:
            images, labels = batch
            loss = functional.cross_entropy(self.rmodel(images), labels)
            return -loss if kind == "ascent" else loss

    chosen = torch.tensor(task.forget if kind == "ascent" else task.retain)
    data = torch.utils.data.TensorDataset(task.images.images[chosen], task.images.labels[chosen])
    loader = torch.utils.data.DataLoader(
        data,
        batch_size=task.recipe.batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(task.seed),
    )
    trainer = Costed(RobModel(task.module, n_classes=task.recipe.classes))
    trainer.setup(optimizer="SGD(lr=0.01, momentum=0.9, weight_decay=0.0005)")
    with redirect_stdout(sys.stderr):
        epochs = int(parameters["epochs"])
        trainer.fit(train_loaders=loader, n_epochs=epochs, record_type=None, save_type=None)
    return task.module.eval()
