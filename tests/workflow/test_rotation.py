"""Rotating the vault's key: payloads, commitments and leaves stay, the old key opens nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.domain.artefact import Digest
from auditor.errors import HomeError, LedgerError, TamperedError
from auditor.workflow.homes.config import read_config, write_config
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.log.book import audit_ledger
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.rotation import rotate_vault
from tests.cli.conftest import Auditor, stock
from tests.ledger.token import LABEL, PIN, make_token
from tests.workflow.killing import killed_before

PAYLOADS = {f"case:{number}": f"payload {number}".encode() for number in range(5)}


@pytest.fixture
def sealed(home: Home) -> dict[Digest, bytes]:
    stock(home)
    made = {home.vault.seal(subject, payload): payload for subject, payload in PAYLOADS.items()}
    record_checkpoint(home)
    home.close()
    return made


def key_files(home: Home) -> list[str]:
    return sorted(path.name for path in home.keyring.folder.glob("vault-encryption*"))


def require_readable(home: Home, sealed: dict[Digest, bytes]) -> None:
    opened = open_home(home.root)
    assert {each: opened.vault.open(each) for each in sealed} == sealed
    assert audit_ledger(opened)["entries"] == 4
    opened.close()


def test_a_rotation_changes_the_key_and_nothing_else(
    home: Home, sealed: dict[Digest, bytes], tmp_path: Path
) -> None:
    shutil.copytree(home.root, tmp_path / "backup")
    old, root = (home.root / "keys" / "vault-encryption.key").read_bytes(), home.ledger.root()
    done = rotate_vault(home)
    assert (done.wrapped, done.destroyed) == (6, 1)  # five cases and a data set
    assert key_files(home) == ["vault-encryption-1.key"]
    assert (home.root / "keys" / "vault-encryption-1.key").stat().st_mode & 0o077 == 0
    assert home.ledger.root() == root
    require_readable(home, sealed)
    # a backup's rows under the key of now are of no use, and neither are ours under its key
    (home.root / "keys" / "vault-encryption-1.key").unlink()
    (home.root / "keys" / "vault-encryption.key").write_bytes(old)
    (home.root / "keys" / "vault-encryption.key").chmod(0o600)
    stolen = open_home(home.root)
    for commitment in sealed:
        with pytest.raises(TamperedError):
            stolen.vault.open(commitment)
    stolen.close()
    home.close()


def test_rotations_follow_each_other(home: Home, sealed: dict[Digest, bytes]) -> None:
    names = {rotate_vault(home).key for _ in range(11)}
    assert len(names) == 11
    assert key_files(home) == ["vault-encryption-11.key"]
    require_readable(home, sealed)
    home.close()


STEPS = frozenset(
    {"make_next_key", "write_file", "rotate", "wrap", "erase_traces", "destroy_file", "unlink"}
)


def test_killed_at_any_step_nothing_is_lost_and_it_is_taken_to_its_end(
    home: Home, sealed: dict[Digest, bytes], tmp_path: Path
) -> None:
    step, came_so_far = 0, True
    while came_so_far:
        step += 1
        root = tmp_path / str(step)
        shutil.copytree(home.root, root)
        came_so_far = killed_before(step, STEPS, lambda at=root: rotate_vault(open_home(at)))
        opened = open_home(root)
        require_readable(opened, sealed)
        fresh = opened.vault.seal("case:new", b"new")
        opened.close()
        killed_before(step + 1, STEPS, lambda at=root: rotate_vault(open_home(at)))
        require_readable(opened, {**sealed, fresh: b"new"})
        rotate_vault(open_home(root))
        assert len(key_files(opened)) == 1
        require_readable(opened, {**sealed, fresh: b"new"})
    assert step > len(STEPS)


def test_a_vault_that_was_open_meanwhile_seals_nothing_under_the_old_key(
    home: Home, sealed: dict[Digest, bytes]
) -> None:
    elsewhere = open_home(home.root)
    assert elsewhere.vault.open(next(iter(sealed))) == PAYLOADS["case:0"]
    rotate_vault(home)
    with pytest.raises(LedgerError, match="rotated meanwhile; run the command again"):
        elsewhere.vault.seal("case:new", b"new")
    elsewhere.close()
    require_readable(home, sealed)
    home.close()


def test_a_payload_under_a_lost_key_stops_the_rotation_before_anything_is_destroyed(
    home: Home, sealed: dict[Digest, bytes], tmp_path: Path
) -> None:
    older = (home.root / "ledger.db").read_bytes()
    rotate_vault(home)
    home.close()
    (home.root / "ledger.db").write_bytes(older)
    with pytest.raises(TamperedError, match="restore the home's keys"):
        rotate_vault(home)
    assert key_files(home) == ["vault-encryption-1.key", "vault-encryption-2.key"]
    home.close()


def test_under_a_passphrase_the_new_key_is_under_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_PASSPHRASE", "correct horse")
    home = create_home(tmp_path / "home", controller="St. Example", dpo="DPO office")
    kept = home.vault.seal("case:1", b"payload")
    home.close()
    monkeypatch.delenv("AUDITOR_PASSPHRASE")
    with pytest.raises(HomeError, match="under a passphrase"):
        rotate_vault(open_home(home.root))
    assert key_files(home) == ["vault-encryption.key"]
    monkeypatch.setenv("AUDITOR_PASSPHRASE", "correct horse")
    opened = open_home(home.root)
    rotate_vault(opened)
    assert len((home.root / "keys" / "vault-encryption-1.key").read_bytes()) > 32
    assert opened.vault.open(kept) == b"payload"
    opened.close()


def test_an_operator_rotates_at_the_command_line(
    auditor: Auditor, home: Home, sealed: dict[Digest, bytes]
) -> None:
    words = ("keys", "rotate", "vault", "--home", home.root, "--json")
    first, second = auditor(*words), auditor(*words)
    assert (first.code, first.json["keys_wrapped"], first.json["old_keys_destroyed"]) == (0, 6, 1)
    assert second.json["key"] != first.json["key"]
    require_readable(home, sealed)
    ran = auditor(*words, "--retired-key", "vault")
    assert ran.code == 1
    assert "[vault]" in ran.err


# With the key on a PKCS#11 token


def with_token(home: Home, library: Path, label: str) -> Home:
    """The settings name a key on the token."""
    settings = home.root / "auditor.toml"
    config = read_config(settings)
    write_config(
        settings,
        replace(config, pkcs11_module=str(library), pkcs11_token=LABEL, pkcs11_key=label),
    )
    return open_home(home.root)


def test_without_its_pin_a_token_is_not_asked(
    home: Home, sealed: dict[Digest, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDITOR_PKCS11_PIN", raising=False)
    opened = with_token(home, tmp_path / "none.so", "vault")
    for act in (lambda: opened.vault.open(next(iter(sealed))), lambda: rotate_vault(opened)):
        with pytest.raises(HomeError, match=r"set AUDITOR_PKCS11_PIN"):
            act()
    monkeypatch.setenv("AUDITOR_PKCS11_PIN", PIN)
    with pytest.raises(LedgerError, match="check module, token") as caught:
        rotate_vault(opened)
    assert PIN not in str(caught.value)
    assert key_files(home) == ["vault-encryption.key"]
    opened.close()


_ON_A_TOKEN = """
import sys
from pathlib import Path
import pkcs11
import pytest
from auditor.domain.artefact import Digest
from auditor.errors import LedgerError, MisuseError
from auditor.workflow.homes.home import open_home
from auditor.workflow.log.rotation import rotate_vault
from tests.ledger.token import LABEL, PIN
from tests.workflow.test_rotation import PAYLOADS, key_files, require_readable, with_token
root, library, *known = sys.argv[1:]
sealed = dict(zip(map(Digest, known), PAYLOADS.values(), strict=True))
home = with_token(open_home(Path(root)), Path(library), "twice")
with pkcs11.lib(library).get_token(token_label=LABEL).open(user_pin=PIN, rw=True) as session:
    for _ in range(2):
        session.generate_key(pkcs11.KeyType.AES, 256, label="twice", store=True)
with pytest.raises(LedgerError, match="is there several times"):
    rotate_vault(home)
assert key_files(home) == ["vault-encryption.key"]
home.close()
home = with_token(home, Path(library), "vault-1")
with pytest.raises(LedgerError, match="auditor keys rotate vault"):
    home.vault.seal("case:early", b"early")
assert home.vault.open(next(iter(sealed))) == PAYLOADS["case:0"]  # still under the file's key
done = rotate_vault(home)
assert (done.wrapped, done.destroyed, key_files(home)) == (6, 1, [])
assert done.key.startswith("pkcs11-")
require_readable(home, sealed)
with pytest.raises(MisuseError, match="--retired-key"):
    rotate_vault(home)
sealed[home.vault.seal("case:new", b"new")] = b"new"
home.close()
home = with_token(home, Path(library), "vault-2")
again = rotate_vault(home, "vault-1")
assert (again.wrapped, again.destroyed) == (7, 0)
assert again.key != done.key
require_readable(home, sealed)
home.close()
print("held")
"""


def test_the_key_moves_from_its_file_to_a_token_and_there_to_another(
    home: Home, sealed: dict[Digest, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token's library reads its settings once, so this is a process of its own."""
    library = make_token(tmp_path, monkeypatch)
    monkeypatch.setenv("AUDITOR_PKCS11_PIN", PIN)
    known = [commitment.value for commitment in sealed]
    ran = subprocess.run(
        [sys.executable, "-c", _ON_A_TOKEN, str(home.root), str(library), *known],
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "held\n", ran.stderr
    assert PIN not in (home.root / "auditor.toml").read_text(encoding="utf-8")


def test_settings_from_before_there_was_a_vault_table_still_open_the_home(
    home: Home, sealed: dict[Digest, bytes]
) -> None:
    settings = home.root / "auditor.toml"
    before, _, after = settings.read_text(encoding="utf-8").partition("[vault]")
    settings.write_text(before + after[after.index("[audit]") :], encoding="utf-8")
    assert read_config(settings) == home.config
    require_readable(home, sealed)


def test_settings_that_name_half_a_token_are_refused(home: Home) -> None:
    with pytest.raises(HomeError, match=r"\[vault\] needs all of"):
        replace(home.config, pkcs11_module="/usr/lib/token.so")
    with pytest.raises(HomeError, match="names no PKCS#11 token"):
        rotate_vault(home, "vault-1")
    home.close()
