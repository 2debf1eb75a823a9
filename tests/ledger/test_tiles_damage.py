"""Tiles are never believed unhashed, and a folder is only written by the log it belongs to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.errors import LedgerError, ProofError, TamperedError
from auditor.ledger.tiles import TileReader, export_tiles
from auditor.proof.merkle import EMPTY_ROOT, leaf_hash
from tests.ledger.books import fill, open_ledger
from tests.ledger.logs import (
    ORIGIN,
    a_note,
    changed_behind_its_root,
    export,
    files,
    ledger_of,
    some_entries,
)

# Refusals ----------------------------------------------------------------------------------------


def test_a_folder_of_another_log_or_a_later_state_is_left_alone(tmp_path: Path) -> None:
    ledger = ledger_of(some_entries(300))
    export(ledger, 300, tmp_path)
    before = files(tmp_path)
    other = ledger_of([b"another", *some_entries(400)])
    for size, match in ((400, "empty folder"), (299, "already"), (0, "already")):
        with pytest.raises(LedgerError, match=match):
            export(other, size, tmp_path)
    with pytest.raises(LedgerError, match="newest checkpoint"):
        export(ledger, 299, tmp_path)
    renamed = a_note(300, ledger.root(), "ledger.example/two")
    with pytest.raises(LedgerError, match="another log"):
        export_tiles(ledger, renamed, 300, tmp_path)
    assert files(tmp_path) == before


def test_a_checkpoint_of_another_state_is_not_published(tmp_path: Path) -> None:
    ledger = ledger_of(some_entries(5))
    for note in (a_note(4, ledger.root(4)), a_note(5, ledger.root(4)), a_note(5, EMPTY_ROOT)):
        with pytest.raises(LedgerError, match="sign a new one"):
            export_tiles(ledger, note, 5, tmp_path)
    with pytest.raises(LedgerError, match="holds 5 entries, not 6"):
        export_tiles(ledger, a_note(6, EMPTY_ROOT), 6, tmp_path)
    assert files(tmp_path) == {}


GOOD = a_note(1, bytes(32))


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        GOOD.partition("\n\n")[0],
        GOOD.replace("\n1\n", "\n01\n"),
        GOOD.replace("\n1\n", "\n-1\n"),
        GOOD.replace("\n1\n", "\n1 \n"),
        GOOD.replace("\n1\n", "\n\u0661\n"),
        GOOD.replace("\n1\n", f"\n{10**19}\n"),
        GOOD.replace("\n1\n", "\n\n1\n"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(ORIGIN, "", 1),
        GOOD.replace(ORIGIN, "a\x00b"),
        GOOD.replace(ORIGIN, "a\ud800b"),
        GOOD.replace("AAA=", "AAB="),
        GOOD.replace("AAA=", "AAA"),
        a_note(1, bytes(31)),
    ],
)
def test_what_is_no_checkpoint_is_not_read_as_one(tmp_path: Path, note: str) -> None:
    with pytest.raises(TamperedError):
        TileReader(tmp_path, note)
    (tmp_path / "checkpoint").write_bytes(note.encode("utf-8", "surrogatepass"))
    with pytest.raises(TamperedError):
        TileReader(tmp_path)
    with pytest.raises(TamperedError):
        export(ledger_of(some_entries(1)), 1, tmp_path)


def test_a_folder_without_a_checkpoint_or_with_an_endless_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no checkpoint"):
        TileReader(tmp_path)
    (tmp_path / "checkpoint").write_bytes(GOOD.encode() + bytes([65]) * (1 << 20))
    with pytest.raises(TamperedError, match="too long"):
        TileReader(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LedgerError, match="can't write"):
        export(ledger_of(some_entries(3)), 3, tmp_path / "file")
    (tmp_path / "log" / "tile" / "0" / "000.p" / "3").mkdir(parents=True)
    with pytest.raises(LedgerError, match="can't write"):
        export(ledger_of(some_entries(3)), 3, tmp_path / "log")


# Damage ------------------------------------------------------------------------------------------

Damage = Callable[[bytes], bytes]

DAMAGES: dict[str, Damage] = {
    "cut off": lambda data: data[:-1],
    "emptied": lambda data: b"",
    "too long": lambda data: data + b"\x00",
    "a hash too many": lambda data: data + bytes(32),
    "a bit flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
}
NAMES = ["tile/entries/001", "tile/0/001", "tile/1/000.p/2", "tile/entries/002.p/88"]
NAMES += ["tile/0/002.p/88"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    ledger, folder = ledger_of([b"%d" % n for n in range(600)]), tmp_path_factory.mktemp("good")
    export(ledger, 600, folder)
    return ledger.root(), folder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_named(
    published: tuple[bytes, Path], tmp_path: Path, name: str, damage: Damage
) -> None:
    folder = Path(shutil.copytree(published[1], tmp_path / "log"))
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    with pytest.raises(TamperedError) as caught:
        TileReader(folder).verify(published[0], 600)
    index = name.removeprefix("tile/entries/")
    assert name in str(caught.value) or f"tile/0/{index}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(published: tuple[bytes, Path], tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(published[1], tmp_path / "log"))
    (folder / name).unlink()
    with pytest.raises(TamperedError, match=f"{name} is missing"):
        TileReader(folder).verify(published[0], 600)
    (folder / name).mkdir()
    with pytest.raises(TamperedError, match=f"{name} is missing"):
        TileReader(folder).verify(published[0], 600)


def test_the_first_bad_entry_is_named(published: tuple[bytes, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(published[1], tmp_path / "log"))
    bundle = folder / "tile/entries/001"
    bundle.write_bytes(bundle.read_bytes().replace(b"\x00\x03300", b"\x00\x03999"))
    with pytest.raises(TamperedError, match=r"entry 300 doesn't hash to what tile/0/001 says"):
        TileReader(folder).verify(published[0], 600)
    reader = TileReader(folder).entries(250)
    assert [next(reader) for _ in range(50)] == [b"%d" % n for n in range(250, 300)]
    with pytest.raises(TamperedError):
        next(reader)


def test_an_entry_changed_together_with_its_hash_is_found_out(
    published: tuple[bytes, Path], tmp_path: Path
) -> None:
    for sequence, tile, match in ((300, "001", "from entry 256 on"), (520, "002.p/88", "the root")):
        folder = Path(shutil.copytree(published[1], tmp_path / tile[:3]))
        bundle, hashes = folder / "tile/entries" / tile, folder / "tile/0" / tile
        old, new = b"%d" % sequence, b"999"
        bundle.write_bytes(bundle.read_bytes().replace(b"\x00\x03" + old, b"\x00\x03" + new))
        hashes.write_bytes(hashes.read_bytes().replace(leaf_hash(old), leaf_hash(new)))
        with pytest.raises(TamperedError, match=match):
            TileReader(folder).verify(published[0], 600)


def test_a_full_tile_stands_in_for_a_partial_one_that_is_gone(tmp_path: Path) -> None:
    ledger = ledger_of(some_entries(300))
    export(ledger, 100, tmp_path)
    export(ledger, 300, tmp_path)
    assert not (tmp_path / "tile/0/000.p").exists()
    then = TileReader(tmp_path, a_note(100, ledger.root(100)))
    then.verify(ledger.root(100), 100)
    assert [*then.entries(97)] == some_entries(100)[97:]
    with pytest.raises(ProofError):
        then.hashes([(0, 100)])


def test_an_export_mends_a_damaged_tile_if_the_ledger_is_whole(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.db")
    fill(ledger, 260)
    export(ledger, 260, tmp_path / "log")
    good = files(tmp_path / "log")
    (tmp_path / "log/tile/0/000").write_bytes(b"cut off")
    done = export(ledger, 260, tmp_path / "log")
    assert files(tmp_path / "log") == good
    assert done.written == 2
    ledger.close()


def test_a_good_tile_never_makes_way_for_a_changed_ledger(tmp_path: Path) -> None:
    entries = some_entries(300)
    export(ledger_of(entries), 300, tmp_path)
    before = files(tmp_path)
    changed = changed_behind_its_root(entries, 77)
    with pytest.raises(TamperedError):
        export(changed, 300, tmp_path)
    assert files(tmp_path) == before


def test_a_changed_ledger_publishes_no_checkpoint(tmp_path: Path) -> None:
    changed = changed_behind_its_root(some_entries(300), 77)
    with pytest.raises(TamperedError, match="don't lead to the checkpoint's root"):
        export(changed, 300, tmp_path)
    assert not (tmp_path / "checkpoint").exists()
