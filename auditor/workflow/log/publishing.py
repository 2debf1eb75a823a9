"""The ledger as files for anyone to fetch and check: tiles, links to earlier names, time stamps."""

from __future__ import annotations

from pathlib import Path

from auditor.errors import HomeError, LedgerError, MisuseError
from auditor.ledger.ledger import Progress
from auditor.ledger.tiles import Exported, export_tiles
from auditor.workflow.homes.alone import in_turn
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.home import Home
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.renaming import ORIGINS
from auditor.workflow.log.timestamping import TIMESTAMPS

_LOCK = ".lock"


def export_ledger(home: Home, folder: Path, progress: Progress | None = None) -> Exported:
    """Sign the ledger's state, and export it up to there.

    Two at once take turns, and the later one signs and checks what the earlier has published.

    Raises:
        MisuseError: whoever serves that folder would serve the home, or what is in it.
        TamperedError: the ledger isn't what was last signed, or was changed.
        LedgerError: the folder holds another log, or can't be written.
        HomeError: the folder can't be locked, or a file beside the tiles can't be written.
    """
    root, target = home.root.resolve(), folder.resolve()
    if root.is_relative_to(target) or target.is_relative_to(root):
        raise MisuseError(
            f"{folder} holds the home and its keys, or lies among them; export into another folder"
        )
    _make(folder)
    with in_turn(folder / _LOCK):
        published = record_checkpoint(home)
        made = export_tiles(
            home.ledger, published.note, published.found.checkpoint.size, folder, progress
        )
        for name in (ORIGINS, TIMESTAMPS):
            for path in sorted((home.root / name).glob("[!.]*")):
                _copy(path, folder / name / path.name)
    return made


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"can't write {folder}: {error.strerror or error}") from None


def _copy(path: Path, to: Path) -> None:
    try:
        content = path.read_bytes()
        if not to.exists() or to.read_bytes() != content:
            to.parent.mkdir(exist_ok=True)
            write_file(to, content)
    except OSError as error:
        raise HomeError(f"can't copy {path} to {to}: {error.strerror or error}") from None
