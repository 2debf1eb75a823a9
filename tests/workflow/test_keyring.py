from __future__ import annotations

from pathlib import Path

import pytest

from auditor.errors import HomeError
from auditor.workflow.homes.keyring import Keyring

SECRET = bytes(range(32))


def test_a_plain_key_is_for_the_owner_only(tmp_path: Path) -> None:
    ring = Keyring(folder=tmp_path)
    ring.write("log", SECRET)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    assert ring.read("log") == SECRET


def test_a_key_open_to_others_is_refused_with_the_remedy(tmp_path: Path) -> None:
    ring = Keyring(folder=tmp_path)
    ring.write("log", SECRET)
    (tmp_path / "log").chmod(0o640)
    with pytest.raises(HomeError, match="chmod 600"):
        ring.read("log")


def test_under_a_passphrase_the_file_holds_nothing_of_the_key(tmp_path: Path) -> None:
    Keyring(folder=tmp_path, passphrase=b"correct horse").write("log", SECRET)
    stored = (tmp_path / "log").read_bytes()
    assert SECRET not in stored
    assert Keyring(folder=tmp_path, passphrase=b"correct horse").read("log") == SECRET
    with pytest.raises(HomeError, match="doesn't open"):
        Keyring(folder=tmp_path, passphrase=b"correct horsf").read("log")
    with pytest.raises(HomeError, match="set AUDITOR_PASSPHRASE"):
        Keyring(folder=tmp_path).read("log")


def test_two_keys_under_one_passphrase_cannot_be_swapped(tmp_path: Path) -> None:
    ring = Keyring(folder=tmp_path, passphrase=b"correct horse")
    ring.write("log", SECRET)
    (tmp_path / "log").rename(tmp_path / "vault")
    with pytest.raises(HomeError, match="doesn't open"):
        ring.read("vault")


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    ring = Keyring(folder=tmp_path, passphrase=b"correct horse")
    ring.write("log", SECRET)
    path = tmp_path / "log"
    path.write_bytes(path.read_bytes()[:-4] + b'A"}')
    with pytest.raises(HomeError, match=r"doesn't open|damaged"):
        ring.read("log")


def test_the_passphrase_comes_from_the_environment_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Keyring.from_environment(tmp_path).passphrase is None
    monkeypatch.setenv("AUDITOR_PASSPHRASE", "correct horse")
    ring = Keyring.from_environment(tmp_path)
    assert ring.passphrase == b"correct horse"
    assert "horse" not in repr(ring)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="can't read key"):
        Keyring(folder=tmp_path).read("log")
