"""Our tiles read by an independent implementation of C2SP tlog-tiles, and its tiles by ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.errors import TamperedError
from auditor.ledger.ledger import Ledger
from auditor.ledger.tiles import TileReader, export_tiles
from auditor.proof.merkle import (
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from tests.ledger.logs import ORIGIN, files, ledger_of, some_entries

aics = pytest.importorskip(
    "aics_tlog",
    reason="no aics-tlog; install it: pip install --no-deps --ignore-requires-python "
    "aics-tlog==0.2.1",
)

KEY = Ed25519PrivateKey.generate()
SIZES = [0, 1, 2, 255, 256, 257, 600, 1_000]


def signed(size: int, root: bytes) -> str:
    """A checkpoint signed by the other implementation."""
    checkpoint = aics.Checkpoint(origin=ORIGIN, size=size, root=root)
    return str(aics.sign_checkpoint(checkpoint, KEY, ORIGIN).serialise())


def exported(size: int, folder: Path) -> Ledger:
    ledger = ledger_of(some_entries(size))
    export_tiles(ledger, signed(size, ledger.root()), size, folder)
    return ledger


def places(size: int) -> list[int]:
    """A few entries: the ends, and either side of a tile's edge."""
    return sorted({0, 1, 255, 256, 511, size // 2, size - 1} & set(range(size)))


@pytest.mark.parametrize("size", SIZES)
def test_it_reads_and_audits_what_we_export(tmp_path: Path, size: int) -> None:
    ledger = exported(size, tmp_path)
    note = aics.parse_note((tmp_path / "checkpoint").read_bytes())
    key = aics.vkey_from_ed25519(ORIGIN, KEY.public_key())
    found = aics.verify_checkpoint(note, key, expected_origin=ORIGIN)
    assert (found.ok, found.size, found.root) == (True, size, ledger.root())
    tiles = aics.FileSystemTileReader(tmp_path)
    assert aics.tree_root_from_tiles(tiles, size) == ledger.root()
    report = aics.audit_tiles(tiles, size, ledger.root())
    assert report.tiles + report.bundles + 1 == len(files(tmp_path))
    proven = aics.VerifiedTileReader(tiles, size, ledger.root())
    for index in places(size):
        assert proven.entry(index) == aics.read_entry(tiles, index, size) == ledger.entry(index)


@pytest.mark.parametrize("size", SIZES)
def test_both_write_the_same_bytes(tmp_path: Path, size: int) -> None:
    exported(size, tmp_path / "ours")
    aics.TileWriter(some_entries(size)).write_to(tmp_path / "theirs")
    ours = files(tmp_path / "ours")
    assert ours.pop("checkpoint")
    assert ours == files(tmp_path / "theirs")


@pytest.mark.parametrize("size", SIZES)
def test_we_read_and_verify_what_it_writes(tmp_path: Path, size: int) -> None:
    entries = some_entries(size)
    store, tree = aics.DirectoryTileStore(tmp_path, fsync=False), aics.MerkleTree(entries)
    writer = aics.IncrementalTileWriter(store)
    for some in (entries[: size // 3], entries[size // 3 :]):
        writer.append(some)
    store.write_checkpoint(signed(size, tree.root()).encode())
    reader = TileReader(tmp_path)
    assert (reader.origin, reader.size, reader.root) == (ORIGIN, size, tree.root())
    assert [*reader.entries()] == entries
    reader.verify(tree.root(), size)
    assert root_at(reader.hashes, size) == tree.root()


@pytest.mark.parametrize("size", [size for size in SIZES if size])
def test_merkle_proofs_are_the_same_and_verify_both_ways(tmp_path: Path, size: int) -> None:
    ledger, tree = exported(size, tmp_path), aics.MerkleTree(some_entries(size))
    theirs, ours, root = aics.FileSystemTileReader(tmp_path), TileReader(tmp_path), ledger.root()
    for index in places(size):
        leaf = leaf_hash(ledger.entry(index))
        path = inclusion_path(ours.hashes, index, size)
        assert [*path] == tree.inclusion_proof(index)
        assert [*path] == aics.inclusion_proof_from_tiles(theirs, index, size)
        assert aics.verify_inclusion(leaf, index, size, [*path], root)
        assert not aics.verify_inclusion(leaf_hash(b"forged"), index, size, [*path], root)
        verify_inclusion(leaf, index, size, tree.inclusion_proof(index), root)
    for old in (place + 1 for place in places(size)):
        path = consistency_path(ours.hashes, old, size)
        assert [*path] == tree.consistency_proof(old)
        assert [*path] == aics.consistency_proof_from_tiles(theirs, old, size)
        assert aics.verify_consistency(old, size, tree.root(old), root, [*path])
        verify_consistency(old, size, ledger.root(old), root, tree.consistency_proof(old))


def test_a_log_may_change_hands_between_the_two(tmp_path: Path) -> None:
    ledger = ledger_of(some_entries(1_000))
    export_tiles(ledger, signed(300, ledger.root(300)), 300, tmp_path)
    store = aics.DirectoryTileStore(tmp_path, fsync=False)
    writer = aics.IncrementalTileWriter(store, 300)
    assert writer.root() == ledger.root(300)
    writer.append(some_entries(700)[300:])
    store.write_checkpoint(signed(700, writer.root()).encode())
    TileReader(tmp_path).verify(ledger.root(700), 700)
    export_tiles(ledger, signed(1_000, ledger.root()), 1_000, tmp_path)
    aics.audit_tiles(aics.FileSystemTileReader(tmp_path), 1_000, ledger.root())


@pytest.mark.parametrize("name", ["tile/0/001", "tile/entries/001", "tile/1/000.p/2"])
def test_both_refuse_the_same_damage(tmp_path: Path, name: str) -> None:
    ledger = exported(600, tmp_path)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(TamperedError):
        TileReader(tmp_path).verify(ledger.root(), 600)
    with pytest.raises(aics.TileVerificationError):
        aics.audit_tiles(aics.FileSystemTileReader(tmp_path), 600, ledger.root())
