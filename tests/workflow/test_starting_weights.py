"""A network that starts from weights of before: not registered; known already, never certified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from torch import Tensor, nn

from auditor.domain.request import Outcome
from auditor.domain.route import Obstacle
from auditor.errors import ModelError
from auditor.learning.models import SmallResNet
from auditor.learning.recipe import Recipe
from auditor.workflow.audit.scene import load_scene, train_and_register
from auditor.workflow.homes.config import write_config
from auditor.workflow.homes.home import Home, open_home
from tests.workflow.test_scope import filed, kinds, names, ran, stated
from tests.workflow.trained import RECIPE, empty_home, manifest_in


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home that takes this module's factory."""
    settings = empty_home(tmp_path / "home")
    write_config(settings.root / "auditor.toml", replace(settings.config, factories=(FACTORY,)))
    settings.close()
    opened = open_home(tmp_path / "home")
    yield opened
    opened.close()


FACTORY = f"{__name__}:from_last_year"
LAST_YEAR: Mapping[str, Tensor] = {}


def from_last_year(_recipe: Recipe) -> nn.Module:
    """A factory that is given weights of before once the model is registered."""
    network = SmallResNet(4, 2)
    if LAST_YEAR:
        network.load_state_dict(LAST_YEAR)
    return network


def test_weights_of_before_are_not_registered_and_what_is_known_ends_in_records(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(RECIPE, architecture=FACTORY, factories=(FACTORY,))

    def register(model: str) -> None:
        data = manifest_in(home)
        train_and_register(home, model=model, manifest=data, recipe=own, notice=lambda _: None)

    register("own")
    monkeypatch.setattr(f"{__name__}.LAST_YEAR", SmallResNet(4, 2).state_dict())
    with pytest.raises(ModelError, match="the same values whatever the seed"):
        register("refused")
    assert home.ledger.version("model:refused") == 0
    trained = load_scene(home, "own")
    for patient in names(trained, trained.training)[:2]:  # the first doesn't block the second
        case = filed(home, [patient], model="own")
        state = ran(home, case)
        assert state.obstacle is Obstacle.STARTS_TRAINED
        assert state.issued is not None and state.issued.outcome is Outcome.NOT_ERASED
        assert not {"bank-trained/v1", "attempt-started/v1"} & kinds(home, case)
        said = stated(home, case)["summary"]
        assert "starts from weights" in said[0] and "duty to erase" in said[1]
