"""Documents and the witnesses that a trust file asks for, before and after they were asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor.certificates.verify import Check, Status, verify_certificate
from auditor.proof.trust import parse_trust
from auditor.workflow.documents.notary import proof_of_issue
from auditor.workflow.homes.home import Home, create_home
from auditor.workflow.log.witnesses import add_witness
from tests.certificates.conftest import Issued, issue_record
from tests.cli.conftest import stock
from tests.witnesses import serving


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Issued, Issued, str]]:
    """A record from before a witness was asked, one from after, and a fresh proof of the first."""
    folder = tmp_path_factory.mktemp("witnessed")
    with closing(create_home(folder / "home", controller="St. Example", dpo="DPO")) as home:
        stock(home)
        before = issue_record(home)
        with serving(folder / "regulator", home.trust.policy) as served:
            add_witness(home, "regulator", served.vkeys[1], served.url)
            after = issue_record(home)
            fresh = proof_of_issue(home, before.case)
        yield home, before, after, fresh


def last(document: Issued, trust: bytes, sidecar: str | None) -> tuple[Status, Check]:
    now = datetime.now(UTC)
    report = verify_certificate(document.pdf, parse_trust(trust), sidecar=sidecar, now=now)
    return report.status, next(check for check in report.checks if check.name == "witnesses")


def test_a_document_of_now_is_cosigned_by_itself(life: tuple[Home, Issued, Issued, str]) -> None:
    _, _, after, _ = life
    for sidecar in (after.sidecar, None):
        status, check = last(after, after.trust, sidecar)
        assert (status, check.name, check.held) == (Status.VALID_STATUS_UNKNOWN, "witnesses", True)
        assert "regulator" in check.detail


def test_a_document_from_before_the_witness_needs_a_fresh_proof_of_issue(
    life: tuple[Home, Issued, Issued, str],
) -> None:
    _, before, after, fresh = life
    assert last(before, before.trust, before.sidecar)[0] is Status.VALID_STATUS_UNKNOWN
    for old in (before.sidecar, None):
        status, check = last(before, after.trust, old)
        assert (status, check.name) == (Status.INVALID, "witnesses")
        assert "fresh proof" in check.detail
    status, check = last(before, after.trust, fresh)
    assert (status, check.held) == (Status.VALID_STATUS_UNKNOWN, True)


def test_a_cosignature_dropped_from_the_proof_of_issue_is_missed(
    life: tuple[Home, Issued, Issued, str],
) -> None:
    _, _, after, _ = life
    lines = after.sidecar.splitlines(keepends=True)
    without = "".join(line for line in lines if not line.startswith("— regulator"))
    assert without != after.sidecar
    assert last(after, after.trust, without)[1].name == "witnesses"


def test_a_witness_that_nobody_asked_makes_no_quorum(
    life: tuple[Home, Issued, Issued, str], tmp_path: Path
) -> None:
    home, _, after, _ = life
    with serving(tmp_path / "stranger", home.trust.policy) as stranger:
        policy = f"witness other {stranger.vkeys[1]}\nquorum other\n"
    logs = "".join(f"log {key.vkey}\n" for key in home.trust.policy.logs)
    trust = replace(parse_trust(after.trust), log_policy=logs + policy)
    report = verify_certificate(after.pdf, trust, sidecar=after.sidecar, now=datetime.now(UTC))
    assert report.reason.startswith("too few witnesses")
