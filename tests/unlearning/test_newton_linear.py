"""Where the answer is known: ridge and logistic regression, retrained without what is forgotten.

For a loss sum l_i(theta) + lambda/2 |theta|^2 at its minimum, the step with damping lambda and H
over all retained images is Newton's step from there on the loss without the forgotten ones. For
squares that is the new minimum itself; otherwise the error is of second order in what is taken
away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.learning.recipe import Recipe
from auditor.unlearning.newton_steps import Steps
from auditor.unlearning.passes import SOFTMAX, Loss
from auditor.unlearning.task import Task
from tests.unlearning.dense import image_set

DAMPING = 0.7
SIDE = 3


class Regression(nn.Module):
    """Logits linear in the pixels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(SIDE * SIDE, classes).double()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x.flatten(1))
        return logits


def _half_squares(logits: Tensor, labels: Tensor) -> Tensor:
    targets = functional.one_hot(labels, logits.shape[1]).to(logits)
    return (logits - targets).square().sum() / 2


def _unit_curvature(logits: Tensor) -> Tensor:
    return torch.eye(logits.shape[1]).to(logits).expand(len(logits), -1, -1)


SQUARES = Loss(total=_half_squares, factors=_unit_curvature)


def trained(asked: Task, indices: Sequence[int], loss: Loss) -> Regression:
    """The minimum over some images to the last digits, by Newton's method on every number."""
    module = Regression(asked.recipe.classes)
    chosen = torch.tensor(indices)
    images, labels = asked.images.images[chosen], asked.images.labels[chosen]

    def objective(numbers: Tensor) -> Tensor:
        weight, bias = numbers[: -len(module.head.bias)], numbers[-len(module.head.bias) :]
        logits = functional.linear(images.flatten(1), weight.view(-1, SIDE * SIDE), bias)
        return loss.total(logits, labels) + DAMPING / 2 * numbers.square().sum()

    numbers = torch.zeros(flat(module).shape).double()
    for _ in range(12):
        slope = torch.func.grad(objective)(numbers)
        numbers = numbers - torch.linalg.solve(
            torch.func.jacrev(torch.func.grad(objective))(numbers), slope
        )
    assert float(torch.func.grad(objective)(numbers).abs().max()) < 1e-10
    torch.nn.utils.vector_to_parameters(numbers, module.parameters())
    return module.eval()


def flat(module: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in module.parameters()])


def problem(forget: Sequence[int], loss: Loss, classes: int = 2, count: int = 120) -> Task:
    """Noisy labels, so that no image's part in the fit is nothing."""
    random = torch.Generator().manual_seed(2)
    images = torch.randn(count, 1, SIDE, SIDE, generator=random, dtype=torch.float64)
    truth = torch.randn(SIDE * SIDE, classes, generator=random, dtype=torch.float64)
    noise = torch.randn(count, classes, generator=random, dtype=torch.float64)
    labels = (images.flatten(1) @ truth + 3 * noise).argmax(1)
    task = Task(
        recipe=Recipe(classes=classes),
        module=Regression(classes),
        images=image_set(images, labels),
        forget=tuple(forget),
        retain=tuple(index for index in range(count) if index not in forget),
        seed=1,
    )
    return replace(task, module=trained(task, range(count), loss))


def error_and_way(asked: Task, loss: Loss) -> tuple[float, float]:
    """Distance of the step's end from the retrained minimum, and of that from the start."""
    found = Steps(asked, subset=len(asked.retain), loss=loss).at(DAMPING)
    again = flat(trained(asked, asked.retain, loss))
    start = flat(asked.module)
    return float((flat(found) - again).norm()), float((again - start).norm())


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("forget", [(0,), (17,), tuple(range(40))])
def test_on_ridge_regression_the_step_is_the_retrained_model(
    forget: Sequence[int], classes: int
) -> None:
    error, way = error_and_way(problem(forget, SQUARES, classes), SQUARES)
    assert way > 1e-3 and error < 1e-6 * way


def test_ridge_regression_without_some_images_is_the_normal_equations_answer() -> None:
    asked = problem(range(10), SQUARES)
    found = Steps(asked, loss=SQUARES).at(DAMPING)
    chosen = torch.tensor(asked.retain)
    x = torch.cat([asked.images.images[chosen].flatten(1), torch.ones(len(chosen), 1)], 1)
    y = functional.one_hot(asked.images.labels[chosen], 2).double()
    answer = torch.linalg.solve(x.T @ x + DAMPING * torch.eye(x.shape[1]).double(), x.T @ y)
    got = torch.cat([found.head.weight, found.head.bias[:, None]], 1).detach().T
    assert torch.allclose(got, answer, rtol=0, atol=1e-8)


@pytest.mark.parametrize("classes", [2, 3])
def test_on_logistic_regression_leaving_one_out_is_met_to_a_few_percent(classes: int) -> None:
    for left_out in range(0, 120, 20):
        error, way = error_and_way(problem((left_out,), SOFTMAX, classes), SOFTMAX)
        assert error < 0.1 * way


@pytest.mark.parametrize("classes", [2, 3])
def test_on_logistic_regression_the_error_is_of_second_order(classes: int) -> None:
    """Among 40 times as many images, each 40 times: to leave out half as many copies of the same
    images halves the way and quarters the error."""
    errors, ways = [], []
    for copies in (8, 4, 2):
        error, way = error_and_way(repeated(classes, copies), SOFTMAX)
        errors.append(error)
        ways.append(way)
    for more, less in pairwise(errors):
        assert 3.2 < more / less < 5
    for more, less in pairwise(ways):
        assert 1.7 < more / less < 2.4


def repeated(classes: int, copies: int) -> Task:
    """Thirty images, forty times each; to forget: that many copies of each of the first three."""
    once = problem((), SOFTMAX, classes, count=30)
    images = image_set(once.images.images.repeat(40, 1, 1, 1), once.images.labels.repeat(40))
    forget = tuple(30 * copy + image for copy in range(copies) for image in range(3))
    retain = tuple(index for index in range(1200) if index not in forget)
    task = replace(once, images=images, forget=forget, retain=retain)
    return replace(task, module=trained(task, range(1200), SOFTMAX))
