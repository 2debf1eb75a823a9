"""Networks of a hospital's own: taken where the home's settings list them, refused elsewhere."""

from __future__ import annotations

from pathlib import Path

from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.learning.weights import weights_bytes
from auditor.workflow.homes.home import Home
from tests.cli.conftest import Auditor
from tests.learning.noise import DROPPING
from tests.pictures import divided, lines_of, write


def test_a_factory_is_taken_once_the_home_lists_it(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    recipe, weights = tmp_path / "recipe.toml", tmp_path / "own.safetensors"
    recipe.write_text(f'architecture = "{DROPPING}"\ninput_size = 16\ntrain_images = 24\n')
    own = Recipe(architecture=DROPPING, factories=(DROPPING,), input_size=16)
    weights.write_bytes(weights_bytes(build(own, 1)))
    words = ("--weights", weights, "--data", write(tmp_path, divided(lines_of(tmp_path))))
    words = ("model", "register", "own", *words, "--recipe", recipe, "--home", home.root, "--json")
    refused = auditor(*words)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "isn't allowed here" in refused.err and "auditor.toml" in refused.err
    assert auditor("model", "list", "--home", home.root, "--json").json == []

    settings = home.root / "auditor.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("factories = []", f'factories = ["{DROPPING}"]'))
    assert auditor(*words).json["architecture"] == DROPPING
