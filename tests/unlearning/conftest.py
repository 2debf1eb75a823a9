"""One small trained net for all methods."""

from __future__ import annotations

import pytest

from tests.unlearning.ward import Ward, admit


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    """Trained once; no test changes it."""
    return admit(tmp_path_factory.mktemp("ward"))
