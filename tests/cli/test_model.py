from __future__ import annotations

from auditor.learning.recipe import QUICK
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.registry import deploy, register_version
from tests.cli.conftest import Auditor


def test_models_are_listed_with_the_version_in_service(auditor: Auditor, stocked: Home) -> None:
    second = register_version(
        stocked,
        model="detector",
        architecture="small-resnet",
        weights=stocked.store.put(b"other weights"),
        recipe=stocked.store.put(QUICK.canonical_bytes()),
        data_set="data-1",
        training_images=29,
    )
    deploy(stocked, second)
    (row,) = auditor("model", "list", "--home", stocked.root, "--json").json
    assert (row["model"], row["versions"], row["in_service"]) == ("detector", 2, 2)
    assert row["weights"] == str(second.weights)
    shown = auditor("model", "show", "detector", "--home", stocked.root, "--json").json
    assert [(item["version"], item["in_service"]) for item in shown] == [(1, "no"), (2, "yes")]
    assert [(item["since_exact"], item["exact_due"]) for item in shown] == [
        ("", []),
        ("0 of 20", []),
    ]


def test_an_unknown_model_is_misuse(auditor: Auditor, home: Home) -> None:
    assert auditor("model", "list", "--home", home.root, "--json").json == []
    ran = auditor("model", "show", "nothing", "--home", home.root)
    assert ran.code == 2
    assert "auditor model list" in ran.err
