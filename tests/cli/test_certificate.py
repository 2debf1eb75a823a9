from __future__ import annotations

from pathlib import Path

from auditor.workflow.home import Home
from tests.cli.conftest import Auditor


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
