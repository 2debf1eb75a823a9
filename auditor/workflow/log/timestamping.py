"""Time stamps on the ledger's checkpoints, asked for over HTTP (RFC 3161 section 3.4)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from auditor.errors import (
    HomeError,
    LedgerError,
    ProofError,
    TamperedError,
    UnknownAuthorityError,
)
from auditor.ledger.ledger import Ledger
from auditor.proof.checkpoint import Checkpoint
from auditor.proof.log_policy import END_OF_TIME, LogPolicy, examine_checkpoint
from auditor.proof.note import split_note
from auditor.proof.timestamp import timestamp_request, verify_timestamp
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.web import post, require_web_address
from auditor.workflow.log.checkpoints import Published

TIMESTAMPS = "timestamps"
LARGEST_ANSWER = 64 << 10

_QUERY = "application/timestamp-query"
_SECONDS_TO_ANSWER = 20
_KEY_ID_BYTES = 4
_TOKEN, _NOTE = ".tsr", ".note"
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----(?:\n|$)", re.ASCII
)


def stamp_checkpoint(home: Home, published: Published) -> datetime | None:
    """Have a checkpoint time-stamped and keep the stamp, where an authority is configured.

    What is stamped is the note as the log signed it, so that the stamp dates the signatures and
    stays good when witnesses add theirs.

    Returns:
        The trusted time, or None where no authority is configured.

    Raises:
        LedgerError: it gives no stamp that holds; the checkpoint stands all the same.
        TamperedError: the stamp kept for this checkpoint doesn't hold.
        HomeError: the file of its root certificates can't be read, or lacks that of the stamp kept.
    """
    if not home.config.timestamps:
        return None
    roots = timestamp_roots(home)
    state, note = published.found.checkpoint, signed_by_log(published.note, home.trust.policy)
    kept = home.root / TIMESTAMPS / f"{state.origin.rpartition('/')[2]}-{state.size}"
    token_path, note_path = kept.with_suffix(_TOKEN), kept.with_suffix(_NOTE)
    if not token_path.exists():
        token = fetch_timestamp(
            home.config.timestamps, note.encode("utf-8"), roots, _SECONDS_TO_ANSWER
        )
        kept.parent.mkdir(exist_ok=True)
        write_file(note_path, note.encode("utf-8"))
        write_file(token_path, token)  # last: what stands without its stamp is stamped again
    moment, _ = _examined(token_path, home.trust.policy, roots)
    if moment is None:
        raise _of_another_authority([token_path])
    return moment


class Stamps(NamedTuple):
    """How many time stamps are kept.

    Attributes:
        verified: whose authority's signature holds.
        unchecked: whose authority isn't known here, as the settings name no roots.
    """

    verified: int
    unchecked: int


def verify_stamps(home: Home) -> Stamps:
    """Check every kept time stamp, and that the ledger still holds what was stamped.

    Raises:
        TamperedError: one of them doesn't hold, or is of another history.
        HomeError: there are some, and the file of root certificates can't be read, or lacks the
            root of an authority of before.
    """
    tokens = sorted((home.root / TIMESTAMPS).glob(f"[!.]*{_TOKEN}"))
    named = home.config.timestamp_roots
    roots, unknown = timestamp_roots(home) if tokens and named else [], list[Path]()
    for path in tokens:
        moment, stamped = _examined(path, home.trust.policy, roots)
        if moment is None:
            unknown.append(path)
        ours = stamped.origin == home.trust.log_origin
        if ours and not _holds(home.ledger, stamped):
            raise TamperedError(
                f"time stamp {path.name} is of {stamped.size} entries that aren't the ledger's"
            )
    if unknown and named:
        raise _of_another_authority(unknown)
    return Stamps(len(tokens) - len(unknown), len(unknown))


def _of_another_authority(stamps: Sequence[Path]) -> HomeError:
    return HomeError(
        f"no root in timestamp_roots of auditor.toml fits {stamps[0].name} (such time stamps: "
        f"{len(stamps)}); put that of the authority of before beside the new one"
    )


def _examined(
    path: Path, policy: LogPolicy, roots: Sequence[str]
) -> tuple[datetime | None, Checkpoint]:
    """When a kept stamp says that which checkpoint of this log was seen.

    The time is None where the stamp leads to none of the roots.
    """
    try:
        note = path.with_suffix(_NOTE).read_bytes()
        moment = _stamped_at(path.read_bytes(), note, roots)
        return moment, examine_checkpoint(note.decode("utf-8"), policy, END_OF_TIME).checkpoint
    except OSError as error:
        reason = f"{Path(error.filename or path).name}: {error.strerror}"
    except (ProofError, UnicodeDecodeError) as error:
        reason = str(error)
    raise TamperedError(
        f"time stamp {path.name} doesn't hold ({reason}); restore it from an export or a backup"
    )


def _stamped_at(token: bytes, note: bytes, roots: Sequence[str]) -> datetime | None:
    try:
        return verify_timestamp(token, note, roots)
    except UnknownAuthorityError:
        return None


def _holds(ledger: Ledger, state: Checkpoint) -> bool:
    return state.size <= ledger.size and ledger.root(state.size) == state.root


def timestamp_roots(home: Home) -> Sequence[str]:
    """The root certificates that time stamps must lead to.

    Raises:
        HomeError: the file can't be read.
    """
    path = home.root / home.config.timestamp_roots
    try:
        roots = _CERTIFICATE.findall(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        roots = []
    if not roots:
        raise HomeError(
            f"can't read {path}, the time-stamping authority's root certificates; see "
            "timestamp_roots in auditor.toml"
        )
    return roots


def signed_by_log(note: str, policy: LogPolicy) -> str:
    """A checkpoint's note with the log's own signatures only."""
    text, signed = split_note(note)
    ours = {(key.name, key.key_id) for key in policy.logs}
    lines = [
        f"— {name} {b64encode(value).decode('ascii')}\n"
        for name, value in signed
        if (name, value[:_KEY_ID_BYTES]) in ours
    ]
    return f"{text}\n{''.join(lines)}"


def fetch_timestamp(url: str, message: bytes, roots: Sequence[str], timeout: float) -> bytes:
    """Have a message time-stamped.

    Args:
        url: the authority's address, http or https; a stamp is signed, so either is safe.
        message: what to stamp; only its digest leaves the house.
        roots: PEM certificates of the authorities to trust.
        timeout: seconds to wait for each step of the answer, and for all of it.

    Returns:
        The response (TimeStampResp, DER), verified.

    Raises:
        LedgerError: no such address, no answer in time, one that is too large, or one that
            doesn't hold.
    """
    host = "the time-stamping authority"
    try:
        host = require_web_address(url)
        query = timestamp_request(message)
        answer = post(url, query, _QUERY, timeout=timeout, largest=LARGEST_ANSWER)
        if answer.status != HTTPStatus.OK:
            raise LedgerError(f"it answered HTTP {answer.status}")
        verify_timestamp(answer.body, message, roots, query)
    except (LedgerError, ProofError) as error:
        raise LedgerError(
            f"no time stamp from {host}: {error}; check address and network, then run it again"
        ) from None
    return answer.body
