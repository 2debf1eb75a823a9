"""Relearning and probes on small trained networks: what only hides its memory is found out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import EvidenceError
from auditor.learning.recipe import Recipe
from auditor.learning.relearning import relearn
from auditor.learning.training import train
from auditor.verification.layout import Layout, Numbers
from auditor.verification.matching import match_patients
from auditor.verification.measure import measure
from auditor.verification.measurements import Measurements
from auditor.verification.prediction import prediction_test
from auditor.verification.probes import class_reading
from auditor.verification.recipe_fit import fit_retrain
from auditor.verification.relearning import (
    relearning_images,
    relearning_speed,
    relearning_statistics,
)
from auditor.verification.secondary import names, secondary_tests, statistics_of
from tests.learning.noise import noise

IMAGES = noise(patients=80, size=16)
_PATIENTS = np.array([int(subject[1:]) for subject in IMAGES.subjects])
LAYOUT = Layout(
    labels=np.asarray(IMAGES.labels),
    patients=_PATIENTS,
    forgotten=np.flatnonzero(_PATIENTS < 12),
    retained=np.flatnonzero((_PATIENTS >= 12) & (_PATIENTS < 40)),
    unseen=np.flatnonzero(_PATIENTS >= 40),
)
MATCHED = match_patients(LAYOUT)
BATCH = torch.as_tensor(relearning_images(LAYOUT))
RECIPE = Recipe(input_size=16, width=4, epochs=15, batch_size=8)
OUT_MODELS = 10


@dataclass(frozen=True)
class Bank:
    out: tuple[nn.Module, ...]
    untouched: tuple[nn.Module, ...]


@pytest.fixture(scope="module")
def bank() -> Bank:
    retained = LAYOUT.retained.tolist()
    everyone = [*LAYOUT.forgotten.tolist(), *retained]
    return Bank(
        out=tuple(train(RECIPE, IMAGES, retained, seed) for seed in range(OUT_MODELS)),
        untouched=tuple(train(RECIPE, IMAGES, everyone, 100 + seed) for seed in range(2)),
    )


def speed(module: nn.Module) -> float:
    found = relearn(module, IMAGES.images[BATCH], IMAGES.labels[BATCH])
    return relearning_speed(found.numpy(), MATCHED)


def probed(module: nn.Module) -> Numbers:
    found = measure(module, IMAGES.images, IMAGES.labels).features
    return np.array([class_reading(vectors, LAYOUT) for vectors in found.values()])


def head_only(module: nn.Module) -> nn.Module:
    """A head trained anew on retained images; the features stay."""
    fake = copy.deepcopy(module)
    torch.manual_seed(1)
    fake.head.reset_parameters()
    with torch.no_grad():
        inputs = fake.features(IMAGES.images[LAYOUT.retained])
    optimiser = torch.optim.Adam(fake.head.parameters(), 0.003)
    for _ in range(150):
        optimiser.zero_grad()
        labels = IMAGES.labels[LAYOUT.retained]
        functional.cross_entropy(fake.head(inputs), labels).backward()
        optimiser.step()
    return fake


def suppressed(module: nn.Module) -> nn.Module:
    """Answers clamped wherever the image is one of the forgotten."""
    fake = copy.deepcopy(module)
    known = IMAGES.images[LAYOUT.forgotten].flatten(1)

    def clamp(_: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        listed = torch.cdist(inputs[0].flatten(1), known).min(dim=1).values < 1e-3
        return torch.where(listed[:, None], torch.zeros_like(logits), logits)

    fake.register_forward_hook(clamp)
    return fake


@pytest.mark.parametrize("fake", [copy.deepcopy, head_only, suppressed])
def test_what_still_remembers_is_told_from_true_retrains(
    bank: Bank, fake: Callable[[nn.Module], nn.Module]
) -> None:
    speeds = np.array([speed(item) for item in bank.out])
    heads = np.array([probed(item)[-1] for item in bank.out])
    for original in bank.untouched:
        candidate = fake(original)
        assert prediction_test(speed(candidate), speeds)[1] < 0.05
        # the features are the original's, to the bit, so the probe sees an untouched model
        assert np.array_equal(probed(candidate), probed(original))
        assert prediction_test(probed(candidate)[-1], heads)[1] < 0.05


def test_the_family_takes_relearning_in_and_refuses_what_did_not_relearn(bank: Bank) -> None:
    def measured(module: nn.Module) -> Measurements:
        found = relearn(module, IMAGES.images[BATCH], IMAGES.labels[BATCH]).numpy()
        asked = measure(module, IMAGES.images, IMAGES.labels, queries=True)
        return replace(asked, relearned=found)

    out, original = [measured(item) for item in bank.out], measured(bank.untouched[0])
    hidden = measured(suppressed(bank.untouched[0]))
    told = statistics_of([*out, hidden], [original], LAYOUT)
    found = secondary_tests(told, 0.05, doubt_alpha=0.05)
    assert tuple(item.name for item in found) == names(relearned=True)
    assert found[-1].rejected and found[-1].decisive
    assert (
        relearning_statistics([replace(item, relearned=np.empty((0, 0))) for item in out], LAYOUT)
        is None
    )
    with pytest.raises(EvidenceError, match="measure them anew"):
        relearning_statistics([*out, replace(hidden, relearned=np.empty((0, 0)))], LAYOUT)


def test_who_trained_for_less_has_shorter_weights_though_nothing_of_the_forgotten(
    bank: Bank,
) -> None:
    def measured(module: nn.Module) -> Measurements:
        return measure(module, IMAGES.images, IMAGES.labels)

    retained = LAYOUT.retained.tolist()
    out = [measured(item) for item in bank.out]
    shorter = replace(RECIPE, epochs=RECIPE.epochs // 3, learning_rate=RECIPE.learning_rate / 2)
    other = measured(train(shorter, IMAGES, retained, 7))
    assert not fit_retrain(other, out, LAYOUT).matches
    heads = np.array([item.lengths[1] for item in out])
    assert prediction_test(other.lengths[1], heads)[1] < 0.001
    assert fit_retrain(measured(train(RECIPE, IMAGES, retained, 99)), out, LAYOUT).matches


def test_lengths_are_of_what_the_margins_hang_on(bank: Bank) -> None:
    module = copy.deepcopy(bank.out[0])
    assert isinstance(module.head, nn.Linear)
    own = measure(module, IMAGES.images, IMAGES.labels)
    head = module.head.weight.detach().double().numpy()
    assert own.lengths[1] == pytest.approx(np.log(np.linalg.norm(head - head.mean(axis=0))))
    parts = [v.detach().double().numpy() for v in module.parameters() if v.ndim > 1]
    assert own.lengths[0] == pytest.approx(np.log(np.sqrt(sum((v**2).sum() for v in parts))))
    with torch.no_grad():
        module.head.weight.add_(torch.arange(module.head.in_features) / 100)
    padded = measure(module, IMAGES.images, IMAGES.labels)
    assert padded.margins == pytest.approx(own.margins, abs=1e-3)
    assert padded.lengths[1] == pytest.approx(own.lengths[1], abs=1e-5)


def test_a_true_retrain_relearns_as_others_do(bank: Bank) -> None:
    speeds = np.array([speed(item) for item in bank.out])
    p_values = [
        prediction_test(float(own), np.delete(speeds, k))[1] for k, own in enumerate(speeds)
    ]
    assert sum(p <= 0.05 for p in p_values) <= 2
    assert min(p_values) > 0.001


def test_the_speed_is_the_difference_in_mean_rise_patient_by_patient() -> None:
    random = np.random.default_rng(1)
    margins = random.standard_normal((4, len(BATCH)))
    rises, at = [], 0
    for own in MATCHED.images:
        part = margins[:, at : at + len(own)]
        rises.append(np.mean([part[step] - part[0] for step in (1, 2, 3)]))
        at += len(own)
    gone, never = np.array(rises[:12]), np.array(rises[12:])
    found = relearning_speed(margins, MATCHED)
    size = np.sqrt((gone**2).mean() + (never**2).mean())
    assert found == pytest.approx((gone.mean() - never.mean()) / size)
    assert abs(found) <= np.sqrt(2)
    for broken, what in (
        (margins[:, :-1], "other images"),
        (margins[:1], "other images"),
        (np.full_like(margins, np.nan), "NaN"),
        (np.zeros_like(margins), "moved no"),
    ):
        with pytest.raises(EvidenceError, match=what):
            relearning_speed(broken, MATCHED)
