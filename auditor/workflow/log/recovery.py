"""After a restore: put back what is missing, or go on under a new name.

Three things can have happened to a ledger that isn't what was last signed. It is behind: then what
is missing can be put back from an export or a newer backup. It went on after it was put back, or
was rewritten: then two histories exist under one name, and it can only go on under another. Or it
is what this home signed last, and a witness has cosigned more: then the whole home was put back, or
the witness is wrong.

What is learnt on the way is kept first: a later checkpoint that somebody shows us goes into the
home before anything is put back, so that whatever stops us, the home stays read-only.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from auditor.errors import LedgerError, MisuseError, ProofError, TamperedError
from auditor.proof.checkpoint import Checkpoint, parse_checkpoint
from auditor.proof.log_policy import CLOCK_TOLERANCE, END_OF_TIME, examine_checkpoint
from auditor.proof.trust import trust_bytes
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.guard import (
    CHECKPOINT,
    PROOFS,
    close_for_writing,
    is_closed,
    kept_notes,
    newest_checkpoint,
    newest_note,
    open_for_writing,
    why_read_only,
)
from auditor.workflow.homes.head import Head, forget_head, keep_head, kept_head, why_not_held
from auditor.workflow.homes.home import Home
from auditor.workflow.log.checkpoints import record_checkpoint, signing_alone
from auditor.workflow.log.comparing import read_note
from auditor.workflow.log.copies import COPY, copy_named, require_holds_no_more
from auditor.workflow.log.cosigning import collect_cosignature
from auditor.workflow.log.putting_back import NEW_NAME, TWO_HISTORIES, put_back, put_back_unsigned
from auditor.workflow.log.renaming import destroy_earlier_keys, link_of, open_origin
from auditor.workflow.log.witnesses import remove_witness


class Condition(StrEnum):
    """What a ledger is, held against the checkpoints that it is known to have signed."""

    SOUND = "sound"
    BEHIND = "behind"
    FORKED = "forked"
    LOST = "put back to before entries that were never signed"
    DISPUTED = "disputed by a witness"
    AHEAD = "signed by a clock that ran ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What `recover` found and did.

    Attributes:
        condition: of the ledger before.
        known: entries that the newest known checkpoint covers.
        replayed: entries put back.
        left_out: entries of the copy that no known checkpoint covers; they weren't put back.
        lost: entries that were never signed, and without which it goes on.
        origin: the ledger's name now.
        link: the signed link from the old name to the new; None where the name stayed.
    """

    condition: Condition
    known: int
    replayed: int
    left_out: int
    lost: int
    origin: str
    link: Path | None


def recover(
    home: Home,
    *,
    source: Path | None,
    known: Sequence[Path],
    new_origin: bool,
    distrusted: Sequence[str] = (),
    without_unsigned: bool = False,
) -> Recovered:
    """Bring the ledger to a state it can go on from.

    Args:
        source: an exported folder, or a newer backup, unpacked, or its database file; a checkpoint
            beside that is taken for known.
        known: further checkpoints of this ledger, or files that carry one, e.g. from a witness, a
            regulator or an issued certificate.
        new_origin: go on under a new name, with whatever entries are here.
        distrusted: witnesses that are wrong; they are taken out of the policy, and what they
            said doesn't hold the ledger up. A certificate then needs all that are left.
        without_unsigned: go on without entries that were lost before anybody signed them.

    Raises:
        LedgerError: the ledger is behind, and there is nothing to put back from; the copy holds
            more than any checkpoint at hand covers; or a witness that disputed it doesn't answer.
        TamperedError: it forked, and may go on under a new name only; or what is here was damaged.
        MisuseError: a new name for a sound ledger, or a file that carries no checkpoint.
        ProofError: a checkpoint that this log hasn't signed.
    """
    if new_origin and source is not None:
        raise MisuseError("either put entries back (--from), or go on without them (--new-origin)")
    home.ledger.audit()  # on damaged entries nothing can be built: restore another backup
    with signing_alone(home):
        shutil.rmtree(home.root / COPY, ignore_errors=True)  # of one who was stopped
        done = _mended(
            home,
            source,
            known,
            distrusted,
            new_origin=new_origin,
            without_unsigned=without_unsigned,
        )
        open_for_writing(home.root)
        keep_head(home.root, home.ledger)
        destroy_earlier_keys(home)
    for name in distrusted:  # stopped here, the next checkpoint asks them and closes the book again
        remove_witness(home, name)
    record_checkpoint(home)
    return done


def _mended(
    home: Home,
    source: Path | None,
    known: Sequence[Path],
    distrusted: Sequence[str],
    *,
    new_origin: bool,
    without_unsigned: bool,
) -> Recovered:
    source = None if source is None else copy_named(source)
    states = _known_states(home, known if source is None else _shown(home, source, known))
    condition, head = _condition(home, states), kept_head(home.root)
    if why_not_held(home.ledger, head):
        head = kept_head(home.root)  # the first may have been half of one and half of the next
    lacking = bool(why_not_held(home.ledger, head))
    replayed, left_out, lost, link = 0, 0, 0, None
    if new_origin:
        link = _go_on_as_another(home, states, condition)
    elif condition is Condition.FORKED:
        close_for_writing(home.root, f"the log signed {TWO_HISTORIES}")
        raise TamperedError(
            "what is here contradicts a checkpoint that the log signed: "
            f"{TWO_HISTORIES}; {NEW_NAME}"
        )
    elif condition is Condition.BEHIND:
        replayed, left_out = put_back(home, states, source)
    elif source is not None and head is not None and head.size > home.ledger.size:
        replayed, left_out = put_back_unsigned(home, head, source)
    elif source is not None:
        require_holds_no_more(home, source)  # else what it holds besides would be contradicted
    if not new_origin:
        lost = _require_held(home, head, without_unsigned=without_unsigned)
    if is_closed(home.root) and not new_origin:
        _require_witnesses(home, distrusted)
    return Recovered(
        condition=Condition.LOST if lacking and condition is Condition.SOUND else condition,
        known=states[-1].size if states else 0,
        replayed=replayed,
        left_out=left_out,
        lost=lost,
        origin=home.trust.log_origin,
        link=link,
    )


def _shown(home: Home, source: Path, known: Sequence[Path]) -> Sequence[Path]:
    """What shows checkpoints: what was named, an export, and what happens to lie with a database.

    The last may be of anything, and shows nothing then.
    """
    if source.is_dir():
        return [*known, source]
    beside = source.with_name(CHECKPOINT)
    with suppress(ProofError, MisuseError):
        _signed_note(home, beside)
        return [*known, beside]
    return known


def _known_states(home: Home, shown: Sequence[Path]) -> Sequence[Checkpoint]:
    """The states that this log is known to have signed, the largest last; that one is kept."""
    notes, own = list(kept_notes(home.root)), newest_note(home.root)
    notes += [_signed_note(home, path) for path in shown]
    for path in sorted(home.certificates.glob(PROOFS)):
        note = _signed_note(home, path, earlier_names=True)
        notes += [note] if parse_checkpoint(note).origin == home.trust.log_origin else []
    pairs = sorted(
        ((parse_checkpoint(note), note) for note in notes), key=lambda pair: pair[0].size
    )
    if pairs and (own is None or pairs[-1][0].size > parse_checkpoint(own).size):
        _remember(home, pairs[-1][1])
    return [state for state, _ in pairs]


def _signed_note(home: Home, path: Path, *, earlier_names: bool = False) -> str:
    try:
        note = read_note(path)
        found = examine_checkpoint(note, home.trust.policy, END_OF_TIME)
    except ProofError as error:
        raise ProofError(f"{path}: {error}") from None
    if not earlier_names and found.checkpoint.origin != home.trust.log_origin:
        raise MisuseError(f"{path} is from before the ledger took the name it has now")
    return note


def _remember(home: Home, note: str) -> None:
    write_file(home.checkpoints_path, note.encode("utf-8"))
    write_file(home.trust_path, trust_bytes(replace(home.trust, checkpoint=note)))


def _condition(home: Home, states: Sequence[Checkpoint]) -> Condition:
    size = home.ledger.size
    reason = why_read_only(home.root, home.ledger) if is_closed(home.root) else ""
    if TWO_HISTORIES in reason or any(
        state.size <= size and home.ledger.root(state.size) != state.root for state in states
    ):
        return Condition.FORKED
    if states and states[-1].size > size:
        return Condition.BEHIND
    if reason:
        return Condition.DISPUTED
    newest = newest_checkpoint(home.root)
    ahead = newest is not None and newest.signed > time.time() + CLOCK_TOLERANCE
    return Condition.AHEAD if ahead else Condition.SOUND


def _go_on_as_another(home: Home, states: Sequence[Checkpoint], condition: Condition) -> Path:
    if not states and (link := link_of(home)) is not None:
        return link  # the last try was stopped after it: the new name has signed nothing yet
    if not states or condition is Condition.SOUND:
        raise MisuseError("the ledger is what was last signed; it needs no new name")
    forget_head(home.root)  # what came behind the state that is signed is left behind with the name
    return open_origin(home, states[-1])


def _require_held(home: Home, head: Head | None, *, without_unsigned: bool) -> int:
    """See that nothing is missing that was written, though never signed.

    Returns:
        How many entries are, without which the ledger may go on.

    Raises:
        LedgerError: some are, and it may not.
    """
    reason = why_not_held(home.ledger, head)
    if not reason or head is None:
        return 0
    if not without_unsigned:
        raise LedgerError(
            f"{reason}; put the entries back from an export or a newer backup (--from), or go on "
            "without them, as none of them was signed (--without-unsigned)"
        )
    return max(head.size - home.ledger.size, 0)


def _require_witnesses(home: Home, distrusted: Sequence[str]) -> None:
    """A witness disputed the ledger: it stays read-only until all others have confirmed it.

    Raises:
        TamperedError: one of them still says otherwise.
        LedgerError: one of them doesn't answer.
    """
    note = newest_note(home.root)
    if note is None:
        return
    size = parse_checkpoint(note).size
    for witness in home.trust.policy.witnesses:
        if witness.name in distrusted:
            continue
        try:
            collect_cosignature(
                witness,
                note,
                size,
                old=size,
                prove=lambda start: home.ledger.prove_extension(start, size),
            )
        except TamperedError as error:
            raise TamperedError(
                f"{error}; show a later checkpoint (--known) and a copy of the entries (--from), "
                f"or go on under a new name (--new-origin); if {witness.name} is known to be "
                f"wrong: --distrust {witness.name}"
            ) from None
        except (LedgerError, ProofError) as error:
            raise LedgerError(
                f"witness {witness.name} hasn't confirmed the ledger: {error}; run it again when "
                "it answers, or go on under a new name (--new-origin)"
            ) from None
