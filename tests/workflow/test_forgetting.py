"""Whom a closed case concerns is forgotten for good, and everything else goes on as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from auditor.certificates.verify import Status, verify_certificate
from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind
from auditor.domain.request import DecisionKind, DecisionReason, DocumentKind
from auditor.errors import MisuseError, TamperedError
from auditor.proof.trust import parse_trust
from auditor.workflow.desk.acts import lift, restrict
from auditor.workflow.desk.desk import decide
from auditor.workflow.desk.papers import file_document, list_recipients, record_recipient
from auditor.workflow.desk.signing import Hand
from auditor.workflow.documents.notary import certificate_path
from auditor.workflow.homes.guard import close_for_writing, open_for_writing
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.homes.record import case_stream, load_case
from auditor.workflow.models.forgetting import forget_request
from auditor.workflow.models.reerasure import came_back
from tests.certificates.conftest import issue_record
from tests.cli.conftest import Auditor, stock
from tests.workflow.casebook import filed, refused, today
from tests.workflow.killing import killed_before

PATIENT = "patient-4711"
YEAR = (date(2026, 1, 1), date(2026, 12, 31))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as made:
        stock(made)
        yield made


def with_papers(home: Home) -> str:
    """A request with a recipient and a document beside the identifier."""
    case = filed(home, PATIENT)
    record_recipient(home, case, "Klinik Nord")
    file_document(home, case, next(iter(DocumentKind)), b"a scan", role="dpo", in_force=YEAR)
    return case


def sealed(home: Home, case: str) -> int:
    return len(home.vault.commitments(case_stream(case)))


def destroyed(home: Home, case: str) -> list[ev.ArtefactAccounted]:
    return [
        item
        for item in load_case(home, case).accounted
        if item.artefact_kind is ArtefactKind.REQUEST_PAYLOAD
        and item.fate is ArtefactFate.DESTROYED
    ]


def test_a_withdrawn_case_is_forgotten_from_the_command_line(auditor: Auditor, home: Home) -> None:
    case, other = with_papers(home), filed(home, "patient-8")
    at = ("--home", home.root)
    open_one = auditor("request", "forget", case, *at)
    assert (open_one.code, sealed(home, case)) == (2, 3)
    assert "isn't closed" in open_one.err
    decide(home, case, DecisionKind.WITHDRAWN)
    assert auditor("request", "show", case, *at, "--json").json["identifiers"] == "in the vault"
    done = auditor("request", "forget", case, *at, "--json")
    assert done.json == [{"case": case, "payloads": 3, "identifiers": "forgotten"}]
    assert (sealed(home, case), sealed(home, other)) == (0, 1)
    assert auditor("request", "show", case, *at, "--json").json["identifiers"] == "forgotten"
    assert [line.details for line in list_recipients(home, case)] == ["(forgotten)"]
    assert auditor("request", "list", "--all", *at).code == 0
    assert auditor("ledger", "audit", *at).code == 0
    size = home.ledger.size
    assert auditor("request", "forget", case, *at, "--json").json[0]["payloads"] == 0
    assert home.ledger.size == size
    assert auditor("request", "decide", case, "--grant", *at).code == 2  # nobody knows of whom
    assert came_back(home, destroy=False) == ()
    issue_record(home, case)
    assert auditor("certificate", "show", case, *at, "--json").json["identifiers"] == "forgotten"


def test_the_document_of_a_forgotten_case_stays_as_good_as_it_was(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    issued = issue_record(home, refused(home, with_papers(home)))
    assert forget_request(home, issued.case) == 3
    assert len(destroyed(home, issued.case)) == 1
    document, at = certificate_path(home, issued.case), ("--home", home.root)
    assert auditor("certificate", "export", issued.case, "--to", tmp_path, *at).code == 0
    assert auditor("certificate", "show", issued.case, *at, "--json").json["state"] == "good"
    assert document.read_bytes() == issued.pdf
    checked = verify_certificate(
        issued.pdf, parse_trust(issued.trust), sidecar=issued.sidecar, now=datetime.now(UTC)
    )
    assert checked.status is Status.VALID_STATUS_UNKNOWN


def test_what_still_needs_to_know_whom_it_concerns_is_named(home: Home) -> None:
    held, lasting, waiting = (with_papers(home) for _ in range(3))
    decide(home, held, DecisionKind.WITHDRAWN)
    decide(home, held, DecisionKind.HELD, reason=DecisionReason.LEGAL_HOLD)
    refused(home, waiting)
    review = today() + timedelta(days=90)
    reason = DecisionReason("gdpr-17-3-c")
    decide(home, lasting, DecisionKind.REFUSED, reason=reason, review=review)
    issue_record(home, lasting)
    for case, why in (
        (held, "the desk holds it"),
        (waiting, "isn't closed"),
        (lasting, f"looked at again on {review}"),
        ("0" * 16, "no case"),
    ):
        with pytest.raises(MisuseError, match=why):
            forget_request(home, case)
    restrict(home, held, Hand())
    decide(home, held, DecisionKind.WITHDRAWN)
    with pytest.raises(MisuseError, match="it restricts"):
        forget_request(home, held)
    assert sealed(home, held) == sealed(home, lasting) == sealed(home, waiting) == 3
    lift(home, held, Hand())
    close_for_writing(home.root, "for a test")
    with pytest.raises(TamperedError, match="read-only"):
        forget_request(home, held)
    assert sealed(home, held) == 3
    open_for_writing(home.root)
    assert forget_request(home, held) == 3


def test_killed_anywhere_it_is_done_again_and_stands_on_the_books_once(home: Home) -> None:
    case = with_papers(home)
    decide(home, case, DecisionKind.WITHDRAWN)
    home.close()

    def forget() -> None:
        with closing(open_home(home.root)) as opened:
            forget_request(opened, case)

    steps = frozenset({"record", "forget_all", "erase_traces"})
    stopped = [call for call in range(1, 9) if killed_before(call, steps, forget)]
    assert stopped
    forget()
    told = [item.event for item in home.ledger.replay("vault")]
    assert (sealed(home, case), len(told), len(destroyed(home, case))) == (0, 3, 1)
    home.ledger.audit()
