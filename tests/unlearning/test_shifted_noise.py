"""The accountant against numerical optimisation, quadrature and exact laws on a line."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq, minimize

from auditor.unlearning.shifted_noise import Walk, delta_of, mu_of

Numbers = NDArray[np.float64]
DELTA = 1e-5
WALKS = [
    Walk(start=start, contraction=contraction, drift=drift, steps=steps)
    for start, contraction, drift in [(2, 1, 0), (2, 0.9, 0), (1, 1, 0.3), (0.1, 0.5, 1)]
    for steps in (1, 2, 5)
]


def epsilon_of(mu: float) -> float:
    return float(brentq(lambda epsilon: delta_of(mu, epsilon) - DELTA, 0, 1e4))


@pytest.mark.parametrize("walk", WALKS, ids=str)
def test_no_other_way_to_spend_the_shift_is_cheaper(walk: Walk) -> None:
    """Least squares over all a that the theorem allows, by a general optimiser."""

    def shifts(spent: Numbers) -> list[float]:
        left = [walk.start]
        for one in spent:
            left.append(walk.contraction * left[-1] + walk.drift - float(one))
        return left

    first = np.full(walk.steps, walk.start + walk.drift)
    found = minimize(
        lambda spent: float((spent**2).sum()),
        first,
        method="SLSQP",
        bounds=[(0, None)] * walk.steps,
        constraints=[
            {"type": "eq", "fun": lambda spent: shifts(spent)[-1]},
            {"type": "ineq", "fun": lambda spent: np.array(shifts(spent)[1:-1])},
        ],
        options={"ftol": 1e-12},
    )
    assert found.success
    assert walk.mu(sigma=2.0) == pytest.approx(math.sqrt(found.fun) / 2.0, rel=1e-5)
    assert walk.sigma(walk.mu(2.0)) == pytest.approx(2.0)


@pytest.mark.parametrize("mu", [0.05, 0.5, 2.0, 6.0])
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 5.0])
def test_delta_is_what_integration_gives(mu: float, epsilon: float) -> None:
    grid = np.linspace(-12, 12 + mu, 400_001)
    beyond = stats.norm.pdf(grid, mu) - math.exp(epsilon) * stats.norm.pdf(grid)
    expected = float(np.trapezoid(np.maximum(beyond, 0), grid))
    assert delta_of(mu, epsilon) == pytest.approx(expected, rel=1e-5, abs=1e-13)


@pytest.mark.parametrize("epsilon", [0.001, 0.1, 1, 8, 50])
@pytest.mark.parametrize("delta", [1e-12, 1e-5, 0.1])
def test_the_mu_found_keeps_delta_and_wastes_none(epsilon: float, delta: float) -> None:
    mu = mu_of(epsilon, delta)
    assert 0.999999 * delta < delta_of(mu, epsilon) <= delta


def test_it_is_tighter_than_any_conversion_from_renyi_divergences() -> None:
    """Canonne, Kamath and Steinke 2020 (arXiv 2004.00010), Proposition 12, best over orders."""
    for mu in (0.1, 0.5, 1.5):
        orders = 1 + np.geomspace(1e-2, 1e4, 4000)
        divergences = orders * mu**2 / 2
        converted = divergences + (
            np.log1p(-1 / orders) - (math.log(DELTA) + np.log(orders)) / (orders - 1)
        )
        best = float(converted[converted > 0].min())
        assert 0.7 * best < epsilon_of(mu) <= best


def law(walk: Walk, sigma: float, start: float, push: float) -> tuple[Numbers, Numbers]:
    """Density after the walk's steps, by quadrature; the map shrinks and pushes from 0."""

    def map_of(x: Numbers) -> Numbers:
        return walk.contraction * x + push * np.sign(x)

    half = 8 * sigma * math.sqrt(walk.steps) + abs(start) + walk.steps * push
    grid = np.linspace(-half, half, 1000)
    density = stats.norm.pdf(grid, float(map_of(np.array(start))), sigma)
    kernel = stats.norm.pdf(grid[:, None], map_of(grid)[None, :], sigma)
    for _ in range(walk.steps - 1):
        density = np.trapezoid(kernel * density, grid, axis=1)
    return grid, density


def exact_epsilon(grid: Numbers, one: Numbers, other: Numbers) -> float:
    def excess(epsilon: float) -> float:
        ways = (np.maximum(a - math.exp(epsilon) * b, 0) for a, b in ((one, other), (other, one)))
        return max(float(np.trapezoid(way, grid)) for way in ways) - DELTA

    return float(brentq(excess, 0, 60)) if excess(0) > 0 else 0.0


@pytest.mark.parametrize("steps", [1, 2, 6])
@pytest.mark.parametrize("contraction", [1.0, 0.8])
@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_the_exact_epsilon_on_a_line_stays_below_and_near(
    steps: int, contraction: float, sigma: float
) -> None:
    """Two starts that a map drives apart, as a clipped gradient may; nothing is approximated."""
    push = 0.1
    walk = Walk(start=1.0, contraction=contraction, drift=2 * push, steps=steps)
    laws = [law(walk, sigma, start, push) for start in (-0.5, 0.5)]
    assert all(np.trapezoid(density, grid) == pytest.approx(1, abs=1e-6) for grid, density in laws)
    exact = exact_epsilon(laws[0][0], laws[0][1], laws[1][1])
    claimed = epsilon_of(walk.mu(sigma))
    assert exact <= claimed * (1 + 1e-4)
    assert claimed < 10 * exact
    if steps == 1:
        assert claimed == pytest.approx(exact, rel=1e-3)


def test_a_map_that_shrinks_alone_is_accounted_for_exactly() -> None:
    walk = Walk(start=1.0, contraction=0.8, drift=0.0, steps=5)
    sigma = 0.7
    mean, variance = 0.5, 0.0
    for _ in range(walk.steps):
        mean, variance = 0.8 * mean, 0.64 * variance + sigma**2
    assert walk.mu(sigma) == pytest.approx(2 * mean / math.sqrt(variance))


@pytest.mark.parametrize(
    "worse",
    [
        lambda walk: Walk(start=2 * walk.start, contraction=0.8, drift=0.1, steps=4),
        lambda walk: Walk(start=walk.start, contraction=0.8, drift=0.3, steps=4),
        lambda walk: Walk(start=walk.start, contraction=0.95, drift=0.1, steps=1),
    ],
)
def test_more_to_hide_takes_more_noise(worse: Callable[[Walk], Walk]) -> None:
    walk = Walk(start=1.0, contraction=0.8, drift=0.1, steps=4)
    assert worse(walk).sigma(0.5) > walk.sigma(0.5)
