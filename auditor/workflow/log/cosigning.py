"""Asking a witness for its cosignature (C2SP tlog-witness v1.0.0, ``add-checkpoint``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TypeAlias

from auditor.errors import LedgerError, ProofError, TamperedError
from auditor.proof.checkpoint import find_verified
from auditor.proof.log_policy import CLOCK_TOLERANCE, Witness
from auditor.proof.witnessing import AddCheckpoint, format_request, parse_size
from auditor.workflow.homes.web import Answer, post

Prover: TypeAlias = Callable[[int], Sequence[bytes]]
"""Gives the consistency proof from a size of before to the size to be cosigned."""

_SECONDS_TO_ANSWER = 10
_LARGEST_ANSWER = 1 << 17
_ATTEMPTS = 3  # the size it knows may move while it is asked
_ADVICE: Mapping[int, str] = {
    HTTPStatus.NOT_FOUND: "; it doesn't know this log: give it the trust file",
    HTTPStatus.FORBIDDEN: "; it knows other keys of this log: give it the trust file",
    HTTPStatus.INTERNAL_SERVER_ERROR: "; its journal says why: a damaged record, say, or one that "
    "is dated ahead of its clock",
}


def collect_cosignature(
    witness: Witness, note: str, size: int, *, old: int, prove: Prover, signed: int = 0
) -> str:
    """A witness's signature line for a checkpoint, verified.

    Args:
        note: the signed checkpoint.
        size: the checkpoint's.
        old: size of the checkpoint that the witness is believed to have cosigned last; where it
            says otherwise, it is asked again with its own.
        prove: consistency proof from another size to ``size``.
        signed: when the log says it signed the checkpoint; 0 where it doesn't.

    Raises:
        TamperedError: the witness has cosigned a later state, or one that this one doesn't extend.
        LedgerError: it can't be reached, or refuses.
        ProofError: what it answered isn't its cosignature of now.
    """
    for _ in range(_ATTEMPTS):
        answer = _ask(witness, AddCheckpoint(old=old, path=tuple(prove(old)), note=note))
        if answer.status != HTTPStatus.CONFLICT:
            break
        theirs = parse_size(_text(answer))
        if theirs > size or theirs == old == size:
            raise _disputed(witness, theirs, size)
        old = theirs
    if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY and old:
        # the proof holds for what we have at that size, so it has something else there
        raise _disputed(witness, old, size)
    if answer.status != HTTPStatus.OK:
        advice = _ADVICE.get(answer.status, "")
        raise LedgerError(f"it refused with HTTP status {answer.status}{advice}")
    return _cosignature(witness, note, _text(answer), signed)


def _cosignature(witness: Witness, note: str, answer: str, signed: int) -> str:
    """The answer's line by the key that the policy lists.

    A time that is ahead would make the note one "from the future" for whoever verifies it, one that
    lies before the log's own signature would date it back.
    """
    for line in answer.split("\n"):
        moment = None
        if line.startswith("— "):
            moment = find_verified(f"{_unsigned(note)}{line}\n", witness.key)
        if moment is None:
            continue
        if not signed - CLOCK_TOLERANCE <= moment <= time.time() + CLOCK_TOLERANCE or not moment:
            raise ProofError(
                "its cosignature states another time than now; check both clocks: one that was "
                "ahead once is ahead in its record, too, and needs a new witness"
            )
        return f"{line}\n"
    raise ProofError("its answer has no cosignature by the key that the policy lists")


def _disputed(witness: Witness, theirs: int, size: int) -> TamperedError:
    return TamperedError(
        f"witness {witness.name} has cosigned {theirs} entries that aren't those of this ledger's "
        f"checkpoint of {size}: an older state or another history was put in its place"
    )


def _ask(witness: Witness, request: AddCheckpoint) -> Answer:
    if not witness.url:
        raise LedgerError("the policy gives no address for it")
    return post(
        f"{witness.url.rstrip('/')}/add-checkpoint",
        format_request(request).encode("utf-8"),
        "text/plain; charset=utf-8",
        timeout=_SECONDS_TO_ANSWER,
        largest=_LARGEST_ANSWER,
    )


def _text(answer: Answer) -> str:
    return answer.body.decode("utf-8", "replace")


def _unsigned(note: str) -> str:
    """The note's text with no signatures, to which a line can be added."""
    return note.rpartition("\n\n")[0] + "\n\n"
