"""Homes whose seals are time-stamped: from the settings to the verifier, and less than declared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor.certificates.verify import Status, VerificationReport, verify_certificate
from auditor.errors import CertificateError, HomeError, LedgerError
from auditor.proof.trust import parse_trust
from auditor.workflow.homes.home import create_home, open_home
from auditor.workflow.log.seals import trust_seal
from tests.certificates.conftest import Issued, issue_record
from tests.certificates.sealers import Sealer, revoked, sealer
from tests.certificates.test_seal_levels import _unstamped, _with_cms
from tests.cli.conftest import stock
from tests.tsa import Answer, answering


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Sealer:
    return sealer(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def stamped(office: Sealer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    """A record sealed at B-LTA by a home of the office's."""
    root = tmp_path_factory.mktemp("stamped") / "home"
    with answering(lambda query: Answer(body=[office.tsa.answer(query)])) as address:
        settings(root, office, "B-LTA", address)
        home = open_home(root)
        with pytest.raises(CertificateError, match="auditor keys seal"):
            issue_record(home)
        before = home.trust_fingerprint
        assert trust_seal(home) and not trust_seal(home)
        assert home.trust_fingerprint != before
        yield issue_record(home)
        home.close()


def settings(root: Path, office: Sealer, level: str, address: str) -> None:
    """Make a home with the office's seal in the place of its own."""
    home = create_home(root, controller="Universitätsklinikum Lindenau", dpo="DPO office")
    stock(home)
    home.keyring.write("seal.pem", office.pem)
    home.close()
    lists = revoked(office.issuer, ()) + revoked(office.tsa.issuer, ())
    (root / "revoked.pem").write_text(lists)
    (root / "roots.pem").write_text(office.root_pem)
    (root / "stamps.pem").write_text(office.tsa.root_pem)
    text = (root / "auditor.toml").read_text()
    for old, new in (
        ('timestamps = ""', f'timestamps = "{address}"'),
        ('timestamp_roots = ""', 'timestamp_roots = "stamps.pem"'),
        ('level = "B-B"', f'level = "{level}"'),
        ('\nroots = ""', '\nroots = "roots.pem"'),
        ('\nrevoked = ""', '\nrevoked = "revoked.pem"'),
    ):
        assert old in text
        text = text.replace(old, new)
    (root / "auditor.toml").write_text(text)


def failed(report: VerificationReport) -> str:
    assert report.status is Status.INVALID
    return next(check.name for check in report.checks if check.held is False)


def test_the_level_of_the_settings_is_what_is_declared_and_found(stamped: Issued) -> None:
    report = stamped.verify()
    assert report.status is Status.VALID_STATUS_UNKNOWN, report.reason
    (level,) = (check for check in report.checks if check.name == "level")
    assert level.held and level.detail.startswith("PAdES B-LTA, stamped 20")
    assert report.predicate is not None
    assert report.predicate["seal"] == {"level": "B-LTA", "trustedTime": "time-stamp"}
    assert not any("no independent time-stamp" in text for text in report.predicate["nonClaims"])


def test_less_than_declared_is_invalid(stamped: Issued) -> None:
    pdf = stamped.pdf
    shorter = pdf[: pdf[:-6].rindex(b"%%EOF") + len(b"%%EOF\n")]
    assert failed(stamped.verify(shorter, "")) == "level"
    assert failed(stamped.verify(_with_cms(shorter, _unstamped), "")) == "seal"


def test_a_verifier_without_the_stamps_roots_trusts_no_stamp(stamped: Issued) -> None:
    trust = replace(parse_trust(stamped.trust), timestamp_roots=())
    assert failed(verify_certificate(stamped.pdf, trust, now=datetime.now(UTC))) == "seal"
    asking = replace(parse_trust(stamped.trust), minimum_seal_level="B-LTA")
    report = verify_certificate(stamped.pdf, asking, now=datetime.now(UTC))
    assert report.status is Status.VALID_STATUS_UNKNOWN


def test_without_a_stamp_nothing_is_issued(office: Sealer, tmp_path: Path) -> None:
    with answering(lambda query: Answer(body=[], status=503)) as address:
        settings(tmp_path / "home", office, "B-T", address)
        home = open_home(tmp_path / "home")
        trust_seal(home)
        with pytest.raises(LedgerError, match="answered HTTP 503"):
            issue_record(home)
        assert not list(home.certificates.glob("*.pdf"))
        home.close()


def test_a_seal_on_a_token_needs_its_pin(office: Sealer, tmp_path: Path) -> None:
    home = create_home(tmp_path / "home", controller="Klinikum", dpo="DPO")
    text = (home.root / "auditor.toml").read_text()
    for name, value in (("module", "x.so"), ("token", "hospital"), ("key", "seal")):
        head, seal, tail = text.partition("[seal]")
        text = head + seal + tail.replace(f'pkcs11_{name} = ""', f'pkcs11_{name} = "{value}"')
    (home.root / "auditor.toml").write_text(text)
    home.close()
    home = open_home(tmp_path / "home")
    with pytest.raises(HomeError, match="AUDITOR_PKCS11_PIN"):
        assert home.seal
    home.close()
