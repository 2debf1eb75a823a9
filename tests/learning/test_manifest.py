"""Manifests: what could mean something else than it says is refused, by file and row."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from auditor.errors import DataError
from auditor.learning.manifest import read_manifest
from auditor.learning.pictures import read_grey
from tests.pictures import draw

HEAD = "image_path,subject_id,label"


def _manifest(folder: Path, *lines: str) -> Path:
    for number in range(3):
        draw(folder / f"{number}.png", number)
    (folder / "ring.png").symlink_to("ring.png")
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("head", "rows", "flaw"),
    [
        (f"{HEAD},subject_id", ("0.png,a,0,x", "1.png,b,1,y"), "column subject_id stands twice"),
        (f"{HEAD},label", ("0.png,a,0,1", "1.png,b,1,0"), "column label stands twice"),
        (f"{HEAD},split,split", ("0.png,a,0,train,test",), "column split stands twice"),
        (HEAD, ("0.png,a,0", "1.png,b,1,of, two"), "row 3: more or fewer cells than columns"),
        (f"{HEAD},augmented", ("0.png,a,0,0", "1.png,b,1"), "row 3: more or fewer cells"),
        (f"{HEAD},augmented", ("0.png,a,0,0", "1.png,b,1,true"), "row 3: augmented must be 0 or 1"),
        (f"{HEAD},augmented", ("0.png,a,0,1.0", "1.png,b,1,0"), "row 2: augmented must be 0 or 1"),
        (HEAD, ("0.png,a,0", f"1.png,b,{10**20}"), "row 3: label must be a class number"),
        (HEAD, ("0.png,a,0", f"1.png,b,{'9' * 5000}"), "row 3: label must be a class number"),
        (HEAD, ("0.png,a,0", "1.png\0,b,1"), "row 3: image_path leads to no file"),
        (HEAD, ("0.png,a,0", "ring.png,b,1"), r"row 3: (image_path leads|can't read the image)"),
        (f"{HEAD},synthetic", ("0.png,a,0,yes", "1.png,b,1,1"), "row 2: synthetic must be 0 or 1"),
    ],
)
def test_what_means_something_else_than_it_says_is_refused(
    tmp_path: Path, head: str, rows: tuple[str, ...], flaw: str
) -> None:
    with pytest.raises(DataError, match=flaw):
        read_manifest(_manifest(tmp_path, head, *rows))


def test_blanks_round_a_flag_change_nothing(tmp_path: Path) -> None:
    rows = ("0.png,a,0, 0, 1", "1.png,b,1,, 1", "2.png,c,1, 1 ,1")
    found = read_manifest(_manifest(tmp_path, f"{HEAD},augmented,synthetic", *rows))
    assert [row.subject for row in found.rows] == ["a", "b"]
    assert found.synthetic


def test_columns_that_nothing_reads_may_stand_twice(tmp_path: Path) -> None:
    rows = ("0.png,a,0,x,y", "1.png,b,1,x,y")
    assert len(read_manifest(_manifest(tmp_path, f"{HEAD},note,note", *rows)).rows) == 2


@pytest.mark.parametrize("name", ["pages.tiff", "moving.gif", "moving.png"])
def test_a_file_of_several_pictures_is_refused(tmp_path: Path, name: str) -> None:
    pages = []
    for number in range(2):
        draw(tmp_path / f"{number}.png", number)
        pages.append(Image.open(tmp_path / f"{number}.png").copy())
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="row 2: several pictures in one file"):
        read_grey(tmp_path / name, 32, "row 2")


@pytest.mark.parametrize("kind", ["tiff", "dds", "jpg"])
def test_a_damaged_picture_is_refused_by_its_row_or_read(tmp_path: Path, kind: str) -> None:
    """Decoders raise what they like on a stranger's bytes."""
    draw(tmp_path / "0.png", 0)
    whole, spoiled = tmp_path / f"whole.{kind}", tmp_path / f"spoiled.{kind}"
    Image.open(tmp_path / "0.png").save(whole)
    content = whole.read_bytes()
    refused = 0
    for place in [*range(min(len(content), 200)), *range(200, len(content), 31)]:
        for flipped in (0x01, 0xFF):
            damaged = bytearray(content)
            damaged[place] ^= flipped
            spoiled.write_bytes(damaged)
            try:
                read_grey(spoiled, 16, "row 2")
            except DataError as error:
                assert str(error).startswith("row 2: ") and spoiled.name not in str(error)
                refused += 1
    assert refused
