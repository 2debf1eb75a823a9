"""A version's curvatures on the books: entered before they are kept, gone with the version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import cast

import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.case import ErasureCase
from auditor.domain.request import Ground, Regime
from auditor.domain.verdict import Basis, Verdict
from auditor.errors import TamperedError
from auditor.learning.phantoms import draw_phantoms
from auditor.learning.recipe import Recipe
from auditor.learning.weights import weights_bytes
from auditor.unlearning.method import METHODS
from auditor.unlearning.task import Task
from auditor.workflow.audit.scene import Scene, load_module, load_scene, train_and_register
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import case_stream
from auditor.workflow.homes.registry import DataRecord, deploy, register_data, register_version
from auditor.workflow.models.accounting import account
from auditor.workflow.models.curvature_book import CurvatureShelf, curvatures_of, known_model
from auditor.workflow.models.reerasure import came_back
from tests.workflow.killing import killed_before

CASE = "c" * 16
KEY = Digest.of(b"key")
CONTENT = b"inner products of gradients"
CACHE = Digest.of(CONTENT)


@pytest.fixture
def version(home: Home) -> ev.ModelRegistered:
    """A model on the books, its weights in the store."""
    nowhere = DataRecord(manifest=Path("nowhere"), digest=KEY, size=16, split_seed=1)
    register_data(home, "d", nowhere, counts=(9, 9), synthetic=True)
    registered = register_version(
        home,
        model="m",
        architecture="small-resnet",
        weights=home.store.put(b"weights"),
        recipe=home.store.put(b"recipe"),
        data_set="d",
        training_images=9,
    )
    deploy(home, registered)
    return registered


@pytest.fixture
def shelf(home: Home, version: ev.ModelRegistered) -> CurvatureShelf:
    return CurvatureShelf(home=home, version=version)


def reached(home: Home, version: ev.ModelRegistered, basis: Basis) -> ErasureCase:
    """A case against the version, its verdict reached; with a basis, another model was made."""
    scope = ev.event_from(
        "scope-established/v1",
        {"case": CASE, "weights": str(version.weights), "training_images": 1, "affected": []},
    )
    erased = basis is not Basis.NONE
    return ErasureCase(
        requested=ev.ErasureRequested(
            case=CASE,
            regime=Regime.GDPR,
            ground=Ground.CONSENT_WITHDRAWN,
            received=date(2026, 10, 1),
            model="m",
            subjects=1,
            payload=home.vault.seal(f"case:{CASE}", canonical_bytes({"subjects": ["p"]})),
            policies=KEY,
        ),
        scope=cast(ev.ScopeEstablished, scope),
        reached=ev.VerdictReached(
            case=CASE,
            verdict=Verdict.PASSED,
            basis=basis,
            weights=home.store.put(b"new weights") if erased else version.weights,
        ),
    )


def fates(home: Home) -> list[tuple[Digest, ArtefactFate, str]]:
    return [
        (item.event.artefact, item.event.fate, item.event.ground)
        for item in home.ledger.replay(case_stream(CASE))
        if isinstance(item.event, ev.ArtefactAccounted)
        and item.event.artefact_kind is ArtefactKind.CURVATURE
    ]


def files(home: Home) -> set[str]:
    """What lies in the store beyond model and recipe."""
    known = {Digest.of(each).value for each in (b"weights", b"new weights", b"recipe")}
    return {path.name for path in home.store.root.iterdir()} - known


def test_what_is_kept_is_entered_once_and_found_by_its_key(
    home: Home, shelf: CurvatureShelf, version: ev.ModelRegistered
) -> None:
    assert shelf.find(KEY) is None
    for _ in range(2):
        shelf.keep(KEY, CONTENT, images=7)
    (kept,) = curvatures_of(home, "m", version.weights)
    assert (kept.key, kept.cache, kept.images) == (KEY, CACHE, 7)
    assert shelf.find(KEY) == CONTENT and shelf.find(Digest.of(b"other")) is None
    shelf.keep(Digest.of(b"other"), CONTENT, images=7)
    shelf.keep(KEY, b"made anew", images=6)
    assert shelf.find(KEY) == b"made anew" and shelf.find(Digest.of(b"other")) == CONTENT
    assert len(curvatures_of(home, "m", version.weights)) == 3
    assert curvatures_of(home, "m", Digest.of(b"other weights")) == ()


def test_another_version_recipe_or_data_set_is_another_model(
    home: Home, version: ev.ModelRegistered
) -> None:
    other = Digest.of(b"other")
    identities = {
        known_model(home, each, data=data, training=(1, 2)).identity
        for each, data in (
            (version, KEY),
            (version, other),
            (replace(version, weights=other), KEY),
            (replace(version, recipe=other), KEY),
        )
    }
    assert len(identities) == 4


@pytest.mark.parametrize("harm", [lambda data: data[:9], lambda data: b"I" + data[1:]])
def test_a_changed_or_truncated_file_is_refused_and_can_be_made_anew(
    shelf: CurvatureShelf, harm: Callable[[bytes], bytes]
) -> None:
    shelf.keep(KEY, CONTENT, images=7)
    path = shelf.home.store.root / CACHE.value
    path.write_bytes(harm(CONTENT))
    with pytest.raises(TamperedError, match="remove that file"):
        shelf.find(KEY)
    path.unlink()
    assert shelf.find(KEY) is None
    shelf.keep(KEY, CONTENT, images=7)
    assert shelf.find(KEY) == CONTENT


def test_they_are_destroyed_with_the_version_and_accounted_for(
    home: Home, shelf: CurvatureShelf, version: ev.ModelRegistered
) -> None:
    shelf.keep(KEY, CONTENT, images=7)
    (home.store.root / f".{CACHE.value}.123.part").write_bytes(CONTENT[:5])  # a stopped put
    account(home, CASE, reached(home, version, Basis.EXACT))
    assert fates(home) == [(CACHE, ArtefactFate.DESTROYED, "no-longer-needed")]
    assert not files(home) and shelf.find(KEY) is None
    assert came_back(home, destroy=True) == ()
    home.store.put(CONTENT)  # as from a backup
    (found,) = came_back(home, destroy=True)
    assert (found.what, found.artefact) == ("curvature", CACHE)
    assert not files(home)
    shelf.keep(Digest.of(b"other"), CONTENT, images=7)  # made once more, and rightly here
    assert came_back(home, destroy=True) == ()


def test_where_the_version_stays_they_stay_and_are_listed(
    home: Home, shelf: CurvatureShelf, version: ev.ModelRegistered
) -> None:
    shelf.keep(KEY, CONTENT, images=7)
    account(home, CASE, reached(home, version, Basis.NONE))
    assert fates(home) == [(CACHE, ArtefactFate.RETAINED, "erasure-not-established")]
    assert shelf.find(KEY) == CONTENT
    assert came_back(home, destroy=True) == ()


def stopped(functions: frozenset[str], act: Callable[[Home], object], root: Path) -> Iterator[int]:
    """Die before the n-th call to one of the functions, for every n there is."""

    def whole() -> None:
        home = open_home(root)
        act(home)
        home.close()

    call = 1
    while killed_before(call, functions, whole):
        yield call
        call += 1


def test_killed_anywhere_no_file_is_without_an_entry(
    home: Home, shelf: CurvatureShelf, version: ev.ModelRegistered
) -> None:
    root = home.root
    home.close()
    dying = frozenset({"record", "append", "put", "write_atomically", "keep"})
    stops = 0
    for number in stopped(
        dying,
        lambda it: CurvatureShelf(home=it, version=version).keep(KEY, CONTENT, images=7),
        root,
    ):
        stops = number
        again = open_home(root)
        entered = {item.cache.value for item in curvatures_of(again, "m", version.weights)}
        assert files(again) <= entered
        again.close()
    assert stops >= 4
    again = open_home(root)
    assert CurvatureShelf(home=again, version=version).find(KEY) == CONTENT
    assert len(curvatures_of(again, "m", version.weights)) == 1
    state = reached(again, version, Basis.EXACT)
    again.close()
    for _ in stopped(
        frozenset({"append", "destroy", "destroy_file"}), lambda it: account(it, CASE, state), root
    ):
        pass
    again = open_home(root)
    assert fates(again) == [(CACHE, ArtefactFate.DESTROYED, "no-longer-needed")]
    assert not files(again)
    again.close()


@dataclass(frozen=True)
class Trained:
    home: Home
    scene: Scene

    def newton(self, *subjects: str) -> bytes:
        forget = self.scene.of_subjects(subjects)
        task = Task(
            recipe=self.scene.recipe,
            module=load_module(self.home, self.scene, self.scene.version.weights),
            images=self.scene.images,
            forget=forget,
            retain=self.scene.without(forget),
            seed=1,
            known=self.scene.known,
        )
        return weights_bytes(METHODS["newton"].run(task, {"damping": "3", "subset": "20"}))


@pytest.fixture
def trained(home: Home, tmp_path: Path) -> Trained:
    manifest = draw_phantoms(tmp_path / "phantoms", seed=4, patients=40)
    recipe = Recipe(input_size=16, width=4, epochs=1, train_images=30)
    train_and_register(
        home, model="m", manifest=manifest, recipe=recipe, notice=lambda _text: None, seed=1
    )
    return Trained(home=home, scene=load_scene(home, "m"))


def test_requests_share_one_curvature_and_the_store_being_empty_changes_no_bit(
    trained: Trained,
) -> None:
    home, weights = trained.home, trained.scene.version.weights
    one, other = sorted({trained.scene.images.subjects[i] for i in trained.scene.training})[:2]
    cold = trained.newton(one)
    (kept,) = curvatures_of(home, "m", weights)
    assert kept.images == 20 and home.store.has(kept.cache)
    assert trained.newton(one) == cold
    warm = trained.newton(other)
    assert len(curvatures_of(home, "m", weights)) == 1
    home.store.destroy(kept.cache)
    assert trained.newton(other) == warm != cold
    assert curvatures_of(home, "m", weights) == (kept,) and home.store.has(kept.cache)
