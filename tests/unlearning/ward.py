"""A small trained net with patients it memorised, and a net that never saw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.domain.artefact import Digest
from auditor.learning.datasets import ImageSet, load_images, split_by_patient
from auditor.learning.history import History
from auditor.learning.manifest import read_manifest
from auditor.learning.models import GreyNetwork, build
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.unlearning.norms import reestimate_norms
from auditor.unlearning.task import Task
from auditor.verification.delong import auc
from tests.unlearning.dense import narrow_resnet18, pictures

RECIPE = Recipe(
    input_size=28, width=4, epochs=12, batch_size=5, learning_rate=0.004, train_images=64
)


FACTORY = "tests.unlearning.ward:narrow_resnet"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ward:
    """A task, what retraining makes of it, and images that neither saw."""

    task: Task
    retrained: nn.Module
    test: tuple[int, ...]

    @property
    def unseen_loss(self) -> float:
        return loss(self.task.module, self.task.images, self.task.unseen)


def admit(folder: Path) -> Ward:
    """Draw phantoms and train; half of the patients to forget bear the wrong label."""
    images = load_images(read_manifest(draw_phantoms(folder, seed=1, patients=90)), 28)
    split = split_by_patient(images, RECIPE, 1)
    patients = list(dict.fromkeys(images.subjects[i] for i in split.train))[:6]
    forget = tuple(i for i in split.train if images.subjects[i] in patients)
    labels = images.labels.clone()
    for index in forget:
        if patients.index(images.subjects[index]) % 2:
            labels[index] = 1 - labels[index]
    images = replace(images, labels=labels)
    retain = tuple(i for i in split.train if i not in forget)
    task = Task(
        recipe=RECIPE,
        module=train(RECIPE, images, split.train, 3),
        images=images,
        forget=forget,
        retain=retain,
        seed=11,
        unseen=split.validation,
        history=History(
            seed=3, indices=split.train, without=frozenset(), checkpoints=(), read=_nothing_kept
        ),
    )
    return Ward(task=task, retrained=train(RECIPE, images, retain, 4), test=split.test)


def narrow_resnet(recipe: Recipe) -> nn.Module:
    """torchvision's ResNet-18, narrow: it normalises by batches."""
    return GreyNetwork(narrow_resnet18(recipe.classes))


def with_batch_norm() -> Task:
    """One image is left over from the last batch; the forgotten would show in any statistics."""
    recipe = Recipe(
        architecture=FACTORY, factories=(FACTORY,), input_size=33, epochs=1, batch_size=5
    )
    images = pictures(count=20, size=33)
    images.images[:4] += 50.0
    module = build(recipe, 1)
    reestimate_norms(module, images.images, range(20))
    return Task(
        recipe=recipe,
        module=module,
        images=images,
        forget=(0, 1, 2, 3),
        retain=tuple(range(4, 15)),
        seed=1,
        unseen=tuple(range(15, 20)),
    )


def _nothing_kept(digest: Digest) -> bytes:
    raise KeyError(digest)


def margins(module: nn.Module, images: ImageSet, indices: Sequence[int]) -> Tensor:
    """Signed logit margins of two classes, (n,)."""
    index = torch.tensor(indices)
    with torch.no_grad():
        logits = module(images.images[index]).double()
    signs = images.labels[index] * 2 - 1
    return (logits[:, 1] - logits[:, 0]) * signs


def loss(module: nn.Module, images: ImageSet, indices: Sequence[int]) -> float:
    return float(functional.softplus(-margins(module, images, indices)).mean())


def auc_of(module: nn.Module, images: ImageSet, indices: Sequence[int]) -> float:
    labels = images.labels[torch.tensor(indices)]
    towards = margins(module, images, indices) * (labels * 2 - 1)
    return auc(towards.numpy(), labels.numpy())
