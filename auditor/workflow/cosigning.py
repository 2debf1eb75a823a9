"""Asking a witness for its cosignature (C2SP tlog-witness v1.0.0, ``add-checkpoint``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import TypeAlias
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from auditor.errors import LedgerError, ProofError, TamperedError
from auditor.proof.checkpoint import find_verified
from auditor.proof.log_policy import Witness
from auditor.proof.witnessing import AddCheckpoint, format_request, parse_size

Prover: TypeAlias = Callable[[int], Sequence[bytes]]
"""Gives the consistency proof from a size of before to the size to be cosigned."""

_SECONDS_TO_ANSWER = 10
_LARGEST_ANSWER = 1 << 17
_CONFLICT = 409


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
    if answer.status == _CONFLICT:
        theirs = parse_size(answer.body)
        if theirs > size or theirs == old == size:
            raise TamperedError(
                f"witness {witness.name} has cosigned {theirs} entries that aren't the "
                f"{size} of this ledger: an older state or another history was put in its place"
            )
        answer = _ask(witness, AddCheckpoint(old=theirs, path=tuple(prove(theirs)), note=note))
    if answer.status != 200:
        raise LedgerError(f"it refused with HTTP status {answer.status}")
    for line in answer.body.split("\n"):
        signed = f"{_unsigned(note)}{line}\n"
        if line.startswith("— ") and find_verified(signed, witness.key) is not None:
            return f"{line}\n"
    raise ProofError("its answer has no cosignature by the key that the policy lists")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    body: str


class _NoRedirects(HTTPRedirectHandler):
    """A witness's address is what the policy says, nothing that it points to."""

    def redirect_request(self, *_: object) -> None:
        return None


def _opener() -> OpenerDirector:
    return build_opener(_NoRedirects)


def _ask(witness: Witness, request: AddCheckpoint) -> _Answer:
    if urlsplit(witness.url).scheme not in ("http", "https"):
        raise LedgerError("the policy gives no http:// or https:// address for it")
    url = f"{witness.url.rstrip('/')}/add-checkpoint"
    sent = Request(url, data=format_request(request).encode("utf-8"), method="POST")
    sent.add_header("Content-Type", "text/plain; charset=utf-8")
    try:
        with _opener().open(sent, timeout=_SECONDS_TO_ANSWER) as response:
            return _Answer(status=response.status, body=_text(response.read(_LARGEST_ANSWER)))
    except HTTPError as error:
        with error:
            return _Answer(status=error.code, body=_text(error.read(_LARGEST_ANSWER)))
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise LedgerError(f"it can't be reached ({reason})") from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _unsigned(note: str) -> str:
    """The note's text with no signatures, to which a line can be added."""
    return note.rpartition("\n\n")[0] + "\n\n"
