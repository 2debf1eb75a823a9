"""One signed record, issued the real way, with its home and trust file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from auditor.certificates.verify import VerificationReport, verify_certificate
from auditor.domain.request import DecisionKind, DecisionReason, Ground, Regime
from auditor.proof.trust import parse_trust
from auditor.workflow.desk.desk import decide, file_request
from auditor.workflow.documents import notary
from auditor.workflow.documents.notary import (
    certificate_path,
    issue,
    prepare_statement,
    publish,
    sidecar_path,
)
from auditor.workflow.homes.home import Home, create_home
from auditor.workflow.homes.record import load_case
from tests.cli.conftest import stock


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A document and what a regulator has beside it."""

    home: Home
    case: str
    pdf: bytes
    sidecar: str
    trust: bytes

    def verify(self, pdf: bytes | None = None, sidecar: str | None = None) -> VerificationReport:
        """Verify, with parts exchanged."""
        return verify_certificate(
            self.pdf if pdf is None else pdf,
            parse_trust(self.trust),
            sidecar=self.sidecar if sidecar is None else sidecar,
            now=datetime.now(UTC),
        )


def refused_case(home: Home, model: str = "detector") -> str:
    """A request that was filed and refused."""
    case = file_request(
        home,
        model=model,
        subjects=("patient-4711",),
        regime=Regime.GDPR,
        ground=Ground.CONSENT_WITHDRAWN,
        received=date.fromisoformat(datetime.now(UTC).date().isoformat()),
    )
    decide(home, case, DecisionKind.REFUSED, "dpo", reason=DecisionReason.NO_GROUND)
    return case


def issue_record(home: Home, case: str = "") -> Issued:
    """Issue the record of a refused request, or of one that is prepared already."""
    case = case or refused_case(home)
    if load_case(home, case).prepared is None:
        prepare_statement(home, case, load_case(home, case))
    issue(home, case, load_case(home, case))
    document = publish(home, case)
    assert document == certificate_path(home, case)
    return Issued(
        home=home,
        case=case,
        pdf=document.read_bytes(),
        sidecar=sidecar_path(document).read_text(encoding="utf-8"),
        trust=home.trust_path.read_bytes(),
    )


def issue_unasked(home: Home, case: str) -> Issued:
    """What whoever changes our program can issue: nothing is verified before."""
    with pytest.MonkeyPatch.context() as changed:
        for asked in ("require_holds", "_require_valid"):
            changed.setattr(notary, asked, lambda *_: None)
        return issue_record(home, case)


def _home(folder: Path) -> Home:
    home = create_home(folder, controller="Universitätsklinikum Lindenau", dpo="DPO office")
    stock(home)
    return home


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    home = _home(tmp_path_factory.mktemp("issued") / "home")
    yield issue_record(home)
    home.close()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    """The same document of somebody else's home."""
    home = _home(tmp_path_factory.mktemp("stranger") / "home")
    yield issue_record(home)
    home.close()
