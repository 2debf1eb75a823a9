"""Laying two views of a ledger side by side: checkpoints, or whatever carries one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.certificates.sealed_pdf import read_sealed_pdf
from auditor.certificates.statement import PROOF
from auditor.errors import AuditorError, LedgerError, MisuseError, ProofError, TamperedError
from auditor.given import read_given
from auditor.ledger.tiles import TileReader
from auditor.proof.equivocation import Compared, Tree, compare_notes, verify_equivocation
from auditor.proof.log_policy import LogPolicy, parse_policy
from auditor.proof.merkle import consistency_path, root_at
from auditor.proof.tlog_proof import HEADER, carried_note
from auditor.proof.trust import parse_trust

_PDF = b"%PDF-"
_LARGEST_FILE = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A ledger's entries as somebody holds them, and the checkpoint they were signed in."""

    tree: Tree
    note: str | None


@dataclass(frozen=True, slots=True)
class ExportedTree:
    """An exported ledger as a tree to prove from."""

    tiles: TileReader

    @property
    def size(self) -> int:
        """See `Tree.size`."""
        return self.tiles.size

    def root(self, size: int) -> bytes:
        """See `Tree.root`."""
        return root_at(self.tiles.hashes, size)

    def prove_extension(self, old: int, new: int) -> Sequence[bytes]:
        """See `Tree.prove_extension`."""
        return consistency_path(self.tiles.hashes, old, new)

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """The entries from one on, each held against its leaf hash."""
        return self.tiles.entries(start)


def compare(one: Path, other: Path, policy: LogPolicy, views: Sequence[View]) -> Compared:
    """Compare two checkpoints of one ledger; where they don't tell, with the ledger as it is now.

    Args:
        one: a checkpoint, or a ledger proof, trust file, certificate or exported folder with one.
        other: likewise.
        policy: the log's keys.
        views: the log's entries, from wherever they can be had; exported folders among the two
            are used anyway.

    Raises:
        MisuseError: a file that carries no checkpoint.
        ProofError: not signed by the log, two different logs, or nothing to prove it from; damaged
            entries are nothing to prove from, and no second history.
        LedgerError: one history, but an exported folder holds something else than was signed.
    """
    first, second = (read_note(path) for path in (one, other))
    views = [*views, *(exported_view(path) for path in (one, other) if path.is_dir())]
    refusals = []
    for tree in (*(view.tree for view in views), None):
        try:
            found = compare_notes(first, second, policy, tree)
            break
        except (ProofError, LedgerError) as error:
            refusals.append(str(error))
    else:
        found = _compared_with_newest((first, second), views, policy, refusals[0])
    if not found.evidence:
        _require_whole(path for path in (one, other) if path.is_dir())
    return found


def _require_whole(folders: Iterable[Path]) -> None:
    """See that an exported folder's entries and tiles are those that its checkpoint speaks of."""
    for folder in folders:
        tiles = _tiles(folder)
        try:
            tiles.verify(tiles.root, tiles.size)
        except TamperedError as error:  # damaged, and no second history that the log had signed
            raise LedgerError(f"{folder} isn't what its checkpoint speaks of: {error}") from None


def _compared_with_newest(
    notes: Sequence[str], views: Sequence[View], policy: LogPolicy, refusal: str
) -> Compared:
    for view in views:
        for note in notes:
            found = _contradicted(note, view, policy)
            if found is not None:
                return found
    raise ProofError(refusal)


def _contradicted(note: str, view: View, policy: LogPolicy) -> Compared | None:
    """A checkpoint that the log's own newest one contradicts, with the evidence."""
    if view.note is None:
        return None
    try:
        found = compare_notes(note, view.note, policy, view.tree)
    except (ProofError, LedgerError):
        return None
    return found if found.evidence else None


def exported_view(folder: Path) -> View:
    """An exported folder as a view of its ledger.

    Raises:
        LedgerError: it holds no checkpoint.
        MisuseError: the checkpoint isn't one.
    """
    tiles = _tiles(folder)
    return View(tree=ExportedTree(tiles), note=tiles.note)


def check_evidence(path: Path, policy: LogPolicy) -> Compared:
    """Check a file of equivocation evidence.

    Raises:
        MisuseError: it can't be read.
        ProofError: it is no evidence.
    """
    return verify_equivocation(_read(path), policy)


def read_policy(path: Path) -> LogPolicy:
    """The log policy in a trust file, or in a file of its own.

    Raises:
        MisuseError: it can't be read.
        ProofError: neither.
    """
    data = _read(path)
    return parse_trust(data).policy if data.lstrip()[:1] == b"{" else parse_policy(_text(data))


def read_note(path: Path) -> str:
    """The checkpoint that a file or an exported folder carries, unverified.

    Raises:
        MisuseError: it can't be read, or carries none.
        LedgerError: a folder without one.
        ProofError: a ledger proof that isn't one.
    """
    if path.is_dir():
        return _tiles(path).note
    data = _read(path)
    try:
        if data.startswith(_PDF):
            return carried_note(_text(read_sealed_pdf(data).attachments[PROOF]))
        if data.lstrip()[:1] == b"{":
            return str(json.loads(data)["checkpoint"])
    except (AuditorError, KeyError, ValueError, RecursionError):
        raise MisuseError(f"{path} carries no checkpoint") from None
    text = _text(data)
    return carried_note(text) if text.startswith(HEADER) else text


def _tiles(folder: Path) -> TileReader:
    try:
        return TileReader(folder)
    except TamperedError as error:  # of whoever exported it, not of the ledger
        raise MisuseError(str(error)) from None


def _read(path: Path) -> bytes:
    try:
        return read_given(path, _LARGEST_FILE)
    except OSError as error:
        raise MisuseError(f"can't read {path}: {error.strerror}") from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
