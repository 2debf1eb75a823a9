"""Letting further keys be trusted, without taking from documents of the day what makes them valid.

A statement bears a day and no hour. From the first key of an approver or an endpoint on, no
document of that day is valid without it; those issued before on the same day couldn't have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from auditor.certificates.verify import verify_statement
from auditor.domain.case import project
from auditor.domain.event import CertificateIssued
from auditor.errors import MisuseError, ProofError
from auditor.proof.trust import StatementKey, TrustFile
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, every_case
from auditor.workflow.log.statement_keys import add_pair, listed_pair


def add_keys(home: Home, public: bytes, role: str) -> tuple[StatementKey, ...]:
    """Let keys of that role be trusted from today on, as `add_pair` does.

    Raises:
        MisuseError: as `add_pair`, or documents of today would no longer be valid.
    """
    now, trust = datetime.now(UTC), home.trust
    keys = (*trust.statement_keys, *listed_pair(public, role))
    later = _with(trust, keys)
    undone = sum(
        _holds(envelope, trust, now) and not _holds(envelope, later, now)
        for envelope in _issued_on(home, now)
    )
    if undone:
        raise MisuseError(
            f"{undone} of today's documents were issued without a key of the role {role} and would "
            "no longer be valid; add it tomorrow (by UTC), before the next document"
        )
    return add_pair(home, public, role)


def _with(trust: TrustFile, keys: tuple[StatementKey, ...]) -> TrustFile:
    try:
        return replace(trust, statement_keys=keys)
    except ProofError as error:
        raise MisuseError(str(error)) from None


def _holds(envelope: bytes, trust: TrustFile, now: datetime) -> bool:
    return all(check.held is not False for check in verify_statement(envelope, trust, now))


def _issued_on(home: Home, now: datetime) -> Iterator[bytes]:
    """The signed statements of documents that were issued on this day."""
    day = f"{now:%Y-%m-%d}"
    for case in every_case(home):
        entries = home.ledger.replay(case_stream(case))
        dated = [each.recorded_at for each in entries if isinstance(each.event, CertificateIssued)]
        prepared = project(each.event for each in entries).prepared
        if prepared is not None and dated and dated[-1].startswith(day):
            yield home.store.get(prepared.envelope)
