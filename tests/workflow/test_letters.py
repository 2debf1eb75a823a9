"""Which letters a case lets be written, and what is left of one that was sent."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from auditor.certificates.letter import letter_of, letter_text
from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.case import ErasureCase, evolve, project
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    DocumentKind,
    Ground,
    LetterKind,
    Outcome,
    PauseReason,
    Regime,
)
from auditor.errors import MisuseError
from auditor.policies.deadlines import answer_of
from auditor.workflow.desk.acts import lift, restrict, resume_clock, stop_clock
from auditor.workflow.desk.desk import decide
from auditor.workflow.desk.letters import letter_facts, why_not
from auditor.workflow.desk.library import case_facts, packs_of
from auditor.workflow.desk.papers import file_document, record_recipient
from auditor.workflow.desk.signing import Hand
from auditor.workflow.homes.config import read_config, write_config
from auditor.workflow.homes.home import SETTINGS, Home, create_home, open_home
from auditor.workflow.homes.record import case_stream
from tests.certificates.conftest import issue_record
from tests.cli.conftest import Auditor, stock
from tests.policies import road
from tests.workflow import casebook
from tests.workflow.casebook import today
from tests.workflow.desks import employ

NOBODY = "MRN-0042-Doe"
ADDRESS = "Jane Doe\n12 High Street\n"
K = LetterKind


def with_letters(home: Home) -> Home:
    """The home again, with what stands on letters in its settings."""
    config = replace(
        home.config,
        letter_address=("Am Alten Park 3",),
        letter_contact=("dpo@klinikum.example",),
        letter_authority=("Die Aufsicht",),
    )
    write_config(home.root / SETTINGS, config)
    home.close()
    return open_home(home.root)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = create_home(
        tmp_path_factory.mktemp("letters") / "home", controller="Klinikum", dpo="DPO office"
    )
    opened = with_letters(made)
    stock(opened)
    yield opened
    opened.close()


def decided(case: ErasureCase, decision: DecisionKind) -> ErasureCase:
    return evolve(case, ev.RequestDecided(case="c", decision=decision, actor="dpo"))


def issued(case: ErasureCase, outcome: Outcome) -> ErasureCase:
    return evolve(case, ev.CertificateIssued(case="c", outcome=outcome, pdf=Digest.of(b"")))


NEW = project(event for stream, _, event in road.road()[:2] if stream.startswith("case:"))
GRANTED, REFUSED = decided(NEW, DecisionKind.GRANTED), decided(NEW, DecisionKind.REFUSED)
HELD, WITHDRAWN = decided(NEW, DecisionKind.HELD), decided(NEW, DecisionKind.WITHDRAWN)
EXTENDED = decided(NEW, DecisionKind.EXTENDED)
CERTIFIED = issued(GRANTED, Outcome.CERTIFIED)
RECALLED = evolve(
    CERTIFIED, ev.CertificateWithdrawn(case="c", pdf=Digest.of(b""), reason="issued-in-error")
)
RESTRICTED = evolve(
    NEW,
    ev.ProcessingRestricted(case="c", on=road.RECEIVED, actor="dpo", signature=Digest.of(b"")),
)
DISCLOSED = evolve(
    GRANTED, ev.RecipientRecorded(case="c", recipient="00ff", details=Digest.of(b""))
)
STATES = {
    "new": (NEW, {K.ACKNOWLEDGED}),
    "held": (HELD, {K.ACKNOWLEDGED}),
    "extended": (EXTENDED, {K.ACKNOWLEDGED, K.EXTENDED}),
    "extended, granted": (decided(EXTENDED, DecisionKind.GRANTED), {K.GRANTED, K.EXTENDED}),
    "extended, refused": (decided(EXTENDED, DecisionKind.REFUSED), {K.REFUSED}),
    "granted": (GRANTED, {K.GRANTED}),
    "granted, disclosed": (DISCLOSED, {K.GRANTED, K.RECIPIENT_NOTICE}),
    "refused": (REFUSED, {K.REFUSED}),
    "refused, closed": (issued(REFUSED, Outcome.REFUSED), {K.REFUSED}),
    "withdrawn": (WITHDRAWN, set()),
    "withdrawn, closed": (issued(WITHDRAWN, Outcome.WITHDRAWN), {K.CLOSED}),
    "certified": (CERTIFIED, {K.CLOSED}),
    "not erased": (issued(GRANTED, Outcome.NOT_ERASED), {K.CLOSED}),
    "certificate withdrawn": (RECALLED, set()),
    "restricted": (RESTRICTED, {K.ACKNOWLEDGED, K.RESTRICTION_LIFTED}),
}


@pytest.mark.parametrize("name", STATES)
def test_each_state_lets_its_own_letters_be_written(name: str) -> None:
    state, written = STATES[name]
    assert {kind for kind in LetterKind if not why_not(kind, state, lifted=False)} == written


def test_a_restriction_that_was_lifted_may_be_told_of() -> None:
    assert why_not(K.RESTRICTION_LIFTED, NEW, lifted=True) == ""


def text_of(home: Home, case: str, kind: LetterKind) -> str:
    return " ".join(letter_text(letter_of(letter_facts(home, case, kind, "en"))).split())


def test_a_letter_names_the_cases_own_deadline_an_extension_counted(home: Home) -> None:
    case = casebook.filed(home)
    first = letter_facts(home, case, K.ACKNOWLEDGED, "en").due
    decide(home, case, DecisionKind.EXTENDED, reason=DecisionReason.COMPLEXITY)
    second = letter_facts(home, case, K.EXTENDED, "en")
    answer = answer_of(packs_of(home, case), case_facts(home, case))
    assert answer is not None and second.due == answer.due
    assert first is not None and (answer.due - first).days > 50
    assert second.reason is DecisionReason.COMPLEXITY


def test_a_letter_left_no_day_before_the_decision_that_it_tells_of(home: Home) -> None:
    received = today() - timedelta(days=20)
    case = casebook.refused(home, casebook.filed(home, received=received))
    with pytest.raises(MisuseError, match="lies before the decision"):
        letter_facts(home, case, K.REFUSED, "en", sent=received + timedelta(days=1))
    assert letter_facts(home, case, K.REFUSED, "en", sent=today()).written == today()


def test_a_law_without_a_time_limit_promises_no_day(home: Home) -> None:
    case = casebook.filed(home, regime=Regime.HIPAA, ground=Ground.AUTHORISATION_REVOKED)
    assert letter_facts(home, case, K.ACKNOWLEDGED, "en").due is None


def test_a_clock_that_stands_still_is_told(home: Home) -> None:
    case, hand = (
        casebook.filed(home, regime=Regime.UK_GDPR, ground=Ground.UK_CONSENT_WITHDRAWN),
        Hand(),
    )
    stop_clock(home, case, PauseReason.CLARIFICATION, hand)
    assert "more precisely" in text_of(home, case, K.ACKNOWLEDGED)
    resume_clock(home, case, hand)
    assert "at the latest" in text_of(home, case, K.ACKNOWLEDGED)


def test_a_restriction_stands_in_the_letters_with_its_days(home: Home) -> None:
    case, hand = casebook.filed(home), Hand()
    restrict(home, case, hand)
    assert "no model is trained on your images" in text_of(home, case, K.ACKNOWLEDGED)
    assert "before we do" in text_of(home, case, K.RESTRICTION_LIFTED)
    lift(home, case, hand)
    assert "no model is trained" not in text_of(home, case, K.ACKNOWLEDGED)
    assert "was lifted on" in text_of(home, case, K.RESTRICTION_LIFTED)
    restrict(home, case, hand)
    assert "before we do" in text_of(home, case, K.RESTRICTION_LIFTED)


def test_an_exemption_is_told_with_its_day_of_review(home: Home) -> None:
    case = casebook.filed(home)
    review = casebook.today() + timedelta(days=90)
    reason = DecisionReason.LEGAL_CLAIMS
    decide(home, case, DecisionKind.REFUSED, reason=reason, review=review)
    facts = letter_facts(home, case, K.REFUSED, "en")
    assert (facts.reason, facts.review) == (reason, review)


def test_how_a_case_ended_is_told_from_what_was_signed(home: Home) -> None:
    case = casebook.filed(home)
    decide(home, case, DecisionKind.WITHDRAWN)
    issue_record(home, case)
    assert "You took the request back" in text_of(home, case, K.CLOSED)


def test_a_closing_letter_says_no_more_than_the_document(demo_copy: Path) -> None:
    home = with_letters(open_home(demo_copy / "home"))
    closed = json.loads((demo_copy / "summary.json").read_text(encoding="utf-8"))
    bases = {line["case"]: line["basis"] for line in closed}  # the last audit of each case
    try:
        for case, basis in bases.items():
            text = text_of(home, case, K.CLOSED)
            assert ("bit for bit" in text) == (basis == "exact")
            assert ("Up to 35 %" in text) == basis.startswith("statistical")
            assert ("no certificate is issued" in text) == (basis == "none")
            kept = "the medical record must be kept; looked at again on" in text
            assert kept or basis == "none"
    finally:
        home.close()


def test_a_forged_decision_is_no_ground_for_a_letter(tmp_path: Path) -> None:
    made = create_home(tmp_path / "home", controller="Klinikum", dpo="DPO")
    made = with_letters(made)
    try:
        stock(made)
        employ(made, tmp_path, "anna")
        case = casebook.filed(made)
        forged = ev.RequestDecided(
            case=case, decision=DecisionKind.REFUSED, reason=DecisionReason.NO_GROUND, actor="dpo"
        )
        stream = case_stream(case)
        made.ledger.append(
            stream, [forged], expected_version=made.ledger.version(stream), event_ids=[uuid4()]
        )
        with pytest.raises(MisuseError, match="isn't refused"):
            letter_facts(made, case, K.REFUSED, "en")
    finally:
        made.close()


@pytest.mark.parametrize("missing", ["address", "contact", "authority"])
def test_a_missing_setting_is_named(home: Home, auditor: Auditor, missing: str) -> None:
    case = casebook.refused(home, casebook.filed(home))
    settings = home.root / SETTINGS
    whole = read_config(settings)
    out = home.root.parent / "letter.txt"
    words = ("request", "letter", case, "--to", out, "--home", home.root)
    try:
        write_config(settings, replace(whole, **{f"letter_{missing}": ()}))
        ran = auditor(*words, "--kind", "refused")
    finally:
        write_config(settings, whole)
    assert (ran.code, out.exists()) == (1, False)
    assert f"set {missing} in [letters] of auditor.toml" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_letter_sent_is_on_the_books_and_its_address_in_the_vault_alone(
    home: Home, auditor: Auditor, tmp_path: Path
) -> None:
    case = casebook.refused(home, casebook.filed(home, subject=NOBODY))
    address, out = tmp_path / "address", tmp_path / "letter.pdf"
    address.write_text(ADDRESS)
    ran = auditor(
        *("request", "letter", case, "--kind", "refused", "--language", "de", "--to", out),
        *("--sent", casebook.today(), "--address-from", address, "--home", home.root, "--json"),
    )
    assert ran.code == 0, ran.err
    sent = home.ledger.replay(case_stream(case))[-1].event
    assert isinstance(sent, ev.LetterSent)
    assert (sent.letter, sent.language, sent.on) == (K.REFUSED, "de", casebook.today())
    assert str(sent.document) == ran.json["document"]
    kept = json.loads(home.vault.open(sent.document))
    assert b64decode(kept["document"]) == out.read_bytes()
    assert kept["address"] == ADDRESS.strip()
    for leaked in ("Doe", "High Street"):
        assert leaked not in ran.out + ran.err
        assert not any(leaked.encode() in entry for entry in home.ledger.entries())
        assert leaked.encode() not in out.read_bytes()


LATIN_1 = "Jörg Müller".encode("latin-1")


@pytest.mark.parametrize(
    ("words", "address", "told"),
    [
        (("--by", "Müller"), ADDRESS.encode(), "by a role"),
        (("--by", "Dr. Jane Doe"), ADDRESS.encode(), "by a role"),
        ((), LATIN_1, "UTF-8"),
        ((), b"x" * 601, "at most 600"),
    ],
)
def test_a_letter_that_cannot_be_entered_leaves_neither_file_nor_address(
    home: Home, auditor: Auditor, tmp_path: Path, words: tuple[str, ...], address: bytes, told: str
) -> None:
    """Else the address would lie in the vault with no entry that leads to it, for good."""
    case, out = casebook.filed(home, subject=NOBODY), tmp_path / "letter.txt"
    (tmp_path / "address").write_bytes(address)
    before = (home.ledger.size, _in_vault(home))
    ran = auditor(
        *("request", "letter", case, "--kind", "acknowledged", "--to", out, *words),
        *("--sent", casebook.today(), "--address-from", tmp_path / "address", "--home", home.root),
    )
    assert (ran.code, ran.err.count("\n")) == (2, 1) and told in ran.err
    assert "Müller" not in ran.err and "Doe" not in ran.err
    assert not out.exists()
    assert (home.ledger.size, _in_vault(home)) == before


@pytest.mark.parametrize(
    "words",
    [
        ("decide", "CASE", "--grant"),
        ("identity", "CASE", "--confirmed"),
        ("restrict", "CASE"),
        ("document", "FILE", "--for", "CASE", "--kind", "identity-request"),
    ],
)
def test_nobody_acts_by_a_name(
    home: Home, auditor: Auditor, tmp_path: Path, words: tuple[str, ...]
) -> None:
    case, paper = casebook.filed(home, subject=NOBODY), tmp_path / "paper"
    paper.write_bytes(b"paper")
    before = (home.ledger.size, _in_vault(home))
    named = [{"CASE": case, "FILE": str(paper)}.get(word, word) for word in words]
    ran = auditor("request", *named, "--by", "Müller", "--home", home.root)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "by a role" in ran.err and "Müller" not in ran.err
    assert (home.ledger.size, _in_vault(home)) == before
    with pytest.raises(MisuseError, match="by a role"):
        Hand(role="Müller")
    with pytest.raises(MisuseError, match="by a role"):
        file_document(
            *(home, case, DocumentKind.IDENTITY_REQUEST, b"paper"),
            role="Müller",
            in_force=(casebook.today(), casebook.today()),
        )
    assert (home.ledger.size, _in_vault(home)) == before


def _in_vault(home: Home) -> int:
    with closing(sqlite3.connect(home.root / "ledger.db")) as database:
        return int(database.execute("SELECT count(*) FROM vault_payload").fetchone()[0])


def test_a_letter_not_sent_leaves_no_trace(home: Home, auditor: Auditor, tmp_path: Path) -> None:
    case, out = casebook.filed(home, subject=NOBODY), tmp_path / "letter.txt"
    size = home.ledger.size
    for language in ("en", "de", "fr", "es"):
        ran = auditor(
            *("request", "letter", case, "--kind", "acknowledged", "--language", language),
            *("--to", out, "--home", home.root),
        )
        assert ran.code == 0, ran.err
        text = out.read_text(encoding="utf-8")
        assert case in text and NOBODY not in text
    assert home.ledger.size == size


def test_recipients_are_told_without_a_name(home: Home) -> None:
    case = casebook.filed(home, subject=NOBODY)
    decide(home, case, DecisionKind.GRANTED)
    record_recipient(home, case, "Institute of Radiology")
    told = text_of(home, case, K.RECIPIENT_NOTICE)
    assert "Article 19 GDPR" in told and "Institute" not in told and NOBODY not in told


@pytest.mark.parametrize(
    "words",
    [
        ("--kind", "granted", "--to", "letter.txt"),
        ("--kind", "closed", "--to", "letter.pdf"),
        ("--kind", "acknowledged", "--to", "letter.doc"),
        ("--kind", "acknowledged", "--to", "no/such/folder/letter.txt"),
        ("--kind", "acknowledged", "--to", "letter.txt", "--sent", "2026-02-30"),
        ("--kind", "acknowledged", "--to", "letter.txt", "--sent", "9999-01-01"),
        ("--kind", "acknowledged", "--to", "letter.txt", "--sent", "2020-01-01"),
        ("--kind", "acknowledged", "--to", "letter.txt", "--address-from", "address"),
        ("--kind", "acknowledged", "--to", "letter.txt", "--language", "it"),
        ("--kind", "farewell", "--to", "letter.txt"),
    ],
)
def test_what_makes_no_sense_writes_nothing(
    home: Home,
    auditor: Auditor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    case, size = casebook.filed(home), home.ledger.size
    monkeypatch.chdir(tmp_path)
    (tmp_path / "address").write_text(ADDRESS)
    ran = auditor("request", "letter", case, "--home", home.root, *words)
    assert ran.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["address"]
    assert home.ledger.size == size
