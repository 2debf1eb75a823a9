"""Recorded trainings: what is kept, what is gone back to, what is destroyed, and after a stop."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.kind import Event
from auditor.domain.verdict import Basis
from auditor.errors import HomeError, LedgerError, TamperedError
from auditor.learning.history import History
from auditor.unlearning.method import METHODS
from auditor.unlearning.rewind import way_back
from auditor.workflow.audit.scene import load_scene, register_trained, train_and_register
from auditor.workflow.audit.training_history import load_history
from auditor.workflow.erasure.casework import CONTROL
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.registry import find_model, list_models, require_model
from auditor.workflow.homes.steps import EXACT_METHODS
from auditor.workflow.models.accounting import account
from auditor.workflow.models.reerasure import came_back
from auditor.workflow.models.training_book import (
    FOLDER,
    checkpoint_store,
    listed_checkpoints,
    recorded_training,
)
from tests.campaigns import Campaign
from tests.workflow.killing import killed_before
from tests.workflow.trained import (
    MODEL,
    RECIPE,
    SEED,
    Work,
    attempt,
    begun,
    conclude,
    divided,
    empty_home,
    erase,
    manifest_in,
    masked,
    order_of,
    patient_of,
    settle,
    train_here,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained") / "home"
    empty_home(root).close()
    shutil.copytree(root, root.with_name("empty"))
    home = open_home(root)
    train_here(home)
    home.close()
    return root


@pytest.fixture
def trained(template: Path, tmp_path: Path) -> Iterator[Home]:
    """A home with a model that was trained here; its images lie where they lay."""
    opened = open_home(Path(shutil.copytree(template, tmp_path / "home")))
    yield opened
    opened.close()


def history_of(home: Home) -> History:
    history = load_history(home, load_scene(home, MODEL))
    assert history is not None
    return history


def on_disk(home: Home) -> set[Digest]:
    names = [path.name for path in (home.root / FOLDER).iterdir()]
    return {Digest(name) for name in names}


def steps_of(home: Home) -> list[int]:
    return [saved.step for saved in history_of(home).checkpoints]


def fates(work: Work) -> dict[Digest, tuple[ArtefactFate, str]]:
    return {
        item.artefact: (item.fate, item.ground)
        for item in work.state.accounted
        if item.artefact_kind is ArtefactKind.TRAINING_CHECKPOINT
    }


def all_events(home: Home) -> list[Event]:
    return [item.event for item in home.ledger.read()]


def test_a_training_leaves_its_checkpoints_and_a_commitment_to_its_seed(trained: Home) -> None:
    scene = load_scene(trained, MODEL)
    history, order = history_of(trained), order_of(scene)
    assert history.seed == SEED
    assert history.indices == scene.split.train and history.without == frozenset()
    assert [saved.step for saved in history.checkpoints] == list(order.checkpoint_steps(2))
    assert {saved.digest for saved in history.checkpoints} == on_disk(trained)
    (event,) = [item for item in all_events(trained) if isinstance(item, ev.TrainingRecorded)]
    assert event.weights == scene.version.weights and event.steps == len(order.steps)
    assert str(history.seed).encode() not in b"".join(trained.ledger.entries())
    assert str(history.seed) not in repr(history)
    assert trained.vault.open(event.order) == str(history.seed).encode()
    trained.vault.forget_payload(event.order)
    with pytest.raises(LedgerError):
        history_of(trained)
    assert [item.what for item in came_back(trained, destroy=False)] == [
        "a vault payload is missing"
    ]


def test_the_table_of_exact_methods_is_that_of_the_workshop() -> None:
    assert {name for name, method in METHODS.items() if method.exact} == EXACT_METHODS


def test_a_model_trained_elsewhere_has_no_history(trained: Home) -> None:
    weights = trained.root / "model.safetensors"
    weights.write_bytes(trained.store.get(require_model(trained, MODEL).current.weights))
    register_trained(
        trained,
        model="bought",
        manifest=divided(manifest_in(trained), RECIPE),
        recipe=RECIPE,
        weights=weights,
        notice=lambda _: None,
    )
    assert recorded_training(trained, "bought") is None
    assert load_history(trained, load_scene(trained, "bought")) is None


def test_rewinds_one_after_another_are_trainings_without_all_of_them(trained: Home) -> None:
    full = steps_of(trained)
    last, middle = patient_of(trained, 2), patient_of(trained, 1)
    before = on_disk(trained)
    first = begun(trained, last)
    start = way_back(first.task("rewind")).start
    assert start is not None
    attempt(first, "rewind")
    conclude(first, Basis.EXACT)
    settle(first)
    assert trained.store.get(require_model(trained, MODEL).current.weights) == masked(
        trained, [last]
    )
    gone = before - on_disk(trained)
    assert fates(first) == dict.fromkeys(gone, (ArtefactFate.DESTROYED, "no-longer-needed"))
    assert len(gone) == len([step for step in full if step > start.step]) > 0
    assert steps_of(trained) == full  # those beyond were made anew, without the patient
    assert {saved.digest for saved in history_of(trained).checkpoints} == on_disk(trained)
    newest = [item for item in all_events(trained) if isinstance(item, ev.TrainingRecorded)][-1]
    assert {saved.digest for saved in listed_checkpoints(trained, newest)} == on_disk(trained)

    second = erase(trained, middle, "rewind", Basis.EXACT)
    assert trained.store.get(require_model(trained, MODEL).current.weights) == masked(
        trained, [last, middle]
    )
    assert steps_of(trained) == full and set(fates(second)).isdisjoint(on_disk(trained))
    assert set(second.state.scope.affected if second.state.scope else ()) >= set(fates(second))
    assert came_back(trained, destroy=False) == ()


def test_after_an_approximate_erasure_only_older_checkpoints_are_left(trained: Home) -> None:
    full = steps_of(trained)
    middle, last = patient_of(trained, 1), patient_of(trained, 2)
    scene = load_scene(trained, MODEL)
    seen = order_of(scene).first_step(scene.of_subjects([middle]))
    work = erase(trained, middle, "newton", Basis.STATISTICAL_INDIVIDUAL)
    assert steps_of(trained) == [step for step in full if step <= seen] != full
    assert set(fates(work)).isdisjoint(on_disk(trained))
    assert len(fates(work)) == len([step for step in full if step > seen])
    erase(trained, last, "rewind", Basis.EXACT)
    assert trained.store.get(require_model(trained, MODEL).current.weights) == masked(
        trained, [middle, last]
    )
    assert steps_of(trained) == full


def test_where_nobody_was_erased_the_history_stays_and_the_candidates_goes(trained: Home) -> None:
    before = on_disk(trained)
    work = begun(trained, patient_of(trained, 2))
    attempt(work, "rewind")
    made = on_disk(trained) - before
    assert made
    conclude(work, Basis.NONE)
    settle(work)
    assert on_disk(trained) == before
    told = fates(work)
    assert {told[digest] for digest in made} == {(ArtefactFate.DESTROYED, "no-longer-needed")}
    kept = {digest for digest in told if told[digest][0] is ArtefactFate.RETAINED}
    assert kept and kept < before
    assert {told[digest][1] for digest in kept} == {"erasure-not-established"}

    again = erase(trained, patient_of(trained, 2), "rewind", Basis.EXACT)  # asked once more
    assert made <= on_disk(trained) and kept.isdisjoint(on_disk(trained))
    assert set(fates(again)) == kept
    assert came_back(trained, destroy=False) == ()


def test_a_checkpoint_put_back_is_told_destroyed_again_and_never_used(trained: Home) -> None:
    copies = {path: path.read_bytes() for path in (trained.root / FOLDER).iterdir()}
    erase(trained, patient_of(trained, 1), "newton", Basis.STATISTICAL_INDIVIDUAL)
    left = history_of(trained).checkpoints
    for path, content in copies.items():
        path.write_bytes(content)
    assert history_of(trained).checkpoints == left
    back = came_back(trained, destroy=True)
    assert {item.what for item in back} == {"training-checkpoint"}
    assert on_disk(trained) == {saved.digest for saved in left}


def test_a_changed_checkpoint_stops_the_replay(trained: Home) -> None:
    work = begun(trained, patient_of(trained, 2))
    start = way_back(work.task("rewind")).start
    assert start is not None
    path = checkpoint_store(trained).root / start.digest.value
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(TamperedError):
        attempt(work, "rewind")


def test_checkpoints_of_another_model_are_no_business_of_a_case(trained: Home) -> None:
    train_and_register(
        trained,
        model="other",
        manifest=manifest_in(trained),
        recipe=replace(RECIPE, epochs=1),
        notice=lambda _: None,
        seed=SEED + 1,
    )
    other = load_history(trained, load_scene(trained, "other"))
    assert other is not None and other.checkpoints
    erase(trained, patient_of(trained, 1), "newton", Basis.STATISTICAL_INDIVIDUAL)
    assert {saved.digest for saved in other.checkpoints} < on_disk(trained)
    assert load_history(trained, load_scene(trained, "other")).checkpoints == other.checkpoints  # type: ignore[union-attr]  # it is recorded


def test_what_a_retrain_becomes_hangs_on_no_image_of_whom_it_was_made_without(
    tmp_path: Path,
) -> None:
    """Else who holds the others' images could tell a guess at the erased one from the truth."""
    first = empty_home(tmp_path / "first")
    train_here(first)
    subject = patient_of(first, 1)
    other = empty_home(tmp_path / "other")
    spoil_a_pixel(manifest_in(other), subject)
    train_here(other)
    scenes = [load_scene(home, MODEL) for home in (first, other)]
    one, two = (scene.images.images[list(scene.of_subjects([subject]))] for scene in scenes)
    assert not torch.equal(one, two)
    assert scenes[0].split == scenes[1].split
    assert masked(first, [subject]) == masked(other, [subject])
    seeds = [
        [work.seed(name) for name in ("retrain", CONTROL)]
        for work in (begun(home, subject) for home in (first, other))
    ]
    assert seeds[0] == seeds[1] and len(set(seeds[0])) == 2
    for home in (first, other):
        assert history_of(home).seed == SEED
        home.close()


def test_a_training_that_names_no_seed_is_drawn_by_chance(trained: Home) -> None:
    histories = []
    for name in ("one", "two"):
        train_and_register(
            trained,
            model=name,
            manifest=manifest_in(trained),
            recipe=replace(RECIPE, epochs=1),
            notice=lambda _: None,
        )
        histories.append(load_history(trained, load_scene(trained, name)))
    one, two = histories
    assert one is not None and two is not None and one.seed != two.seed
    assert one.indices == two.indices  # the data set is divided once


def spoil_a_pixel(manifest: Path, subject: str) -> None:
    with manifest.open(newline="", encoding="utf-8") as file:
        named = next(row for row in csv.DictReader(file) if row["subject_id"] == subject)
    path = manifest.parent / named["image_path"]
    with Image.open(path) as picture:
        pixels = np.array(picture)
    pixels.flat[0] ^= 1
    Image.fromarray(pixels).save(path)


def test_no_training_starts_while_a_run_works_in_the_home(trained: Home) -> None:
    with alone(trained), pytest.raises(HomeError, match="wait for it to end"):
        train_here(trained)


CALLS = frozenset({"write_atomically", "append_all", "seal", "destroy_file"})


def stopped(
    ready: Path, tmp_path: Path, act: Callable[[Home], object], *, every: int
) -> Iterator[Home]:
    """Copies of a home in which the act was killed before one of its writes, and one where not."""
    for call in count(1, every):
        root = Path(shutil.copytree(ready, tmp_path / str(call) / "home"))
        went_on = killed_before(call, CALLS, lambda root=root: act(open_home(root)))  # type: ignore[misc]  # bound in the loop
        home = open_home(root)
        yield home
        home.close()
        if not went_on:
            return


def test_a_training_killed_anywhere_is_done_again_and_leaves_nothing_behind(
    tmp_path: Path, template: Path, campaign: Campaign
) -> None:
    expected = {path.name for path in (template / FOLDER).iterdir()}
    ready = template.with_name("empty")
    for home in stopped(ready, tmp_path, train_here, every=1 if campaign.long else 11):
        campaign.count(kills=1)
        if find_model(home, MODEL) is None:
            assert list_models(home) == ()
            train_here(home)
        left = checkpoint_store(home).put(b"of a training that was never done again")
        work = erase(home, patient_of(home, 1), "newton", Basis.STATISTICAL_INDIVIDUAL)
        assert fates(work)[left] == (ArtefactFate.DESTROYED, "no-longer-needed")
        listed = {saved.digest for saved in history_of(home).checkpoints}
        assert on_disk(home) == listed
        assert {digest.value for digest in listed} < expected


def test_accounting_killed_anywhere_ends_the_same(
    trained: Home, tmp_path: Path, campaign: Campaign
) -> None:
    work = begun(trained, patient_of(trained, 2))
    attempt(work, "rewind")
    conclude(work, Basis.EXACT)
    folder = checkpoint_store(trained).root
    (folder / f".{'0' * 64}.1.part").write_bytes(b"half a checkpoint")
    left = {checkpoint_store(trained).put(f"left behind {number}".encode()) for number in range(4)}
    trained.close()

    def go_on(home: Home) -> tuple[Collection[Digest], set[Digest], list[int]]:
        again = Work(home, work.case, work.settings, work.progress)
        account(home, work.case, again.state)
        return fates(again), on_disk(home), steps_of(home)

    ends = []
    for home in stopped(trained.root, tmp_path, go_on, every=1 if campaign.long else 4):
        campaign.count(kills=1)
        ends.append(go_on(home))
        assert came_back(home, destroy=False) == ()
    assert len(ends) > 3 and all(end == ends[-1] for end in ends)
    told, here, steps = ends[-1]
    assert left < set(told) and here and steps
