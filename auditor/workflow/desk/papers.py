"""Papers of the desk: whom the data went to, and documents of the controller's own.

Names, addresses and documents go to the vault; the ledger holds commitments to them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.case import ErasureCase
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.printable import hides
from auditor.domain.request import DocumentKind, RecipientOutcome
from auditor.domain.role import require_role
from auditor.errors import MisuseError
from auditor.workflow.desk.acts import day_in
from auditor.workflow.desk.desk import require_case
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import DOCUMENTS, case_stream, record_next

FOR_ALL = "all"
"""What stands for a case's id in documents that concern every case."""

NO_LETTER = UNSIGNED
"""What stands for a letter where none was sent: the digest of an empty record."""

LARGEST_DOCUMENT = 16 << 20
_FORGOTTEN = "(forgotten)"
_LONGEST_DETAILS = 2_000
_RECIPIENT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientLine:
    """A recipient of the subjects' data; `outcome` is None until it is on record."""

    recipient: str
    details: str
    outcome: RecipientOutcome | None
    on: date | None


def record_recipient(home: Home, case: str, details: str) -> str:
    """Put somebody on record who was given the subjects' data, or a model trained on it.

    Args:
        details: name and address, a few lines.

    Returns:
        The random id by which the ledger knows them.

    Raises:
        MisuseError: unknown case, or details that are empty, too long or not plain text.
    """
    require_case(home, case)
    text = details.strip()
    if not text or len(text) > _LONGEST_DETAILS:
        raise MisuseError(f"a recipient's details have 1 to {_LONGEST_DETAILS} characters")
    if any(hides(line) for line in text.splitlines()):
        raise MisuseError("a recipient's details hold an invisible or control character; remove it")
    recipient = secrets.token_hex(_RECIPIENT_BYTES)
    sealed = _seal(home, case_stream(case), text.encode("utf-8"))
    event = ev.RecipientRecorded(case=case, recipient=recipient, details=sealed)
    record_next(home, case_stream(case), event)
    return recipient


def mark_recipient(
    home: Home,
    case: str,
    recipient: str,
    outcome: RecipientOutcome,
    *,
    role: str,
    letter: bytes = b"",
    on: date | None = None,
) -> None:
    """Record what came of telling a recipient (Art. 19 GDPR).

    Args:
        letter: what was sent to them, or why it couldn't be.
        on: day; None for today.

    Raises:
        MisuseError: no such recipient, a day that can't be, or a role that is none.
    """
    require_role(role)
    state = require_case(home, case)
    if recipient not in state.recipients:
        raise MisuseError(
            f"no recipient {recipient} in case {case}; see: auditor request recipient list {case}"
        )
    stream = case_stream(case)
    event = ev.RecipientInformed(
        case=case,
        recipient=recipient,
        outcome=outcome,
        on=day_in(state, on),
        letter=_seal(home, stream, letter) if letter else NO_LETTER,
        actor=role,
    )
    record_next(home, stream, event)


def list_recipients(home: Home, case: str) -> tuple[RecipientLine, ...]:
    """Recipients in the order they were recorded, each with the last word on it.

    Raises:
        MisuseError: unknown case.
    """
    state = require_case(home, case)
    events = [item.event for item in home.ledger.replay(case_stream(case))]
    told = {item.recipient: item for item in events if isinstance(item, ev.RecipientInformed)}
    return tuple(
        RecipientLine(
            recipient=item.recipient,
            details=_details(home, state, item.details),
            outcome=told[item.recipient].outcome if item.recipient in told else None,
            on=told[item.recipient].on if item.recipient in told else None,
        )
        for item in events
        if isinstance(item, ev.RecipientRecorded)
    )


def file_document(
    home: Home,
    case: str,
    kind: DocumentKind,
    content: bytes,
    *,
    role: str,
    in_force: tuple[date, date],
) -> Digest:
    """Take a document into the file of a case, or of the home.

    Args:
        case: a case's id, or `FOR_ALL`.
        in_force: first and last day.

    Returns:
        What the ledger commits to it by.

    Raises:
        MisuseError: unknown case, an empty or too large document, days out of order, or a role
            that is none.
    """
    require_role(role)
    if case != FOR_ALL:
        require_case(home, case)
    if not content or len(content) > LARGEST_DOCUMENT:
        raise MisuseError(f"a document has 1 byte to {LARGEST_DOCUMENT >> 20} MiB")
    first, last = in_force
    if last < first:
        raise MisuseError(f"a document can't be in force from {first} until {last}")
    stream = DOCUMENTS if case == FOR_ALL else case_stream(case)
    event = ev.DocumentFiled(
        case=case,
        document_kind=kind,
        document=_seal(home, stream, content),
        in_force_from=first,
        in_force_until=last,
        actor=role,
    )
    record_next(home, stream, event)
    return event.document


def _details(home: Home, state: ErasureCase, sealed: Digest) -> str:
    if state.forgotten and not home.vault.holds(sealed):
        return _FORGOTTEN
    return home.vault.open(sealed).decode("utf-8")


def _seal(home: Home, subject: str, content: bytes) -> Digest:
    require_writable(home.root, home.ledger)  # else the vault would keep what no entry points to
    return home.vault.seal(subject, content)
