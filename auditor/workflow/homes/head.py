"""How far the home's ledger had come: size and root after the newest append, outside the database.

A signed checkpoint tells what was signed; most acts of the desk sign nothing. Without this file a
database put back to a state after the newest checkpoint would lose a hold, a restriction or a
forgetting without a word. It isn't signed and proves nothing to anybody: it keeps whoever has the
database alone, or restores it alone, from going on as if nothing had been.

It is written once an append is durable, so it is never ahead of the database: after a crash, or
where two processes write at once, it lags by an entry or two, and nothing is taken for lost.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import LedgerError
from auditor.ledger.ledger import Ledger

HEAD = "head.txt"

_DIGITS = 16
_LINES = re.compile(rf"([0-9]{{1,{_DIGITS}}})\n([0-9a-f]{{64}})\n")  # first written unpadded


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A state that the ledger had."""

    size: int
    root: bytes


def kept_head(root: Path) -> Head | None:
    """The newest state that is kept; None where none is, or a power cut spoilt it."""
    try:
        found = _LINES.fullmatch((root / HEAD).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        return None
    return found and Head(size=int(found[1]), root=bytes.fromhex(found[2]))


def keep_head(root: Path, ledger: Ledger) -> None:
    """Keep the state that the ledger is in; where that can't be written, the one before stays.

    What is appended stands all the same, so a full disk isn't told as if it didn't. Nor is the file
    synced: it may be lost in a power cut, and comes again with the next entry. It always has the
    same length and is written over in one call, which costs an append least.
    """
    with suppress(OSError, LedgerError):
        frontier = ledger.frontier()
        content = f"{frontier.size:0{_DIGITS}}\n{frontier.root().hex()}\n".encode("ascii")
        file = os.open(root / HEAD, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(file, content, 0)
        finally:
            os.close(file)


def forget_head(root: Path) -> None:
    """Keep no state until the next append."""
    (root / HEAD).unlink(missing_ok=True)


def why_not_held(ledger: Ledger, head: Head | None) -> str:
    """Why the ledger isn't one that went on from this state; "" where it is.

    Args:
        head: read before, as whoever writes meanwhile only adds to it.
    """
    if head is None:
        return ""
    size = ledger.size
    if size < head.size:
        return f"the ledger holds {size} entries and had {head.size}: an older state was put back"
    if ledger.root(head.size) != head.root:
        return (
            f"the first {head.size} entries of the ledger are not those that it had: an older "
            "state was put back and written to"
        )
    return ""


def what_is_lost(root: Path, ledger: Ledger, head: Head | None) -> str:
    """Why the ledger didn't go on from this state, nor from the one that is kept now; "" if it did.

    Whoever reads while another process writes may meet the size of one state and the root of the
    next.
    """
    return why_not_held(ledger, head) and why_not_held(ledger, kept_head(root))
