from __future__ import annotations

from contextlib import closing
from pathlib import Path

import jsonschema

from auditor.domain.artefact import Digest
from auditor.shipped import shipped
from auditor.workflow.homes.home import Home, create_home
from auditor.workflow.log.witnesses import add_witness
from tests.certificates.conftest import issue_record
from tests.cli.conftest import Auditor, stock
from tests.witnesses import serving


def test_a_home_without_documents_lists_none(auditor: Auditor, home: Home) -> None:
    assert auditor("certificate", "list", "--home", home.root, "--json").json == []


def test_a_case_without_a_document_says_how_to_get_one(auditor: Auditor, stocked: Home) -> None:
    root = stocked.root
    filed = auditor(
        "request", "file", "--model", "detector", "--subject", "a", "--home", root, "--json"
    )
    case = filed.json["case"]
    for verb in ("show", "export"):
        ran = auditor("certificate", verb, case, "--home", root)
        assert ran.code == 2
        assert f"auditor run --case {case}" in ran.err
        assert auditor("certificate", verb, "0" * 16, "--home", root).code == 2


def test_what_is_exported_verifies_offline(
    auditor: Auditor, demo_copy: Path, tmp_path: Path
) -> None:
    root = demo_copy / "home"
    rows = auditor("certificate", "list", "--home", root, "--json").json
    assert len(rows) >= 2
    for row in rows:
        exported = auditor(
            "certificate", "export", row["case"], "--to", tmp_path, "--home", root, "--json"
        )
        assert exported.code == 0
        document = exported.json["document"]
        assert auditor("verify", document, "--trust", root / "trust.json").code == 0
        shown = auditor("certificate", "show", row["case"], "--home", root, "--json").json
        assert shown["pdf"] == row["pdf"]


def test_a_document_changed_in_the_home_is_not_handed_out(
    auditor: Auditor, demo_copy: Path, tmp_path: Path
) -> None:
    root = demo_copy / "home"
    row = auditor("certificate", "list", "--home", root, "--json").json[0]
    document = Path(row["document"])
    content = bytearray(document.read_bytes())
    content[len(content) // 2] ^= 1
    document.write_bytes(bytes(content))
    target = tmp_path / "out"
    target.mkdir()
    ran = auditor("certificate", "export", row["case"], "--to", target, "--home", root)
    assert ran.code == 5
    assert list(target.iterdir()) == []


def test_an_exported_document_comes_with_a_fresh_proof(auditor: Auditor, tmp_path: Path) -> None:
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as home:
        stock(home)
        issued = issue_record(home)
        with serving(tmp_path / "regulator", home.trust.policy) as served:
            add_witness(home, "regulator", served.vkeys[0], served.url)
            words = ("certificate", "export", issued.case, "--to", tmp_path, "--home", home.root)
            assert auditor(*words).code == 0
        trust = home.trust_path
    document = tmp_path / f"{issued.case}.pdf"
    assert auditor("verify", document, "--trust", trust).code == 0
    document.with_name(f"{document.name}.tlog-proof").unlink()
    assert auditor("verify", document, "--trust", trust).code == 3


def test_the_schema_of_statements_is_at_hand_without_a_home(
    auditor: Auditor, tmp_path: Path
) -> None:
    ran = auditor("certificate", "schema")
    assert (ran.code, ran.json["$id"]) == (0, "urn:auditor:erasure-certificate:v1")
    assert auditor("certificate", "schema", "--to", tmp_path / "schema.json").code == 0
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == ran.out
    for what, name in (("status", "certificate-status:v1"), ("trust", "trust:v2")):
        schema = auditor("certificate", "schema", "--of", what).json
        assert schema["$id"] == f"urn:auditor:{name}"
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_page_for_the_browser_is_written_as_shipped(auditor: Auditor, tmp_path: Path) -> None:
    target = tmp_path / "verify.html"
    ran = auditor("certificate", "page", "--to", target, "--json")
    assert ran.code == 0
    shipped_page = (shipped("templates") / "verify.html").read_bytes()
    assert target.read_bytes() == shipped_page
    assert ran.json == {"page": str(target), "digest": str(Digest.of(shipped_page))}
    assert auditor("certificate", "page", "--to", tmp_path / "none" / "verify.html").code == 2
