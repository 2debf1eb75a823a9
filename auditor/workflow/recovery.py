"""After a restore: put back what is missing, or go on under a new name, and tell what came back.

Three things can have happened to a ledger that isn't what was last signed. It is behind: then what
is missing can be put back from an export or a newer backup. It went on after it was put back, or
was rewritten: then two histories exist under one name, and it can only go on under another. Or it
is what this home signed last, and a witness has cosigned more: then the whole home was put back, or
the witness is wrong.

Restoring brings back what was destroyed, too: weights, payloads. What the ledger says was destroyed
and is here again is listed, and destroyed again where that is asked for.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from auditor.domain.artefact import Digest
from auditor.domain.event import OriginOpened
from auditor.errors import LedgerError, MisuseError, TamperedError
from auditor.ledger.ledger import Ledger
from auditor.ledger.replaying import replay_entries, root_after
from auditor.ledger.sql import SqlEventStore
from auditor.ledger.tiles import TileReader
from auditor.proof.checkpoint import Checkpoint
from auditor.proof.dsse import sign_envelope
from auditor.proof.equivocation import Tree
from auditor.proof.log_policy import examine_checkpoint, policy_text
from auditor.proof.trust import trust_bytes
from auditor.workflow.checkpoints import record_checkpoint
from auditor.workflow.comparing import ExportedTree, read_note
from auditor.workflow.files import write_file
from auditor.workflow.founding import LOG_ALGORITHMS, log_key_file, make_log_keys
from auditor.workflow.guard import is_closed, newest_note, open_for_writing, require_extends
from auditor.workflow.home import Home

LINK_TYPE = "application/vnd.auditor.ledger-entry+json"

_END_OF_TIME = 2**63


class Condition(StrEnum):
    """What a ledger is, held against its newest known checkpoint."""

    SOUND = "sound"
    BEHIND = "behind"
    FORKED = "forked"
    DISPUTED = "disputed by a witness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What `recover` found and did.

    Attributes:
        condition: of the ledger before.
        known: entries that the newest known checkpoint covers.
        replayed: entries put back.
        origin: the ledger's name now.
        link: the signed link from the old name to the new; None where the name stayed.
    """

    condition: Condition
    known: int
    replayed: int
    origin: str
    link: Path | None


class Source(Tree, Protocol):
    """Somebody's copy of the ledger, entries included."""

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """The entries from one on."""


def recover(
    home: Home, *, source: Path | None, known: Sequence[Path], new_origin: bool
) -> Recovered:
    """Bring the ledger to a state it can go on from.

    Args:
        source: an exported folder, or the database file of a newer backup.
        known: further checkpoints of this ledger, or files that carry one, e.g. from a witness, a
            regulator or an issued certificate.
        new_origin: go on under a new name, with whatever entries are here.

    Raises:
        LedgerError: the ledger is behind, and there is nothing to put back from.
        TamperedError: it forked, and may go on under a new name only.
        MisuseError: a new name for a sound ledger, or a file that carries no checkpoint.
        ProofError: a checkpoint that this log hasn't signed.
    """
    best = _newest_known(home, known if source is None or source.is_file() else [*known, source])
    condition = _condition(home, best)
    size = 0 if best is None else best.size
    replayed, link = 0, None
    if condition is Condition.SOUND and new_origin:
        raise MisuseError("the ledger is what was last signed; it needs no new name")
    if best is not None:
        if new_origin:
            link = _open_origin(home, best)
        elif condition is Condition.BEHIND:
            replayed = _put_back(home, best, source)
        elif condition is Condition.FORKED:
            raise TamperedError(
                "entries were written that the newest signed checkpoint doesn't cover: two "
                "histories under one name; go on under a new one: auditor ledger recover "
                "--new-origin"
            )
    open_for_writing(home.root)
    record_checkpoint(home)
    return Recovered(
        condition=condition,
        known=size,
        replayed=replayed,
        origin=home.trust.log_origin,
        link=link,
    )


def _newest_known(home: Home, others: Sequence[Path]) -> Checkpoint | None:
    """The largest state that this log is known to have signed.

    Raises:
        TamperedError: two of them contradict each other at one size.
    """
    notes = [newest_note(home.root), *(read_note(path) for path in others)]
    notes += [read_note(path) for path in sorted(home.certificates.glob("*.tlog-proof"))]
    origin, policy = home.trust.log_origin, home.trust.policy
    found: dict[int, Checkpoint] = {}
    for note in notes:
        if note is None:
            continue
        state = examine_checkpoint(note, policy, _END_OF_TIME).checkpoint
        if state.origin != origin:
            continue
        if found.setdefault(state.size, state) != state:
            raise TamperedError(
                f"the log signed two roots for {state.size} entries: two histories under one "
                "name; see: auditor ledger compare"
            )
    return found[max(found)] if found else None


def _condition(home: Home, known: Checkpoint | None) -> Condition:
    if known is not None:
        if home.ledger.size < known.size:
            return Condition.BEHIND
        try:
            require_extends(home.ledger, known)
        except TamperedError:
            return Condition.FORKED
    return Condition.DISPUTED if is_closed(home.root) else Condition.SOUND


def _put_back(home: Home, known: Checkpoint, source: Path | None) -> int:
    """Append what is missing up to the known checkpoint, all of it checked before."""
    if source is None:
        raise LedgerError(
            f"the ledger lacks entries {home.ledger.size} to {known.size - 1}; put them back from "
            "an export or a newer backup (--from), or go on without them (--new-origin)"
        )
    with _opened(source) as tree:
        size = home.ledger.size
        if tree.size < known.size or tree.root(known.size) != known.root:
            raise LedgerError(
                f"{source} doesn't lead to the newest signed checkpoint of {known.size} entries; "
                "name another copy"
            )
        if tree.root(size) != home.ledger.root():
            raise TamperedError(
                "the ledger was written to after it was put back: two histories under one name; "
                "go on under a new one: auditor ledger recover --new-origin"
            )
        if root_after(home.ledger.frontier(), _missing(tree, size, known.size)) != (
            known.size,
            known.root,
        ):
            raise LedgerError(f"entries of {source} were changed; name another copy")
        store = SqlEventStore(home.database)
        try:
            return replay_entries(store, _missing(tree, size, known.size))
        finally:
            store.close()


def _missing(tree: Source, start: int, stop: int) -> Iterator[bytes]:
    for entry, _ in zip(tree.entries(start), range(start, stop), strict=False):
        yield entry


@contextmanager
def _opened(source: Path) -> Iterator[Source]:
    """An exported folder as it is; of a database file a copy, for opening one may change it."""
    if source.is_dir():
        yield ExportedTree(TileReader(source))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            for suffix in ("", "-wal"):
                if source.with_name(source.name + suffix).is_file():
                    shutil.copyfile(
                        source.with_name(source.name + suffix), folder / f"ledger.db{suffix}"
                    )
        except OSError as error:
            raise MisuseError(f"can't read {source}: {error.strerror}") from None
        if not (folder / "ledger.db").exists():
            raise MisuseError(f"{source} is neither an exported folder nor a database file")
        ledger = Ledger(SqlEventStore(f"sqlite:///{folder / 'ledger.db'}"))
        stack.callback(ledger.close)
        yield ledger


def _open_origin(home: Home, known: Checkpoint) -> Path:
    """Go on under a new name: link event, link signed by both names' keys, trust file.

    The new keys come first and the trust file last; stopped in between, it is done again, and at
    worst a link to a name that was never used stands on the books.
    """
    trust, size = home.trust, home.ledger.size
    origin, keys = make_log_keys(home.keyring)
    event = OriginOpened(
        origin=origin,
        previous=trust.log_origin,
        signed=known.size,
        signed_root=Digest(known.root.hex()),
        kept=size,
        kept_root=Digest(home.ledger.root().hex()),
    )
    books = Ledger(SqlEventStore(home.database))  # the home's own is read-only
    try:
        version = books.version("home")
        (linked,) = books.append("home", [event], expected_version=version, event_ids=[uuid4()])
        entry = books.entry(linked.sequence)
    finally:
        books.close()
    signers = [*home.signers_of(trust.log_origin), *home.signers_of(origin)]
    folder = home.root / "origins"
    folder.mkdir(exist_ok=True)
    link = folder / f"{origin.rpartition('/')[2]}.dsse.json"
    write_file(link, sign_envelope(LINK_TYPE, entry, signers))
    policy = replace(trust.policy, logs=(*trust.policy.logs, *keys))
    changed = replace(trust, log_origin=origin, log_policy=policy_text(policy), checkpoint="")
    write_file(home.trust_path, trust_bytes(changed))
    home.checkpoints_path.unlink(missing_ok=True)
    for algorithm in LOG_ALGORITHMS:  # the old name signs nothing any more
        home.keyring.destroy(log_key_file(trust.log_origin, algorithm))
    return link
