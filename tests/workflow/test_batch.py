"""Cases that are run together: named once, each taken as far as it goes, resumed after a stop."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from auditor.certificates.verify import Status, verify_certificate
from auditor.cli.run import _exit_code
from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.case import ErasureCase
from auditor.domain.request import DecisionKind, DecisionReason
from auditor.domain.verdict import Basis, Verdict
from auditor.errors import MisuseError, TamperedError
from auditor.learning.progress import silent
from auditor.workflow.desk.desk import decide
from auditor.workflow.desk.signing import Hand
from auditor.workflow.documents.notary import certificate_path, sidecar_path
from auditor.workflow.erasure.batch import file_batch, find_batch, list_batches
from auditor.workflow.erasure.casework import RunSettings
from auditor.workflow.erasure.running import Ran, run_batch, run_each
from auditor.workflow.homes.home import DATABASE, Home, create_home, open_home
from auditor.workflow.homes.record import case_stream, load_case
from tests.cli.conftest import Auditor, stock
from tests.ledger.books import drop_from_index
from tests.workflow import casebook
from tests.workflow.desks import employ
from tests.workflow.killing import killed_before

SETTINGS = RunSettings()


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two refused requests and one that the desk hasn't decided."""
    root = tmp_path_factory.mktemp("batch") / "home"
    home = create_home(root, controller="Klinikum", dpo="DPO")
    stock(home)
    for _ in range(2):
        casebook.refused(home, casebook.filed(home))
    casebook.filed(home)
    home.close()
    yield root


@pytest.fixture
def home(filed: Path, tmp_path: Path) -> Iterator[Home]:
    opened = open_home(Path(shutil.copytree(filed, tmp_path / "home")))
    yield opened
    opened.close()


def test_no_run_goes_past_a_hold_that_its_stream_no_longer_shows(home: Home) -> None:
    *_, case = cases_of(home)
    decide(home, case, DecisionKind.GRANTED)
    decide(home, case, DecisionKind.HELD)
    home.close()
    drop_from_index(home.root / DATABASE, case_stream(case).encode(), 2)
    with closing(open_home(home.root)) as opened:
        assert not load_case(opened, case).stopped
        for run in (run_batch, run_each):
            with pytest.raises(TamperedError, match="isn't found"):
                run(opened, [case], SETTINGS, progress=silent, notice=lambda _: None)


def cases_of(home: Home) -> tuple[str, ...]:
    return tuple(stream.removeprefix("case:") for stream in home.ledger.streams("case:"))


def run(home: Home, cases: tuple[str, ...]) -> tuple[Ran, ...]:
    return run_batch(home, cases, SETTINGS, progress=silent, notice=lambda _text: None)


def test_a_batch_is_its_list_of_cases(home: Home) -> None:
    one, two, three = cases_of(home)
    batch = file_batch(home, (two, one))
    size = home.ledger.size
    assert file_batch(home, (two, one)) == batch and home.ledger.size == size
    other = file_batch(home, (one, two, three))
    assert other != batch
    assert find_batch(home, batch).cases == (two, one)
    assert [item.batch for item in list_batches(home)] == [batch, other]
    (event,) = [item.event for item in home.ledger.replay(f"batch:{batch}")]
    assert isinstance(event, ev.BatchFiled) and event.cases == 2


def test_what_is_no_batch_is_refused(home: Home) -> None:
    one, *_ = cases_of(home)
    size = home.ledger.size
    for wrong in ((), (one, one), (one, "0" * 16)):
        with pytest.raises(MisuseError):
            file_batch(home, wrong)
    with pytest.raises(MisuseError, match="no batch"):
        find_batch(home, "0" * 16)
    with pytest.raises(MisuseError, match="empty"):
        run(home, ())
    assert home.ledger.size == size


def test_a_changed_list_is_noticed(home: Home) -> None:
    batch = file_batch(home, cases_of(home))
    (event,) = [item.event for item in home.ledger.replay(f"batch:{batch}")]
    assert isinstance(event, ev.BatchFiled)
    stored = home.root / "store" / event.listing.value
    stored.write_bytes(stored.read_bytes().replace(b"[", b"[ "))
    with pytest.raises(TamperedError):
        find_batch(home, batch)


def require_closed(home: Home, case: str) -> None:
    """One document, issued once, that a stranger can verify."""
    events = [item.event for item in home.ledger.replay(case_stream(case))]
    assert [type(event) for event in events].count(ev.CertificateIssued) == 1
    assert [type(event) for event in events].count(ev.CertificatePrepared) == 1
    document = certificate_path(home, case)
    report = verify_certificate(
        document.read_bytes(),
        home.trust,
        sidecar=sidecar_path(document).read_text(),
        now=datetime.now(UTC),
    )
    assert report.status is Status.VALID_STATUS_UNKNOWN, report.reason


def test_each_case_is_taken_as_far_as_it_goes(home: Home) -> None:
    cases = cases_of(home)
    ran = run(home, cases)
    assert [item.case for item in ran] == list(cases)
    assert [item.hindered for item in ran] == ["", "", ""]
    assert [item.state.issued is not None for item in ran] == [True, True, False]
    for case in cases[:2]:
        require_closed(home, case)
    size = home.ledger.size
    run(home, cases)
    assert home.ledger.size == size
    decide(home, cases[2], DecisionKind.WITHDRAWN)
    assert all(item.state.issued is not None for item in run(home, cases))


def test_a_batch_that_is_killed_goes_on_from_there(home: Home) -> None:
    cases, root = cases_of(home), home.root
    home.close()

    def act() -> None:
        opened = open_home(root)
        run(opened, cases)
        opened.close()

    call = 1
    while killed_before(call, frozenset({"record", "seal_pdf", "publish"}), act):
        call += 1
    assert call > 3
    for case in cases[:2]:
        require_closed(home, case)


def test_what_hinders_one_case_does_not_stop_the_others(
    home: Home, auditor: Auditor, tmp_path: Path
) -> None:
    cases = cases_of(home)
    keys = employ(home, tmp_path, "anna")
    forged = ev.RequestDecided(
        case=cases[0],
        decision=DecisionKind.REFUSED,
        reason=DecisionReason.NO_GROUND,
        actor="dpo",
    )
    stream = case_stream(cases[0])
    version = home.ledger.version(stream)
    home.ledger.append(stream, [forged], expected_version=version, event_ids=[uuid4()])
    decide(home, cases[2], DecisionKind.WITHDRAWN, signers=Hand(signers=keys).signers)
    batch = file_batch(home, cases)
    ran = auditor("run", "--batch", batch, "--home", home.root, "--json")
    assert ran.code == 1
    told = ran.json
    assert (told["cases"], told["hindered"], told["refused"], told["withdrawn"]) == (3, 1, 1, 1)
    assert [bool(line.get("hindered")) for line in told["lines"]] == [True, False, False]
    assert home.ledger.version(stream) == version + 1
    require_closed(home, cases[1])


def test_the_command_files_lists_and_runs(home: Home, auditor: Auditor, tmp_path: Path) -> None:
    cases = cases_of(home)
    listed = tmp_path / "cases"
    listed.write_text(f"{cases[1]}\n\n{cases[2]}\n")
    batch = ("request", "batch")
    filed = auditor(*batch, "file", cases[0], "--cases-from", listed, "--home", home.root, "--json")
    assert filed.json["cases"] == 3
    name = filed.json["batch"]
    ran = auditor("run", "--batch", name, "--home", home.root)
    assert ran.code == 0, ran.err
    assert "waits for the desk" in ran.err and "desk" in ran.out
    (row,) = auditor(*batch, "list", "--home", home.root, "--json").json
    assert (row["batch"], row["cases"], row["closed"]) == (name, 3, 2)
    assert auditor(*batch, "file", "--home", home.root).code == 2
    for wrong in (("--batch", name, "--pending"), ("--batch", "0" * 16), ()):
        refused = auditor("run", *wrong, "--home", home.root)
        assert refused.code == 2 and len(refused.err.splitlines()) == 1


def test_a_closed_batch_is_told_by_its_verdicts(demo_copy: Path, auditor: Auditor) -> None:
    root = demo_copy / "home"
    cases = [
        line["case"] for line in auditor("request", "list", "--all", "--home", root, "--json").json
    ]
    name = auditor("request", "batch", "file", *cases, "--home", root, "--json").json["batch"]
    ran = auditor("run", "--batch", name, "--home", root, "--json")
    verdicts = {line["verdict"] for line in ran.json["lines"]}
    expected = 3 if "FAILED" in verdicts else 4 if "INDETERMINATE" in verdicts else 0
    assert ran.code == expected, ran.err
    assert ran.json["hindered"] == 0 and ran.json["cases"] == len(cases)


def ran_with(verdict: Verdict | None, hindered: str = "") -> Ran:
    reached = None
    if verdict is not None:
        reached = ev.VerdictReached(
            case="c", verdict=verdict, basis=Basis.NONE, weights=Digest.of(b"")
        )
    return Ran(case="c", state=ErasureCase(reached=reached), hindered=hindered)


PASSED, FAILED, UNDECIDED = (
    ran_with(verdict) for verdict in (Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE)
)
HINDERED, OPEN = ran_with(None, "in the way"), ran_with(None)


@pytest.mark.parametrize(
    ("ran", "code"),
    [
        ((OPEN,), 0),
        ((PASSED, OPEN), 0),
        ((PASSED, UNDECIDED), 4),
        ((UNDECIDED, FAILED, PASSED), 3),
        ((HINDERED, PASSED), 1),
        ((HINDERED, UNDECIDED), 1),
        ((HINDERED, FAILED), 3),
    ],
)
def test_the_gravest_decides_the_exit_code(ran: tuple[Ran, ...], code: int) -> None:
    assert _exit_code(ran) == code
