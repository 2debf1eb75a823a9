"""The desk at the command line: keys, decisions, papers, and the day's list at any width."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from auditor.domain.request import DecisionKind, Ground, PauseReason, Regime
from auditor.workflow.desk.acts import restrict, stop_clock
from auditor.workflow.desk.desk import decide
from auditor.workflow.desk.signing import Hand
from auditor.workflow.documents.notary import issue, prepare_statement
from auditor.workflow.erasure.batch import file_batch
from auditor.workflow.homes.config import write_config
from auditor.workflow.homes.home import SETTINGS, Home
from auditor.workflow.homes.record import load_case
from tests.cli.conftest import Auditor
from tests.workflow.desks import filed

TODAY = datetime.now(UTC).date()


def day(back: int) -> date:
    return TODAY - timedelta(days=back)


def test_two_people_decide_with_their_keys(auditor: Auditor, stocked: Home, tmp_path: Path) -> None:
    root = ("--home", stocked.root)
    case = filed(stocked)
    for name in ("ada", "bob"):
        assert auditor("keys", "new", tmp_path / f"{name}.key").code == 0
        added = auditor("keys", "add", tmp_path / f"{name}.key.pub", "--role", "desk", *root)
        assert added.code == 0
    write_config(stocked.root / SETTINGS, replace(stocked.config, desk_four_eyes=True))
    words = ("request", "decide", case, "--grant", *root, "--json")
    unsigned = auditor(*words)
    assert unsigned.code == 2 and "--key" in unsigned.err
    first = auditor(*words, "--key", tmp_path / "ada.key")
    assert (first.code, first.json["waits_for"]) == (0, "second pair of eyes")
    (row,) = auditor("request", "list", *root, "--json").json
    assert (row["waits_for"], row["state"]) == ("second pair of eyes", "received")
    assert auditor(*words, "--key", tmp_path / "ada.key").code == 2
    second = auditor(*words, "--key", tmp_path / "bob.key")
    assert (second.code, second.json["waits_for"]) == (0, "")
    shown = auditor("request", "show", case, *root, "--json").json
    assert (shown["state"], shown["decided_by"]) == ("granted", "two-desk-keys")
    listed = auditor("keys", "list", *root, "--json").json
    (key,) = [k for k in listed if k["role"] == "desk" and k["algorithm"] == "ed25519"][:1]
    assert auditor("keys", "revoke", key["key_id"], "--yes", *root).code == 0
    voided = auditor("request", "show", case, *root, "--json").json["decided_by"]
    assert voided.startswith("nobody: ") and "decided anew" in voided


def test_a_batch_is_decided_at_once_and_what_hinders_one_hinders_no_other(
    auditor: Auditor, stocked: Home
) -> None:
    root = ("--home", stocked.root, "--json")
    cases = [filed(stocked, f"p{number}") for number in range(3)]
    decide(stocked, cases[1], DecisionKind.GRANTED)
    batch = file_batch(stocked, cases)
    ran = auditor("request", "decide", "--batch", batch, "--grant", *root)
    assert ran.code == 2
    assert [bool(row["hindered"]) for row in ran.json] == [False, True, False]
    assert "already granted" in ran.json[1]["hindered"]
    assert all(load_case(stocked, case).granted for case in cases)
    held = auditor("request", "decide", *cases, cases[0], "--hold", *root)
    assert held.code == 0 and [row["decision"] for row in held.json] == ["held"] * 3
    for words in ((), (cases[0], "--batch", batch), ("--batch", "0" * 16)):
        assert auditor("request", "decide", *words, "--grant", *root).code == 2
    assert load_case(stocked, cases[0]).held


def test_reasons_and_reviews_are_asked_for(auditor: Auditor, stocked: Home) -> None:
    case, root = filed(stocked), ("--home", stocked.root)
    words = ("request", "decide", case, "--refuse", *root)
    bare = auditor(*words)
    assert bare.code == 2 and "gdpr-17-3-e" in bare.err
    claims = (*words, "--because", "gdpr-17-3-e")
    assert "day of its review" in auditor(*claims).err
    assert auditor(*claims, "--review", "soon").code == 2
    assert "12 months" in auditor(*claims, "--review", str(TODAY + timedelta(days=400))).err
    assert auditor(*claims, "--review", str(TODAY + timedelta(days=90))).code == 0
    shown = auditor("request", "show", case, *root, "--json").json
    assert (shown["state"], shown["decided_by"]) == ("refused", "unsigned")


def test_everything_else_the_desk_does(auditor: Auditor, stocked: Home, tmp_path: Path) -> None:
    root = ("--home", stocked.root, "--json")
    case = filed(stocked, regime=Regime.UK_GDPR, ground=Ground.UK_OBJECTION)
    details, letter = tmp_path / "who.txt", tmp_path / "letter.txt"
    details.write_text("Klinik Nord\nLübeck\n", encoding="utf-8")
    letter.write_text("Dear colleagues", encoding="utf-8")
    for words in (
        ("identity", case, "--doubted"),
        ("identity", case, "--confirmed", "--on", "2026-11-03"),
        ("clock", case, "--stop-for", "clarification"),
        ("clock", case, "--resume"),
        ("restrict", case),
        ("lift", case),
        ("document", letter, "--for", case, "--kind", "objection-balance"),
        ("document", letter, "--for", "all", "--kind", "backup-plan", "--until", "2027-01-01"),
    ):
        ran = auditor("request", *words, *root)
        assert (ran.code, ran.err) == (0, "")
    added = auditor("request", "recipient", "add", case, "--details-from", details, *root)
    words = ("request", "recipient", "mark", case, added.json["recipient"])
    assert auditor(*words, "--informed", "--letter", letter, *root).code == 0
    (line,) = auditor("request", "recipient", "list", case, *root).json
    assert (line["outcome"], line["details"]) == ("informed", "Klinik Nord\nLübeck")
    for words in (
        ("identity", case),
        ("clock", case),
        ("clock", case, "--resume", "--stop-for", "fee"),
        ("restrict", case, "--on", "yesterday"),
        ("recipient", "mark", case, added.json["recipient"]),
        ("document", letter, "--for", "0" * 16, "--kind", "backup-plan"),
    ):
        assert auditor("request", *words, *root).code == 2
    assert b"Klinik" not in b"".join(stocked.ledger.entries())


@pytest.fixture
def busy(stocked: Home) -> list[str]:
    """Cases late, soon due, with a stopped clock, with time, without a limit, and one closed."""
    late, soon, later = (filed(stocked, f"p{back}", received=day(back)) for back in (45, 27, 2))
    paused = filed(
        stocked, "uk", regime=Regime.UK_GDPR, ground=Ground.UK_OBJECTION, received=day(20)
    )
    stop_clock(stocked, paused, PauseReason.FEE, Hand(), day(1))
    timeless = filed(stocked, "us", regime=Regime.HIPAA, ground=Ground.OWN_POLICY, received=TODAY)
    decide(stocked, late, DecisionKind.GRANTED)
    restrict(stocked, later, Hand())
    closed = filed(stocked, "gone")
    decide(stocked, closed, DecisionKind.WITHDRAWN)
    prepare_statement(stocked, closed, load_case(stocked, closed))
    issue(stocked, closed, load_case(stocked, closed))
    return [late, soon, later, paused, timeless, closed]


def test_the_list_fits_the_terminal(
    auditor: Auditor, stocked: Home, busy: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in ("", "200", "80", "62", "40"):
        monkeypatch.setenv("COLUMNS", columns)
        ran = auditor("request", "list", "--home", stocked.root)
        *lines, blank, counts, waits = ran.out.splitlines()
        assert (ran.code, blank) == (0, "")
        assert counts == "5 listed, 1 late, 1 due within 7 days"
        assert waits == "waits for: operator 1, desk 3, requester 1"
        assert all(len(line) <= int(columns or 1_000) for line in lines)
        order = re.findall(r"\b[0-9a-f]{16}\b", ran.out)
        assert sorted(order) == sorted(busy[:-1])
        assert (order[0], order[-1]) == (busy[0], busy[4])
        assert "LATE" in ran.out and "stands still" in ran.out
        assert ("waits for" in lines[0]) is (columns != "40")
        assert ("restricted" in lines[0]) is (columns in ("", "200", "80"))
        assert ("model" in lines[0]) is (columns in ("", "200"))
    rows = auditor("request", "list", "--all", "--home", stocked.root, "--json").json
    assert len(rows) == 6 and rows[-1]["case"] == busy[-1]
    assert (rows[-1]["outcome"], rows[-1]["due"], rows[-1]["waits_for"]) == ("withdrawn", "", "")


def test_where_nobody_waits_that_is_said(auditor: Auditor, stocked: Home) -> None:
    ran = auditor("request", "list", "--home", stocked.root)
    assert (ran.code, ran.out) == (0, "") and "no case waits" in ran.err
