from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.certificates.page import document_html
from auditor.domain.request import DecisionKind, DecisionReason
from auditor.policies.zone import local_day
from auditor.workflow.desk.desk import decide, subjects_of
from auditor.workflow.homes.config import write_config
from auditor.workflow.homes.home import SETTINGS, Home, open_home
from auditor.workflow.homes.record import load_case
from tests.certificates.conftest import issue_record
from tests.cli.conftest import Auditor
from tests.workflow import desks

SUBJECT = "MRN-0042-Doe"


def test_a_request_goes_from_the_desk_to_a_decision(auditor: Auditor, stocked: Home) -> None:
    root = stocked.root
    filed = auditor(
        "request", "file", "--model", "detector", "--subject", SUBJECT, "--received", "2026-01-05",
        "--home", root, "--json",
    )  # fmt: skip
    assert filed.code == 0
    case = filed.json["case"]
    assert auditor("request", "decide", case, "--hold", "--home", root).code == 0
    granted = auditor("request", "decide", case, "--grant", "--home", root, "--json")
    assert granted.json["decision"] == "granted"
    (row,) = auditor("request", "list", "--home", root, "--json").json
    assert row.pop("days_left") < 0  # it depends on the day of the test
    assert row == {
        "case": case,
        "due": "2026-02-05",
        "late": True,
        "clock_stopped": False,
        "waits_for": "operator",
        "state": "granted",
        "restricted": False,
        "received": "2026-01-05",
        "regime": "gdpr",
        "ground": "gdpr-17-1-b",
        "model": "detector",
        "verdict": "",
        "outcome": "",
    }
    shown = auditor("request", "show", case, "--home", root, "--json").json
    assert [event["kind"] for event in shown["events"]] == [
        "erasure-requested/v2",
        "request-decided/v2",
        "request-decided/v2",
    ]


def test_the_subject_is_in_no_entry_and_no_output(
    auditor: Auditor, stocked: Home, tmp_path: Path
) -> None:
    listed = tmp_path / "subjects.txt"
    listed.write_text(f"{SUBJECT}\n\n  other-patient \n", encoding="utf-8")
    root = stocked.root
    filed = auditor(
        "request", "file", "--model", "detector", "--subjects-from", listed, "--home", root
    )
    assert filed.code == 0
    (line,) = auditor("request", "list", "--home", root, "--json").json
    shown = auditor("request", "show", line["case"], "--home", root)
    entries = [stocked.ledger.entry(number) for number in range(stocked.ledger.size)]
    assert SUBJECT not in filed.out + shown.out
    assert not any(SUBJECT.encode() in entry for entry in entries)
    database = b"".join(path.read_bytes() for path in root.glob("ledger.db*"))
    assert SUBJECT.encode() not in database


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--model", "other", "--subject", "a"), "no model named other"),
        (("--model", "detector"), "at least one subject"),
        (("--model", "detector", "--subject", "a", "--subject", "a"), "only once"),
        (("--model", "detector", "--subject", "a-1", "--subject", "A-\uff11"), "only once"),
        (("--model", "detector", "--subject", ""), "1 to 120 characters"),
        (("--model", "detector", "--subject", "a "), "ends with a blank"),
        (("--model", "detector", "--subject", "a\tb"), "control character"),
        (("--model", "detector", "--subject", "a\nb"), "control character"),
        (("--model", "detector", "--subject", "\udcff"), "control character"),
        (("--model", "detector", "--subject", "a", "--regime", "hipaa"), "doesn't belong"),
        (("--model", "detector", "--subject", "a", "--received", "5.1.2026"), "YYYY-MM-DD"),
        (("--model", "detector", "--subject", "a", "--received", "9999-01-01"), "in the future"),
        (("--model", "detector", "--subject", "a", "--received", "20261102"), "YYYY-MM-DD"),
        (("--model", "detector", "--subject", "a", "--received", "2026-W45-1"), "YYYY-MM-DD"),
        (("--model", "detector", "--subject", "a", "--received", "2026-02-30"), "no such day"),
        (("--model", "detector", "--subject", "a", "--received", "0001-01-01"), "2018-05-25"),
        (("--model", "detector", "--subject", "a", "--received", "2018-05-24"), "2018-05-25"),
        (("--model", "detector", "--subject", "a", "--ground", "whim"), "whim"),
    ],
)
def test_a_senseless_request_is_refused_and_not_recorded(
    auditor: Auditor, stocked: Home, words: tuple[str, ...], complaint: str
) -> None:
    size = stocked.ledger.size
    ran = auditor("request", "file", *words, "--home", stocked.root)
    assert ran.code == 2
    assert complaint in ran.err
    assert stocked.ledger.size == size


def test_a_list_of_subjects_is_read_as_editors_save_it(
    auditor: Auditor, stocked: Home, tmp_path: Path
) -> None:
    listed = tmp_path / "subjects.txt"
    listed.write_bytes(b"\xef\xbb\xbf" + f"{SUBJECT}\r\nother-patient\r\n".encode())
    words = ("request", "file", "--model", "detector", "--subjects-from", listed)
    case = auditor(*words, "--home", stocked.root, "--json").json["case"]
    requested = load_case(stocked, case).requested
    assert requested is not None
    assert subjects_of(stocked, requested) == (SUBJECT, "other-patient")
    size = stocked.ledger.size
    for content, complaint in ((b"caf\xe9\n", "is not UTF-8"), (b"a\n\xef\xbb\xbfb\n", "control")):
        listed.write_bytes(content)
        ran = auditor(*words, "--home", stocked.root)
        assert ran.code in (1, 2) and complaint in ran.err and len(ran.err.splitlines()) == 1
    assert stocked.ledger.size == size


def test_decisions_that_make_no_sense_are_refused(auditor: Auditor, stocked: Home) -> None:
    root = stocked.root
    filed = auditor(
        "request", "file", "--model", "detector", "--subject", SUBJECT, "--home", root, "--json"
    )
    case = filed.json["case"]
    assert auditor("request", "decide", case, "--home", root).code == 2
    assert auditor("request", "decide", "0" * 16, "--grant", "--home", root).code == 2
    assert auditor("request", "decide", case, "--grant", "--home", root).code == 0
    twice = auditor("request", "decide", case, "--grant", "--home", root)
    assert twice.code == 2
    assert "already granted" in twice.err


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_days_are_those_of_the_controllers_calendar(
    auditor: Auditor, stocked: Home, zone: str
) -> None:
    """Twenty-five hours lie between these two: on one of them it isn't the day of UTC."""
    write_config(stocked.root / SETTINGS, replace(stocked.config, time_zone=zone))
    words = ("request", "file", "--model", "detector", "--home", stocked.root)
    today = local_day(datetime.now(UTC), zone)
    assert auditor(*words, "--subject", "a", "--received", today).code == 0
    assert auditor(*words, "--subject", "b").code == 0
    tomorrow = auditor(*words, "--subject", "c", "--received", today + timedelta(days=1))
    assert tomorrow.code == 2 and "in the future" in tomorrow.err
    rows = auditor("request", "list", "--home", stocked.root, "--json").json
    assert [row["received"] for row in rows] == [str(today)] * 2


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "UTC"])
def test_a_document_says_whose_calendar_its_days_are_of(stocked: Home, zone: str) -> None:
    write_config(stocked.root / SETTINGS, replace(stocked.config, time_zone=zone))
    with closing(open_home(stocked.root)) as home:
        case = desks.filed(home)
        decide(home, case, DecisionKind.REFUSED, reason=DecisionReason.NO_GROUND)
        issued = issue_record(home, case)
        day = issued.verify().predicate
    assert day is not None and day["request"]["timeZone"] == zone
    assert day["request"]["decided"] in (
        str(local_day(datetime.now(UTC) - timedelta(minutes=5), zone)),
        str(local_day(datetime.now(UTC), zone)),
    )
    told = f"(received and decided by the calendar of {zone}, issued by UTC)"
    assert (told in document_html(day, "sha256:" + "0" * 64)) is (zone != "UTC")
