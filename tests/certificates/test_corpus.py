"""Every verifier held to one list of verdicts (tests/vectors/certificates/index.json)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from auditor.certificates.seal_form import lowered
from auditor.certificates.sealed_pdf import read_sealed_pdf
from auditor.certificates.verify import verify_certificate
from auditor.proof.trust import parse_trust
from tests.browser import Browser, browsing
from tests.certificates.checking import check

FOLDER = Path(__file__).parents[1] / "vectors" / "certificates"
INDEX = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
CASES = INDEX["cases"]
NOW = datetime.fromisoformat(INDEX["now"])
LARGEST = 3 << 20  # bytes of all files


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser whose clock stands at the moment the corpus was made."""
    with browsing() as opened:
        stopped = f"Date.now = () => {int(NOW.timestamp())} * 1000"
        opened.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": stopped})
        yield opened


def content(name: str) -> bytes | None:
    return (FOLDER / name).read_bytes() if name else None


def test_the_corpus_is_whole_and_small() -> None:
    files = {path.name for path in FOLDER.iterdir()} - {"index.json", ".gitattributes"}
    named = {case[kind] for case in CASES for kind in ("pdf", "trust", "proof", "status")} - {""}
    assert files == named
    assert sum((FOLDER / name).stat().st_size for name in files) <= LARGEST
    assert len({case["name"] for case in CASES}) == len(CASES) >= 50
    assert {case["auditor"]["status"] for case in CASES} == {
        "VALID",
        "VALID_STATUS_UNKNOWN",
        "INVALID",
    }


def test_it_keeps_a_document_from_before_seals_had_the_lower_s() -> None:
    """Which stays good, as the index has it; no sealer makes another."""
    seal = read_sealed_pdf((FOLDER / "approved.pdf").read_bytes()).signature
    signature = seal.signer_info["signature"].native
    assert lowered(signature) != signature and "/Prop_Build" not in seal.sig_object
    (case,) = (case for case in CASES if case["name"] == "approved")
    assert case["auditor"]["failed"] == ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_auditor_verify(case: dict[str, Any]) -> None:
    sidecar, status = content(case["proof"]), content(case["status"])
    report = verify_certificate(
        (FOLDER / case["pdf"]).read_bytes(),
        parse_trust((FOLDER / case["trust"]).read_bytes()),
        sidecar=None if sidecar is None else sidecar.decode(),
        statuses=() if status is None else [status],
        now=NOW,
    )
    failed = next((made.name for made in report.checks if made.held is False), "")
    assert {"status": report.status.value, "failed": failed} == case["auditor"], report.reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_page(browser: Browser, case: dict[str, Any]) -> None:
    files = [case[kind] for kind in ("pdf", "trust", "proof", "status") if case[kind]]
    seen = check(browser, [FOLDER / name for name in files])
    assert seen.failed == case["page"]["failed"], seen.details
    if not seen.failed:
        assert seen.states["status"] == case["page"]["status"], seen.details
        assert "This is not a full verification" in seen.said
