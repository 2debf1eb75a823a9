"""The ledger as files that any web server can serve (C2SP tlog-tiles v0.1.0).

    checkpoint                    the signed note, word for word
    tile/<L>/<N>[.p/<W>]          256 hashes of level L side by side; the last tile may hold W only
    tile/entries/<N>[.p/<W>]      the entries under tile N of level 0, each behind its length

Level 0 holds leaf hashes, and each full tile is one hash of the tile above it. Whoever fetches
these proves any entry, or audits the whole log, without asking us for anything. Who signed the
checkpoint is for the caller to verify (`auditor.proof.log_policy`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from auditor.errors import LedgerError, ProofError, TamperedError
from auditor.ledger.ledger import Ledger, Progress
from auditor.ledger.tile_format import (
    CHECKPOINT,
    LARGEST_BUNDLE,
    TILE_HEIGHT,
    TILE_WIDTH,
    Level,
    pack_bundle,
    parse_head,
    read_bounded,
    read_note,
    split_bundle,
    split_tile,
    tile_path,
    tile_width,
)
from auditor.proof.checkpoint import Checkpoint
from auditor.proof.merkle import HASH_BYTES, Subtree, leaf_hash, root_at, root_of

_PROGRESS_EVERY = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export did.

    Attributes:
        entries: how many entries the published tree has.
        written: files written, the checkpoint among them.
        kept: tiles that were there already, byte for byte.
    """

    entries: int
    written: int
    kept: int


def export_tiles(
    ledger: Ledger, note: str, size: int, folder: Path, progress: Progress | None = None
) -> Exported:
    """Write the tree of the first ``size`` entries into a folder, or let it grow there.

    The checkpoint goes last, so whatever stops the export, the folder still verifies at the
    checkpoint it had. Partial tiles of earlier checkpoints stay until their tile is full, as
    tlog-tiles demands.

    Args:
        ledger: the book.
        note: the signed checkpoint of that state.
        size: how many entries it covers.
        folder: what the web server serves; made where it is missing.
        progress: told now and then how many entries are done, and of how many.

    Raises:
        LedgerError: the checkpoint is for another state, the folder belongs to another log or to
            a later state, or it can't be written.
        TamperedError: the entries don't lead to the checkpoint's root.
    """
    head = parse_head(note)
    if head.size != size or head.root != ledger.root(size):
        raise LedgerError(
            f"the checkpoint isn't that of the ledger's first {size} entries; sign a new one: "
            "auditor ledger checkpoint"
        )
    _require_earlier_state(ledger, head, folder)
    out = _Publication(ledger, folder)
    for name, data in _tree_files(_told(ledger.entries(), size, progress)):
        out.put(name, data)
    if root_at(TileReader(folder, note).hashes, size) != head.root:  # of what now lies there
        raise TamperedError(
            f"the ledger's first {size} entries don't lead to the checkpoint's root; run: "
            "auditor ledger audit"
        )
    out.publish(note)
    return Exported(entries=size, written=out.written, kept=out.kept)


class TileReader:
    """A log as a folder of tiles, read at one checkpoint."""

    def __init__(self, folder: Path, note: str | None = None) -> None:
        """Open a folder.

        Args:
            folder: holds ``checkpoint`` and ``tile/``.
            note: read at this checkpoint, where it isn't the folder's own.

        Raises:
            LedgerError: the folder holds no checkpoint.
            TamperedError: the checkpoint isn't one.
        """
        self._folder = folder
        text = read_note(folder) if note is None else note
        if text is None:
            raise LedgerError(f"{folder} holds no checkpoint; name the folder of an exported log")
        self._note, self._head = text, parse_head(text)

    @property
    def note(self) -> str:
        """The checkpoint, word for word."""
        return self._note

    @property
    def origin(self) -> str:
        """The log's name, as the checkpoint has it."""
        return self._head.origin

    @property
    def size(self) -> int:
        """How many entries the checkpoint covers."""
        return self._head.size

    @property
    def root(self) -> bytes:
        """The root that the checkpoint states."""
        return self._head.root

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """Entries in order, each held against its leaf hash.

        Raises:
            TamperedError: naming the tile or entry that isn't as it was written.
        """
        for index in range(start // TILE_WIDTH, -(-self.size // TILE_WIDTH)):
            pairs = zip(self._bundle(index), self._tile(0, index), strict=True)
            for sequence, (entry, leaf) in enumerate(pairs, index * TILE_WIDTH):
                if leaf_hash(entry) != leaf:
                    raise TamperedError(
                        f"entry {sequence} doesn't hash to what {self._name(0, index)} says; "
                        "fetch the tiles again"
                    )
                if sequence >= start:
                    yield entry

    def hashes(self, wanted: Sequence[Subtree]) -> Sequence[bytes]:
        """Roots of perfect subtrees (`auditor.proof.merkle.HashReader`).

        Raises:
            ProofError: one reaches beyond the checkpoint.
            TamperedError: naming the tile that is missing or isn't one.
        """
        return [self._hash(level, index) for level, index in wanted]

    def verify(self, root: bytes, size: int) -> None:
        """Hash every entry up to its leaf, every full tile up to the one above, all to the root.

        Raises:
            ProofError: the checkpoint covers fewer entries.
            TamperedError: naming the tile or the first entry that isn't as it was written.
        """
        if size > self.size:
            raise ProofError(f"the tiles are those of {self.size} entries, not of {size}")
        for _ in islice(self.entries(), size):
            pass
        level = 0
        while full := size >> TILE_HEIGHT * (level + 1):
            for index in range(full):
                self._verify_tile(level, index)
            level += 1
        if root_at(self.hashes, size) != root:
            raise TamperedError(
                f"the first {size} entries don't lead to the root: entries were changed together "
                "with their tiles, or it is another log's"
            )

    def _verify_tile(self, level: int, index: int) -> None:
        above = TILE_HEIGHT * (level + 1)
        if root_of(self._tile(level, index)) != self._hash(above, index):
            parent = self._name(level + 1, index // TILE_WIDTH)
            raise TamperedError(
                f"{self._name(level, index)} doesn't hash to what {parent} says, from entry "
                f"{index << above} on; fetch the tiles again"
            )

    def _hash(self, level: int, index: int) -> bytes:
        if (index + 1) << level > self.size:
            raise ProofError(f"the tiles are those of {self.size} entries; fetch newer ones")
        height = level % TILE_HEIGHT
        tile, start = divmod(index << height, TILE_WIDTH)
        return root_of(self._tile(level // TILE_HEIGHT, tile)[start : start + (1 << height)])

    def _tile(self, level: int, index: int) -> list[bytes]:
        name, width, data = self._read(level, index, TILE_WIDTH * HASH_BYTES)
        return split_tile(data, width, name)[: tile_width(self.size, level, index)]

    def _bundle(self, index: int) -> list[bytes]:
        name, width, data = self._read("entries", index, LARGEST_BUNDLE)
        return split_bundle(data, width, name)[: tile_width(self.size, "entries", index)]

    def _read(self, level: Level, index: int, limit: int) -> tuple[str, int, bytes]:
        """A tile's file: its name, how much it has to hold, and its bytes.

        A partial tile may be gone once it became full (tlog-tiles, "Partial Tiles").
        """
        for width in (tile_width(self.size, level, index), TILE_WIDTH):
            name = tile_path(level, index, width)
            data = read_bounded(self._folder, name, limit)
            if data is not None:
                return name, width, data
        raise TamperedError(f"{self._name(level, index)} is missing; fetch the tiles again")

    def _name(self, level: Level, index: int) -> str:
        return tile_path(level, index, tile_width(self.size, level, index))


class _Publication:
    """The folder being written."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.written = self.kept = 0
        self._ledger = ledger
        self._folder = folder
        self._audited = False
        self._touched: set[Path] = set()
        self._superseded: list[Path] = []

    def put(self, name: str, data: bytes) -> None:
        """Make this tile hold these bytes."""
        path = self._folder / name
        held = read_bounded(self._folder, name, len(data))
        if held is not None and held != data and not self._audited:
            self._ledger.audit()  # else a good tile might make way for what was changed since
            self._audited = True
        if held == data:
            self.kept += 1
        else:
            self._write(path, data)
        partials = path.with_name(f"{path.name}.p")
        if partials.is_dir():
            self._superseded.append(partials)

    def publish(self, note: str) -> None:
        """Write the checkpoint, once all that it covers would survive a power cut."""
        self._sync()
        self._write(self._folder / CHECKPOINT, note.encode("utf-8"))
        self._sync()
        with _writing(self._folder):
            # what an export left behind that was stopped
            for leftover in [
                *self._folder.glob(f".{CHECKPOINT}.*.part"),
                *(self._folder / "tile").rglob(".*.part"),
            ]:
                leftover.unlink()
            for partials in self._superseded:
                shutil.rmtree(partials)

    def _write(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        self._touched |= {*path.parents} - {*self._folder.parents}
        self.written += 1

    def _sync(self) -> None:
        for folder in self._touched:
            with _writing(folder):
                descriptor = os.open(folder, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)


def _tree_files(entries: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    """Every file of a tree but its checkpoint, each as soon as it is whole."""
    edge: list[list[bytes]] = [[]]  # the last tile of each level, as far as it is filled
    size = 0
    while bundle := [*islice(entries, TILE_WIDTH)]:
        yield tile_path("entries", size // TILE_WIDTH, len(bundle)), pack_bundle(bundle)
        size += len(bundle)
        edge[0] = [leaf_hash(entry) for entry in bundle]
        level = 0
        while len(edge[level]) == TILE_WIDTH:
            index = (size >> TILE_HEIGHT * (level + 1)) - 1
            yield tile_path(level, index), b"".join(edge[level])
            edge += [[]] if level + 1 == len(edge) else []
            edge[level + 1].append(root_of(edge[level]))
            edge[level] = []
            level += 1
    for level, hashes in enumerate(edge):
        if hashes:  # "Empty tiles MUST NOT be served"
            index = size >> TILE_HEIGHT * (level + 1)
            yield tile_path(level, index, len(hashes)), b"".join(hashes)


def _told(entries: Iterator[bytes], size: int, progress: Progress | None) -> Iterator[bytes]:
    for done, entry in enumerate(islice(entries, size), 1):
        yield entry
        if progress is not None and (done % _PROGRESS_EVERY == 0 or done == size):
            progress(done, size)


def _require_earlier_state(ledger: Ledger, head: Checkpoint, folder: Path) -> None:
    """Raise LedgerError unless the folder publishes nothing yet, or what this log once was."""
    if read_note(folder) is None:
        return
    there = TileReader(folder)
    if there.origin == head.origin and there.size > head.size:
        raise LedgerError(
            f"{folder} publishes {there.size} entries already, the checkpoint covers {head.size}: "
            "export the newest checkpoint, or restore the newest backup of the ledger"
        )
    if there.origin != head.origin or ledger.root(there.size) != there.root:
        raise LedgerError(
            f"{folder} publishes another log ({there.origin}), or another past of this one; "
            "export into an empty folder"
        )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerError(f"can't write {path}: {error.strerror or error}") from None
