"""The loop against a plain twin: masks, slices, checkpoints; bit for bit."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import ModelError
from auditor.learning.datasets import ImageSet
from auditor.learning.history import Checkpoint, Keeping
from auditor.learning.models import build
from auditor.learning.order import BatchOrder, batch_order
from auditor.learning.recipe import FULL, QUICK, Recipe, parse_recipe
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from tests.learning.noise import DROPPING, noise

SMALL = Recipe(input_size=16, width=4, epochs=2, batch_size=4, train_images=24)
SLICED = replace(SMALL, slices=3, epochs=4)
DROPS = replace(SLICED, architecture=DROPPING, factories=(DROPPING,))
IMAGES = noise()
INDICES = tuple(range(2, 30))
SEED = 7


def twin(
    recipe: Recipe, images: ImageSet, indices: Sequence[int], masked: Collection[int] = ()
) -> bytes:
    """The loop as it was before there were slices, checkpoints and masks, and masks by hand."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    module = build(recipe, SEED).train()
    order = torch.Generator().manual_seed(SEED)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    batches = -(-len(indices) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.epochs * batches
    )
    for _ in range(recipe.epochs):
        shuffled = torch.tensor(indices)[torch.randperm(len(indices), generator=order)]
        for batch in shuffled.split(recipe.batch_size):
            left = [index for index in batch.tolist() if index not in masked]
            if left:
                optimiser.zero_grad()
                logits = module(images.images[left])
                functional.cross_entropy(logits, images.labels[left]).backward()  # type: ignore[no-untyped-call]  # torch leaves it bare
                optimiser.step()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a first step that isn't taken
                schedule.step()
    torch.set_num_threads(threads)
    return weights_bytes(module)


def trained(recipe: Recipe, **options: object) -> bytes:
    return weights_bytes(train(recipe, IMAGES, INDICES, SEED, **options))  # type: ignore[arg-type]  # by name


def order_of(recipe: Recipe) -> BatchOrder:
    return batch_order(recipe, IMAGES.subjects, INDICES, SEED)


def test_one_slice_and_no_mask_is_the_training_it_always_was() -> None:
    assert trained(SMALL) == twin(SMALL, IMAGES, INDICES)
    with pytest.raises(ModelError, match="nothing to train on"):
        trained(SMALL, without=INDICES)


def test_masked_images_leave_their_minibatches_and_an_empty_one_is_a_step_not_taken() -> None:
    first = order_of(SMALL).steps[0].tolist()  # a whole minibatch, so that it's left empty
    later = order_of(SMALL).steps[3].tolist()[:1]
    assert trained(SMALL, without=[*first, *later]) == twin(
        SMALL, IMAGES, INDICES, {*first, *later}
    )


def test_no_weight_depends_on_what_a_masked_image_shows_or_is_called() -> None:
    masked = [i for i in INDICES if IMAGES.subjects[i] in ("p3", "p8")]
    pictures, labels = IMAGES.images.clone(), IMAGES.labels.clone()
    pictures[masked] = torch.nan
    labels[masked] = 1 - labels[masked]
    names = tuple("x" + s if i in masked else s for i, s in enumerate(IMAGES.subjects))
    other = replace(IMAGES, images=pictures, labels=labels, subjects=names)
    for recipe in (SMALL, SLICED, DROPS):
        found = weights_bytes(train(recipe, other, INDICES, SEED, without=masked))
        assert found == trained(recipe, without=masked) != trained(recipe)


def test_slices_take_patients_in_one_part_after_the_other() -> None:
    order = order_of(SLICED)
    per_stage = round(2 * SLICED.epochs / 4)  # Bourtoule et al. 2021, section IV
    bounds = [fresh.start for fresh in order.fresh] + [len(order.steps)]
    seen: set[int] = set()
    newcomers = []
    for start, stop in pairwise(bounds):
        stage = torch.cat(order.steps[start:stop]).tolist()
        assert seen < set(stage)
        assert {stage.count(index) for index in set(stage)} == {per_stage}
        newcomers.append({IMAGES.subjects[i] for i in set(stage) - seen})
        seen = set(stage)
    assert seen == set(INDICES)
    patients = {IMAGES.subjects[i] for i in INDICES}
    assert set.union(*newcomers) == patients and sum(map(len, newcomers)) == len(patients)
    assert max(map(len, newcomers)) - min(map(len, newcomers)) <= 1
    for fresh, new in zip(order.fresh, newcomers, strict=True):
        shown = torch.cat(order.steps[fresh.start : fresh.stop]).tolist()
        assert new <= {IMAGES.subjects[i] for i in shown} and len(shown) == len(set(shown))
    other = batch_order(SLICED, IMAGES.subjects, INDICES, SEED + 1)
    assert [b.tolist() for b in other.steps] != [b.tolist() for b in order.steps]
    with pytest.raises(ModelError, match="3 slices need as many patients; there are 2"):
        batch_order(SLICED, IMAGES.subjects, INDICES[:3], SEED)


def test_every_patient_is_as_likely_in_one_slice_as_in_another() -> None:
    firsts = []
    for seed in range(400):
        order = batch_order(replace(SLICED, epochs=1), IMAGES.subjects, INDICES, seed)
        firsts.append(2 in torch.cat(order.steps[: order.fresh[0].stop]).tolist())
    assert 100 <= sum(firsts) <= 167  # a third of 400, three and a half standard deviations


def test_the_first_step_of_images_is_found() -> None:
    for recipe in (SMALL, SLICED):
        order = order_of(recipe)
        draw = random.Random(1)
        for _ in range(20):
            images = draw.sample(INDICES, 2)
            naive = next(n for n, b in enumerate(order.steps) if set(images) & set(b.tolist()))
            assert order.first_step(images) == naive
        assert order.first_step([0]) == len(order.steps)


@pytest.mark.parametrize("recipe", [SMALL, SLICED, DROPS])
def test_a_training_from_any_checkpoint_is_the_training_from_the_start(recipe: Recipe) -> None:
    kept: list[Checkpoint] = []
    masked = [5]
    whole = trained(recipe, without=masked, keeping=Keeping(spacing=3, keep=kept.append))
    assert whole == trained(recipe, without=masked)  # keeping changes nothing
    assert [item.step for item in kept] == list(order_of(recipe).checkpoint_steps(3))
    for item in kept:
        again: list[Checkpoint] = []
        keeping = Keeping(spacing=3, keep=again.append)
        assert trained(recipe, without=masked, start=item, keeping=keeping) == whole
        assert again == [other for other in kept if other.step > item.step]
    nearly = replace(kept[0], data=kept[-1].data)
    assert trained(recipe, without=masked, start=nearly) != whole


def test_checkpoints_are_kept_only_while_somebody_is_still_to_come() -> None:
    assert order_of(SMALL).checkpoint_steps(3) == (3, 6)  # of 7 in the first epoch
    order = order_of(SLICED)
    starts = {fresh.start for fresh in order.fresh} - {0}
    for spacing in (1, 2, 1000):
        steps = order.checkpoint_steps(spacing)
        assert starts <= set(steps) and 0 not in steps
        assert all(any(step in fresh for fresh in order.fresh) for step in steps)
    assert order.checkpoint_steps(1000) == tuple(sorted(starts))
    assert order.checkpoint_steps(0) == ()


def test_a_checkpoint_of_another_network_or_none_at_all_is_refused() -> None:
    kept: list[Checkpoint] = []
    trained(SLICED, keeping=Keeping(spacing=1000, keep=kept.append))
    with pytest.raises(ModelError, match="another network"):
        trained(replace(SLICED, width=8), start=kept[0])
    for data in (b"", kept[0].data[:-1], weights_bytes(build(SLICED, 1))):
        with pytest.raises(ModelError):
            trained(SLICED, start=replace(kept[0], data=data))


def test_training_tells_its_steps_and_leaves_the_callers_draws_alone() -> None:
    told: list[tuple[str, int, int]] = []
    torch.manual_seed(3)
    expected = torch.rand(2).tolist()
    torch.manual_seed(3)
    first = torch.rand(1).tolist()
    drawn = trained(DROPS, progress=lambda *words: told.append(words))
    assert first + torch.rand(1).tolist() == expected
    steps = len(order_of(DROPS).steps)
    assert told == [("training", number, steps) for number in range(1, steps + 1)]
    torch.manual_seed(99)
    assert trained(DROPS) == drawn  # what dropout draws comes from the seed alone


def test_a_minibatch_too_small_for_batchnorm_is_named() -> None:
    recipe = Recipe(architecture="resnet18", input_size=16, epochs=1, batch_size=2)
    with pytest.raises(ModelError, match="a minibatch of 1 is too small"):
        train(recipe, IMAGES, INDICES[:3], SEED)


class Centring(nn.Module):
    """Keeps a running mean of what it was shown, and beside it a constant that nobody saves."""

    def __init__(self, *, persistent: bool) -> None:
        super().__init__()
        self.head = nn.Linear(256, 2)
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(256), persistent=persistent)
        self.register_buffer("ones", torch.ones(1), persistent=False)

    def features(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        if self.training:
            self.centre.lerp_(flat.mean(0), 0.1)
        return flat - self.centre

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def saving(_recipe: Recipe) -> nn.Module:
    return Centring(persistent=True)


def forgetful(_recipe: Recipe) -> nn.Module:
    return Centring(persistent=False)


def test_a_network_that_keeps_of_its_training_what_it_does_not_save_is_refused() -> None:
    """A rewind would start from a checkpoint without it, and its replay from the same."""
    factories = tuple(f"{__name__}:{name}" for name in ("saving", "forgetful"))
    saved, lost = (
        replace(SLICED, architecture=name, factories=factories, input_size=16) for name in factories
    )
    kept: list[Checkpoint] = []
    whole = trained(saved, keeping=Keeping(spacing=3, keep=kept.append))
    assert trained(saved, start=kept[-1]) == whole
    with pytest.raises(ModelError, match="keeps centre of its training"):
        trained(lost)


class Hiding(nn.Module):
    """Keeps what steers its training where no file of weights looks."""

    def __init__(self, kept: object) -> None:
        super().__init__()
        self.head = nn.Linear(256, 2)
        self.kept = kept

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1) * (self._next() if self.training else 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits

    def _next(self) -> Tensor | float:
        match self.kept:
            case Tensor() | float() as kept:
                self.kept = 0.9 * kept + 0.1
                return kept
            case list() as seen:
                seen.append(1.0)
                return 1 / len(seen)
            case random.Random() as draws:
                return draws.random()
        return 1.0


def in_a_tensor(_recipe: Recipe) -> nn.Module:
    return Hiding(torch.ones(1) / 2)


def in_a_float(_recipe: Recipe) -> nn.Module:
    return Hiding(0.5)


def in_a_list(_recipe: Recipe) -> nn.Module:
    return Hiding([])


def in_a_generator(_recipe: Recipe) -> nn.Module:
    return Hiding(random.Random(1))


def nowhere(_recipe: Recipe) -> nn.Module:
    return Hiding(None)


@pytest.mark.parametrize("place", [in_a_tensor, in_a_float, in_a_list, in_a_generator])
@pytest.mark.parametrize("slices", [1, 3])
def test_state_is_found_wherever_a_network_keeps_it(
    place: Callable[[Recipe], nn.Module], slices: int
) -> None:
    """By what it does: a rewind goes on without it, and its replay, too, so neither could tell."""
    name, none = (f"{__name__}:{factory.__name__}" for factory in (place, nowhere))
    hiding = replace(SLICED, slices=slices, architecture=name, factories=(name, none))
    kept: list[Checkpoint] = []
    with pytest.raises(ModelError, match="can't be gone back to: from a checkpoint it ends else"):
        trained(hiding, keeping=Keeping(spacing=3, keep=kept.append))
    for item in (kept[0], kept[-1]):  # kept by an older version, and gone back to
        with pytest.raises(ModelError, match="can't be gone back to"):
            trained(hiding, start=item)
    assert trained(hiding)  # a retrain needs no checkpoint
    assert trained(replace(hiding, architecture=none), keeping=Keeping(spacing=3))


def test_older_recipes_keep_their_digest_and_slices_survive_the_bytes() -> None:
    assert QUICK.digest.value.startswith("a533069359a75214") and b"slices" not in (
        QUICK.canonical_bytes() + FULL.canonical_bytes()
    )
    assert SLICED.digest != replace(SLICED, slices=1).digest
    assert parse_recipe(SLICED.canonical_bytes()) == SLICED
    assert replace(SLICED, factories=("a:b",)).digest == SLICED.digest
    with pytest.raises(ModelError):
        Recipe(slices=0)
