"""`auditor bank`: train, list, try and destroy."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.workflow.homes.home import Home
from tests.cli.conftest import Auditor
from tests.workflow.trained import MODEL, empty_home, train_here


@pytest.fixture
def trained(tmp_path: Path) -> Home:
    home = empty_home(tmp_path / "trained")
    train_here(home)
    return home


def test_a_shared_bank_from_training_to_destruction(auditor: Auditor, trained: Home) -> None:
    where = ("--home", trained.root, "--json")
    numbers = ("--models", 16, "--parts", 2, "--workers", 1)
    (row,) = auditor("bank", "train", MODEL, *numbers, *where).json
    assert (row["design"], row["models"], row["here"], row["tried"]) == (
        "random-subsets",
        16,
        16,
        0,
    )
    ran = auditor("bank", "try", MODEL, row["bank"], "--retrains", 2, "--workers", 1, *where)
    assert len(ran.json) == 2 and {"verdict", "rho"} == set(ran.json[0])
    (listed,) = auditor("bank", "list", MODEL, *where).json
    failed = sum(item["verdict"] == "FAILED" for item in ran.json)
    assert (listed["tried"], listed["failed"]) == (2, failed)
    (gone,) = auditor("bank", "destroy", MODEL, row["bank"][:8], *where).json
    assert gone["destroyed"] == "yes" and gone["here"] == 0


def test_mistakes_are_one_line(auditor: Auditor, trained: Home) -> None:
    where = ("--home", trained.root)
    for words, complaint in (
        (("list", "nobody"), "no model named"),
        (("train", MODEL, "--models", 3, "--parts", 2), "multiple of 2"),
        (("train", MODEL, "--waiting"), "cohort to leave out"),
        (("try", MODEL, "abc"), "no one shared bank"),
        (("destroy", MODEL, "abc"), "no one shared bank"),
    ):
        ran = auditor("bank", *words, *where)
        assert ran.code == 2 and complaint in ran.err and ran.err.count("\n") == 1
