"""Weights of before that trainings start from: all but the head, and the same for all of a bank."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from auditor.domain.artefact import Digest
from auditor.errors import LedgerError, ModelError, TamperedError
from auditor.learning.models import GreyNetwork, build
from auditor.learning.recipe import QUICK, Recipe, parse_recipe, read_recipe
from auditor.learning.start import begin
from auditor.learning.store import ContentStore
from auditor.learning.training import train
from auditor.learning.weights import load_weights, save_tensors, weights_bytes
from tests.learning.noise import noise

SMALL = Recipe(width=4, input_size=16, epochs=1, batch_size=4)


def kept(folder: Path, state: dict[str, Tensor], recipe: Recipe = SMALL) -> Recipe:
    """The recipe, starting from these weights."""
    digest = ContentStore(folder / "store").put(save_tensors(state))
    return replace(recipe, starts_from=str(digest), store=str(folder / "store"))


def _but_head(module: nn.Module, head: str) -> dict[str, Tensor]:
    return {n: v for n, v in module.state_dict().items() if not n.startswith(head)}


def test_all_but_the_head_is_as_before_and_the_head_is_drawn(tmp_path: Path) -> None:
    before = build(SMALL, 2025)
    recipe = kept(tmp_path, before.state_dict())
    one, other = begin(recipe, 1), begin(recipe, 2)
    for module in (one, other):
        for name, value in _but_head(module, "head.").items():
            assert torch.equal(value, before.state_dict()[name]), name
    heads = [module.get_parameter("head.weight") for module in (one, other, before)]
    assert torch.equal(heads[0], build(SMALL, 1).get_parameter("head.weight"))
    assert not torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    # what is loaded back is what was saved, not what trainings start from
    assert weights_bytes(load_weights(recipe, weights_bytes(other))) == weights_bytes(other)


def test_torchvisions_weights_are_taken_by_its_own_names_whatever_they_told_apart(
    tmp_path: Path,
) -> None:
    published = models.resnet18(num_classes=7)
    recipe = kept(tmp_path, published.state_dict(), replace(SMALL, architecture="resnet18"))
    module = begin(recipe, 1)
    assert isinstance(module, GreyNetwork)
    found = _but_head(module.network, "fc.")
    assert len(found) == 120
    assert all(torch.equal(value, published.state_dict()[name]) for name, value in found.items())
    assert module.eval()(torch.zeros(1, 1, 32, 32)).shape == (1, 2)


def test_a_training_moves_on_from_them_and_is_the_same_again(tmp_path: Path) -> None:
    images = noise()
    recipe = kept(tmp_path, build(SMALL, 2025).state_dict())
    one, again = (weights_bytes(train(recipe, images, range(8), 3)) for _ in range(2))
    assert one == again
    assert one != weights_bytes(train(SMALL, images, range(8), 3))
    assert one != weights_bytes(begin(recipe, 3))


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    state = build(SMALL, 2025).state_dict()
    wider = build(replace(SMALL, width=8), 1).state_dict()
    lacking = {name: value for name, value in state.items() if name != "stage2.conv1.weight"}
    broken = {**state, "norm.weight": torch.full_like(state["norm.weight"], float("nan"))}
    for wrong, named in (
        (wider, "norm.bias"),
        (lacking, "stage2.conv1.weight"),
        ({**state, "extra": torch.ones(2)}, "extra"),
        ({**state, "stem.weight": state["stem.weight"].half()}, "stem.weight"),
    ):
        with pytest.raises(ModelError, match=f"don't fit.*first to differ is '{named}'"):
            begin(kept(tmp_path, wrong), 1)
    with pytest.raises(ModelError, match=r"NaN or infinite values in norm\.weight"):
        begin(kept(tmp_path, broken), 1)


def test_they_are_read_by_their_digest(tmp_path: Path) -> None:
    recipe = kept(tmp_path, build(SMALL, 2025).state_dict())
    path = tmp_path / "store" / Digest.parse(recipe.starts_from).value
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(TamperedError):
        begin(recipe, 1)
    path.unlink()
    with pytest.raises(LedgerError, match="destroyed or never kept"):
        begin(recipe, 1)


def test_a_recipe_names_them_and_one_without_keeps_its_digest(tmp_path: Path) -> None:
    digest, path = Digest.of(b"start"), tmp_path / "recipe.toml"
    path.write_text(f'starts_from = "{digest}"\n', encoding="utf-8")
    recipe = read_recipe(path, store=tmp_path)
    assert recipe.starts_from == str(digest)
    assert parse_recipe(recipe.canonical_bytes()) == recipe
    assert recipe.digest != QUICK.digest and b"store" not in recipe.canonical_bytes()
    # as it was before there were weights to start from
    assert str(QUICK.digest).startswith("sha256:a533069359a75214407efee9b0ade0f9")
    for wrong, told in (('starts_from = "imagenet"', "sha256:"), ('store = "/"', "unknown key")):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ModelError, match=told):
            read_recipe(path)
