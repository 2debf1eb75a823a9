"""Asking a witness for its cosignature (C2SP tlog-witness v1.0.0, ``add-checkpoint``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeAlias

from auditor.errors import LedgerError, ProofError, TamperedError
from auditor.proof.checkpoint import find_verified
from auditor.proof.log_policy import Witness
from auditor.proof.witnessing import AddCheckpoint, format_request, parse_size
from auditor.workflow.web import Answer, post

Prover: TypeAlias = Callable[[int], Sequence[bytes]]
"""Gives the consistency proof from a size of before to the size to be cosigned."""

_SECONDS_TO_ANSWER = 10
_LARGEST_ANSWER = 1 << 17


def collect_cosignature(witness: Witness, note: str, size: int, *, old: int, prove: Prover) -> str:
    """A witness's signature line for a checkpoint, verified.

    Args:
        note: the signed checkpoint.
        size: the checkpoint's.
        old: size of the checkpoint that the witness is believed to have cosigned last; where it
            says otherwise, it is asked again with its own.
        prove: consistency proof from another size to ``size``.

    Raises:
        TamperedError: the witness has cosigned a later state, or another one of this size.
        LedgerError: it can't be reached, or refuses.
        ProofError: what it answered isn't its cosignature.
    """
    answer = _ask(witness, AddCheckpoint(old=old, path=tuple(prove(old)), note=note))
    if answer.status == HTTPStatus.CONFLICT:
        theirs = parse_size(_text(answer))
        if theirs > size or theirs == old == size:
            raise TamperedError(
                f"witness {witness.name} has cosigned {theirs} entries that aren't the "
                f"{size} of this ledger: an older state or another history was put in its place"
            )
        answer = _ask(witness, AddCheckpoint(old=theirs, path=tuple(prove(theirs)), note=note))
    if answer.status != HTTPStatus.OK:
        raise LedgerError(f"it refused with HTTP status {answer.status}")
    for line in _text(answer).split("\n"):
        signed = f"{_unsigned(note)}{line}\n"
        if line.startswith("— ") and find_verified(signed, witness.key) is not None:
            return f"{line}\n"
    raise ProofError("its answer has no cosignature by the key that the policy lists")


def _ask(witness: Witness, request: AddCheckpoint) -> Answer:
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
