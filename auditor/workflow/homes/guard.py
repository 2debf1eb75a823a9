"""The restore guard: a ledger that isn't what was last signed takes no further entries.

A backup put back, a fork or another database in its place would otherwise go on as if nothing had
been: two histories under one name. What was last signed lies outside the database (`checkpoint.txt`
in the home), the documents issued carry what was signed for them, and witnesses remember it too;
what was written and not signed yet is kept in mind as well (`auditor.workflow.homes.head`). Until
``auditor ledger recover`` has been run the home can be looked at, not written to.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from auditor.domain.entry import Recorded
from auditor.errors import HomeError, ProofError, TamperedError
from auditor.ledger.ledger import Append, Clock, Ledger
from auditor.ledger.store import EventStore
from auditor.proof.checkpoint import Checkpoint, parse_checkpoint
from auditor.proof.log_policy import END_OF_TIME, Witnessed, examine_checkpoint
from auditor.proof.merkle import verify_consistency
from auditor.proof.tlog_proof import carried_note
from auditor.proof.trust import TrustFile, parse_trust
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.head import keep_head, kept_head, what_is_lost

CHECKPOINT = "checkpoint.txt"
TRUST = "trust.json"
CERTIFICATES = "certificates"
PROOFS = "*.tlog-proof"

READ_ONLY = "read-only.txt"

_Stamp: TypeAlias = tuple[tuple[int, int] | None, ...]


class GuardedLedger(Ledger):
    """A ledger that refuses to write while it isn't what was last signed, or written."""

    def __init__(self, store: EventStore, clock: Clock, root: Path) -> None:
        """The ledger of the home at ``root``."""
        super().__init__(store, clock)
        self._root = root
        self._floor = 0
        self._looked_at: _Stamp | None = None

    def append_all(self, appends: Sequence[Append]) -> tuple[Recorded, ...]:
        """See `Ledger.append_all`.

        Raises:
            TamperedError: the ledger is read-only.
        """
        head, stamp = kept_head(self._root), _stamp(self._root)
        frontier = self.frontier()
        if stamp != self._looked_at or frontier.size < self._floor:
            require_writable(self._root, self)
            newest = newest_note(self._root)
            self._floor = 0 if newest is None else parse_checkpoint(newest).size
            self._looked_at = stamp
        if head is not None and (head.size, head.root) != (frontier.size, frontier.root()):
            _require_none(what_is_lost(self._root, self, head))
        appended = super().append_all(appends)
        keep_head(self._root, self)
        return appended


def _stamp(root: Path) -> _Stamp:
    """Changes whenever one of the files is written on which it depends whether we may append.

    Checking signatures and history before each of many appends would cost more than the appends.
    """
    found: list[tuple[int, int] | None] = []
    for name in (CHECKPOINT, TRUST, READ_ONLY):
        try:
            status = (root / name).stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_mtime_ns))
    return tuple(found)


def newest_checkpoint(root: Path) -> Witnessed | None:
    """The state the home's ledger was last signed in, its signatures checked; None before that.

    Raises:
        HomeError: the trust file is missing or unreadable.
        ProofError: the note isn't this log's.
    """
    note = newest_note(root)
    return None if note is None else examine_checkpoint(note, read_trust(root).policy, END_OF_TIME)


def newest_note(root: Path) -> str | None:
    """The newest signed checkpoint as it was written.

    Raises:
        HomeError: the trust file is missing or unreadable.
        ProofError: one of the two files that keep it holds something else.
    """
    return max(kept_notes(root), key=lambda note: parse_checkpoint(note).size, default=None)


def kept_notes(root: Path) -> Sequence[str]:
    """What the two files that keep the newest signed checkpoint hold; the same, if all is well.

    Raises:
        HomeError: the trust file is missing or unreadable.
        ProofError: one of them holds something else.
    """
    trust, path = read_trust(root), root / CHECKPOINT
    notes = [read_file(path).decode("utf-8", "replace")] if path.exists() else []
    notes += [trust.checkpoint] if trust.checkpoint else []  # lest deleting the file hide anything
    try:
        return [note for note in notes if parse_checkpoint(note).origin == trust.log_origin]
    except ProofError as error:
        raise ProofError(f"{path}: {error}; remove it: {TRUST} has the checkpoint too") from None


def read_trust(root: Path) -> TrustFile:
    """The home's trust file.

    Raises:
        HomeError: missing or unreadable.
        ProofError: not a trust file.
    """
    return parse_trust(read_file(root / TRUST))


def read_file(path: Path) -> bytes:
    """A file of the home.

    Raises:
        HomeError: missing or unreadable.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise HomeError(f"can't read {path}: {error.strerror}; restore it from a backup") from None


def require_writable(root: Path, ledger: Ledger) -> None:
    """See that the ledger may go on.

    Raises:
        TamperedError: it isn't what was last signed or written, or a witness has seen a later
            state.
    """
    _require_none(why_read_only(root, ledger))


def _require_none(reason: str) -> None:
    if reason:
        raise TamperedError(f"{reason}; the ledger is read-only until: auditor ledger recover")


def why_read_only(root: Path, ledger: Ledger) -> str:
    """Why nothing may be appended; "" where all is well."""
    if is_closed(root):
        return read_file(root / READ_ONLY).decode("utf-8", "replace").strip()
    try:
        size = require_extends_kept(root, ledger)
    except TamperedError as error:
        return str(error)
    return _outgrown(root, size) or what_is_lost(root, ledger, kept_head(root))


def require_extends_kept(root: Path, ledger: Ledger) -> int:
    """Prove that the ledger still holds all that was signed before, by both files that keep it.

    Returns:
        How many entries the newer of them covers; 0 where nothing was signed yet.

    Raises:
        TamperedError: it doesn't.
        ProofError: one of the notes isn't this log's.
    """
    policy, notes = read_trust(root).policy, dict.fromkeys(kept_notes(root))
    states = [examine_checkpoint(note, policy, END_OF_TIME).checkpoint for note in notes]
    for state in states:
        require_extends(ledger, state)
    return max((state.size for state in states), default=0)


def _outgrown(root: Path, size: int) -> str:
    """Why the newest issued document shows the whole home to be an older state; "" if it doesn't.

    Only the newest by its file's time is looked at, as this is asked for with every command;
    ``auditor ledger recover`` looks at them all.
    """
    proofs = [(path.stat().st_mtime_ns, path) for path in (root / CERTIFICATES).glob(PROOFS)]
    if not proofs:
        return ""
    trust, (_, path) = read_trust(root), max(proofs)
    try:
        note = carried_note(read_file(path).decode("utf-8", "replace"))
        claimed = parse_checkpoint(note)
        if claimed.origin != trust.log_origin or claimed.size <= size:
            return ""
        examine_checkpoint(note, trust.policy, END_OF_TIME)
    except ProofError:
        return ""  # a spoilt proof shows nothing; whoever verifies its document is told
    return (
        f"{path.name} carries a checkpoint of {claimed.size} entries, the newest one kept in the "
        f"home has {size}: an older state of the whole home was put back"
    )


def close_for_writing(root: Path, reason: str) -> None:
    """Make the home's ledger read-only, for a reason that the ledger by itself doesn't show."""
    write_file(root / READ_ONLY, f"{reason}\n".encode())


def is_closed(root: Path) -> bool:
    """Whether `close_for_writing` is in force."""
    return (root / READ_ONLY).exists()


def open_for_writing(root: Path) -> None:
    """Take back `close_for_writing`."""
    (root / READ_ONLY).unlink(missing_ok=True)


def require_extends(ledger: Ledger, known: Checkpoint) -> None:
    """Prove that the ledger still holds all that was signed before (RFC 9162 section 2.1.4).

    Raises:
        TamperedError: it is shorter, or the entries signed for aren't the same any more.
    """
    size = ledger.size
    if size < known.size:
        raise TamperedError(
            f"the ledger holds {size} entries, its newest signed checkpoint {known.size}: "
            "an older state was put back"
        )
    path = ledger.prove_extension(known.size, size)
    try:
        verify_consistency(known.size, size, known.root, ledger.root(size), path)
    except ProofError:
        raise TamperedError(
            f"the first {known.size} entries of the ledger are not those of its newest signed "
            "checkpoint: the book was rewritten"
        ) from None
