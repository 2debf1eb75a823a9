"""`pip install auditor` alone must be enough for everything that doesn't touch a model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = ["torch", "torchvision", "numpy", "scipy", "PIL", "pydicom", "safetensors"]

# A finder that answers for the engine's packages as an installation without them would.
_BARE = f"""
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ENGINE!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None

sys.meta_path.insert(0, Absent())
from auditor.cli.main import main
sys.exit(main())
"""


def bare(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AUDITOR_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-c", _BARE, *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_a_home_can_be_kept_without_the_engine(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for words in (
        ("init", "--controller", "St. Example", "--dpo", "DPO office"),
        ("request", "list"),
        ("model", "list"),
        ("policy", "list"),
        ("ledger", "checkpoint"),
        ("ledger", "audit"),
        ("ledger", "prove", "0"),
        ("certificate", "list"),
        ("keys", "list"),
        ("report", "quarter", "2026Q4"),
        ("backup", str(tmp_path / "home.tar")),
    ):
        ran = bare(home, *words)
        assert ran.returncode == 0, (words, ran.stderr)


@pytest.mark.parametrize("words", [("run", "--pending"), ("demo",)])
def test_what_needs_the_engine_says_so_in_one_sentence(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    ran = bare(tmp_path / "home", *words)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "auditor[engine]" in ran.stderr
