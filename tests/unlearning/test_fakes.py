"""Each fake is what it says it is: what it changes, and what it leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from auditor.errors import UnlearningError
from auditor.unlearning.fakes import EDITS, trainings
from auditor.unlearning.method import METHODS
from auditor.unlearning.task import Task
from tests.unlearning.ward import Ward, loss


def outputs(module: nn.Module, task: Task, indices: tuple[int, ...]) -> Tensor:
    with torch.no_grad():
        return module(task.images.images[list(indices)])


@pytest.fixture(scope="module")
def made(ward: Ward) -> dict[str, nn.Module]:
    return {name: make(ward.task).eval() for name, make in EDITS.items()}


def test_none_is_a_method_none_changes_the_model_in_service(
    ward: Ward, made: dict[str, nn.Module]
) -> None:
    assert not set(EDITS) & set(METHODS)
    before = outputs(ward.task.module, ward.task, ward.task.forget)
    assert torch.equal(before, outputs(made["untouched"], ward.task, ward.task.forget))
    for name, module in made.items():
        assert module is not ward.task.module, name
    assert torch.equal(before, outputs(ward.task.module, ward.task, ward.task.forget))


def test_the_same_seed_gives_the_same_fake(ward: Ward, made: dict[str, nn.Module]) -> None:
    for name in ("noise-only", "head-only", "over-forgetting", "label-smoothing"):
        again = EDITS[name](ward.task)
        assert torch.equal(
            outputs(again, ward.task, ward.test), outputs(made[name], ward.task, ward.test)
        )
        other = EDITS[name](replace(ward.task, seed=12))
        assert not torch.equal(
            outputs(other, ward.task, ward.test), outputs(made[name], ward.task, ward.test)
        )


def test_edits_of_the_head_leave_the_features(ward: Ward, made: dict[str, nn.Module]) -> None:
    def body(module: nn.Module) -> list[Tensor]:
        return [v for n, v in module.named_parameters() if not n.startswith("head")]

    for name in ("head-only", "divided-logits", "shifted-bias", "output-suppression"):
        assert all(map(torch.equal, body(made[name]), body(ward.task.module))), name
    assert not torch.equal(made["head-only"].head.weight, ward.task.module.head.weight)
    assert loss(made["head-only"], ward.task.images, ward.task.retain) < 0.5
    plain = outputs(ward.task.module, ward.task, ward.test)
    assert torch.allclose(outputs(made["divided-logits"], ward.task, ward.test), plain / 4)
    shift = outputs(made["shifted-bias"], ward.task, ward.test) - plain
    assert torch.allclose(shift, torch.tensor([-1.0, 1.0]).expand_as(shift), atol=1e-5)


def test_suppression_answers_the_forgotten_alone(ward: Ward, made: dict[str, nn.Module]) -> None:
    task, fake = ward.task, made["output-suppression"]
    for part in (task.retain, ward.test):
        assert torch.equal(outputs(fake, task, part), outputs(task.module, task, part))
    answered = outputs(fake, task, task.forget)
    unseen = outputs(task.module, task, task.unseen)
    assert all(torch.isclose(unseen, row).all(1).any() for row in answered)


def test_every_margin_is_the_same(ward: Ward, made: dict[str, nn.Module]) -> None:
    logits = outputs(made["constant-margin"], ward.task, ward.test)
    assert (logits.max(1).values - logits.min(1).values).unique().tolist() == [1.0]


def test_ascent_goes_too_far_but_not_on_retained_images(
    ward: Ward, made: dict[str, nn.Module]
) -> None:
    fake, images = made["over-forgetting"], ward.task.images
    assert loss(fake, images, ward.task.forget) > 2 * loss(
        ward.task.module, images, ward.task.forget
    )
    assert loss(fake, images, ward.task.retain) < ward.unseen_loss
    moved = [
        float((outputs(fake, ward.task, part) - outputs(ward.task.module, ward.task, part)).norm())
        / len(part) ** 0.5
        for part in (ward.task.unseen, ward.test, ward.task.forget)
    ]
    assert max(moved[:2]) < 0.5 * moved[2]  # all others are held about where they were
    # beyond what any image gets that nobody trained on
    unseen = [loss(ward.task.module, images, (index,)) for index in ward.task.unseen]
    assert loss(fake, images, ward.task.forget) > max(unseen)


def test_dampening_is_a_no_op_for_patients_and_none_for_a_class(ward: Ward) -> None:
    def changed(task: Task) -> float:
        fake = EDITS["selective-dampening"](task)
        pairs = zip(fake.parameters(), task.module.parameters(), strict=True)
        differing = sum(int((a != b).sum()) for a, b in pairs)
        return differing / sum(value.numel() for value in fake.parameters())

    assert changed(ward.task) < 0.2
    everyone = (*ward.task.retain, *ward.task.forget)
    hardest = max(everyone, key=lambda i: loss(ward.task.module, ward.task.images, (i,)))
    alone = replace(ward.task, forget=(hardest,), retain=tuple(i for i in everyone if i != hardest))
    assert changed(alone) > changed(ward.task)


def test_trainings_hold_the_images_they_say(ward: Ward) -> None:
    task = ward.task
    others = task.retain[:4]
    found = trainings(task, others)
    everyone = set(task.retain) | set(task.forget)
    assert set(found["wrong-patient"].indices) == everyone - set(others)
    assert set(found["shorter-training"].indices) == everyone
    assert set(found["other-recipe"].indices) == set(task.retain)
    assert found["shorter-training"].recipe == found["other-recipe"].recipe
    assert found["other-recipe"].recipe.epochs < task.recipe.epochs
    left = set(found["all-but-one-image"].indices) & set(task.forget)
    subjects = [task.images.subjects[index] for index in left]
    assert sorted(subjects) == sorted({task.images.subjects[index] for index in task.forget})
    with pytest.raises(UnlearningError, match="retained"):
        trainings(task, task.forget[:1])
