"""Bytes by digest: weights, plans, evidence. What comes out is what went in, or an error.

Importing this needs no engine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.artefact import Digest
from auditor.errors import LedgerError, TamperedError

_NAME = "[0-9a-f]" * 64


@dataclass(frozen=True, slots=True)
class ContentStore:
    """A folder of files named by the SHA-256 of their content."""

    root: Path

    def put(self, data: bytes) -> Digest:
        """Keep ``data`` durably; the same bytes twice are kept once."""
        digest = Digest.of(data)
        path = self._path(digest)
        if not path.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
        return digest

    def get(self, digest: Digest) -> bytes:
        """The bytes of that digest.

        Raises:
            LedgerError: not here (destroyed, or never kept).
            TamperedError: here, but changed.
        """
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise LedgerError(
                f"{digest} isn't in the store; it was destroyed or never kept"
            ) from None
        if Digest.of(data) != digest:
            raise TamperedError(f"stored bytes of {digest} were changed")
        return data

    def has(self, digest: Digest) -> bool:
        """Whether something is kept under that digest."""
        return self._path(digest).exists()

    def digests(self) -> tuple[Digest, ...]:
        """All that is kept here."""
        names = sorted(path.name for path in self.root.glob(_NAME))
        return tuple(Digest(name) for name in names)

    def clear_half_done(self) -> None:
        """Destroy what stopped calls of `put` left; only where no other process writes."""
        for path in self.root.glob(".*.part"):
            destroy_file(path)

    def destroy(self, digest: Digest) -> None:
        """Overwrite and remove, with what a stopped `put` left; no error where nothing is kept."""
        path = self._path(digest)
        for left in (path, *self.root.glob(f".{path.name}.*.part")):
            destroy_file(left)

    def _path(self, digest: Digest) -> Path:
        return self.root / digest.value


def destroy_file(path: Path) -> None:
    """Overwrite a file with zeros, then remove it.

    On copy-on-write file systems and flash the old blocks may outlive this; a home that must
    withstand forensic recovery belongs on an encrypted volume.
    """
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink()


def write_atomically(path: Path, data: bytes) -> None:
    """Write under a temporary name, fsync, rename: the file is whole or not there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
