"""What goes into service and out of it; what an erasure replaced never comes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.domain import event as ev
from auditor.domain.verdict import Basis
from auditor.errors import MisuseError, TamperedError
from auditor.workflow.audit.scene import load_scene, register_trained
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.registry import deploy, register_version, require_model
from auditor.workflow.models.deployment import (
    put_into_service,
    put_weights_into_service,
    replaced_versions,
    serving,
    take_out_of_service,
)
from auditor.workflow.models.reerasure import came_back
from tests.cli.conftest import Auditor
from tests.cli.conftest import stocked as stocked
from tests.workflow.trained import MODEL, RECIPE, empty_home, erase, manifest_in, train_here


def second(home: Home, weights: bytes = b"other weights") -> ev.ModelRegistered:
    first = require_model(home, "detector").versions[0]
    return register_version(
        home,
        model="detector",
        architecture=first.architecture,
        weights=home.store.put(weights),
        recipe=first.recipe,
        data_set=first.data_set,
        training_images=first.training_images,
    )


def history(home: Home) -> list[tuple[str, int]]:
    return [
        (type(item.event).__name__, item.event.version)
        for item in home.ledger.replay("model:detector")
        if isinstance(item.event, ev.ModelDeployed | ev.ModelRetired)
    ]


def test_versions_go_in_and_out_of_service_as_often_as_they_are_told_to(stocked: Home) -> None:
    second(stocked)
    for version in (2, 1, 2, 1):
        put_into_service(stocked, "detector", version)
        view = require_model(stocked, "detector")
        assert (view.current.version, view.in_service) == (version, view.current.weights)
    assert take_out_of_service(stocked, "detector").version == 1
    assert require_model(stocked, "detector").in_service is None
    put_into_service(stocked, "detector", 1)
    assert require_model(stocked, "detector").current.version == 1
    expected = [("ModelDeployed", 1)]
    for old, new in ((1, 2), (2, 1), (1, 2), (2, 1)):
        expected += [("ModelRetired", old), ("ModelDeployed", new)]
    assert history(stocked) == [*expected, ("ModelRetired", 1), ("ModelDeployed", 1)]


def test_what_is_in_service_is_not_put_there_again(stocked: Home) -> None:
    size = stocked.ledger.size
    put_into_service(stocked, "detector", 1)
    assert stocked.ledger.size == size


def test_who_is_out_of_service_or_unknown_is_said_so(stocked: Home) -> None:
    with pytest.raises(MisuseError, match="no version 2"):
        put_into_service(stocked, "detector", 2)
    with pytest.raises(MisuseError, match="no model named"):
        put_into_service(stocked, "nothing", 1)
    take_out_of_service(stocked, "detector")
    with pytest.raises(MisuseError, match="isn't in service"):
        take_out_of_service(stocked, "detector")


def test_weights_that_are_gone_or_changed_do_not_go_into_service(stocked: Home) -> None:
    made = second(stocked)
    (stocked.store.root / made.weights.value).write_bytes(b"swapped")
    with pytest.raises(TamperedError):
        put_into_service(stocked, "detector", 2)
    stocked.store.destroy(made.weights)
    with pytest.raises(MisuseError, match="--weights FILE"):
        put_into_service(stocked, "detector", 2)
    with pytest.raises(MisuseError, match="no version of detector"):
        put_weights_into_service(stocked, "detector", b"some weights")
    assert history(stocked) == [("ModelDeployed", 1)]
    put_weights_into_service(stocked, "detector", b"other weights")
    assert require_model(stocked, "detector").current.version == 2
    assert stocked.store.get(made.weights) == b"other weights"


def test_serving_finds_affected_weights_under_any_name(stocked: Home) -> None:
    first = require_model(stocked, "detector").versions[0]
    copy = register_version(
        stocked,
        model="copy",
        architecture=first.architecture,
        weights=first.weights,
        recipe=first.recipe,
        data_set=first.data_set,
        training_images=30,
    )
    deploy(stocked, copy)
    found = serving(stocked, {first.weights})
    assert {(item.model, item.version) for item in found} == {("detector", 1), ("copy", 1)}
    take_out_of_service(stocked, "detector")
    assert [item.model for item in serving(stocked, {first.weights})] == ["copy"]


def test_the_command_line_deploys_and_retires(auditor: Auditor, stocked: Home) -> None:
    second(stocked)
    at = ("--home", stocked.root, "--json")
    assert auditor("model", "deploy", "detector", 2, *at).json["version"] == 2
    assert auditor("model", "list", *at).json[0]["in_service"] == 2
    assert auditor("model", "retire", "detector", *at).code == 0
    assert auditor("model", "list", *at).json[0]["in_service"] == ""
    assert auditor("model", "deploy", "detector", *at).code == 2
    assert auditor("model", "deploy", "detector", 1, "--weights", "x", *at).code == 2
    assert auditor("model", "deploy", "detector", 3, *at).code == 2
    assert auditor("model", "retire", "detector", *at).code == 2


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("deployment") / "home"
    home = empty_home(root)
    train_here(home)
    home.close()
    return root


@pytest.fixture
def ward(template: Path, tmp_path: Path) -> Iterator[Home]:
    """A home whose model was really trained."""
    opened = open_home(Path(shutil.copytree(template, tmp_path / "ward")))
    yield opened
    opened.close()


def test_a_version_that_an_erasure_replaced_stays_out(ward: Home, auditor: Auditor) -> None:
    scene = load_scene(ward, MODEL)
    before, old = scene.version, ward.store.get(scene.version.weights)
    case = erase(ward, scene.images.subjects[scene.training[0]], "retrain", Basis.EXACT).case
    assert replaced_versions(ward)[before.weights] == case
    with pytest.raises(MisuseError, match=case):
        put_into_service(ward, MODEL, 1)
    file = ward.root / "old.safetensors"
    file.write_bytes(old)
    words = ("model", "deploy", MODEL, "--weights", file, "--home", ward.root)
    ran = auditor(*words)
    assert ran.code == 2 and case in ran.err
    assert not ward.store.has(before.weights)
    with pytest.raises(MisuseError, match=case):
        register_trained(
            ward,
            model="another",
            manifest=manifest_in(ward),
            recipe=RECIPE,
            weights=file,
            notice=lambda _: None,
        )
    assert require_model(ward, MODEL).current.version == 2
    put_into_service(ward, MODEL, 2)


def test_a_replaced_version_that_is_in_service_all_the_same_is_reported(ward: Home) -> None:
    scene = load_scene(ward, MODEL)
    case = erase(ward, scene.images.subjects[scene.training[0]], "retrain", Basis.EXACT).case
    assert not any(item.artefact == scene.version.weights for item in came_back(ward, destroy=True))
    deploy(ward, scene.version)  # as a home of before would have let it
    (found,) = [item for item in came_back(ward, destroy=True) if "in service" in item.what]
    assert (found.case, found.artefact, found.destroyed) == (case, scene.version.weights, False)


def test_a_case_that_erased_nobody_replaces_nothing(ward: Home) -> None:
    scene = load_scene(ward, MODEL)
    erase(ward, scene.images.subjects[scene.training[0]], "retrain", Basis.NONE)
    assert replaced_versions(ward) == {}
    take_out_of_service(ward, MODEL)
    put_into_service(ward, MODEL, 1)
