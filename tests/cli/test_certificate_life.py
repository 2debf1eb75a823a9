"""A document's life on the command line: approved, issued, vouched for, superseded, withdrawn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import jsonschema
import pytest

from auditor.domain import event as ev
from auditor.domain.artefact import Digest
from auditor.domain.case import ErasureCase
from auditor.domain.request import Ground, Outcome, Regime
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, Verdict
from auditor.errors import TamperedError
from auditor.workflow.documents.certificate_life import Service, service_of
from auditor.workflow.homes.config import write_config
from auditor.workflow.homes.home import SETTINGS, Home, create_home
from auditor.workflow.homes.record import model_stream, record
from auditor.workflow.homes.registry import register_version, require_model
from tests.certificates.conftest import issue_record, refused_case
from tests.cli.conftest import Auditor, stock


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as made:
        stock(made)
        yield made


def test_four_eyes_from_the_setting_to_the_verdict(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    root, key = home.root, tmp_path / "approver.key"
    public = auditor("keys", "new", key, "--json").json["public"]
    added = auditor("keys", "add", public, "--role", "approval", "--home", root, "--json")
    assert [row["role"] for row in added.json] == ["approval", "approval"]
    assert auditor("keys", "add", public, "--role", "approval", "--home", root).code == 2
    write_config(root / SETTINGS, replace(home.config, four_eyes=True))

    case = refused_case(home)
    for _ in range(2):  # nothing happens by running it again
        ran = auditor("run", "--case", case, "--home", root, "--json")
        assert (ran.code, ran.json[0]["waits_for"], ran.json[0]["outcome"]) == (0, "approval", "")
        assert f"auditor certificate approve {case}" in ran.err
    assert auditor("certificate", "export", case, "--home", root).code == 2
    draft = auditor("certificate", "draft", case, "--home", root).json
    assert (draft["approval"], draft["request"]["case"]) == ("four-eyes", case)
    assert auditor("certificate", "decline", case, "--home", root).code == 0
    assert auditor("certificate", "approve", case, "--key", key, "--home", root).code == 2
    auditor("run", "--case", case, "--home", root)
    assert auditor("certificate", "approve", case, "--key", public, "--home", root).code == 1
    assert auditor("certificate", "approve", case, "--key", key, "--home", root).code == 0
    done = auditor("run", "--case", case, "--home", root, "--json").json[0]
    assert (done["waits_for"], done["outcome"]) == ("", "refused")
    verified = auditor("verify", done["document"], "--trust", root / "trust.json", "--json").json
    assert {c["name"]: c["held"] for c in verified["checks"]}["approval"] is True


def test_status_from_good_to_withdrawn(auditor: Auditor, home: Home, tmp_path: Path) -> None:
    first, second = issue_record(home), issue_record(home)
    root, trust = home.root, home.trust_path
    schema = auditor("certificate", "schema", "--of", "trust").json
    jsonschema.Draft202012Validator(schema).validate(json.loads(trust.read_bytes()))
    document = root / "certificates" / f"{first.case}.pdf"

    def status(name: str) -> Path:
        target = tmp_path / name
        words = ("certificate", "status", first.case, "--to", target, "--home", root)
        assert auditor(*words).code == 0
        return target

    def verify(*words: object) -> tuple[int, str]:
        ran = auditor("verify", document, "--trust", trust, *words, "--json")
        return ran.code, ran.json["status"]

    good = status("good.json")
    assert verify() == (0, "VALID_STATUS_UNKNOWN")
    assert verify("--require-status") == (4, "VALID_STATUS_UNKNOWN")
    assert verify("--status", good, "--require-status") == (0, "VALID")
    assert auditor("verify", document, "--trust", trust, "--status", tmp_path / "none").code == 1

    again = auditor(
        "certificate", "reverify", first.case, "--to", tmp_path, "--home", root, "--json"
    )
    assert (again.code, again.json["result"], again.json["model"]) == (0, "VALID", "not-concerned")
    assert verify("--status", again.json["status"]) == (0, "VALID")

    words = ("certificate", "supersede", first.case, "--by", second.case, "--home", root)
    assert auditor(*words).code == 0 and auditor(*words).code == 2
    assert verify("--status", status("superseded.json")) == (3, "INVALID")
    withdraw = ("certificate", "withdraw", first.case, "--home", root, "--reason")
    assert auditor(*withdraw, "because").code == 2
    assert auditor(*withdraw, "issued-in-error").code == 0
    assert auditor(*withdraw, "issued-in-error").code == 2
    assert verify("--status", status("withdrawn.json")) == (3, "INVALID")
    assert verify("--status", good) == (0, "VALID_STATUS_UNKNOWN")  # the good one, shown again
    assert verify("--status", good, "--require-status") == (4, "VALID_STATUS_UNKNOWN")
    again = auditor(
        "certificate", "reverify", first.case, "--to", tmp_path, "--home", root, "--json"
    )
    assert (again.code, again.json["reason"]) == (3, "withdrawn by its issuer: issued-in-error")
    listed = auditor("certificate", "list", "--home", root, "--json").json
    assert {row["case"]: row["state"] for row in listed} == {
        first.case: "withdrawn",
        second.case: "good",
    }
    shown = auditor("certificate", "show", first.case, "--home", root, "--json").json
    assert shown["state"] == "withdrawn"


def test_keys_are_rotated_revoked_and_followed(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    root, held, newer = home.root, tmp_path / "held.json", tmp_path / "newer.json"
    assert auditor("keys", "publish", "--to", held, "--home", root).code == 0
    old = home.trust.statement_keys[0].key_id
    rotated = auditor("keys", "rotate", "statement", "--home", root, "--json").json
    assert [row["algorithm"] for row in rotated] == ["ed25519", "ml-dsa-65"]
    assert auditor("keys", "revoke", old, "--home", root).code == 2  # nobody said --yes
    assert auditor("keys", "revoke", old, "--yes", "--home", root).code == 0
    assert auditor("keys", "revoke", old, "--yes", "--home", root).code == 2
    published = auditor("keys", "publish", "--to", newer, "--home", root, "--json").json
    found = auditor("keys", "check", newer, "--against", held, "--json")
    assert (found.code, found.json["revoked"]) == (0, [old])
    assert found.json["fingerprint"] == published["fingerprint"]
    assert found.json["added"] == [row["key_id"] for row in rotated]
    assert auditor("keys", "check", held, "--against", newer).code == 3
    Path(published["proof"]).write_text("nonsense", encoding="utf-8")
    assert auditor("keys", "check", newer, "--against", held).code == 1
    Path(published["proof"]).unlink()
    assert auditor("keys", "check", newer, "--against", held).code == 1


def certified(before: Digest, after: Digest) -> ErasureCase:
    """As much of a certified case as tells which weights it speaks of."""
    case, digest, today = "7f3a9c1e5b2d4068", Digest.of(b"x"), datetime.now(UTC).date()
    return ErasureCase(
        requested=ev.ErasureRequested(
            case=case,
            regime=Regime.GDPR,
            ground=Ground.OBJECTION,
            received=date(today.year, 1, 1),
            model="detector",
            subjects=1,
            payload=digest,
            policies=digest,
        ),
        scope=ev.ScopeEstablished(
            case=case,
            weights=before,
            training_images=1,
            held_out_images=0,
            earlier=(),
            obstacle=Obstacle.NONE,
            affected=(before,),
        ),
        reached=ev.VerdictReached(
            case=case, verdict=Verdict.PASSED, basis=Basis.STATISTICAL_INDIVIDUAL, weights=after
        ),
        issued=ev.CertificateIssued(case=case, outcome=Outcome.CERTIFIED, pdf=digest),
    )


def test_what_became_of_the_certified_weights_is_told(home: Home) -> None:
    (first,) = require_model(home, "detector").versions
    versions = [first]
    for content in (b"second", b"third"):
        versions.append(
            register_version(
                home,
                model="detector",
                architecture="small-resnet",
                weights=home.store.put(content),
                recipe=first.recipe,
                data_set="data-1",
                training_images=29,
            )
        )
    case = certified(versions[0].weights, versions[1].weights)

    def put_into_service(version: ev.ModelRegistered) -> None:
        event = ev.ModelDeployed(model="detector", version=version.version, weights=version.weights)
        record(home, model_stream("detector"), event, f"test-{uuid4()}")

    for version, expected in zip(
        versions, (Service.ROLLED_BACK, Service.IN_SERVICE, Service.REPLACED), strict=True
    ):
        put_into_service(version)
        assert service_of(home, case) is expected
    gone = ev.ModelRetired(model="detector", version=3, weights=versions[2].weights)
    record(home, model_stream("detector"), gone, "test-retired")
    assert service_of(home, case) is Service.RETIRED
    assert service_of(home, replace(case, reached=None)) is Service.NOT_CONCERNED
    put_into_service(versions[1])
    (home.store.root / versions[1].weights.value).write_bytes(b"swapped")
    with pytest.raises(TamperedError):
        service_of(home, case)
