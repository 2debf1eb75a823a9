"""The curvature kept between requests: found or made, the step is the same, and cheaper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import nn

from auditor.domain.artefact import Digest
from auditor.errors import ModelError, UnlearningError
from auditor.unlearning import curvature
from auditor.unlearning.kept_curvature import Curvature
from auditor.unlearning.method import METHODS
from auditor.unlearning.newton_steps import Steps
from auditor.unlearning.sampling import curvature_sample
from auditor.unlearning.shelf import KnownModel
from auditor.unlearning.task import Task
from tests.unlearning.dense import distance, moved, narrow, narrow_task, task_of
from tests.unlearning.test_newton_architectures import ARCHITECTURES, rows_in

ALL = tuple(range(12))
DAMPING = {"damping": "0.05"}


@dataclass
class Kept:
    """A shelf in memory."""

    content: dict[Digest, bytes] = field(default_factory=dict)
    found: int = 0

    def find(self, key: Digest) -> bytes | None:
        self.found += key in self.content
        return self.content.get(key)

    def keep(self, key: Digest, content: bytes, *, images: int) -> None:
        assert images
        self.content[key] = content


def known(asked: Task, shelf: Kept, training: Sequence[int] = ALL) -> Task:
    model = KnownModel(identity=Digest.of(b"model"), training=tuple(training), shelf=shelf)
    return replace(asked, known=model)


def about(asked: Task, *forget: int, training: Sequence[int] = ALL) -> Task:
    """The same model, asked to forget other images."""
    return replace(asked, forget=forget, retain=tuple(i for i in training if i not in forget))


def run(asked: Task, parameters: Mapping[str, str] = DAMPING) -> nn.Module:
    return METHODS["newton"].run(asked, parameters)


def same(one: nn.Module, other: nn.Module) -> bool:
    values = other.state_dict()
    return all(torch.equal(value, values[name]) for name, value in one.state_dict().items())


@pytest.fixture(scope="module")
def small() -> Task:
    """Forty images, twenty of each class."""
    return task_of(narrow("small-resnet", 2), 2, count=40)


FORTY = tuple(range(40))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_made_or_found_it_is_the_step_that_never_had_the_forgotten_in_its_sample(
    architecture: str, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, shelf = narrow_task(architecture, classes), Kept()
    cold = run(known(plain, shelf))
    assert distance(moved(plain.module, cold), moved(plain.module, run(plain))) < 1e-9
    other = about(plain, 3, 7)
    expected = moved(plain.module, run(other))
    monkeypatch.setattr(curvature, "catch", None)  # no more passes layer by layer
    assert same(run(known(plain, shelf)), cold)
    assert distance(moved(plain.module, run(known(other, shelf))), expected) < 1e-9
    assert (len(shelf.content), shelf.found) == (1, 2)


def test_a_sample_is_the_versions_own_whoever_is_to_be_forgotten(small: Task) -> None:
    shelf, texts = Kept(), {**DAMPING, "subset": "10"}
    asked = [
        known(about(small, *forget, training=FORTY), shelf, FORTY) for forget in ((0, 1), (5,))
    ]
    one, other = (curvature_sample(item, 10) for item in asked)
    assert one.drawn == other.drawn and len(one.drawn) == 10
    seeds = [curvature_sample(replace(item, seed=9), 10) for item in asked]
    assert [seeds[0], seeds[1]] == [one, other]
    first = run(asked[0], texts)
    second = run(asked[1], texts)
    assert shelf.found == 1 and not same(first, second)
    assert same(run(known(asked[1], Kept(), FORTY), texts), second)
    inside = next(index for index in one.drawn if index > 5)
    asked_inside = about(small, inside, training=FORTY)
    found = run(known(asked_inside, shelf, FORTY), texts)
    sample = tuple(index for index in one.drawn if index != inside)
    assert curvature_sample(known(asked_inside, shelf, FORTY), 10).used == sample
    on_sample = replace(asked_inside, retain=sample)  # all of it, so its own draw is the sample
    scaled = {"damping": repr(0.05 * len(sample) / 39)}
    step = moved(small.module, run(on_sample, scaled))
    expected = {name: way * len(sample) / 39 for name, way in step.items()}
    assert distance(moved(small.module, found), expected) < 1e-9


def test_what_is_left_after_the_downdate_was_never_anything_else(small: Task) -> None:
    whole = Curvature.of_rows(rows_in(small, 2**30, FORTY))
    some = tuple(range(3, 40, 2))
    left, made = whole.only(some), Curvature.of_rows(rows_in(small, 2**30, some))
    assert left.sample == made.sample == some
    assert torch.allclose(left.gram, made.gram, rtol=1e-12, atol=1e-12 * float(made.gram.max()))
    assert torch.allclose(left.factors, made.factors, rtol=1e-12, atol=0)


def test_where_too_little_is_left_another_sample_is_drawn_and_not_kept(small: Task) -> None:
    drawn = curvature_sample(known(small, Kept(), FORTY), 10).drawn
    for gone in (drawn[:6], [index for index in drawn if index % 2]):
        shelf, plain = Kept(), about(small, *gone, training=FORTY)
        asked = known(plain, shelf, FORTY)
        sample = curvature_sample(asked, 10)
        assert not sample.lasting and sample.used == curvature_sample(plain, 10).used
        texts = {**DAMPING, "subset": "10"}
        assert same(run(asked, texts), run(plain, texts)) and not shelf.content
    still = known(about(small, *drawn[:5], training=FORTY), Kept(), FORTY)
    assert curvature_sample(still, 10).lasting


def test_another_version_layer_precision_or_size_is_another_curvature(small: Task) -> None:
    shelf = Kept()
    asked = known(small, shelf, FORTY)
    base = {"damping": "3", "subset": "10", "layers": "stage3 head"}
    run(asked, base)
    for change in ({"damping": "30"}, {"layers": "head stage3"}, {"layers": "head stage3 head"}):
        run(asked, {**base, **change})
    assert (len(shelf.content), shelf.found) == (1, 3)
    changes = ({"subset": "12"}, {"layers": "head"}, {"precision": "float32"}, {"memory": "1"})
    for count, change in enumerate(changes, 2):
        run(asked, {**base, **change})
        assert (len(shelf.content), shelf.found) == (count, 3)
    assert asked.known is not None
    elsewhere = replace(asked.known, identity=Digest.of(b"another model"))
    run(replace(asked, known=elsewhere), base)
    assert (len(shelf.content), shelf.found) == (6, 3)


def test_one_made_of_other_images_is_not_used(small: Task) -> None:
    """As when a version's training images became fewer, because some were erased since."""
    shelf, texts = Kept(), {**DAMPING, "layers": "head"}
    run(known(small, shelf, FORTY), texts)
    (old,) = shelf.content.values()
    fewer = about(small, 0, training=FORTY[:30])
    found = run(known(fewer, shelf, FORTY[:30]), texts)
    assert same(found, run(known(fewer, Kept(), FORTY[:30]), texts))
    (new,) = shelf.content.values()
    assert new != old and shelf.found == 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_in_fewer_bits_too_what_is_found_is_what_was_made(small: Task, precision: str) -> None:
    shelf, texts = Kept(), {"damping": "3", "precision": precision}
    cold, warm = (run(known(small, shelf, FORTY), texts) for _ in range(2))
    assert same(cold, warm) and shelf.found == 1


def test_many_dampings_are_the_single_ones(small: Task) -> None:
    asked = known(small, Kept(), FORTY)
    steps = Steps(asked)
    for damping in (30.0, 3.0):
        assert same(run(asked, {"damping": repr(damping)}), steps.at(damping))


def test_damaged_bytes_are_refused_and_nan_is_never_kept(small: Task) -> None:
    shelf, texts = Kept(), {**DAMPING, "layers": "head"}
    run(known(small, shelf, FORTY), texts)
    ((key, content),) = shelf.content.items()
    shelf.content[key] = content[:50]
    with pytest.raises(ModelError, match="safetensors"):
        run(known(small, shelf, FORTY), texts)
    spoiled = small.images.images.clone()
    spoiled[7] = float("nan")
    bad = replace(small, images=replace(small.images, images=spoiled))
    fresh = Kept()
    with pytest.raises(UnlearningError, match="NaN"):
        run(known(bad, fresh, FORTY), texts)
    assert not fresh.content


def test_progress_tells_the_curvature_only_where_it_is_made(small: Task) -> None:
    told: list[str] = []

    def progress(phase: str, _done: int, _total: int) -> None:
        told.append(phase)

    asked = replace(known(small, Kept(), FORTY), progress=progress)
    run(asked)
    assert list(dict.fromkeys(told)) == ["gradient", "curvature", "step"]
    told.clear()
    run(asked)
    assert set(told) == {"gradient", "step"}
