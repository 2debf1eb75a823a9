"""Key-encryption keys: in a file, and on a real PKCS#11 token."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.errors import LedgerError, TamperedError
from auditor.ledger.wrapping import AesKey, KeyWrapping, Pkcs11Key
from tests.ledger.token import LABEL, PIN, make_token

SECRET = bytes(range(32))


@pytest.fixture
def token_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pkcs11Key:
    """A key on a fresh token. The library reads its settings once, so each test is a process."""
    library = make_token(tmp_path, monkeypatch)
    return Pkcs11Key(module=library, token=LABEL, pin=PIN, label="vault")


def refuses_all_but_its_own(key: KeyWrapping, other: KeyWrapping) -> None:
    wrapped = key.wrap(SECRET, "subject")
    assert SECRET not in wrapped
    assert key.unwrap(wrapped, "subject") == SECRET
    assert key.wrap(SECRET, "subject") != wrapped
    bent = wrapped[:20] + bytes([wrapped[20] ^ 1]) + wrapped[21:]
    for refuse in (
        lambda: key.unwrap(wrapped, "another"),
        lambda: key.unwrap(bent, "subject"),
        lambda: key.unwrap(b"", "subject"),
        lambda: key.unwrap(wrapped[:13], "subject"),
        lambda: other.unwrap(wrapped, "subject"),
    ):
        with pytest.raises(TamperedError):
            refuse()
    assert key.name != other.name


def test_a_key_in_a_file() -> None:
    refuses_all_but_its_own(AesKey(bytes(32)), AesKey(bytes([1]) * 32))


_ON_A_TOKEN = """
import sys
from pathlib import Path
import pytest
from auditor.errors import LedgerError
from auditor.ledger.wrapping import AesKey, Pkcs11Key
from tests.ledger.test_wrapping import refuses_all_but_its_own
import pkcs11
key = Pkcs11Key(module=Path(sys.argv[1]), token="auditor", pin="4711", label="vault")
with pytest.raises(LedgerError, match="no AES key"):
    key.wrap(b"secret", "subject")
key.make()
with pytest.raises(LedgerError, match="name another"):
    key.make()
other = Pkcs11Key(module=key.module, token="auditor", pin="4711", label="vault-2")
other.make()
refuses_all_but_its_own(key, other)
refuses_all_but_its_own(key, AesKey(bytes(32)))
with key._session() as (_, session):
    found = session.get_key(label="vault", object_class=pkcs11.ObjectClass.SECRET_KEY)
    assert found[pkcs11.Attribute.EXTRACTABLE] is False
    assert found[pkcs11.Attribute.SENSITIVE] is True
    with pytest.raises(pkcs11.PKCS11Error):
        found[pkcs11.Attribute.VALUE]
print("held")
"""


def test_a_key_that_never_leaves_its_token(token_key: Pkcs11Key) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _ON_A_TOKEN, str(token_key.module)], capture_output=True, text=True
    )
    assert ran.stdout == "held\n", ran.stderr


@pytest.mark.parametrize(
    "wrong",
    [{"pin": "0000"}, {"token": "none"}, {"module": Path("/none.so")}, {"label": "none"}],
    ids=["pin", "token", "module", "key"],
)
def test_a_token_that_cannot_be_used_is_one_clear_error(
    token_key: Pkcs11Key, wrong: dict[str, object]
) -> None:
    with pytest.raises(LedgerError, match="PKCS#11") as caught:
        replace(token_key, **wrong).wrap(SECRET, "subject")  # type: ignore[arg-type]  # wrong on purpose
    assert PIN not in str(caught.value)
