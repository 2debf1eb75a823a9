from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Auditor

WHO = ("--controller", "St. Example", "--dpo", "DPO office")


def test_init_prints_what_the_regulator_must_be_told(auditor: Auditor, tmp_path: Path) -> None:
    root = tmp_path / "home"
    made = auditor("init", *WHO, "--home", root, "--json")
    assert made.code == 0
    assert made.json["home"] == str(root)
    listed = auditor("keys", "publish", "--home", root, "--json").json
    assert listed["fingerprint"] == made.json["fingerprint"]


def test_init_over_a_home_is_refused_and_changes_nothing(auditor: Auditor, tmp_path: Path) -> None:
    root = tmp_path / "home"
    auditor("init", *WHO, "--home", root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    again = auditor("init", *WHO, "--home", root)
    assert again.code == 1
    assert again.err.count("\n") == 1
    assert str(root) in again.err
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert after == before


def test_the_home_is_auditor_home_or_here(
    auditor: Auditor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert auditor("init", *WHO).code == 0
    assert (tmp_path / ".auditor" / "auditor.toml").is_file()
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "elsewhere"))
    missing = auditor("request", "list")
    assert missing.code == 1
    assert "auditor init" in missing.err
    assert auditor("init", *WHO).code == 0
    assert (tmp_path / "elsewhere" / "auditor.toml").is_file()


def test_a_home_counts_the_days_of_its_own_zone(auditor: Auditor, tmp_path: Path) -> None:
    words = ("--home", tmp_path / "home")
    ran = auditor("init", *WHO, "--time-zone", "Mars/Olympus", *words)
    assert ran.code == 1 and "time_zone" in ran.err
    assert not (tmp_path / "home").exists()
    assert auditor("init", *WHO, "--time-zone", "Europe/Berlin", *words).code == 0
    assert 'time_zone = "Europe/Berlin"' in (tmp_path / "home" / "auditor.toml").read_text()


def test_a_wrong_country_is_refused_before_anything_is_made(
    auditor: Auditor, tmp_path: Path
) -> None:
    ran = auditor("init", *WHO, "--country", "Germany", "--home", tmp_path / "home")
    assert ran.code == 1
    assert "country" in ran.err
    assert list(tmp_path.iterdir()) == []
