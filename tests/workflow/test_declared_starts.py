"""Weights that trainings start from: declared, told on documents, and the word taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from auditor.domain.artefact import Digest
from auditor.domain.model_events import MadeOf
from auditor.domain.request import DecisionKind, Outcome
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis
from auditor.errors import MisuseError, ModelError
from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.learning.start import begin
from auditor.learning.training import train
from auditor.learning.weights import save_tensors, weights_bytes
from auditor.workflow.audit.scene import load_scene, register_trained, train_and_register
from auditor.workflow.desk.desk import decide
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.starts import Start, list_starts
from auditor.workflow.models.declaring_starts import declare_start, withdraw_start
from auditor.workflow.models.left_behind import left_behind
from tests.cli.conftest import Auditor, auditor
from tests.workflow.test_scope import filed, kinds, names, ran, stated
from tests.workflow.trained import MODEL, RECIPE, attempt, begun, divided, empty_home, manifest_in

__all__ = ["auditor"]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = empty_home(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """As whoever taught a network on other images publishes it."""
    path = tmp_path / "published.pt"
    torch.save(build(replace(RECIPE, classes=9), 2025).state_dict(), path)
    return path


def declared(home: Home, path: Path, made_of: MadeOf = MadeOf.OTHER_THINGS) -> Start:
    return declare_start(home, path, name="SHAPES_V1", made_of=made_of, actor="dpo")


def starting(home: Home, weights: Digest) -> Recipe:
    return replace(RECIPE, starts_from=str(weights), store=str(home.store.root))


def trained(home: Home, recipe: Recipe) -> None:
    train_and_register(
        home, model=MODEL, manifest=manifest_in(home), recipe=recipe, notice=print, seed=1
    )


def test_nothing_is_trained_or_registered_from_weights_that_nobody_declares(
    home: Home, published: Path, tmp_path: Path
) -> None:
    unknown = starting(home, Digest.of(b"unknown"))
    content = tmp_path / "made.safetensors"
    content.write_bytes(weights_bytes(build(RECIPE, 1)))
    size = home.ledger.size
    with pytest.raises(ModelError, match="auditor model start add"):
        trained(home, unknown)
    with pytest.raises(ModelError, match="auditor model start add"):
        register_trained(
            home,
            model=MODEL,
            manifest=divided(manifest_in(home), RECIPE),
            recipe=unknown,
            weights=content,
            notice=print,
        )
    assert home.ledger.size == size
    trained(home, starting(home, declared(home, published).weights))
    scene = load_scene(home, MODEL)
    assert scene.recipe.starts_from and scene.recipe.store == str(home.store.root)


def test_going_back_starts_from_them_too(home: Home, published: Path) -> None:
    recipe = starting(home, declared(home, published).weights)
    trained(home, recipe)
    scene = load_scene(home, MODEL)
    work = begun(home, names(scene, scene.training)[0])
    attempt(work, "rewind")
    made = work.state.attempts[-1]
    assert made.replayed and made.completed is not None
    masked = train(recipe, scene.images, scene.split.train, 1, without=work.forgotten)
    assert home.store.get(made.completed.after) == weights_bytes(masked)
    elsewhere = train(RECIPE, scene.images, scene.split.train, 1, without=work.forgotten)
    assert weights_bytes(masked) != weights_bytes(elsewhere)


@pytest.mark.parametrize(
    ("made_of", "said"),
    [
        (MadeOf.OTHER_THINGS, "of images of other things than patients."),
        (MadeOf.OTHER_PATIENTS, "of patients elsewhere, and of none whose images it holds."),
    ],
)
def test_a_document_tells_what_trainings_start_from(
    home: Home, published: Path, made_of: MadeOf, said: str
) -> None:
    start = declared(home, published, made_of)
    trained(home, starting(home, start.weights))
    case = filed(home, ["nobody"])
    state = ran(home, case)
    assert state.issued is not None and state.issued.outcome is Outcome.NOTHING_TO_UNLEARN
    statement = stated(home, case)
    assert statement["model"]["startsFrom"] == {
        "weights": str(start.weights),
        "name": "SHAPES_V1",
        "madeOf": made_of.value,
        "declared": start.declared[:10],
        "withdrawn": "no",
    }
    (line,) = [line for line in statement["summary"] if "SHAPES_V1" in line]
    assert said in line and "was not verified" in line
    assert home.store.has(start.weights)  # it is nobody's leftover


def test_once_the_word_is_taken_back_nothing_is_trained_from_them_and_cases_end_in_records(
    home: Home, published: Path
) -> None:
    start = declared(home, published)
    trained(home, starting(home, start.weights))
    scene = load_scene(home, MODEL)
    first, second, *_ = names(scene, scene.training)
    under_way = begun(home, first)
    with pytest.raises(MisuseError, match=f"case {under_way.case} is under way"):
        withdraw_start(home, start.weights, actor="dpo")
    decide(home, under_way.case, DecisionKind.WITHDRAWN, "dpo")
    resting = withdraw_start(home, start.weights, actor="dpo")
    assert (resting.models, resting.certificates) == ((MODEL,), ())
    assert not home.store.has(start.weights)
    case = filed(home, [second])
    state = ran(home, case)
    assert state.obstacle is Obstacle.STARTS_TRAINED
    assert state.reached is not None and state.reached.basis is Basis.NONE
    assert not {"bank-trained/v1", "attempt-started/v1"} & kinds(home, case)
    said = stated(home, case)
    assert said["model"]["startsFrom"]["withdrawn"] == "yes"
    assert any("It has taken that back since." in line for line in said["summary"])
    with pytest.raises(ModelError, match="nobody declares"):
        train_and_register(
            home,
            model="another",
            manifest=manifest_in(home),
            recipe=starting(home, start.weights),
            notice=print,
        )
    before = home.ledger.size
    assert withdraw_start(home, start.weights, actor="dpo") == resting  # again, after a stop
    assert home.ledger.size == before
    assert not declared(home, published).withdrawn  # a new word, entered anew
    assert [item.withdrawn for item in list_starts(home)] == [False]


def test_a_model_of_the_home_is_no_start_nor_is_a_layer_of_one(
    home: Home, published: Path, tmp_path: Path
) -> None:
    start = declared(home, published)
    recipe = starting(home, start.weights)
    untrained = tmp_path / "untrained.safetensors"  # as where the body is frozen
    untrained.write_bytes(weights_bytes(begin(recipe, 1)))
    register_trained(
        home,
        model=MODEL,
        manifest=divided(manifest_in(home), RECIPE),
        recipe=recipe,
        weights=untrained,
        notice=print,
    )
    with pytest.raises(MisuseError, match=f"layers of {MODEL} version 1"):
        declared(home, untrained)
    head = {"renamed": begin(recipe, 1).state_dict()["head.weight"]}
    part = tmp_path / "part.safetensors"
    part.write_bytes(save_tensors(head))
    with pytest.raises(MisuseError, match=f"layers of {MODEL} version 1"):
        declared(home, part)
    with pytest.raises(MisuseError, match="declared already"):
        declared(home, published)
    # the body's layers are those that were declared, and may be declared with another head
    other = {**begin(recipe, 7).state_dict()}
    part.write_bytes(save_tensors(other))
    assert declared(home, part).weights != start.weights
    assert all(home.store.has(item.weights) for item in list_starts(home))
    assert not list(left_behind(home, "none", MODEL))


def test_the_command_declares_lists_and_takes_back(
    auditor: Auditor, home: Home, published: Path, tmp_path: Path
) -> None:
    words = ("model", "start", "add", published, "--made-of", "images-of-other-things")
    at = ("--home", home.root, "--json")
    refused = auditor(*words, "--name", "Dr. Who", *at)
    assert (refused.code, refused.err.count("\n")) == (2, 1) and "Who" not in refused.err
    made = auditor(*words, "--name", "SHAPES_V1", *at).json
    assert made["stands"] == "yes"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'starts_from = "{made["weights"]}"\ninput_size = 16\nwidth = 4\nepochs = 1\n'
        "train_images = 24\n",
        encoding="utf-8",
    )
    train = auditor("model", "train", "own", "--data", manifest_in(home), "--recipe", recipe, *at)
    assert train.code == 0, train.err
    assert auditor("model", "show", "own", *at).json[0]["starts_from"] == "SHAPES_V1"
    back = auditor("model", "start", "withdraw", made["weights"], *at)
    assert back.json == {"models": ["own"], "certificates": []}
    assert [line["stands"] for line in auditor("model", "start", "list", *at).json] == ["no"]
    assert auditor("model", "start", "withdraw", str(Digest.of(b"none")), *at).code == 2
    refused = auditor("model", "start", "add", recipe, "--name", "X", *words[4:], *at)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert json.loads(auditor("ledger", "audit", *at).out)
