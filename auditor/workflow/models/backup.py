"""A copy of a home in one file, all of one moment and without its keys.

    auditor.toml trust.json checkpoint.txt     settings, and what was last signed
    ledger.db                                  ledger and vault, by SQLite's own backup
    store/ certificates/ training/ banks/      weights, evidence, documents
    timestamps/ origins/, files the settings name

Keys stay behind: with the vault's beside it, a backup could not be made to forget anybody. Without
them its payloads open nowhere, and once the vault's key was rotated they never will again. Images
and half-done work stay behind, too. ``docs/desk.md`` says how a backup is put back.
"""

from __future__ import annotations

import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from auditor.domain.artefact import Digest
from auditor.errors import HomeError, MisuseError, ProofError, TamperedError
from auditor.ledger.ledger import Ledger
from auditor.ledger.sql import SqlEventStore
from auditor.proof.checkpoint import parse_checkpoint
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.files import OWNER_ONLY, sync_folder, whole_file
from auditor.workflow.homes.guard import CERTIFICATES, CHECKPOINT, READ_ONLY, TRUST, newest_note
from auditor.workflow.homes.home import DATABASE, KEYS, SETTINGS, Home
from auditor.workflow.log.checkpoints import record_checkpoint, signing_alone
from auditor.workflow.log.renaming import ORIGINS
from auditor.workflow.log.timestamping import TIMESTAMPS
from auditor.workflow.models.shared_bank_book import BANKS
from auditor.workflow.models.training_book import FOLDER as TRAINING

_FILES = (SETTINGS, TRUST, CHECKPOINT, READ_ONLY)
_FOLDERS = (CERTIFICATES, "store", TRAINING, BANKS, TIMESTAMPS, ORIGINS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What a backup holds.

    Attributes:
        files: how many.
        entries: of the ledger.
        signed: entries that the checkpoint in it covers; what came behind them nobody can put back
            from it (`auditor.workflow.log.recovery`).
    """

    files: int
    entries: int
    signed: int


def back_up(home: Home, target: Path) -> BackedUp:
    """Write a backup to a file that isn't there yet; it appears whole or not at all.

    What one that was killed left beside it, the next one of this home to that folder removes.

    The ledger is signed before, so that all of it can be put back from the backup. Where it can't
    be, as it is read-only or no passphrase is at hand, the backup is made all the same.
    Nothing is run in the home meanwhile; requests may come in, and are in the backup or aren't.

    Raises:
        MisuseError: there is such a file, it would lie in the home, or the ledger lies in
            PostgreSQL.
        HomeError: another run is working, or the file can't be written.
    """
    if home.config.database:
        raise MisuseError(
            "this ledger lies in a database of its own: back that up by its own means, such as "
            "pg_dump, and this home's folder without keys"
        )
    target = target.parent.resolve() / target.name
    if target.exists() or not target.parent.is_dir():
        raise MisuseError(f"{target} is there already, or its folder isn't; name a new file")
    if target.is_relative_to(home.root.resolve()):
        raise MisuseError(f"{target} lies in the home itself; name a file elsewhere")
    with alone(home), _scratch(home, target.parent) as scratch:
        with suppress(HomeError, ProofError, TamperedError):
            record_checkpoint(home)
        moment, packed = scratch / "moment", scratch / "packed"
        moment.mkdir()
        with signing_alone(home):  # nothing is signed that the database doesn't hold by then
            _copy_files(home, moment)
            _copy_database(home.root / DATABASE, moment / DATABASE)
        with whole_file(packed, mode=OWNER_ONLY) as file:
            found = {**dict(_files_of(moment, moment)), **dict(_lasting(home))}
            with tarfile.open(fileobj=file, mode="w") as archive:
                for name, path in found.items():
                    archive.add(path, f"home/{name}", recursive=False, filter=_nobodys)
        with closing(Ledger(SqlEventStore(f"sqlite:///{moment / DATABASE}"))) as copied:
            entries = copied.size
        _publish(packed, target)
        return BackedUp(files=len(found), entries=entries, signed=_signed(moment))


@contextmanager
def _scratch(home: Home, folder: Path) -> Iterator[Path]:
    """A folder beside the backup, named for the home, so that what a killed one left is removed.

    The home's turn has to be held: whatever bears its name is nobody's work any more.
    """
    prefix = f".backup-{Digest.of(home.trust.log_origin.encode()).value[:16]}-"
    for left in folder.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(dir=folder, prefix=prefix) as name:
        yield Path(name)


def _publish(packed: Path, target: Path) -> None:
    try:
        packed.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise HomeError(f"can't write {target}: {error.strerror or error}") from None


def _signed(moment: Path) -> int:
    """How many entries the checkpoint in a backup covers; none, where it shows none."""
    with suppress(HomeError, ProofError):
        note = newest_note(moment)
        return 0 if note is None else parse_checkpoint(note).size
    return 0


def _copy_files(home: Home, moment: Path) -> None:
    for name in _FILES:
        with suppress(FileNotFoundError):
            (moment / name).write_bytes((home.root / name).read_bytes())


def _copy_database(database: Path, copy: Path) -> None:
    """By SQLite, so that it is of one moment whoever writes meanwhile."""
    try:
        with (
            closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    except sqlite3.Error as error:
        raise HomeError(f"the ledger's database can't be copied: {error}") from None


def _lasting(home: Home) -> Iterator[tuple[str, Path]]:
    """Files that are written once, or that the settings name, under their names in the home."""
    for folder in _FOLDERS:
        yield from _files_of(home.root / folder, home.root)
    config = home.config
    for name in (config.timestamp_roots, config.seal_roots, config.seal_revoked, *config.packs):
        path = (home.root / name).resolve()
        if name and path.is_relative_to(home.root.resolve()):
            yield from _files_of(path, home.root.resolve())


def _files_of(path: Path, root: Path) -> Iterator[tuple[str, Path]]:
    """A file, or the files in a folder; neither keys nor what is half written."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    for each in found:
        name = each.relative_to(root)
        left = name.parts[0] == KEYS or name.name.endswith(".part") or "unfinished" in str(name)
        if each.is_file() and not each.is_symlink() and not left:
            yield str(name), each


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the name of whoever made the backup."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
