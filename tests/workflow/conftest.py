from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import auditor as auditor
from tests.workflow.restores import Restored, live, restored
from tests.workflow.trained import empty_home, train_here


@pytest.fixture(scope="session")
def trained_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one model trained in it, made once; to be copied."""
    root = tmp_path_factory.mktemp("trained") / "home"
    with closing(empty_home(root)) as home:
        train_here(home)
    return root


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home before and after, made once; see `tests.workflow.restores`."""
    return live(tmp_path_factory.mktemp("life"))


@pytest.fixture
def behind(tmp_path: Path, life: Path) -> Iterator[Restored]:
    """A home whose database was put back to an older state."""
    made = restored(life, tmp_path)
    yield made
    made.home.close()
