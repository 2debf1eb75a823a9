"""Going back and replaying: bit for bit the training that never had those images."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from auditor.domain.artefact import Digest
from auditor.errors import TamperedError, UnlearningError
from auditor.learning.history import Checkpoint, History, Keeping, Saved
from auditor.learning.order import batch_order
from auditor.learning.recipe import Recipe
from auditor.learning.training import train
from auditor.learning.weights import weights_bytes
from auditor.unlearning.method import METHODS
from auditor.unlearning.rewind import Rewind, way_back
from auditor.unlearning.task import Need, Task
from tests.learning.noise import noise

IMAGES = noise()
INDICES = tuple(range(30))
SEED = 11
RECIPE = Recipe(input_size=16, width=4, epochs=4, batch_size=4, slices=3)
STEPS = batch_order(RECIPE, IMAGES.subjects, INDICES, SEED)


class Shelf:
    """Keeps checkpoints by digest, and counts what is read."""

    def __init__(self) -> None:
        self.kept: dict[Digest, bytes] = {}
        self.made: list[Saved] = []
        self.listed: list[Saved] = []
        self.read_ones: list[Digest] = []

    def keep(self, checkpoint: Checkpoint) -> None:
        digest = Digest.of(checkpoint.data)
        self.kept[digest] = checkpoint.data
        self.made.append(Saved(step=checkpoint.step, digest=digest))

    def read(self, digest: Digest) -> bytes:
        self.read_ones.append(digest)
        return self.kept[digest]

    def history(self, without: frozenset[int] = frozenset()) -> History:
        return History(
            seed=SEED,
            indices=INDICES,
            without=without,
            checkpoints=tuple(self.listed),
            read=self.read,
            keeping=Keeping(spacing=1, keep=self.keep),
        )


def record(recipe: Recipe = RECIPE) -> tuple[Task, Shelf]:
    """A recorded training, and a task that forgets nobody yet."""
    shelf = Shelf()
    keeping = Keeping(spacing=1, keep=shelf.keep)
    module = train(recipe, IMAGES, INDICES, SEED, keeping=keeping)
    shelf.listed, shelf.made = shelf.made, []
    task = Task(
        recipe=recipe,
        module=module,
        images=IMAGES,
        forget=(),
        retain=INDICES,
        seed=1,
        history=shelf.history(),
    )
    return task, shelf


@pytest.fixture(scope="module")
def recorded() -> tuple[Task, Shelf]:
    return record()


def forgetting(task: Task, images: frozenset[int]) -> Task:
    retain = tuple(i for i in task.retain if i not in images)
    return replace(task, forget=tuple(sorted(images)), retain=retain)


def of_slice(number: int) -> frozenset[int]:
    """All images of a patient of that slice whose first minibatch comes last."""
    patients = {
        subject: frozenset(i for i in INDICES if IMAGES.subjects[i] == subject)
        for subject in IMAGES.subjects
    }
    inside = [i for i in patients.values() if i and STEPS.first_step(i) in STEPS.fresh[number]]
    return max(inside, key=STEPS.first_step)


def masked(images: frozenset[int], recipe: Recipe = RECIPE) -> bytes:
    return weights_bytes(train(recipe, IMAGES, INDICES, SEED, without=images))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_it_is_the_training_from_the_start_with_the_images_masked(
    recorded: tuple[Task, Shelf], number: int
) -> None:
    task, shelf = recorded
    gone = of_slice(number)
    shelf.read_ones.clear()
    asked = forgetting(replace(task, history=shelf.history()), gone)
    way = way_back(asked)
    found = weights_bytes(METHODS["rewind"].run(asked, {}))
    assert found == masked(gone) != weights_bytes(task.module)
    assert way.start is not None and shelf.read_ones == [way.start.digest]
    assert way.start.step == STEPS.first_step(gone)
    assert way.replayed == way.steps - way.start.step == len(STEPS.steps) - way.start.step
    assert number == 0 or way.start.step >= STEPS.fresh[number].start


def test_without_a_checkpoint_from_before_it_starts_at_the_start(
    recorded: tuple[Task, Shelf],
) -> None:
    task, shelf = recorded
    gone = frozenset(STEPS.steps[0].tolist())
    asked = forgetting(replace(task, history=shelf.history()), gone)
    assert way_back(asked).start is None
    assert way_back(asked).replayed == way_back(asked).steps
    shelf.read_ones.clear()
    assert weights_bytes(Rewind().run(asked, {})) == masked(gone)
    assert shelf.read_ones == []


def test_a_checkpoint_one_step_too_late_still_carries_the_patient() -> None:
    """What `way_back` holds it to is the last that can be: the next one gives another model."""
    gone = of_slice(1)
    first = STEPS.first_step(gone)
    kept: list[Checkpoint] = []
    train(RECIPE, IMAGES, INDICES, SEED, keeping=Keeping(spacing=1, keep=kept.append))
    by_step = {item.step: item for item in kept}
    for step, same in ((first, True), (first + 1, False)):
        found = train(RECIPE, IMAGES, INDICES, SEED, without=gone, start=by_step[step])
        assert (weights_bytes(found) == masked(gone)) is same


def test_erasure_after_erasure_goes_back_to_what_carries_neither() -> None:
    one, two = of_slice(2), of_slice(1)
    for first, second in ((one, two), (two, one)):
        task, shelf = record()
        asked = forgetting(task, first)
        way, listed = way_back(asked), shelf.listed
        assert weights_bytes(Rewind().run(asked, {})) == masked(first)
        shared = [saved for saved in listed if way.start and saved.step <= way.start.step]
        assert [saved.step for saved in shared + shelf.made] == [saved.step for saved in listed]
        shelf.listed = shared + shelf.made  # what the older history had beyond is destroyed
        later = forgetting(replace(asked, history=shelf.history(without=first)), second)
        start = way_back(later).start
        assert start is not None and start.step == STEPS.first_step(second)
        assert weights_bytes(Rewind().run(later, {})) == masked(one | two)
        shelf.listed = shared  # as after an approximate erasure, which makes no checkpoints
        later = replace(later, history=shelf.history(without=first))
        start = way_back(later).start
        assert start is not None and start.step == STEPS.first_step(first | second)
        assert weights_bytes(Rewind().run(later, {})) == masked(one | two)


def test_more_slices_leave_less_to_replay() -> None:
    """Replayed steps over all patients: nearly all with one slice, fewer with four."""
    shares = []
    for slices in (1, 4):
        recipe = replace(RECIPE, slices=slices, epochs=8)
        order = batch_order(recipe, IMAGES.subjects, INDICES, SEED)
        saved = tuple(Saved(step=s, digest=Digest.of(b"x")) for s in order.checkpoint_steps(2))
        history = replace(Shelf().history(), checkpoints=saved)
        task = Task(
            recipe=recipe,
            module=torch.nn.Linear(1, 1),
            images=IMAGES,
            forget=(),
            retain=INDICES,
            seed=1,
            history=history,
        )
        patients = {IMAGES.subjects[i] for i in INDICES}
        ways = [
            way_back(forgetting(task, frozenset(i for i in INDICES if IMAGES.subjects[i] == p)))
            for p in patients
        ]
        shares.append(sum(way.replayed for way in ways) / sum(way.steps for way in ways))
    assert 0.9 < shares[0] <= 1.0
    assert 0.6 < shares[1] < 0.8


def test_what_can_not_be_replayed_is_refused(recorded: tuple[Task, Shelf]) -> None:
    task, shelf = recorded
    asked = forgetting(replace(task, history=shelf.history()), of_slice(1))
    assert Rewind.needs == {Need.HISTORY}
    with pytest.raises(UnlearningError, match="wasn't trained here"):
        Rewind().run(replace(asked, history=None), {})
    with pytest.raises(UnlearningError, match="takes no parameters; found step"):
        Rewind().run(asked, {"step": "3"})
    with pytest.raises(UnlearningError, match="wasn't on these images"):
        Rewind().run(replace(asked, retain=(*asked.retain, 31)), {})
    with pytest.raises(UnlearningError, match="some retained"):
        Rewind().run(replace(asked, forget=INDICES, retain=()), {})
    with pytest.raises(UnlearningError, match="either retained or forgotten"):
        Rewind().run(replace(asked, retain=INDICES), {})
    with pytest.raises(UnlearningError, match="another network"):
        Rewind().run(replace(asked, recipe=replace(RECIPE, width=8)), {})

    def changed(_digest: Digest) -> bytes:
        raise TamperedError("changed")

    with pytest.raises(TamperedError):
        Rewind().run(replace(asked, history=replace(shelf.history(), read=changed)), {})


def test_the_module_in_service_and_the_history_stay_as_they_are(
    recorded: tuple[Task, Shelf],
) -> None:
    task, shelf = recorded
    before, kept = weights_bytes(task.module), dict(shelf.kept)
    Rewind().run(forgetting(replace(task, history=shelf.history()), of_slice(1)), {})
    assert weights_bytes(task.module) == before
    assert {digest: shelf.kept[digest] for digest in kept} == kept
