"""Signing the ledger's state, having it witnessed, and publishing it in the home's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

from auditor.errors import CertificateError, HomeError, LedgerError, ProofError, TamperedError
from auditor.proof.checkpoint import Checkpoint, find_verified, sign_checkpoint
from auditor.proof.log_policy import CLOCK_TOLERANCE, Witnessed, examine_checkpoint
from auditor.proof.trust import trust_bytes
from auditor.workflow.homes.alone import in_turn
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.guard import (
    close_for_writing,
    newest_checkpoint,
    newest_note,
    require_writable,
)
from auditor.workflow.homes.home import Home
from auditor.workflow.log.cosigning import collect_cosignature


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A checkpoint as it now lies in the home.

    Attributes:
        note: the signed note, with the cosignatures that came.
        found: what its signatures say.
        silent: the policy's witnesses that haven't cosigned, each with why.
    """

    note: str
    found: Witnessed
    silent: Mapping[str, str]


def record_checkpoint(home: Home) -> Published:
    """Sign the ledger's state, ask the witnesses, and publish in checkpoint and trust file.

    The state is proved to extend the last one signed, and lies outside the database *before* any
    witness hears of it. A witness that doesn't answer is told in the result; whether its silence
    matters is the policy's to say (`require_witnessed`).

    Raises:
        TamperedError: the ledger doesn't extend the last signed state, or a witness has cosigned a
            later one; nothing is signed then, and the ledger takes no more entries. (Where nothing
            was signed before, a witness can tell only once it is shown the first checkpoint.)
        HomeError: a file can't be written, or the clock was set back.
    """
    with signing_alone(home):
        require_writable(home.root, home.ledger)
        newest, note = newest_checkpoint(home.root), newest_note(home.root) or ""
        silent: Mapping[str, str] = {}
        if newest is not None:
            # A home put back whole from a backup has forgotten what it signed; witnesses haven't:
            # ask them before anything is signed that contradicts it.
            known = newest.checkpoint
            note, silent = _cosigned(home, note, known, old=known.size, signed=newest.signed)
        moment = _moment(0 if newest is None else newest.signed)
        frontier = home.ledger.frontier()
        state = Checkpoint(origin=home.trust.log_origin, size=frontier.size, root=frontier.root())
        if newest is None or newest.checkpoint != state:
            note = sign_checkpoint(state, home.log_signers, moment)
            _publish(home, note)
            old = 0 if newest is None else newest.checkpoint.size
            # who was silent a moment ago isn't waited for once more
            note, silent = _cosigned(home, note, state, old=old, signed=moment, silent=silent)
        _publish(home, note)
    found = examine_checkpoint(note, home.trust.policy, moment)
    return Published(note=note, found=found, silent=silent)


def require_witnessed(published: Published) -> str:
    """The note, where the quorum has cosigned it: a certificate needs no less.

    Raises:
        CertificateError: too few witnesses have; run again when they answer.
    """
    if not published.found.quorum:
        told = "; ".join(f"{name}: {why}" for name, why in published.silent.items())
        raise CertificateError(
            f"too few witnesses have cosigned the checkpoint ({told}); no document is issued "
            "without them: run it again when they answer"
        )
    return published.note


def _cosigned(
    home: Home,
    note: str,
    state: Checkpoint,
    *,
    old: int,
    signed: int,
    silent: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, Mapping[str, str]]:
    """The note with the cosignatures that witnesses gave, and why others gave none.

    Args:
        silent: witnesses not to ask, each with why.

    Raises:
        TamperedError: a witness has cosigned another history.
    """
    told = dict(silent)
    for witness in home.trust.policy.witnesses:
        if witness.name in silent:
            continue
        try:
            line = collect_cosignature(
                witness,
                note,
                state.size,
                old=old,
                signed=signed,
                prove=lambda start: home.ledger.prove_extension(start, state.size),
            )
            if find_verified(note, witness.key) is None:
                note += line
        except TamperedError as error:
            close_for_writing(home.root, str(error))
            raise
        except (LedgerError, ProofError) as error:
            told[witness.name] = str(error)
    return note, told


def _moment(signed: int) -> int:
    """Now, but never before what was signed last: a log's time doesn't run backwards."""
    now = int(datetime.now(UTC).timestamp())
    if signed > now + CLOCK_TOLERANCE:
        told = datetime.fromtimestamp(signed, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        raise HomeError(
            f"the newest checkpoint was signed at {told}, which this machine's clock hasn't "
            "reached: set the clock right; if it was the clock of then that ran ahead, go on under "
            "a new name: auditor ledger recover --new-origin"
        )
    return max(now, signed)


def _publish(home: Home, note: str) -> None:
    write_file(home.checkpoints_path, note.encode("utf-8"))
    write_file(home.trust_path, trust_bytes(replace(home.trust, checkpoint=note)))


@contextmanager
def signing_alone(home: Home) -> Iterator[None]:
    """One process at a time signs or changes the trust file, so that neither undoes the other's.

    Raises:
        HomeError: the home can't be written.
    """
    with in_turn(home.root / "checkpoint.lock"):
        yield
