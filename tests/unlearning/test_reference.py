"""Reference distillation: what is taught, and what the forgotten show afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from auditor.errors import UnlearningError
from auditor.unlearning.mirlach2026reference import ReferenceDistillation, _wanted
from auditor.unlearning.task import Task
from tests.unlearning.ward import Ward, auc_of, loss, margins


def distil(task: Task, **parameters: str) -> torch.nn.Module:
    texts = {"epochs": "6", "learning_rate": "0.004", **parameters}
    return ReferenceDistillation().run(task, texts)


def test_the_forgotten_show_what_the_never_seen_show_and_no_more(ward: Ward) -> None:
    images, task = ward.task.images, ward.task
    after = distil(task)
    taught = _wanted(task)[list(task.forget)]
    labels = images.labels[list(task.forget)]
    wanted = -float(taught.gather(1, labels[:, None]).mean())
    assert wanted > 30 * loss(task.module, images, task.forget)
    assert loss(after, images, task.forget) == pytest.approx(wanted, rel=0.25)
    spread = float((taught[:, 1] - taught[:, 0]).std())
    assert float(margins(after, images, task.forget).std()) == pytest.approx(spread, rel=0.5)
    assert loss(after, images, task.retain) < 0.02
    assert auc_of(after, images, ward.test) > auc_of(task.module, images, ward.test) - 0.05


def test_quantiles_are_matched_class_by_class_in_order(ward: Ward) -> None:
    """Against a sorted list."""
    task = ward.task
    with torch.no_grad():
        original = torch.log_softmax(task.module(task.images.images), 1)
    wanted = _wanted(task)
    for index in task.retain:
        assert torch.allclose(wanted[index], original[index], atol=1e-6)
    labels = task.images.labels.tolist()
    for label in (0, 1):
        ours = [index for index in task.forget if labels[index] == label]
        ours.sort(key=lambda index: float(original[index, label]))
        seen = sorted(
            (original[i].tolist() for i in task.unseen if labels[i] == label),
            key=lambda row: row[label],
        )
        for rank, index in enumerate(ours):
            matched = seen[int((rank + 0.5) / len(ours) * len(seen))]
            assert wanted[index].tolist() == pytest.approx(matched, abs=1e-6)


def test_one_image_alone_is_taught_the_median(ward: Ward) -> None:
    alone = replace(ward.task, forget=ward.task.forget[:1])
    label = int(ward.task.images.labels[alone.forget[0]])
    alike = [i for i in alone.unseen if int(ward.task.images.labels[i]) == label]
    ranked = sorted(float(-margins(alone.module, alone.images, [i])[0]) for i in alike)
    taught = _wanted(alone)[alone.forget[0]]
    margin = float(taught[label] - taught[1 - label])
    assert -margin == pytest.approx(ranked[(len(ranked) - 1) // 2], abs=1e-4)


def test_more_weight_pulls_further(ward: Ward) -> None:
    losses = [
        loss(distil(ward.task, epochs="1", weight=weight), ward.task.images, ward.task.forget)
        for weight in ("0.001", "1")
    ]
    assert losses[1] > 3 * losses[0]


def test_a_class_nobody_was_set_aside_of_is_refused(ward: Ward) -> None:
    labels = ward.task.images.labels
    own = {int(labels[index]) for index in ward.task.forget}
    assert own == {0, 1}
    for label in own:
        others = tuple(i for i in ward.task.unseen if int(labels[i]) != label)
        with pytest.raises(UnlearningError, match=f"never-seen image of class {label}"):
            distil(replace(ward.task, unseen=others))
