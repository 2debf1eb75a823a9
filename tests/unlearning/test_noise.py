"""Noisy fine-tuning: the mechanism is the one accounted for, and its key is nobody's."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional

from auditor.errors import UnlearningError
from auditor.learning.models import build
from auditor.learning.weights import weights_bytes
from auditor.unlearning.fine_tuning import in_turn
from auditor.unlearning.koloskova2025noise import (
    NoiseParameters,
    NoisyFineTuning,
    _drowned,
    _normals,
    clipped,
    entropy,
    guarantee,
)
from auditor.unlearning.parameters import parse
from auditor.unlearning.shifted_noise import delta_of
from auditor.unlearning.task import Task
from tests.unlearning.ward import Ward, auc_of, loss, with_batch_norm

KEY = bytes(range(32))
TEXTS: Mapping[str, str] = {
    "epsilon": "8",
    "delta": "0.00001",
    "radius": "0.5",
    "steps": "4",
    "rate": "0.2",
    "clip": "0.3",
    "decay": "0.5",
    "epochs": "1",
    "learning_rate": "0.004",
}
PARAMETERS = parse(NoiseParameters, "noisy-fine-tuning", TEXTS)
METHOD = NoisyFineTuning(draw_key=lambda: KEY)


def test_each_step_is_the_one_accounted_for(ward: Ward) -> None:
    """A naive twin: cut, clipped gradient, decay towards fresh weights, noise."""
    task = ward.task
    found = _drowned(task, PARAMETERS, _normals(KEY))
    fresh = list(build(task.recipe, task.seed).parameters())
    twin = copy.deepcopy(task.module).train()
    values = list(twin.parameters())
    normals, sigma = _normals(KEY), guarantee(PARAMETERS).sigma
    parts = in_turn(torch.tensor(task.retain), 5, torch.Generator().manual_seed(task.seed))
    with torch.no_grad():
        away = [value - origin for value, origin in zip(values, fresh, strict=True)]
        length = float(torch.cat([way.flatten() for way in away]).norm())
        assert length > 0.5
        for value, origin, way in zip(values, fresh, away, strict=True):
            value.copy_(origin + way * 0.5 / length)
    for _ in range(4):
        part = next(parts)
        logits = twin(task.images.images[part])
        total = functional.cross_entropy(logits, task.images.labels[part])
        gradient = torch.autograd.grad(total, values)
        size = float(torch.cat([piece.flatten() for piece in gradient]).norm())
        assert size > 0.3
        with torch.no_grad():
            for value, origin, piece in zip(values, fresh, gradient, strict=True):
                way = piece * 0.3 / size + 0.5 * (value - origin)
                value.add_(sigma * normals(value.shape).float() - 0.2 * way)
    for one, other in zip(found.parameters(), values, strict=True):
        assert torch.allclose(one, other, atol=2e-5)


def test_the_noise_is_enough_by_an_account_of_its_own() -> None:
    """Unrolled by hand for four steps."""
    keeps, drift, start = 1 - 0.2 * 0.5, 2 * 0.2 * 0.3, 2 * 0.5
    apart = start
    variance = 0.0
    sigma = guarantee(PARAMETERS).sigma
    for _ in range(4):
        apart, variance = keeps * apart + drift, keeps**2 * variance + sigma**2
    delta = delta_of(apart / variance**0.5, 8.0)
    assert 0.999 * 1e-5 < delta <= 1e-5


def test_no_two_cut_models_are_further_apart_than_two_radii(ward: Ward) -> None:
    for seed in range(3):
        parameters = build(ward.task.recipe, seed).named_parameters()
        way = clipped({name: value.detach() for name, value in parameters}, 0.5)
        assert float(torch.cat([piece.flatten() for piece in way.values()]).norm()) <= 0.500001
    short: dict[str, Tensor] = {"weight": torch.tensor([0.1, 0.2])}
    assert torch.equal(clipped(short, 0.5)["weight"], short["weight"])
    assert torch.equal(clipped({"weight": torch.zeros(2)}, 0.5)["weight"], torch.zeros(2))


def test_noise_is_standard_normal_and_never_the_same_twice() -> None:
    normals = _normals(KEY)
    first, second = (normals(torch.Size([200, 300])) for _ in range(2))
    assert torch.equal(first, _normals(KEY)(torch.Size([200, 300])))
    for drawn in (first, second, _normals(entropy())(torch.Size([60_000]))):
        assert stats.kstest(drawn.flatten().numpy(), "norm").pvalue > 1e-4
        assert abs(float(drawn.std()) - 1) < 0.015
    assert abs(float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])) < 0.02
    assert normals(torch.Size([])).shape == torch.Size([])


def test_a_key_fixes_the_bits_and_none_is_used_twice(ward: Ward) -> None:
    one, other = (weights_bytes(METHOD.run(ward.task, TEXTS)) for _ in range(2))
    assert one == other
    drawn = {entropy() for _ in range(8)}
    assert len(drawn) == 8 and {len(key) for key in drawn} == {32}
    assert NoisyFineTuning()._draw_key is entropy


def test_neither_forgotten_images_nor_the_models_buffers_go_in(ward: Ward) -> None:
    spoiled = ward.task.images.images.clone()
    spoiled[list(ward.task.forget)] = 9.0
    other = replace(ward.task, images=replace(ward.task.images, images=spoiled))
    assert weights_bytes(METHOD.run(ward.task, TEXTS)) == weights_bytes(METHOD.run(other, TEXTS))
    normed = with_batch_norm()
    marked = copy.deepcopy(normed.module)
    for name, buffer in marked.named_buffers():
        if name.endswith("running_mean"):
            buffer.add_(3.0)
    one, two = (METHOD.run(replace(normed, module=m), TEXTS) for m in (normed.module, marked))
    assert weights_bytes(one) == weights_bytes(two)


def test_it_forgets_and_what_survives_is_relearnt(ward: Ward) -> None:
    """At a sensible (epsilon, delta) nothing of the model survives even on this small net."""
    task, images = ward.task, ward.task.images
    noisy = _drowned(task, PARAMETERS, _normals(KEY)).eval()
    assert loss(noisy, images, task.retain) > 20 * loss(task.module, images, task.retain)
    healed = METHOD.run(task, {**TEXTS, "epochs": "8"})
    assert loss(healed, images, task.forget) > 0.5 * loss(ward.retrained, images, task.forget)
    assert loss(healed, images, task.retain) < 0.1
    assert auc_of(healed, images, ward.test) > 0.8


def test_what_is_promised_comes_with_what_it_rests_on() -> None:
    made = guarantee(PARAMETERS)
    assert (made.epsilon, made.delta) == (8.0, 1e-5)
    assert made.sentences[0].startswith("Certified unlearning with epsilon 8 and delta 1e-05: ")
    assert made.sentences[1:] == made.assumptions
    told = " ".join(made.assumptions)
    for word in (
        "any training",
        "same in both",
        "minibatches",
        "retained images",
        "key",
        "last digits",
    ):
        assert word in told
    assert guarantee(replace(PARAMETERS, epsilon=1.0)).sigma > 4 * made.sigma


@pytest.mark.parametrize(
    "wrong", [{"delta": "1"}, {"decay": "5"}, {"decay": "-1"}, {"steps": "0"}, {"radius": "0"}]
)
def test_parameters_that_promise_nothing_are_refused(ward: Ward, wrong: dict[str, str]) -> None:
    with pytest.raises(UnlearningError, match="noisy-fine-tuning: "):
        METHOD.run(ward.task, {**TEXTS, **wrong})


def test_nan_is_refused_whatever_it_is_cut_to(ward: Ward) -> None:
    broken = copy.deepcopy(ward.task.module)
    with torch.no_grad():
        broken.get_parameter("stem.weight")[0, 0, 0, 0] = float("inf")
    task: Task = replace(ward.task, module=broken)
    with pytest.raises(UnlearningError, match="NaN"):
        METHOD.run(task, TEXTS)
