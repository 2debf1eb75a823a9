"""A restriction holds training and inference, by whichever id, until the desk itself lifts it."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from auditor.domain import event as ev
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.request import DecisionKind, DecisionReason, Ground, Regime
from auditor.workflow.desk.acts import lift, restrict
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.desk.signing import Hand
from auditor.workflow.documents.notary import issue, prepare_statement, publish
from auditor.workflow.exports.gather import cases_of
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import case_stream, load_case, record_at
from auditor.workflow.homes.register import list_cases
from auditor.workflow.models.restrictions import restricted_cases, restricted_subjects
from tests.cli.conftest import Auditor
from tests.workflow.desks import RECEIVED, employ
from tests.workflow.trained import MODEL


@pytest.fixture
def home(trained_template: Path, tmp_path: Path) -> Iterator[Home]:
    root = Path(shutil.copytree(trained_template, tmp_path / "home"))
    with closing(open_home(root)) as opened:
        yield opened


def asked(home: Home, subject: str) -> str:
    return file_request(
        home,
        model=MODEL,
        subjects=(subject,),
        regime=Regime.GDPR,
        ground=Ground.OBJECTION,
        received=RECEIVED,
    )


def test_a_closed_case_restricts_until_it_is_lifted(home: Home) -> None:
    case = asked(home, "patient-x")
    restrict(home, case, Hand())
    decide(home, case, DecisionKind.REFUSED, reason=DecisionReason.NO_GROUND)
    prepare_statement(home, case, load_case(home, case))
    issue(home, case, load_case(home, case))
    publish(home, case)
    assert restricted_subjects(home) == {"patient-x"}
    lift(home, case, Hand())
    assert restricted_subjects(home) == frozenset()


def test_what_is_forged_into_the_ledger_lifts_nothing(home: Home, tmp_path: Path) -> None:
    ada = Hand(signers=employ(home, tmp_path, "ada"))
    case = asked(home, "patient-x")
    restrict(home, case, ada)
    stream = case_stream(case)
    forged = ev.RestrictionLifted(case=case, on=RECEIVED, actor="dpo", signature=UNSIGNED)
    record_at(home, stream, forged, home.ledger.version(stream))
    assert load_case(home, case).restricted is None
    assert restricted_cases(home) == (case,)
    restrict(home, case, ada)
    lift(home, case, ada)
    assert restricted_cases(home) == ()


def test_a_gateway_asks_before_a_model_is_used(
    auditor: Auditor, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    restrict(home, asked(home, "MRN-7"), Hand())
    asked(home, "MRN-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("MRN-7\nMRN-8\n\nMRN-7"))
    ran = auditor("request", "restricted", "--check", "--home", home.root)
    assert (ran.code, ran.out.split()) == (0, ["yes", "no", "no", "yes"])
    listed = auditor("request", "restricted", "--home", home.root, "--json")
    assert [row["case"] for row in listed.json] == list(restricted_cases(home))
    assert "MRN" not in ran.out + listed.out


@pytest.mark.parametrize("changed", ["row", "gone"])
def test_the_snapshot_of_the_list_frees_nobody(home: Home, auditor: Auditor, changed: str) -> None:
    """Nothing guards it: whoever can write into the database can write there."""
    case = asked(home, "patient-x")
    restrict(home, case, Hand())
    assert [line.case for line in list_cases(home)] == [case]
    with closing(sqlite3.connect(home.root / "ledger.db")) as database, database:
        if changed == "row":
            database.execute(
                'UPDATE snapshot SET state = replace(cast(state AS text), \'"restricted":"yes"\', '
                '\'"restricted":""\') WHERE key = ?',
                (case,),
            )
            database.execute("UPDATE snapshot SET state = cast(state AS blob)")
        else:
            database.execute("DELETE FROM snapshot WHERE key = ?", (case,))
    assert not any(line.restricted for line in list_cases(home))
    assert restricted_subjects(home) == {"patient-x"}
    assert cases_of(home, None, None) == (case,)
    audit = ("ledger", "audit", "--home", home.root, "--json")
    assert "made anew" in auditor(*audit).json["lists"]
    assert [line.restricted for line in list_cases(home)] == [True]
    assert "lists" not in auditor(*audit).json


def test_the_gateway_knows_the_patient_however_the_id_is_written(
    auditor: Auditor, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restrict(home, asked(home, "MRN-7"), Hand())

    def answers(said: bytes) -> tuple[int, list[str]]:
        (tmp_path / "asked").write_bytes(said)
        with (tmp_path / "asked").open(encoding="utf-8") as asking:
            monkeypatch.setattr("sys.stdin", asking)
            ran = auditor("request", "restricted", "--check", "--home", home.root)
        return ran.code, ran.out.split()

    said = "\ufeffMRN-7\r\nmrn-7\r\nMRN-7 \r\nMRN-\uff17\r\nMRN-77\r\n".encode()
    assert answers(said) == (0, ["yes"] * 4 + ["no"])
    assert answers(b"MRN-7\ncaf\xe9\n") == (1, [])
