"""What a witness is asked and what it answers (C2SP tlog-witness v1.0.0, ``add-checkpoint``).

    old 20852014                                    size the witness is believed to know
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=    consistency proof, a hash a line
                                                    (empty line)
    example.com/behind-the-sofa                     the checkpoint, a signed note
    ...

No network and no storage: `judge` decides, whoever holds the record of the last cosigned checkpoint
sees to it that deciding and recording are one step.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from auditor.errors import ProofError
from auditor.proof.checkpoint import (
    Checkpoint,
    as_hashes,
    as_size,
    find_verified,
    parse_checkpoint,
)
from auditor.proof.merkle import EMPTY_ROOT, verify_consistency
from auditor.proof.note import LARGEST_NOTE, NoteKey

LARGEST_REQUEST = LARGEST_NOTE + (1 << 13)  # octets: no well-formed request has more
SIZE_TYPE = "text/x.tlog.size"

_OLD = "old "


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A request to cosign ``note``, which extends a checkpoint of ``old`` entries."""

    old: int
    path: tuple[bytes, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What to answer.

    Attributes:
        status: 200 where the checkpoint may be cosigned, once it is on record.
        checkpoint: the state to record then.
        size: on a conflict, the size last cosigned, which the answer tells.
        why: one line for the witness's own journal.
    """

    status: HTTPStatus
    checkpoint: Checkpoint | None = None
    size: int | None = None
    why: str = ""


def format_request(request: AddCheckpoint) -> str:
    """A request as text."""
    hashes = [b64encode(value).decode("ascii") for value in request.path]
    return "\n".join([f"{_OLD}{request.old}", *hashes]) + "\n\n" + request.note


def parse_request(text: str) -> AddCheckpoint:
    """Read a request.

    Raises:
        ProofError: not one.
    """
    head, _, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if not first.startswith(_OLD):
        raise ProofError("not a request to cosign a checkpoint")
    old = as_size(first.removeprefix(_OLD), "the request's old size")
    path = tuple(as_hashes(lines, "the consistency proof"))
    parse_checkpoint(note)
    return AddCheckpoint(old=old, path=path, note=note)


def parse_size(text: str) -> int:
    """Read the body of a conflict's answer.

    Raises:
        ProofError: not a size.
    """
    if not text.endswith("\n"):
        raise ProofError("its answer to a conflict is no tree size")
    return as_size(text[:-1], "the size in its answer to a conflict")


def judge(
    request: AddCheckpoint, logs: Mapping[str, tuple[NoteKey, ...]], latest: Checkpoint | None
) -> Judged:
    """Decide on a request, in the specification's order.

    Two roots for one size are told before the consistency proof is looked at: no proof leads from
    one to the other, so that the specification's 409 would never be given.

    Args:
        logs: the keys of each known origin; every one of them must have signed.
        latest: the checkpoint of that origin that was cosigned last, if any.
    """
    checkpoint = parse_checkpoint(request.note)
    keys = logs.get(checkpoint.origin, ())
    if not keys:
        return Judged(status=HTTPStatus.NOT_FOUND, why="unknown origin")
    try:
        signed = [find_verified(request.note, key) is not None for key in keys]
    except ProofError as error:
        return Judged(status=HTTPStatus.FORBIDDEN, why=str(error))
    if not all(signed):
        return Judged(status=HTTPStatus.FORBIDDEN, why="a key of the log hasn't signed")
    if request.old > checkpoint.size:
        return Judged(status=HTTPStatus.BAD_REQUEST, why="an old size above the new one")
    known = 0 if latest is None else latest.size
    if request.old != known:
        return Judged(status=HTTPStatus.CONFLICT, size=known, why="another old size is on record")
    if latest is not None and latest.size == checkpoint.size and latest.root != checkpoint.root:
        return Judged(status=HTTPStatus.CONFLICT, size=known, why="two roots for one size")
    try:
        old_root = EMPTY_ROOT if latest is None else latest.root
        verify_consistency(known, checkpoint.size, old_root, checkpoint.root, request.path)
    except ProofError as error:
        return Judged(status=HTTPStatus.UNPROCESSABLE_ENTITY, why=str(error))
    return Judged(status=HTTPStatus.OK, checkpoint=checkpoint)
