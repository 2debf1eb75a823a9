from __future__ import annotations

from pathlib import Path

import pytest

from auditor.proof.trust import fingerprint, parse_trust
from auditor.workflow.homes.home import Home
from tests.cli.conftest import Auditor


def test_the_statement_keys_and_the_log_keys_are_listed(auditor: Auditor, home: Home) -> None:
    rows = auditor("keys", "list", "--home", home.root, "--json").json
    assert [(row["role"], row["algorithm"]) for row in rows] == [
        ("statement", "ed25519"),
        ("statement", "ml-dsa-65"),
        ("log", "ed25519"),
        ("log", "ml-dsa-44"),
    ]


def test_the_published_trust_file_carries_the_newest_checkpoint(
    auditor: Auditor, stocked: Home, tmp_path: Path
) -> None:
    target = tmp_path / "trust.json"
    ran = auditor("keys", "publish", "--to", target, "--home", stocked.root, "--json")
    content = target.read_bytes()
    assert ran.json["fingerprint"] == fingerprint(content)
    note = stocked.checkpoints_path.read_text(encoding="utf-8")
    assert parse_trust(content).checkpoint == note


def test_no_private_key_is_ever_printed_or_published(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    target = tmp_path / "trust.json"
    auditor("keys", "publish", "--to", target, "--home", home.root)
    published = target.read_text(encoding="utf-8")
    listed = auditor("keys", "list", "--home", home.root, "--json").out
    assert "PRIVATE" not in published + listed


def test_a_home_under_a_passphrase_opens_only_with_it(
    auditor: Auditor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "home"
    monkeypatch.setenv("AUDITOR_PASSPHRASE", "correct horse")
    made = auditor("init", "--controller", "St. Example", "--dpo", "DPO", "--home", root)
    assert made.code == 0
    assert not any(b"PRIVATE" in path.read_bytes() for path in (root / "keys").iterdir())
    assert auditor("ledger", "checkpoint", "--home", root).code == 0
    monkeypatch.setenv("AUDITOR_PASSPHRASE", "wrong")
    assert auditor("ledger", "checkpoint", "--home", root).code in (0, 1)
    monkeypatch.delenv("AUDITOR_PASSPHRASE")
    assert auditor("request", "list", "--home", root).code == 0


def test_a_folder_that_is_not_there_is_misuse(auditor: Auditor, home: Home, tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "trust.json"
    assert auditor("keys", "publish", "--to", target, "--home", home.root).code == 2
