"""What a folder of tiles is made of: paths, widths, bundles and checkpoint (C2SP tlog-tiles)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from auditor.errors import ProofError, TamperedError
from auditor.ledger.store import LARGEST_ENTRY
from auditor.proof.checkpoint import Checkpoint, parse_checkpoint
from auditor.proof.merkle import HASH_BYTES

CHECKPOINT = "checkpoint"
TILE_WIDTH = 256
TILE_HEIGHT = 8  # levels of the Merkle tree that one level of tiles spans

Level: TypeAlias = int | Literal["entries"]

_LENGTH_BYTES = 2  # "big-endian uint16 length-prefixed log entries"
LARGEST_BUNDLE = TILE_WIDTH * (_LENGTH_BYTES + LARGEST_ENTRY)

_LARGEST_CHECKPOINT = 1 << 20


def tile_path(level: Level, index: int, width: int = TILE_WIDTH) -> str:
    """Where a tile lies below the log's prefix (tlog-tiles, "Merkle Tree").

    >>> tile_path(0, 1234067)
    'tile/0/x001/x234/067'
    >>> tile_path("entries", 273, 112)
    'tile/entries/273.p/112'
    """
    digits = str(index)
    digits = digits.zfill(len(digits) + -len(digits) % 3)
    parts = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    place = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
    return f"tile/{level}/{place}" + ("" if width == TILE_WIDTH else f".p/{width}")


def tile_width(size: int, level: Level, index: int) -> int:
    """How many hashes a tile has in the tree of ``size`` leaves (tlog-tiles, "Partial Tiles").

    >>> tile_width(70_000, 0, 273), tile_width(70_000, 1, 0), tile_width(70_000, 2, 0)
    (112, 256, 1)
    """
    hashes = size if level == "entries" else size >> TILE_HEIGHT * level
    return min(TILE_WIDTH, hashes - index * TILE_WIDTH)


def pack_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries as a bundle holds them (tlog-tiles, "Log entries")."""
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def split_bundle(data: bytes, count: int, name: str) -> list[bytes]:
    """The entries in a bundle.

    Raises:
        TamperedError: it doesn't hold exactly ``count`` of them.
    """
    entries, start = [], 0
    for _ in range(count):
        body = start + _LENGTH_BYTES
        end = body + int.from_bytes(data[start:body], "big")
        entries.append(data[body:end])
        start = end
    if start != len(data):  # cut off: beyond it; too long: before it
        raise TamperedError(f"{name} doesn't hold exactly {count} entries; fetch it again")
    return entries


def split_tile(data: bytes, count: int, name: str) -> list[bytes]:
    """The hashes in a tile.

    Raises:
        TamperedError: it doesn't hold exactly ``count`` of them.
    """
    if len(data) != count * HASH_BYTES:
        raise TamperedError(f"{name} doesn't hold exactly {count} hashes; fetch it again")
    starts = range(0, len(data), HASH_BYTES)
    return [data[start : start + HASH_BYTES] for start in starts]


def parse_head(note: str) -> Checkpoint:
    """Read a checkpoint, without a look at who signed it.

    Raises:
        TamperedError: it isn't one.
    """
    try:
        return parse_checkpoint(note)
    except ProofError as error:
        raise TamperedError(f"the checkpoint of the tiles isn't a signed one: {error}") from None


def read_note(folder: Path) -> str | None:
    """The text of a folder's checkpoint, if it has one.

    Raises:
        TamperedError: it isn't text of a sensible length.
    """
    data = read_bounded(folder, CHECKPOINT, _LARGEST_CHECKPOINT)
    if data is None:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > _LARGEST_CHECKPOINT:
        raise TamperedError(f"the checkpoint in {folder} isn't text, or too long; fetch it again")
    return text


def read_bounded(folder: Path, name: str, limit: int) -> bytes | None:
    """A file's bytes, one more than ``limit`` at most; None where there is no such file.

    Raises:
        TamperedError: it is there, and can't be read.
    """
    path = folder / name
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise TamperedError(f"{path} can't be read: {error.strerror or error}") from None
