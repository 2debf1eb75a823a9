"""`auditor verify` with several files: each told by itself, the gravest decides the exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest

from auditor.domain.paper_events import WithdrawalReason
from auditor.workflow.documents.certificate_life import sign_status, withdraw
from auditor.workflow.homes.home import create_home
from tests.certificates.conftest import issue_record
from tests.cli.conftest import Auditor, stock


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What lies before a regulator: two documents, a forged one, statuses, a trust file."""

    folder: Path
    trust: Path
    one: Path
    two: Path
    forged: Path
    none: Path
    good: Path
    withdrawn: Path


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("papers")
    with closing(create_home(folder / "home", controller="St. Example", dpo="DPO")) as home:
        stock(home)
        issued = [issue_record(home), issue_record(home)]
        desk = Desk(folder=folder, **{name: folder / name for name in NAMES})
        for target, each in zip((desk.one, desk.two), issued, strict=True):
            target.write_bytes(each.pdf)
        desk.forged.write_bytes(issued[0].pdf + b"\n")
        shutil.copy(home.trust_path, desk.trust)
        desk.good.write_bytes(sign_status(home, issued[0].case, datetime.now(UTC))[1])
        withdraw(home, issued[1].case, WithdrawalReason.ISSUED_IN_ERROR)
        desk.withdrawn.write_bytes(sign_status(home, issued[1].case, datetime.now(UTC))[1])
        yield desk


NAMES = ("trust", "one", "two", "forged", "none", "good", "withdrawn")


@pytest.fixture
def desk(papers: Desk, tmp_path: Path) -> Desk:
    """A copy, so that a test may put things beside the documents."""
    folder = tmp_path / "desk"
    shutil.copytree(papers.folder, folder, ignore=shutil.ignore_patterns("home"))
    return Desk(folder=folder, **{name: folder / name for name in NAMES})


def test_each_file_is_told_by_itself_in_the_order_given(auditor: Auditor, desk: Desk) -> None:
    files = (desk.none, desk.one, desk.forged, desk.two)
    ran = auditor("verify", *files, "--trust", desk.trust, "--json")
    alone = [auditor("verify", file, "--trust", desk.trust, "--json").json for file in files]
    assert ran.json == alone
    assert [row["status"] for row in ran.json] == [
        "UNREADABLE",
        "VALID_STATUS_UNKNOWN",
        "INVALID",
        "VALID_STATUS_UNKNOWN",
    ]
    assert [row["file"] for row in ran.json] == [str(file) for file in files]
    assert all(row.keys() == ran.json[0].keys() for row in ran.json)
    assert (ran.json[0]["checks"], ran.json[0]["predicate"]) == ([], None)
    assert "can't read" in ran.json[0]["reason"] and "can't read" in ran.err


def test_the_gravest_file_decides_the_exit_code(auditor: Auditor, desk: Desk) -> None:
    codes = {desk.one: 0, desk.forged: 3, desk.none: 1}
    for files in permutations(codes, 2):
        ran = auditor("verify", *files, "--trust", desk.trust)
        assert ran.code == max(codes[file] for file in files)
    asked = ("--trust", desk.trust, "--require-status")
    assert auditor("verify", desk.one, desk.two, *asked).code == 4
    assert auditor("verify", desk.one, desk.none, *asked).code == 1
    assert auditor("verify", desk.one, desk.forged, *asked).code == 3
    assert auditor("verify", desk.one, desk.two, *asked, "--status", desk.good).code == 4
    assert auditor("verify", desk.one, desk.one, *asked, "--status", desk.good).code == 0
    assert auditor("verify", *asked).code == 2


def test_a_status_is_held_to_the_document_it_speaks_of(auditor: Auditor, desk: Desk) -> None:
    for order in ((desk.good, desk.withdrawn), (desk.withdrawn, desk.good)):
        words = [word for path in order for word in ("--status", path)]
        ran = auditor("verify", desk.one, desk.two, "--trust", desk.trust, *words, "--json")
        assert (ran.code, [row["status"] for row in ran.json]) == (3, ["VALID", "INVALID"])
        assert ran.json[1]["reason"] == "withdrawn by its issuer: issued-in-error"
    words = ("--trust", desk.trust, "--status", desk.good)
    ran = auditor("verify", desk.two, *words, "--json")
    assert ran.json["checks"][-1]["detail"] == "the status is about another document"


def test_what_lies_beside_a_document_is_read_with_it(auditor: Auditor, desk: Desk) -> None:
    first, second = desk.folder / "first.pdf", desk.folder / "second.pdf"
    shutil.copy(desk.one, first)
    shutil.copy(desk.two, second)
    shutil.copy(desk.good, desk.folder / "first.status.json")
    words = ("verify", first, second, "--trust", desk.trust, "--json")
    assert [row["status"] for row in auditor(*words).json] == ["VALID", "VALID_STATUS_UNKNOWN"]
    shutil.copy(desk.withdrawn, desk.folder / "second.status.json")
    assert [row["status"] for row in auditor(*words).json] == ["VALID", "INVALID"]
    # beside the wrong document it says nothing
    shutil.copy(desk.withdrawn, desk.folder / "first.status.json")
    assert auditor(*words).json[0]["status"] == "VALID_STATUS_UNKNOWN"
    (desk.folder / "second.pdf.tlog-proof").mkdir()
    ran = auditor(*words)
    assert (ran.code, ran.json[1]["status"]) == (1, "UNREADABLE")


def test_a_person_reads_which_file_is_meant(auditor: Auditor, desk: Desk) -> None:
    ran = auditor("verify", desk.one, desk.forged, desk.none, "--trust", desk.trust)
    first = ran.out.index(str(desk.one))
    assert ran.out.index("trust file") < first < ran.out.index(str(desk.forged))
    assert ran.out.count("\nINVALID: ") == ran.out.count("\nVALID_STATUS_UNKNOWN\n") == 1
    assert ran.out.endswith("1 VALID_STATUS_UNKNOWN, 1 INVALID, 1 UNREADABLE\n")
    assert ran.err == f"auditor: can't read {desk.none}: No such file or directory\n"
    alone = auditor("verify", desk.one, "--trust", desk.trust).out
    assert str(desk.one) not in alone and alone.count("VALID_STATUS_UNKNOWN") == 1


_PROBE = """
import json, sys
from auditor.cli.main import main
code = main()
print(json.dumps([code, sorted({"pyhanko", "jinja2", "segno"} & sys.modules.keys())]))
"""


def test_what_the_first_look_refuses_meets_no_library_for_pdfs(desk: Desk) -> None:
    def loaded(document: Path) -> tuple[int, list[str]]:
        words = ["verify", str(document), "--trust", str(desk.trust)]
        ran = subprocess.run(
            [sys.executable, "-c", _PROBE, *words], capture_output=True, text=True, check=True
        )
        code, names = json.loads(ran.stdout.splitlines()[-1])
        return code, names

    assert loaded(desk.forged) == (3, [])
    assert loaded(desk.one) == (0, ["jinja2", "pyhanko", "segno"])


def test_a_pipe_that_nobody_writes_into_is_not_waited_for(auditor: Auditor, desk: Desk) -> None:
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    ran = auditor("verify", pipe, desk.one, "--trust", desk.trust)
    assert ran.code == 1 and f"can't read {pipe}: a named pipe" in ran.err
    assert "VALID_STATUS_UNKNOWN" in ran.out
    os.mkfifo(desk.folder / "one.tlog-proof")
    assert auditor("verify", desk.one, "--trust", desk.trust).code == 1


def test_no_files_name_forges_a_line(auditor: Auditor, desk: Desk) -> None:
    forged = desk.folder / "x.pdf\nVALID\x1b[1A\r\u202e"
    other = desk.folder / os.fsdecode(b"J\xf6rg.pdf")
    for name in (forged, other):
        name.write_bytes(b"%PDF-")
    ran = auditor("verify", forged, other, desk.none, "--trust", desk.trust)
    assert ran.code == 3
    assert "\x1b" not in ran.out and "\u202e" not in ran.out
    assert not any(line.startswith("VALID") for line in ran.out.splitlines())
    assert r"x.pdf\nVALID\x1b[1A\r\u202e" in ran.out and r"J\udcf6rg.pdf" in ran.out
    rows = auditor("verify", forged, other, "--trust", desk.trust, "--json").json
    assert [row["file"] for row in rows] == [str(forged), str(other)]
    forged.unlink()
    ran = auditor("verify", forged, "--trust", desk.trust)
    assert ran.code == 1 and ran.err.count("\n") == 1


def test_what_the_shell_pipes_in_is_read(desk: Desk) -> None:
    words = ["verify", "/dev/stdin", "--trust", str(desk.trust)]
    ran = subprocess.run(
        [sys.executable, "-m", "auditor.cli.main", *words],
        input=desk.one.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0 and b"VALID_STATUS_UNKNOWN" in ran.stdout


def test_a_name_too_long_for_what_lies_beside_stops_no_file(auditor: Auditor, desk: Desk) -> None:
    long = desk.one.rename(desk.folder / ("a" * 250))
    ran = auditor("verify", long, desk.two, "--trust", desk.trust)
    assert (ran.code, ran.err) == (0, "")
    assert "2 VALID_STATUS_UNKNOWN" in ran.out


def test_what_is_no_file_or_no_trust_file_is_told(auditor: Auditor, desk: Desk) -> None:
    for folder in (".", "/", desk.folder):
        assert auditor("verify", folder, "--trust", desk.trust).code == 1
    assert auditor("verify", desk.one, "--trust", desk.none).code == 1
    assert auditor("verify", desk.one, "--trust", desk.one).code == 1
    assert auditor("verify", desk.one, "--trust", desk.trust, "--status", desk.none).code == 1
