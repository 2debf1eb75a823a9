"""What every method in the table holds, whatever it does inside."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch

from auditor.errors import AuditorError, UnlearningError
from auditor.learning.weights import weights_bytes
from auditor.unlearning.method import METHODS as LADDER
from auditor.unlearning.method import WITH_GUARANTEE
from auditor.unlearning.norms import reestimate_norms
from auditor.unlearning.task import Need, Task
from tests.unlearning.ward import Ward, with_batch_norm

PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "newton": {"damping": "10", "subset": "32"},
    "reset-and-heal": {"share": "0.5", "epochs": "1", "learning_rate": "0.004"},
    "reference-distillation": {"epochs": "1", "learning_rate": "0.004"},
    "negative-gradient": {"epochs": "1", "learning_rate": "0.004", "beta": "0.3"},
    "noisy-fine-tuning": {
        "epsilon": "8",
        "delta": "0.00001",
        "radius": "0.1",
        "steps": "3",
        "rate": "0.1",
        "clip": "0.1",
        "decay": "1",
        "epochs": "1",
        "learning_rate": "0.004",
    },
    "rewind": {},
    "retrain": {},
}
METHODS = {**LADDER, **WITH_GUARANTEE}
EXACT = {"rewind", "retrain"}
SECRET = {"noisy-fine-tuning"}
"""With a key from the operating system: not to be repeated, nor chosen among by looking."""


@pytest.fixture(params=PARAMETERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[name for name in PARAMETERS if name not in EXACT])
def approximate(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def task(ward: Ward) -> Task:
    """By a recipe so short that a retrain costs nothing."""
    return replace(ward.task, recipe=replace(ward.task.recipe, epochs=1))


def test_the_table_names_each_method_once_and_says_which_are_exact() -> None:
    assert set(METHODS) == set(PARAMETERS)
    assert set(WITH_GUARANTEE) == SECRET and not SECRET & set(LADDER)
    assert all(METHODS[name].name == name for name in METHODS)
    assert {name for name in METHODS if METHODS[name].exact} == EXACT


def test_a_run_changes_the_candidate_alone_and_tells_how_far_it_is(name: str, task: Task) -> None:
    before, pictures = weights_bytes(task.module), task.images.images.clone()
    told: list[tuple[str, int, int]] = []
    state = torch.get_rng_state()
    asked = replace(task, progress=lambda *said: told.append(said))
    result = METHODS[name].run(asked, PARAMETERS[name])
    assert weights_bytes(task.module) == before != weights_bytes(result)
    assert torch.equal(task.images.images, pictures)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(part.training for part in (*result.modules(), *task.module.modules()))
    assert all(bool(torch.isfinite(value).all()) for value in result.state_dict().values())
    assert told and all(0 <= done <= total for _, done, total in told)
    assert told[-1][1] == told[-1][2] > 0


def test_whether_the_model_was_left_in_training_mode_changes_nothing(
    approximate: str, task: Task
) -> None:
    left = copy.deepcopy(task.module).train()
    result = METHODS[approximate].run(replace(task, module=left), PARAMETERS[approximate])
    assert left.training and not result.training
    if approximate not in SECRET:
        usual = METHODS[approximate].run(task, PARAMETERS[approximate])
        assert weights_bytes(result) == weights_bytes(usual)


def test_the_same_seed_gives_the_same_bits(name: str, task: Task) -> None:
    one, other = (weights_bytes(METHODS[name].run(task, PARAMETERS[name])) for _ in range(2))
    assert (one == other) is (name not in SECRET)


def test_what_is_to_be_forgotten_is_not_what_any_other_patient_is(name: str, task: Task) -> None:
    """A method that ignored the forget set would give both the same."""
    swapped = replace(
        task,
        forget=task.retain[:8],
        retain=(*task.retain[8:], *task.forget),
    )
    first, second = (METHODS[name].run(asked, PARAMETERS[name]) for asked in (task, swapped))
    assert weights_bytes(first) != weights_bytes(second)


def test_unknown_parameters_are_refused(name: str, task: Task) -> None:
    with pytest.raises(UnlearningError, match="colour"):
        METHODS[name].run(task, {**PARAMETERS[name], "colour": "blue"})


def test_parameters_are_asked_for_and_read_as_what_they_are(approximate: str, task: Task) -> None:
    with pytest.raises(UnlearningError, match=approximate):
        METHODS[approximate].run(task, {})
    for parameter in PARAMETERS[approximate]:
        for nonsense in ("much", "nan", "-1", "0", "inf"):
            if (parameter, nonsense) == ("decay", "0"):
                continue  # none at all is fine
            with pytest.raises(UnlearningError, match=approximate):
                METHODS[approximate].run(task, {**PARAMETERS[approximate], parameter: nonsense})


def test_there_must_be_something_to_forget_and_something_to_keep(name: str, task: Task) -> None:
    nobody_left = replace(task, retain=(), forget=(*task.retain, *task.forget))
    with pytest.raises(AuditorError):
        METHODS[name].run(nobody_left, PARAMETERS[name])
    if name not in EXACT:
        with pytest.raises(UnlearningError, match=f"{name} needs forgotten images and retained"):
            METHODS[name].run(replace(task, forget=()), PARAMETERS[name])


def test_what_a_method_needs_is_asked_for(name: str, task: Task) -> None:
    lacking = {Need.UNSEEN: replace(task, unseen=()), Need.HISTORY: replace(task, history=None)}
    assert set(lacking) == set(Need)
    for need, bare in lacking.items():
        if need in METHODS[name].needs:
            with pytest.raises(UnlearningError, match=f"{name} needs"):
                METHODS[name].run(bare, PARAMETERS[name])
        else:
            METHODS[name].run(bare, PARAMETERS[name])


def test_nan_is_refused(approximate: str, task: Task) -> None:
    broken = copy.deepcopy(task.module)
    with torch.no_grad():
        broken.get_parameter("head.bias").fill_(float("nan"))
    with pytest.raises(UnlearningError, match="NaN"):
        METHODS[approximate].run(replace(task, module=broken), PARAMETERS[approximate])


def test_batch_norms_statistics_end_as_those_of_the_retained(approximate: str) -> None:
    asked = with_batch_norm()
    result = METHODS[approximate].run(asked, PARAMETERS[approximate])
    again = copy.deepcopy(result)
    reestimate_norms(again, asked.images.images, asked.retain)
    assert weights_bytes(again) == weights_bytes(result)
    reestimate_norms(again, asked.images.images, (*asked.retain, *asked.forget))
    assert weights_bytes(again) != weights_bytes(result)


def test_never_seen_images_are_never_trained_on(approximate: str, ward: Ward) -> None:
    trained_on: list[torch.Tensor] = []
    module = copy.deepcopy(ward.task.module)
    module.register_forward_pre_hook(
        lambda part, pictures: trained_on.append(pictures[0]) if part.training else None
    )
    METHODS[approximate].run(replace(ward.task, module=module), PARAMETERS[approximate])
    for index in ward.task.unseen:
        picture = ward.task.images.images[index]
        assert not any(bool((part == picture).flatten(1).all(1).any()) for part in trained_on)


def test_a_variant_is_what_its_parameters_make(approximate: str, task: Task) -> None:
    method = METHODS[approximate]
    assert hasattr(method, "variants") is (approximate not in SECRET)
    if not hasattr(method, "variants"):
        return
    asked = replace(task, recipe=replace(task.recipe, epochs=4))
    variants = list(method.variants(asked))
    assert len(variants) > 1
    assert len({tuple(parameters.items()) for parameters, _ in variants}) == len(variants)
    assert weights_bytes(variants[0][1]) != weights_bytes(variants[1][1])
    for parameters, module in (variants[0], variants[-1]):
        assert weights_bytes(module) == weights_bytes(method.run(asked, parameters))
