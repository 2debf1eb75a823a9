"""The ledger as static files: complete, provable, and grown in place."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import ProofError, TamperedError
from auditor.ledger.ledger import Ledger
from auditor.ledger.store import LARGEST_ENTRY
from auditor.ledger.tile_format import tile_path
from auditor.ledger.tiles import TileReader, export_tiles
from auditor.proof.merkle import consistency_path, inclusion_path, leaf_hash, root_at
from tests.ledger.logs import (
    ORIGIN,
    a_note,
    export,
    files,
    ledger_of,
    naive_extension,
    naive_path,
    naive_root,
    some_entries,
)

ROOT = Path(__file__).parents[2]

# The format --------------------------------------------------------------------------------------

LARGE = 70_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ledger, Path]:
    ledger, folder = ledger_of(some_entries(LARGE)), tmp_path_factory.mktemp("large")
    export(ledger, LARGE, folder)
    return ledger, folder


@pytest.mark.parametrize(
    ("index", "path"),
    [
        (0, "000"),
        (7, "007"),
        (999, "999"),
        (1_000, "x001/000"),
        (67_012, "x067/012"),
        (1_234_067, "x001/x234/067"),
        (1_234_067_000, "x001/x234/x067/000"),
    ],
)
def test_an_index_is_three_digits_to_a_folder(index: int, path: str) -> None:
    assert tile_path(0, index) == f"tile/0/{path}"
    assert tile_path(63, index, 255) == f"tile/63/{path}.p/255"
    assert tile_path("entries", index, 1) == f"tile/entries/{path}.p/1"


def test_the_specs_example_of_70000_entries(large: tuple[Ledger, Path]) -> None:
    found = files(large[1])
    full = {f"tile/{level}/{n:03}" for level in ("0", "entries") for n in range(273)}
    edge = {"tile/0/273.p/112", "tile/entries/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"}
    assert set(found) == {*full, *edge, "tile/1/000", "checkpoint"}
    for name, data in found.items():
        if "entries" not in name and name != "checkpoint":
            assert len(data) == 32 * int(name.partition(".p/")[2] or 256)


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (0, set()),
        (1, {"tile/0/000.p/1", "tile/entries/000.p/1"}),
        (255, {"tile/0/000.p/255", "tile/entries/000.p/255"}),
        (256, {"tile/0/000", "tile/entries/000", "tile/1/000.p/1"}),
        (
            257,
            {"tile/0/000", "tile/entries/000", "tile/1/000.p/1"}
            | {"tile/0/001.p/1", "tile/entries/001.p/1"},
        ),
    ],
)
def test_no_empty_tile_is_written(tmp_path: Path, size: int, names: set[str]) -> None:
    done = export(ledger_of(some_entries(size)), size, tmp_path / "new" / "folder")
    found = files(tmp_path / "new" / "folder")
    assert set(found) == {*names, "checkpoint"}
    assert (done.entries, done.written, done.kept) == (size, len(found), 0)
    reader = TileReader(tmp_path / "new" / "folder")
    assert reader.note.encode() == found["checkpoint"]
    assert (reader.origin, reader.size) == (ORIGIN, size)
    assert [*reader.entries()] == some_entries(size)
    reader.verify(reader.root, size)


def test_an_entry_may_be_empty_or_as_long_as_its_length_can_say(tmp_path: Path) -> None:
    entries = [b"", bytes(LARGEST_ENTRY), b""]
    export(ledger_of(entries), 3, tmp_path)
    assert [*TileReader(tmp_path).entries()] == entries
    assert files(tmp_path)["tile/entries/000.p/3"][:4] == b"\x00\x00\xff\xff"


# Proofs ------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(1, 700), st.data())
def test_tiles_prove_what_the_ledger_proves_and_what_the_rfc_says(
    size: int, data: st.DataObject
) -> None:
    entries = some_entries(size)
    ledger, leaves = ledger_of(entries), [leaf_hash(entry) for entry in entries]
    with TemporaryDirectory() as name:
        export(ledger, size, Path(name))
        reader = TileReader(Path(name))
        until = data.draw(st.integers(1, size))
        index, old = data.draw(st.integers(0, until - 1)), data.draw(st.integers(1, until))
        path = inclusion_path(reader.hashes, index, until)
        assert path == ledger.prove(index, until) == tuple(naive_path(index, leaves[:until]))
        extension = consistency_path(reader.hashes, old, until)
        assert extension == ledger.prove_extension(old, until)
        assert extension == tuple(naive_extension(old, leaves[:until]))
        assert root_at(reader.hashes, until) == naive_root(leaves[:until])
        start = data.draw(st.integers(0, size))
        assert [*reader.entries(start)] == entries[start:]
        reader.verify(naive_root(leaves[:until]), until)


@settings(max_examples=25)
@given(st.integers(1, LARGE), st.data())
def test_tiles_of_three_levels_prove_the_same(
    large: tuple[Ledger, Path], size: int, data: st.DataObject
) -> None:
    ledger, reader = large[0], TileReader(large[1])
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert inclusion_path(reader.hashes, index, size) == ledger.prove(index, size)
    assert consistency_path(reader.hashes, old, size) == ledger.prove_extension(old, size)
    assert root_at(reader.hashes, size) == ledger.root(size)


def test_a_large_log_verifies_whole(large: tuple[Ledger, Path]) -> None:
    reader = TileReader(large[1])
    reader.verify(large[0].root(), LARGE)
    with pytest.raises(TamperedError, match="don't lead to the root"):
        reader.verify(large[0].root(LARGE - 1), LARGE)
    for read in (lambda: reader.verify(reader.root, LARGE + 1), lambda: reader.hashes([(17, 0)])):
        with pytest.raises(ProofError, match="70000 entries"):
            read()


# From outside ------------------------------------------------------------------------------------


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests need no access log."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A plain web server over a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_outsider_verifies_the_log_over_plain_http(tmp_path: Path) -> None:
    entries = some_entries(600)
    ledger = ledger_of(entries)
    export(ledger, 600, tmp_path)
    with served(tmp_path) as prefix:

        def fetched(path: str) -> bytes:
            with urlopen(f"{prefix}/{path}", timeout=10) as answer:
                return bytes(answer.read())

        size = int(fetched("checkpoint").split(b"\n")[1])
        found: list[bytes] = []
        for number in range(0, size, 256):
            width = min(256, size - number)
            suffix = "" if width == 256 else f".p/{width}"
            bundle = fetched(f"tile/entries/{number // 256:03}{suffix}")
            some = []
            while bundle:
                length = int.from_bytes(bundle[:2], "big")
                some.append(bundle[2 : 2 + length])
                bundle = bundle[2 + length :]
            hashes = b"".join(hashlib.sha256(b"\x00" + entry).digest() for entry in some)
            assert fetched(f"tile/0/{number // 256:03}{suffix}") == hashes
            found += some
        leaves = [leaf_hash(entry) for entry in found]
        over = [naive_root(leaves[:256]), naive_root(leaves[256:512])]
        assert fetched("tile/1/000.p/2") == b"".join(over)
        with pytest.raises(HTTPError) as missing:
            fetched("tile/0/003.p/1")
        missing.value.close()
    assert found == entries
    assert b64encode(naive_root(leaves)) == fetched_root(tmp_path)


def fetched_root(folder: Path) -> bytes:
    return (folder / "checkpoint").read_bytes().split(b"\n")[2]


# Growth ------------------------------------------------------------------------------------------


@settings(max_examples=12)
@given(st.lists(st.integers(0, 1_100), min_size=2, max_size=4).map(sorted))
def test_growing_in_place_gives_what_an_export_from_scratch_gives(sizes: list[int]) -> None:
    ledger = ledger_of(some_entries(sizes[-1]))
    with TemporaryDirectory() as name:
        grown, fresh = Path(name) / "grown", Path(name) / "fresh"
        for size in sizes:
            before = files(grown)
            done = export(ledger, size, grown)
            for path, data in before.items():  # a published path never changes
                assert path == "checkpoint" or files(grown).get(path, data) == data
            new = files(grown).keys() - before.keys() - {"checkpoint"}
            assert done.written == len(new) + 1
        export(ledger, sizes[-1], fresh)
        extra = files(grown).keys() - files(fresh).keys()
        assert {path: files(grown)[path] for path in files(fresh)} == files(fresh)
        # "Logs MUST serve partial tiles corresponding to tree sizes for which a checkpoint was
        # produced, but MAY delete any partial tile once the corresponding full tile is available"
        assert all(".p/" in path for path in extra)
        assert not any((grown / path.partition(".p/")[0]).exists() for path in extra)
        for size in sizes:
            old = TileReader(grown, a_note(size, ledger.root(size)))
            old.verify(old.root, size)


def test_a_second_export_of_the_same_state_writes_the_checkpoint_alone(tmp_path: Path) -> None:
    ledger = ledger_of(some_entries(600))
    first = export(ledger, 600, tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "tile").rglob("*")}
    again = export(ledger, 600, tmp_path)
    assert (again.written, again.kept) == (1, first.written - 1)
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "tile").rglob("*")}


def test_progress_is_told_to_the_end(tmp_path: Path) -> None:
    ledger, told = ledger_of(some_entries(5_000)), list[tuple[int, int]]()
    note = a_note(5_000, ledger.root())
    export_tiles(ledger, note, 5_000, tmp_path, lambda done, of: told.append((done, of)))
    assert told == [(4_096, 5_000), (5_000, 5_000)]


_STOPPED = """
import os, sys
from pathlib import Path
from tests.ledger.logs import export, ledger_of, some_entries

left = int(sys.argv[2])

def stop(event, arguments):
    global left
    if event == "os.rename" and str(arguments[1]).startswith(sys.argv[1]):  # no cache of Python's
        left -= 1
        if left < 0:
            os._exit(9)

sys.addaudithook(stop)
export(ledger_of(some_entries(600)), 600, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("renames", range(9))
def test_killed_before_any_rename_the_folder_still_holds_its_last_state(
    tmp_path: Path, renames: int
) -> None:
    ledger, folder = ledger_of(some_entries(600)), tmp_path / "log"
    export(ledger, 100, folder)
    command = [sys.executable, "-c", _STOPPED, str(folder), str(renames)]
    stopped = subprocess.run(command, check=False, cwd=ROOT)
    assert stopped.returncode == (9 if renames < 8 else 0)
    reader = TileReader(folder)
    assert reader.size == (100 if renames < 8 else 600)
    reader.verify(ledger.root(reader.size), reader.size)
    if renames < 8:
        assert any(path.endswith(".part") for path in files(folder))
    export(ledger, 600, folder)
    export(ledger, 600, tmp_path / "fresh")
    assert files(folder) == files(tmp_path / "fresh")
