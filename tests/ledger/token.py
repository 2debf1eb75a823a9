"""A real PKCS#11 token for tests: SoftHSM2, in a folder of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PIN = "4711"
LABEL = "auditor"

_PLACES = (
    "/usr/lib/softhsm",
    "/usr/lib/*/softhsm",
    "/opt/homebrew/lib/softhsm",
    "/usr/local/lib/softhsm",
)


def module() -> Path:
    """SoftHSM2's library; skips where it isn't installed, except in CI, which installs it."""
    for place in _PLACES:
        for found in Path("/").glob(f"{place.lstrip('/')}/libsofthsm2.so"):
            if shutil.which("softhsm2-util"):
                return found
    if os.environ.get("CI"):
        pytest.fail("CI must have SoftHSM2")
    pytest.skip("no SoftHSM2; install it: sudo apt-get install softhsm2")


def make_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a token in a folder; returns the library."""
    library = module()
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder / 'tokens'}\n", encoding="utf-8")
    monkeypatch.setenv("SOFTHSM2_CONF", str(settings))
    command = ["softhsm2-util", "--init-token", "--free", "--label", LABEL]
    subprocess.run(
        [*command, "--pin", PIN, "--so-pin", "12345678"], check=True, capture_output=True
    )
    return library
