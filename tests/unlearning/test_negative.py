"""The negative gradient, held in check from two sides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from auditor.errors import UnlearningError
from auditor.unlearning.kurmanji2023negative import NegativeGradient
from auditor.unlearning.task import Task
from tests.unlearning.ward import Ward, auc_of, loss


def push(task: Task, **parameters: str) -> nn.Module:
    texts = {"epochs": "3", "learning_rate": "0.004", "beta": "0.3", **parameters}
    return NegativeGradient().run(task, texts)


def test_the_forgotten_rise_but_not_without_end(ward: Ward) -> None:
    images, task = ward.task.images, ward.task
    after = push(task)
    assert 0.5 * ward.unseen_loss < loss(after, images, task.forget)
    assert loss(after, images, task.forget) < 2 * loss(ward.retrained, images, task.forget)
    assert loss(after, images, task.retain) < 0.1
    assert auc_of(after, images, ward.test) > auc_of(task.module, images, ward.test) - 0.08


def test_nobody_is_pushed_beyond_what_the_never_seen_show(ward: Ward) -> None:
    """Where these are as well known as the forgotten there is nowhere to push them."""
    known = replace(ward.task, unseen=ward.task.retain)
    images, forget = ward.task.images, ward.task.forget
    still, pushed = (
        loss(push(task, learning_rate="0.001"), images, forget) for task in (known, ward.task)
    )
    assert still < 0.2 * pushed


def test_a_network_that_moved_too_far_is_only_healed(ward: Ward) -> None:
    """Pushed for one epoch, then never again, against pushed to the end."""
    images, forget, retain = ward.task.images, ward.task.forget, ward.task.retain
    hard = {"beta": "3", "epochs": "6"}
    held, loose = (push(ward.task, **hard, bound=bound) for bound in ("0.000001", "1000000"))
    assert loss(held, images, forget) < 0.7 * loss(loose, images, forget)
    assert loss(held, images, retain) < 0.02


@pytest.mark.parametrize("wrong", [{"bound": "0"}, {"bound": "nan"}, {"beta": "-0.1"}])
def test_bounds_that_hold_nothing_are_refused(ward: Ward, wrong: dict[str, str]) -> None:
    with pytest.raises(UnlearningError, match="beta and bound"):
        push(ward.task, **wrong)
