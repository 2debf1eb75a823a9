"""Hostile model files: nothing in them runs, and nothing but a network's own weights gets in."""

from __future__ import annotations

import json
import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from auditor.errors import ModelError, UnsafeWeightsError
from auditor.learning.models import build
from auditor.learning.recipe import Recipe, parse_recipe, read_recipe
from auditor.learning.weights import (
    convert_checkpoint,
    load_tensors,
    load_weights,
    save_tensors,
    weights_bytes,
)
from tests.learning.noise import DROPPING, TIED, Dropping

RECIPE = Recipe(input_size=16, width=4)
GOOD = weights_bytes(build(RECIPE, 1))


class Bomb:
    """Makes a folder wherever it is unpickled."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.where),)


def state() -> dict[str, Tensor]:
    return dict(build(RECIPE, 1).state_dict())


def torch_file(content: object) -> bytes:
    buffer = BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def pickled_in(archive: str) -> Callable[[Path], bytes]:
    def make(where: Path) -> bytes:
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr(archive, pickle.dumps(Bomb(where)))
            file.writestr(archive.replace("data.pkl", "version"), "3")
        return buffer.getvalue()

    return make


BOMBS: Mapping[str, Callable[[Path], bytes]] = {
    "a pickle": lambda where: pickle.dumps(Bomb(where)),
    "a pickle of protocol 0": lambda where: pickle.dumps(Bomb(where), protocol=0),
    "a torch file": lambda where: torch_file(Bomb(where)),
    "among the weights": lambda where: torch_file({**state(), "stem.weight": Bomb(where)}),
    "a legacy torch file": lambda where: _legacy({**state(), "x": Bomb(where)}),
    "a zip as torch writes it": pickled_in("archive/data.pkl"),
    "a zip with another name": pickled_in("data.pkl"),
    "a pickle behind a brace": lambda where: b"\x10\0\0\0\0\0\0\0{" + pickle.dumps(Bomb(where)),
}


def _legacy(content: object) -> bytes:
    buffer = BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize("name", BOMBS)
def test_nothing_is_ever_unpickled(tmp_path: Path, name: str) -> None:
    path, where = tmp_path / "weights", tmp_path / "exploded"
    path.write_bytes(BOMBS[name](where))
    with pytest.raises(ModelError) as caught:
        convert_checkpoint(path)
    assert not where.exists()
    assert "\n" not in str(caught.value)
    if "torch file" in name or "among" in name:
        assert isinstance(caught.value, UnsafeWeightsError)
        pickle.loads(pickle.dumps(Bomb(where)))
        assert where.exists()  # so that the trap is one


def headed(header: Mapping[str, object], data: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(start: int, end: int, dtype: str = "F32", shape: object = (1,)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


LIES: Mapping[str, bytes] = {
    "nothing": b"",
    "cut short": GOOD[:-1],
    "one byte more": GOOD + b"\0",
    "a header longer than the file": headed({"a": tensor(0, 4)}, b"1234", length=10_000),
    "a header shorter than it is": headed({"a": tensor(0, 4)}, b"1234", length=9),
    "a header of 2^63 bytes": headed({"a": tensor(0, 4)}, b"1234", length=2**63),
    "a header of no bytes": headed({"a": tensor(0, 4)}, b"1234", length=0),
    "a header of 200 MB of nothing": b"\0\0\0\x0c\0\0\0\0{" + b" " * 1000,
    "offsets beyond the data": headed({"a": tensor(0, 4)}),
    "offsets that overlap": headed({"a": tensor(0, 4), "b": tensor(0, 4)}, b"1234"),
    "offsets turned round": headed({"a": tensor(4, 0)}, b"1234"),
    "a hole": headed({"a": tensor(4, 8)}, b"12345678"),
    "a shape larger than the data": headed({"a": tensor(0, 4, shape=(2**40, 2**40))}, b"1234"),
    "a shape below nothing": headed({"a": tensor(0, 4, shape=(-1,))}, b"1234"),
    "a type nobody knows": headed({"a": tensor(0, 4, dtype="F99")}, b"1234"),
    "a type torch can't hold": headed({"a": tensor(0, 4, "F8_E8M0", (4,))}, b"1234"),
    "no JSON": struct.pack("<Q", 4) + b"{no}",
    "a list": headed({"a": []}),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_refused_in_a_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(LIES[name])
    for read in (lambda: convert_checkpoint(path), lambda: load_weights(RECIPE, LIES[name])):
        with pytest.raises(ModelError) as caught:
            read()
        assert "\n" not in str(caught.value)


def changed(name: str, value: Tensor | None) -> bytes:
    content = state()
    if value is None:
        del content[name]
    else:
        content[name] = value
    return save(content)


HEAD = state()["head.bias"]


@pytest.mark.parametrize(
    "content",
    [
        changed("head.bias", None),
        changed("one.more", torch.zeros(1)),
        changed("head.bias", torch.zeros(3)),
        changed("head.weight", state()["head.weight"].t().contiguous()),
        changed("head.bias", HEAD.to(torch.float16)),
        changed("head.bias", HEAD.to(torch.float64)),
        changed("head.bias", HEAD.to(torch.int32)),
        changed("evil\n\x1b[31mname", torch.zeros(1)),
        save({}),
    ],
)
def test_only_the_networks_own_names_shapes_and_types_fit(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"recipe mismatch.*first to differ") as caught:
        load_weights(RECIPE, content)
    assert str(caught.value).isprintable()


def test_what_the_network_holds_once_has_one_value() -> None:
    """Or the file's digest on the books would be of no model that anybody audits."""
    recipe = Recipe(architecture=TIED, input_size=16, factories=(TIED,))
    good = weights_bytes(build(recipe, 1))
    assert weights_bytes(load_weights(recipe, good)) == good
    state = load_tensors(good)
    state["first.weight"] = state["first.weight"] + 1.0
    with pytest.raises(ModelError, match="two values of what the network ties into one"):
        load_weights(recipe, save_tensors(state))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(value: float) -> None:
    spoilt = HEAD.clone()
    spoilt[1] = value
    with pytest.raises(ModelError, match=r"NaN or infinite values in head\.bias"):
        load_weights(RECIPE, changed("head.bias", spoilt))


@pytest.mark.parametrize(
    "content",
    [
        [HEAD],
        {"state_dict": {"head.bias": HEAD}},
        {"epoch": 3, "head.bias": HEAD},
        {1: HEAD},
        {"head.bias": HEAD.to_sparse()},
        {"head.bias": torch.empty(2, device="meta")},
        HEAD,
    ],
)
def test_a_torch_file_is_a_flat_table_of_plain_tensors(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(torch_file(content))
    with pytest.raises(ModelError, match=r"no table of plain tensors; save the model's state_dict"):
        convert_checkpoint(path)


def test_a_state_dict_is_converted_to_what_the_network_itself_would_write(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    content = state()
    content["head.weight"] = content["head.weight"].t().contiguous().t()  # laid out otherwise
    for data in (torch_file(content), _legacy(content), GOOD):
        path.write_bytes(data)
        assert convert_checkpoint(path) == GOOD
    shared = torch.zeros(4)
    path.write_bytes(torch_file({"a": shared, "b": shared[:2]}))
    assert convert_checkpoint(path) == save({"a": torch.zeros(4), "b": torch.zeros(2)})


def test_a_factory_the_home_does_not_allow_is_never_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trap_of_tests.py").write_text("import pathlib\nraise SystemExit\n")
    for name in ("trap_of_tests:make", "os:system", "trap_of_tests:"):
        recipe = tmp_path / "recipe.toml"
        recipe.write_text(f'architecture = "{name}"\n')
        for read in (
            read_recipe(recipe),
            read_recipe(recipe, ["trap_of_tests:other", "os"]),
            parse_recipe(read_recipe(recipe).canonical_bytes(), [DROPPING]),
        ):
            with pytest.raises(
                ModelError, match=r"isn't allowed here.*\[models\] in auditor\.toml"
            ):
                build(read, 1)
            with pytest.raises(ModelError, match="isn't allowed here"):
                load_weights(read, GOOD)
    assert "trap_of_tests" not in sys.modules


def test_a_recipe_can_not_allow_itself_a_factory(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'architecture = "{DROPPING}"\nfactories = ["{DROPPING}"]\n')
    with pytest.raises(ModelError, match="unknown key factories"):
        read_recipe(path)
    bytes_ = json.dumps({**json.loads(RECIPE.canonical_bytes()), "factories": [DROPPING]}).encode()
    with pytest.raises(ModelError, match="unknown key factories"):
        parse_recipe(bytes_)


def test_an_allowed_factory_builds_and_a_bad_one_is_named() -> None:
    recipe = replace(RECIPE, architecture=DROPPING, factories=(DROPPING,))
    module = build(recipe, 1)
    assert isinstance(module, Dropping)
    again = load_weights(recipe, weights_bytes(module))
    assert weights_bytes(again) == weights_bytes(module)
    for name, complaint in (
        ("broken", "RuntimeError: no such luck"),
        ("nothing", "made no network"),
        ("absent", "AttributeError"),
    ):
        factory = DROPPING.replace("dropping", name)
        bad = replace(RECIPE, architecture=factory, factories=(factory,))
        with pytest.raises(ModelError, match=complaint):
            build(bad, 1)
    missing = replace(RECIPE, architecture="no.such:thing", factories=("no.such:thing",))
    with pytest.raises(ModelError, match=r"factory no\.such:thing failed: ModuleNotFoundError"):
        build(missing, 1)
