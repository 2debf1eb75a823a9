"""Bad input gets one clear line that names file and row, exit 1 or 2, and an unchanged ledger."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.learning.models import build
from auditor.learning.recipe import read_recipe
from auditor.learning.weights import weights_bytes
from auditor.workflow.homes.home import Home
from tests.cli.conftest import Auditor
from tests.pictures import RECIPE, divided, lines_of, write

Spoil = Callable[[Path, list[dict[str, str]]], None]
Spoiled = Callable[[dict[str, torch.Tensor]], object]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def missing(folder: Path, lines: list[dict[str, str]]) -> None:
    (folder / "3.png").unlink()


def undecodable(folder: Path, lines: list[dict[str, str]]) -> None:
    (folder / "3.png").write_bytes(b"not a picture")


def duplicate(folder: Path, lines: list[dict[str, str]]) -> None:
    shutil.copy(folder / "1.png", folder / "3.png")


def flat(folder: Path, lines: list[dict[str, str]]) -> None:
    Image.fromarray(np.full((32, 32), 7, dtype=np.uint8)).save(folder / "3.png")


def outside(folder: Path, lines: list[dict[str, str]]) -> None:
    lines[3]["image_path"] = "../elsewhere.png"


def not_a_class(folder: Path, lines: list[dict[str, str]]) -> None:
    lines[3]["label"] = "ill"


def no_subject(folder: Path, lines: list[dict[str, str]]) -> None:
    lines[3]["subject_id"] = ""


def unknown_split(folder: Path, lines: list[dict[str, str]]) -> None:
    for line in lines:
        line["split"] = "train"
    lines[3]["split"] = "somewhere"


def in_both_splits(folder: Path, lines: list[dict[str, str]]) -> None:
    for number, line in enumerate(lines):
        line["split"] = "train" if number < 24 else "test"
    lines[3]["split"] = "test"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (missing, "row 5"),
        (undecodable, "row 5"),
        (duplicate, "rows 3 and 5"),
        (flat, "row 5"),
        (outside, "row 5"),
        (not_a_class, "row 5"),
        (no_subject, "row 5"),
        (unknown_split, "row 5"),
        (in_both_splits, "rows 4 and 5: one patient in two splits"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    auditor: Auditor, home: Home, tmp_path: Path, recipe: Path, spoil: Spoil, says: str
) -> None:
    lines = lines_of(tmp_path)
    spoil(tmp_path, lines)
    manifest = write(tmp_path, lines)
    _refused(auditor, home, (manifest, "train", recipe), "manifest.csv", says)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [("label", "1", "one class only"), ("label", None, "column label is missing")],
)
def test_a_manifest_without_two_classes_is_refused(
    auditor: Auditor,
    home: Home,
    tmp_path: Path,
    recipe: Path,
    column: str,
    value: str | None,
    says: str,
) -> None:
    lines = lines_of(tmp_path)
    for line in lines:
        if value is None:
            line["diagnosis"] = line.pop(column)  # an unknown column doesn't stand in for it
        else:
            line[column] = value
    _refused(auditor, home, (write(tmp_path, lines), "train", recipe), "manifest.csv", says)


def _refused(
    auditor: Auditor, home: Home, what: tuple[Path, str, Path], *says: str, words: tuple = ()
) -> None:
    manifest, verb, recipe = what
    ran = auditor(
        *("model", verb, "tb", "--data", manifest, "--recipe", recipe, "--home", home.root), *words
    )
    assert ran.code in (1, 2)
    assert ran.err.count("\n") == 1, ran.err
    assert all(part in ran.err for part in says), ran.err
    assert home.ledger.size == 1


def _elsewhere(
    path: Path, recipe: Path, spoil: Callable[[dict[str, torch.Tensor]], object]
) -> None:
    state = build(read_recipe(recipe), 1).state_dict()
    torch.save(spoil(state) or state, path)


def _nan(state: dict[str, torch.Tensor]) -> None:
    next(iter(state.values())).view(-1)[0] = float("nan")


def _fewer(state: dict[str, torch.Tensor]) -> None:
    state.popitem()


def _whole(state: dict[str, torch.Tensor]) -> object:
    return torch.nn.Linear(1, 1)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(_nan, "NaN"), (_fewer, "recipe"), (_whole, "would run code")],
)
def test_weights_that_cannot_be_trusted_are_refused(
    auditor: Auditor,
    home: Home,
    tmp_path: Path,
    recipe: Path,
    spoil: Spoiled,
    says: str,
) -> None:
    manifest, weights = write(tmp_path, lines_of(tmp_path)), tmp_path / "weights.pt"
    _elsewhere(weights, recipe, spoil)
    words = ("--weights", weights)
    _refused(auditor, home, (manifest, "register", recipe), says, words=words)


class _Bomb:
    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_is_never_run(
    auditor: Auditor, home: Home, tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    manifest, weights = write(tmp_path, lines_of(tmp_path)), tmp_path / "weights.pt"
    for content in (pickle.dumps(_Bomb()), b"", b"noise"):
        weights.write_bytes(content)
        _refused(
            auditor,
            home,
            (manifest, "register", recipe),
            "weights.pt",
            words=("--weights", weights),
        )
    assert not (tmp_path / "exploded").exists()


def test_a_good_model_from_elsewhere_is_taken_in_once(
    auditor: Auditor, home: Home, tmp_path: Path, recipe: Path
) -> None:
    lines = lines_of(tmp_path)
    for line in lines:
        line["source_split"] = "train"
    manifest, weights = write(tmp_path, divided(lines)), tmp_path / "weights.safetensors"
    weights.write_bytes(weights_bytes(build(read_recipe(recipe), 1)))
    words = ("--data", manifest, "--recipe", recipe, "--home", home.root)
    ran = auditor("model", "register", "tb", "--weights", weights, *words, "--json")
    assert ran.code == 0
    assert ran.json["architecture"] == "small-resnet"
    assert ran.err.count("source_split") == 1
    again = auditor("model", "train", "tb", *words)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "registered already" in again.err
    named = auditor("model", "train", "../tb", *words)
    assert named.code == 2


@pytest.mark.parametrize("split", [None, "test"], ids=["without", "test only"])
def test_nobody_but_its_owner_says_what_a_model_from_elsewhere_was_trained_on(
    auditor: Auditor, home: Home, tmp_path: Path, recipe: Path, split: str | None
) -> None:
    lines = [line | ({} if split is None else {"split": split}) for line in lines_of(tmp_path)]
    manifest, weights = write(tmp_path, lines), tmp_path / "weights.safetensors"
    weights.write_bytes(weights_bytes(build(read_recipe(recipe), 1)))
    words, says = ("--weights", weights), ("manifest.csv", "give every row a split")
    _refused(auditor, home, (manifest, "register", recipe), *says, words=words)


@pytest.mark.parametrize("line", ["colour = 1", "width = 0", "epochs = 'many'", "= 1"])
def test_a_recipe_that_makes_no_sense_is_refused(
    auditor: Auditor, home: Home, tmp_path: Path, line: str
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(line, encoding="utf-8")
    manifest = write(tmp_path, lines_of(tmp_path))
    _refused(auditor, home, (manifest, "train", recipe), "recipe" if line else "")


def test_a_full_disk_at_pdf_time_loses_nothing(auditor: Auditor, stocked: Home) -> None:
    words = ("--home", stocked.root)
    case = auditor("request", "file", "--model", "detector", "--subject", "x", *words, "--json")
    identity = case.json["case"]
    auditor("request", "decide", identity, "--refuse", "--because", "no-ground", *words)
    small = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(stocked.certificates)]
    if subprocess.run(small, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk here")
    try:
        ran = auditor("run", "--case", identity, *words)
        assert ran.code == 1
        assert "No space left" in ran.err
        assert list(stocked.certificates.iterdir()) == []
        listed = auditor("certificate", "list", *words, "--json")
        assert listed.json == []
    finally:
        subprocess.run(["umount", str(stocked.certificates)], check=True)
    assert auditor("run", "--case", identity, *words).code == 0
    assert len(auditor("certificate", "list", *words, "--json").json) == 1
    assert auditor("ledger", "audit", *words).code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("policy", "list"), "No space left on device"),
        (("request", "list", "--json"), "No space left on device"),
    ],
)
def test_output_that_takes_no_more_is_one_line(
    home: Home, words: tuple[str, ...], told: str
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with full.open("w") as output:
        ran = subprocess.run(
            [sys.executable, "-m", "auditor.cli.main", *words, "--home", str(home.root)],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (1, f"auditor: {told}\n")


def test_a_word_in_another_encoding_is_told_and_not_repeated(auditor: Auditor, home: Home) -> None:
    ran = auditor("request", "show", "J\udcf6rg", "--home", home.root)
    assert ran.code in (1, 2) and ran.err.count("\n") == 1
    assert "Traceback" not in ran.err and "rg" not in ran.err


def test_a_paper_of_any_size_is_not_read_whole(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    large = tmp_path / "large.pdf"
    with large.open("wb") as file:
        file.truncate(65 << 20)
    ran = auditor("verify", large, "--trust", home.trust_path)
    assert (ran.code, "is larger than 64 MiB" in ran.err) == (1, True)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """End what waits for longer."""

    def stop(*_: object) -> None:
        raise AssertionError("it waits for a pipe, or reads a device")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


FILE = "FILE"  # stands for a pipe that nobody writes into, or a device that never ends
READING = (
    ("report", "verify", FILE, "--trust", "TRUST"),
    ("report", "verify", "TRUST", "--trust", FILE),
    ("ledger", "compare", FILE, "TRUST"),
    ("ledger", "compare", "TRUST", FILE),
    ("ledger", "recover", "--known", FILE),
    ("ledger", "recover", "--from", FILE),
    ("verification", "replay", FILE, "--trust", "TRUST"),
    ("certificate", "approve", "0" * 16, "--key", FILE),
    ("request", "decide", "0" * 16, "--grant", "--key", FILE),
    ("request", "import", FILE),
    ("request", "document", FILE, "--for", "all", "--kind", "backup-plan"),
    ("request", "file", "--model", "m", "--ground", "gdpr-17-1-b", "--subjects-from", FILE),
    ("ledger", "witness", "policy", FILE),
    ("keys", "add", FILE, "--role", "desk"),
    ("keys", "check", FILE, "--against", "TRUST"),
    ("model", "train", "new", "--data", FILE),
    ("model", "train", "new", "--data", "MANIFEST", "--recipe", FILE),
    ("model", "register", "new", "--data", "MANIFEST", "--weights", FILE),
    ("model", "start", "add", FILE, "--name", "w", "--made-of", "images-of-other-things"),
)
OF_NO_HOME = {("report", "verify"), ("verification", "replay"), ("keys", "check")}


@pytest.mark.parametrize("words", READING, ids=" ".join)
@pytest.mark.parametrize("device", [False, True])
def test_no_command_waits_for_a_pipe_or_reads_a_device(
    auditor: Auditor, home: Home, tmp_path: Path, words: tuple[str, ...], device: bool
) -> None:
    named = tmp_path / "pipe"
    if device:
        named.symlink_to("/dev/zero")
    else:
        os.mkfifo(named)
    meant = {FILE: named, "TRUST": home.trust_path, "MANIFEST": write(tmp_path, lines_of(tmp_path))}
    before = home.ledger.size
    in_home = () if words[:2] in OF_NO_HOME else ("--home", home.root)
    with at_most(20):
        ran = auditor(*(meant.get(word, word) for word in words), *in_home)
    assert ran.code in (1, 2)
    assert ("a device" if device else "a named pipe") in ran.err.splitlines()[-1]
    assert home.ledger.size == before
