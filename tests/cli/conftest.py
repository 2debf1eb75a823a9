"""The command line, called in this process, and a home with a model on its books."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from auditor.cli.main import main
from auditor.domain.artefact import Digest
from auditor.learning.recipe import QUICK
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.registry import DataRecord, deploy, register_data, register_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, read as JSON."""
        return json.loads(self.out)


Auditor = Callable[..., Ran]


@pytest.fixture
def auditor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Auditor:
    """Run `auditor` with the given words, as the console script does."""

    def run(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["auditor", *map(str, words)])
        capsys.readouterr()
        code = main()
        captured = capsys.readouterr()
        return Ran(code=code, out=captured.out, err=captured.err)

    return run


def stock(home: Home) -> None:
    """Put one model in service; its weights are opaque bytes, as no command here looks."""
    data = DataRecord(
        manifest=Path("manifest.csv"), digest=Digest.of(b"manifest"), size=28, split_seed=1
    )
    register_data(home, "data-1", data, counts=(40, 20), synthetic=True)
    version = register_version(
        home,
        model="detector",
        architecture="small-resnet",
        weights=home.store.put(b"weights"),
        recipe=home.store.put(QUICK.canonical_bytes()),
        data_set="data-1",
        training_images=30,
    )
    deploy(home, version)


@pytest.fixture
def stocked(home: Home) -> Home:
    """A home with one model in service."""
    stock(home)
    return home
