from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.restores import live


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home before and after, made once; see `tests.workflow.restores`."""
    return live(tmp_path_factory.mktemp("life"))
