"""Logs of plain bytes for the tests of the tiles, and what RFC 6962 says about them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from auditor.ledger.ledger import Ledger
from auditor.ledger.memory import MemoryEventStore
from auditor.ledger.store import Draft, Write
from auditor.ledger.tiles import Exported, export_tiles
from auditor.proof.merkle import EMPTY_ROOT, leaf_hash

ORIGIN = "ledger.example/one"


def some_entries(count: int) -> list[bytes]:
    """Entries of all sorts, some of them empty."""
    return [f"entry {number}".encode() * (number % 4) for number in range(count)]


def ledger_of(entries: Sequence[bytes]) -> Ledger:
    """A ledger of these bytes; nobody reads them as events."""
    return Ledger(_store_of(entries))


def changed_behind_its_root(entries: Sequence[bytes], sequence: int) -> Ledger:
    """A ledger with an entry and its leaf hash replaced, the rest of its hashes as they were."""
    store = _store_of(entries)
    store.change(sequence, b"changed")
    return Ledger(store)


class _Changeable(MemoryEventStore):
    def change(self, sequence: int, entry: bytes) -> None:
        row = self._rows[sequence]
        self._rows[sequence] = row._replace(entry=entry, leaf=leaf_hash(entry))


def _store_of(entries: Sequence[bytes]) -> _Changeable:
    drafts = tuple(Draft(event_id=UUID(int=n), entry=entry) for n, entry in enumerate(entries))
    store = _Changeable()
    store.append([Write(stream="s", expected_version=0, drafts=drafts)])
    return store


def a_note(size: int, root: bytes, origin: str = ORIGIN) -> str:
    """A checkpoint; who signs it is nothing to the tiles."""
    text = f"{origin}\n{size}\n{b64encode(root).decode()}\n"
    return f"{text}\n— {origin} {b64encode(bytes(68)).decode()}\n"


def export(ledger: Ledger, size: int, folder: Path) -> Exported:
    """Export at a checkpoint of that size."""
    return export_tiles(ledger, a_note(size, ledger.root(size)), size, folder)


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# RFC 6962 section 2.1, word for word -------------------------------------------------------------


def naive_root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_extension(old: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= k:
        return [*naive_extension(old, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_extension(old - k, leaves[k:], False), naive_root(leaves[:k])]
