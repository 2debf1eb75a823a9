from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Auditor

PACKS = Path(__file__).parent.parent.parent / "policies"


def test_every_listed_rule_can_be_explained(auditor: Auditor) -> None:
    rules = auditor("policy", "list", "--json").json
    assert len(rules) >= 12
    assert {rule["pack"].split()[0] for rule in rules} >= {"gdpr", "hipaa"}
    for rule in rules:
        explained = auditor("policy", "explain", rule["rule"].lower(), "--json")
        assert explained.code == 0
        assert explained.json["citation"] == rule["citation"]
        assert explained.json["remedy"]


def test_every_hipaa_rule_says_that_there_is_no_general_right_of_erasure(auditor: Auditor) -> None:
    rules = auditor("policy", "list", "--json").json
    for rule in rules:
        if rule["pack"].startswith("hipaa"):
            explained = auditor("policy", "explain", rule["rule"], "--json").json
            assert "no general right" in " ".join(str(text) for text in explained.values())


def test_an_unknown_rule_is_misuse(auditor: Auditor) -> None:
    ran = auditor("policy", "explain", "GDPR-99-X")
    assert ran.code == 2
    assert "auditor policy list" in ran.err


def test_a_pack_of_ones_own_is_checked_as_the_shipped_are(auditor: Auditor, tmp_path: Path) -> None:
    checked = auditor("policy", "check", PACKS / "gdpr", "--json")
    assert checked.code == 0
    assert checked.json["pack"] == "gdpr"
    own = tmp_path / "own"
    own.mkdir()
    for path in (PACKS / "gdpr").glob("*.yaml"):
        (own / path.name).write_bytes(path.read_bytes())
    assert auditor("policy", "check", own, "--json").json["digest"] == checked.json["digest"]
    with (own / "pack.yaml").open("a", encoding="utf-8") as file:
        file.write("colour: blue\n")
    ran = auditor("policy", "check", own)
    assert ran.code == 1
    assert "colour" in ran.err and ran.err.count("\n") == 1
