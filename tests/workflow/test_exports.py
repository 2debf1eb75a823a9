"""What leaves the ledger for other software: read back by that software's own models."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from oscal_bindings.v1.models import AssessmentResultsDocument
from prometheus_client.parser import text_string_to_metric_families

from auditor.domain import event as ev
from auditor.domain.canonical import canonical_bytes
from auditor.domain.case import ErasureCase, evolve
from auditor.domain.request import DecisionKind, DecisionReason, Ground, Regime
from auditor.domain.verdict import FindingStatus
from auditor.errors import LedgerError, MisuseError
from auditor.proof.checkpoint import parse_checkpoint
from auditor.proof.merkle import Frontier, leaf_hash
from auditor.workflow.exports import gather
from auditor.workflow.exports.cases import AssessedCase
from auditor.workflow.exports.fhir import audit_bundle
from auditor.workflow.exports.gather import (
    assess,
    cases_of,
    export_fhir,
    export_oscal,
    signed_state,
)
from auditor.workflow.exports.log import log_lines
from auditor.workflow.exports.metrics import affected_by, measure, metrics_text
from auditor.workflow.exports.oscal import assessment_results
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.log.checkpoints import Published, record_checkpoint
from tests.certificates.conftest import issue_record
from tests.cli.conftest import Auditor, stock
from tests.cli.conftest import stocked as stocked
from tests.cli.test_policy import own_pack
from tests.policies import road
from tests.workflow import casebook

NOBODY = "MRN-0042-Doe"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One request that waits, one refused, one under another law; and a model in service."""
    made = create_home(
        tmp_path_factory.mktemp("exports") / "home", controller="Klinikum", dpo="DPO"
    )
    stock(made)
    casebook.filed(made, subject=NOBODY)
    casebook.refused(made, casebook.filed(made, subject=NOBODY))
    casebook.filed(made, subject=NOBODY, regime=Regime.HIPAA, ground=Ground.AUTHORISATION_REVOKED)
    yield made
    made.close()


def every_case(home: Home) -> tuple[AssessedCase, ...]:
    return tuple(assess(home, case) for case in cases_of(home, None, None))


def results(home: Home) -> dict[str, Any]:
    content = json.loads(export_oscal(home, cases_of(home, None, None), "Erasure cases"))
    AssessmentResultsDocument.model_validate(content)
    document: dict[str, Any] = content["assessment-results"]
    return document


def test_oscal_says_of_each_applicable_rule_what_was_found_and_on_which_entries(home: Home) -> None:
    document, cases = results(home), every_case(home)
    assert len(document["results"]) == len(cases) == 3
    for told, case in zip(document["results"], cases, strict=True):
        applied = [f for f in case.findings if f.status is not FindingStatus.NOT_APPLICABLE]
        assert applied
        controls = told["reviewed-controls"]["control-selections"][0]["include-controls"]
        assert [item["control-id"] for item in controls] == [f.rule_id for f in applied]
        evidence = {item["uuid"]: item for item in told["observations"]}
        for written, finding in zip(told["findings"], applied, strict=True):
            satisfied = written["target"]["status"]["state"] == "satisfied"
            assert satisfied == (finding.status is FindingStatus.MET)
            assert written["props"][0]["value"] == finding.status.value
            (related,) = written["related-observations"]
            seen = evidence[related["observation-uuid"]].get("relevant-evidence", [])
            leaves = [{p["name"]: p["value"] for p in item["props"]} for item in seen]
            assert [int(leaf["ledger-entry"]) for leaf in leaves] == list(finding.leaves)
            for leaf in leaves:
                entry = home.ledger.entry(int(leaf["ledger-entry"]))
                assert leaf["leaf-hash"] == leaf_hash(entry).hex()


def test_oscal_tells_a_rule_of_the_controllers_own_from_those_that_are_shipped(
    tmp_path: Path,
) -> None:
    home = create_home(tmp_path / "home", controller="Klinikum", dpo="DPO")
    stock(home)
    own_pack(home, 5)
    home.close()
    with closing(open_home(home.root)) as opened:
        casebook.filed(opened)
        (told,) = results(opened)["results"]
    packs = {
        item["target"]["target-id"]: {prop["name"]: prop["value"] for prop in item["props"]}
        for item in told["findings"]
    }
    own = packs.pop("OWN-DAYS")
    assert (own["rule-pack"], own["rule-pack-shipped"]) == ("own", "no")
    assert {pack["rule-pack-shipped"] for pack in packs.values()} == {"yes"}


def test_oscal_carries_the_signed_state_it_was_read_from(home: Home) -> None:
    document = results(home)
    (state,) = (r for r in document["back-matter"]["resources"] if "base64" in r)
    note = base64.b64decode(state["base64"]["value"]).decode()
    signed = parse_checkpoint(note)
    assert (signed.size, signed.root) == (home.ledger.size, home.ledger.root())
    references = {
        item["href"]
        for result in document["results"]
        for observation in result["observations"]
        for item in observation.get("relevant-evidence", [])
    }
    assert references == {f"#{state['uuid']}"}


def test_what_is_written_while_cases_are_exported_is_in_the_next_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = create_home(tmp_path / "home", controller="Klinikum", dpo="DPO")
    stock(home)

    def signed_just_before_another_writes(of: Home) -> Published:
        published = record_checkpoint(of)
        casebook.filed(of, "another")
        return published

    monkeypatch.setattr(gather, "record_checkpoint", signed_just_before_another_writes)
    size = home.ledger.size
    state = signed_state(home, [])
    grown = home.ledger.size
    home.close()
    assert state.checkpoint.size == size < grown


def test_findings_are_never_older_than_the_state_that_they_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = create_home(tmp_path / "home", controller="Klinikum", dpo="DPO")
    stock(home)
    case = casebook.filed(home)

    def assessed_before_another_decides(of: Home, named: str) -> AssessedCase:
        found = assess(of, named)
        casebook.refused(of, named)
        return found

    monkeypatch.setattr(gather, "assess", assessed_before_another_decides)
    with pytest.raises(LedgerError, match="export again"):
        export_oscal(home, [case], "Erasure cases")
    home.close()


def test_a_quarter_that_has_not_begun_is_not_exported(home: Home) -> None:
    ahead = f"{datetime.now(UTC).year + 2}Q1"
    with pytest.raises(MisuseError, match="there is nothing to report"):
        cases_of(home, None, ahead)


def test_an_oscal_document_about_no_case_is_one_too(home: Home) -> None:
    content = json.loads(export_oscal(home, (), "Nothing"))
    AssessmentResultsDocument.model_validate(content)
    (only,) = content["assessment-results"]["results"]
    assert "findings" not in only


def test_no_id_is_used_twice_and_none_changes(home: Home) -> None:
    cases = cases_of(home, None, None)
    for export in (
        lambda: export_oscal(home, cases, "Erasure cases"),
        lambda: export_fhir(home, cases),
    ):
        once, again = export(), export()
        assert once == again
        ids = list(_ids(json.loads(once)))
        assert len(ids) == len(set(ids)) >= 5


def test_what_tells_of_another_day_or_of_other_entries_is_another_document(home: Home) -> None:
    (case, *_) = cases_of(home, None, None)
    assessed = assess(home, case)
    signed = signed_state(home, [assessed])

    def document(days: int) -> dict[str, Any]:
        moved = replace(assessed, as_of=assessed.as_of + timedelta(days))
        content = assessment_results([moved], signed, title="Cases", controller="K")
        return dict(json.loads(content)["assessment-results"])

    today, tomorrow = document(0), document(1)
    assert today["uuid"] != tomorrow["uuid"]
    modified = [each["metadata"]["last-modified"] for each in (today, tomorrow)]
    assert modified[0] < modified[1] == f"{assessed.as_of + timedelta(1)}T00:00:00+00:00"
    assert [each["uuid"] for each in today["results"]] == [
        each["uuid"] for each in tomorrow["results"]
    ]
    records = [record for record in home.ledger.read() if record.stream.startswith("case:")]
    bundles = [
        json.loads(audit_bundle(each, origin="o", controller="K"))["id"]
        for each in (records, [records[0], *records[2:]])
    ]
    assert len(set(bundles)) == 2


def _ids(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (value[name] for name in ("uuid", "id") if name in value and len(value) > 2)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _ids(item)


def test_fhir_tells_of_every_entry_of_the_cases_in_order(home: Home) -> None:
    cases = cases_of(home, None, None)
    content = json.loads(export_fhir(home, cases))
    Bundle.model_validate(content)
    told = [item["resource"] for item in content["entry"]]
    events = [item for item in told if item["resourceType"] == "AuditEvent"]
    records = [r for r in home.ledger.read() if r.stream.startswith("case:")]
    numbers = [int(event["entity"][0]["what"]["identifier"]["value"]) for event in events]
    assert numbers == [record.sequence for record in records]
    assert [event["type"]["code"] for event in events] == [r.event.kind for r in records]
    for event, record in zip(events, records, strict=True):
        details = {item["type"]: item["valueString"] for item in event["entity"][0]["detail"]}
        assert details["case"] == record.event.case
        assert event["agent"][0]["requestor"] == hasattr(record.event, "actor")
    Bundle.model_validate(json.loads(export_fhir(home, ())))


def test_provenance_says_what_weights_and_documents_were_made_of() -> None:
    records = road.facts(road.road()).records
    content = json.loads(audit_bundle(records, origin="log", controller="Klinikum"))
    Bundle.model_validate(content)
    told = [item["resource"] for item in content["entry"]]
    made = [item for item in told if item["resourceType"] == "Provenance"]
    targets = [item["target"][0]["identifier"]["value"] for item in made]
    assert targets == [str(item) for item in (road.NEWTON, road.RETRAINED, road.RETRAINED)]
    before = [item["entity"][0]["what"]["identifier"]["value"] for item in made]
    assert before == [str(road.M), str(road.M), road.CASE]


def test_a_log_remakes_every_entry_and_the_root(home: Home) -> None:
    frontier = Frontier()
    for number, line in enumerate(log_lines(home.ledger)):
        told = json.loads(line)
        assert line == canonical_bytes(told) + b"\n"
        assert told.pop("sequence") == number
        leaf = told.pop("leaf")
        entry = canonical_bytes(told)
        assert entry == home.ledger.entry(number)
        assert leaf == hashlib.sha256(b"\0" + entry).hexdigest()
        frontier = frontier.append(bytes.fromhex(leaf))
    assert frontier.root() == home.ledger.root()


def test_a_log_goes_on_where_it_ended(home: Home, auditor: Auditor, tmp_path: Path) -> None:
    whole, head, tail = (tmp_path / name for name in ("whole", "head", "tail"))
    export = ("report", "export", "--home", home.root, "--format", "jsonl", "--json")
    told = auditor(*export, "--to", whole).json
    assert told["entries"] == told["next"] == home.ledger.size
    assert auditor(*export, "--to", tail, "--from", 4).json["next"] == home.ledger.size
    head.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[:4]))
    assert head.read_bytes() + tail.read_bytes() == whole.read_bytes()
    nothing = auditor(*export, "--to", tail, "--from", home.ledger.size).json
    assert nothing["entries"] == 0 and tail.read_bytes() == b""
    assert auditor(*export, "--to", tail, "--from", home.ledger.size + 1).code == 2


def samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_what_waits_and_what_is_late(home: Home) -> None:
    text = metrics_text(measure(home, datetime.now(UTC)))
    told = samples(text)
    assert told["auditor_cases", "refused"] == 1
    assert sum(v for (name, _), v in told.items() if name == "auditor_cases") == 3
    assert told["auditor_ledger_entries", ""] == home.ledger.size
    assert told["auditor_ledger_writable", ""] == 1
    assert told["auditor_model_affected", "detector"] == 0
    assert told["auditor_cases_overdue", ""] == 0
    assert told["auditor_case_verdicts", "FAILED"] == 0
    assert not any(math.isnan(value) for value in told.values())


@pytest.mark.parametrize(
    ("days", "overdue", "soon"), [(0, 0, 0), (26, 0, 1), (80, 1, 0)], ids=["new", "due", "late"]
)
def test_late_and_due_soon_are_told_apart(
    tmp_path: Path, days: int, overdue: int, soon: int
) -> None:
    made = create_home(tmp_path / "home", controller="Klinikum", dpo="DPO")
    try:
        stock(made)
        casebook.filed(made, received=casebook.today() - timedelta(days=days))
        found = measure(made, datetime.now(UTC))
    finally:
        made.close()
    assert (found.overdue, found.due_soon) == (overdue, soon)


def test_what_was_answered_late_is_not_late_any_more_once_it_is_closed(stocked: Home) -> None:
    case = casebook.filed(stocked, received=casebook.today() - timedelta(days=80))
    casebook.refused(stocked, case)
    before = measure(stocked, datetime.now(UTC))
    issue_record(stocked, case)
    after = measure(stocked, datetime.now(UTC))
    assert (before.overdue, after.overdue) == (1, 0)
    assert after.signed_entries == after.entries


def test_weights_in_service_are_affected_while_a_request_for_them_is_not_refused() -> None:
    events = [event for stream, _, event in road.road() if stream.startswith("case:")]
    fold = ErasureCase()
    for event in events:
        fold = evolve(fold, event)
    assert affected_by(fold) == {road.M, road.PAYLOAD}
    refusal = ev.RequestDecided(
        case=road.CASE,
        decision=DecisionKind.REFUSED,
        reason=DecisionReason.NO_GROUND,
        actor="dpo",
    )
    assert affected_by(evolve(fold, refusal)) == frozenset()
    assert affected_by(ErasureCase()) == frozenset()


@pytest.mark.parametrize("form", ["oscal", "fhir", "jsonl", "prometheus"])
def test_each_form_is_written_and_names_nobody(
    home: Home, auditor: Auditor, tmp_path: Path, form: str
) -> None:
    target = tmp_path / "file"
    ran = auditor(
        "report", "export", "--format", form, "--to", target, "--home", home.root, "--json"
    )
    assert ran.code == 0, ran.err
    content = target.read_text(encoding="utf-8")
    assert content and NOBODY not in content + ran.out
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "words",
    [
        ("--format", "fhir", "--case", "0" * 16),
        ("--format", "oscal", "--quarter", "2026Q5"),
        ("--format", "oscal", "--quarter", "2026Q4", "--case", "0" * 16),
        ("--format", "jsonl", "--case", "0" * 16),
        ("--format", "prometheus", "--quarter", "2026Q4"),
        ("--format", "oscal", "--from", "3"),
        ("--format", "xml"),
        ("--format", "oscal", "--to", "/nowhere/at/all"),
    ],
)
def test_what_makes_no_sense_writes_nothing(
    home: Home, auditor: Auditor, tmp_path: Path, words: tuple[str, ...]
) -> None:
    target = tmp_path / "file"
    ran = auditor("report", "export", "--to", target, "--home", home.root, *words)
    assert (ran.code, list(tmp_path.iterdir())) == (2, [])


def test_a_quarter_is_exported_alone(home: Home, auditor: Auditor, tmp_path: Path) -> None:
    target, today = tmp_path / "file", casebook.today()
    for name, many in ((f"{today.year}Q{(today.month + 2) // 3}", True), ("2020Q1", False)):
        auditor(
            *("report", "export", "--format", "fhir", "--to", target),
            *("--quarter", name, "--home", home.root),
        )
        assert ("entry" in json.loads(target.read_text())) == many


def test_a_log_of_a_changed_ledger_is_not_written(
    stocked: Home, auditor: Auditor, tmp_path: Path
) -> None:
    stocked.close()
    connection = sqlite3.connect(stocked.root / "ledger.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f"DROP TRIGGER {name}")
    last = "WHERE sequence = (SELECT max(sequence) FROM entry)"
    connection.execute(f"UPDATE entry SET entry = replace(entry, 'detector', 'director') {last}")
    connection.commit()
    connection.close()
    folder = tmp_path / "out"
    folder.mkdir()
    export = ("report", "export", "--home", stocked.root, "--to", folder / "log")
    assert auditor(*export, "--format", "jsonl").code == 5
    assert list(folder.iterdir()) == []
