"""The ledger as files for anyone to fetch and check: tiles, links to earlier names, time stamps."""

from __future__ import annotations

from pathlib import Path

from auditor.ledger.ledger import Progress
from auditor.ledger.tiles import Exported, export_tiles
from auditor.workflow.checkpoints import record_checkpoint
from auditor.workflow.files import write_file
from auditor.workflow.home import Home

_BESIDE = ("origins", "timestamps")


def export_ledger(home: Home, folder: Path, progress: Progress | None = None) -> Exported:
    """Sign the ledger's state, and export it up to there.

    Raises:
        TamperedError: the ledger isn't what was last signed, or was changed.
        LedgerError: the folder holds another log, or can't be written.
    """
    published = record_checkpoint(home)
    made = export_tiles(
        home.ledger, published.note, published.found.checkpoint.size, folder, progress
    )
    for name in _BESIDE:
        for path in sorted((home.root / name).glob("*.*")):
            (folder / name).mkdir(exist_ok=True)
            write_file(folder / name / path.name, path.read_bytes())
    return made
