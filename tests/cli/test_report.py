from __future__ import annotations

import csv
import json
import re
import sqlite3
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from auditor.domain.quarter import quarter_named
from auditor.workflow.homes.home import Home
from tests.cli.conftest import Auditor


def filed(auditor: Auditor, home: Home, received: str, *words: str) -> str:
    ran = auditor(
        *("request", "file", "--model", "detector", "--subject", "MRN-0042-Doe"),
        *("--received", received, *words, "--home", home.root, "--json"),
    )
    case: str = ran.json["case"]
    return case


def test_a_quarter_holds_its_own_cases_and_those_left_open_and_names_the_late_ones(
    auditor: Auditor, stocked: Home, tmp_path: Path
) -> None:
    first, last = filed(auditor, stocked, "2026-01-01"), filed(auditor, stocked, "2026-03-31")
    revoked = ("--regime", "hipaa", "--ground", "hipaa-508-b-5")
    elsewhere = filed(auditor, stocked, "2026-02-02", *revoked)
    left_open = filed(auditor, stocked, "2025-12-31")
    filed(auditor, stocked, "2026-04-01")
    table = tmp_path / "quarter.csv"
    ran = auditor("report", "quarter", "2026Q1", "--csv", table, "--home", stocked.root, "--json")
    assert ran.code == 0
    told = ran.json
    rows = {row["case"]: row for row in told["cases"]}
    assert set(rows) == {first, last, elsewhere, left_open}
    assert (told["cases_in_all"], told["open"], told["late"]) == (4, 4, 3)
    assert rows[first]["due"] == "2026-02-02"  # 1 February 2026 is a Sunday
    assert rows[first]["in_time"] == "NOT_MET"
    assert rows[elsewhere]["due"] == rows[elsewhere]["in_time"] == ""  # HIPAA knows no such limit
    with table.open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == told["cases"]
    assert "MRN-0042-Doe" not in ran.out + table.read_text()


def test_a_timely_extension_moves_the_day_an_answer_is_due(auditor: Auditor, stocked: Home) -> None:
    today = datetime.now(UTC).date()
    case = filed(auditor, stocked, str(today))
    name = f"{today.year}Q{(today.month + 2) // 3}"
    before = auditor("report", "quarter", name, "--home", stocked.root, "--json").json["cases"][0]
    words = ("--extend", "--because", "complexity", "--home", stocked.root)
    assert auditor("request", "decide", case, *words).code == 0
    after = auditor("report", "quarter", name, "--home", stocked.root, "--json").json["cases"][0]
    assert before["in_time"] == after["in_time"] == "INSUFFICIENT"
    assert (date.fromisoformat(after["due"]) - date.fromisoformat(before["due"])).days > 50


def test_a_quarter_without_cases_is_a_report_too(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    table = tmp_path / "quarter.csv"
    ran = auditor("report", "quarter", "2020Q2", "--csv", table, "--home", home.root)
    assert ran.code == 0
    assert re.search(r"^cases in all +0$", ran.out, re.MULTILINE)
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1


def test_what_the_demo_closed_is_told_with_its_basis(auditor: Auditor, demo: Path) -> None:
    closed = json.loads((demo / "summary.json").read_text(encoding="utf-8"))
    issued = auditor("certificate", "list", "--home", demo / "home", "--json").json
    cases = {line["case"]: line["basis"] for line in closed}  # the last audit of each case
    today = datetime.now(UTC).date()
    rows = {}
    for name in {f"{day.year}Q{(day.month + 2) // 3}" for day in (today, _demo_day(demo))}:
        told = auditor("report", "quarter", name, "--home", demo / "home", "--json").json
        assert told["ledger_entries"] > 0 and told["late"] == 0
        assert told["failed"] == sum(row["verdict"] == "FAILED" for row in told["cases"])
        assert told["failed_confirmed"] <= told["failed"] <= told["audited"]
        assert told["failed_by_chance_at_most"] == pytest.approx(0.05 * told["audited"])
        rows |= {row["case"]: row for row in told["cases"]}
    for case, basis in cases.items():
        assert rows[case]["basis"] == basis
        assert rows[case]["outcome"] == ("not-erased" if basis == "none" else "certified")
        assert rows[case]["in_time"] == ("INSUFFICIENT" if basis == "none" else "MET")
    assert {row["case"] for row in issued} == {case for case in rows if rows[case]["closed"]}


def _demo_day(demo: Path) -> date:
    return datetime.fromtimestamp((demo / "summary.json").stat().st_mtime, UTC).date()


@pytest.mark.parametrize("name", ["2026", "2026Q5", "2026q1", "0000Q1", "9999Q4", "Q1", ""])
def test_what_names_no_quarter_is_refused(auditor: Auditor, home: Home, name: str) -> None:
    ran = auditor("report", "quarter", name, "--home", home.root)
    assert ran.code == 2
    assert "2026Q4" in ran.err


def test_quarters_follow_one_another_without_gap_or_overlap() -> None:
    quarters = [quarter_named(f"{year}Q{k}") for year in (2027, 2028) for k in (1, 2, 3, 4)]
    for one, following in pairwise(quarters):
        assert (following.first - one.last).days == 1
    assert quarters[0].first == date(2027, 1, 1)
    assert None not in quarters[0]


def test_nothing_is_reported_from_a_ledger_that_was_changed(
    auditor: Auditor, stocked: Home, tmp_path: Path
) -> None:
    filed(auditor, stocked, "2026-01-01")
    stocked.close()
    connection = sqlite3.connect(stocked.root / "ledger.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f"DROP TRIGGER {name}")
    changed = connection.execute("UPDATE entry SET entry = replace(entry, '2026-01', '2026-02')")
    assert changed.rowcount > 0
    connection.commit()
    connection.close()
    table = tmp_path / "quarter.csv"
    ran = auditor("report", "quarter", "2026Q1", "--csv", table, "--home", stocked.root)
    assert ran.code == 5
    assert not table.exists()
