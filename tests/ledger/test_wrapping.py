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


_UNFIT = """
import sys
from pathlib import Path
import pytest
from auditor.errors import LedgerError
from auditor.ledger.wrapping import Pkcs11Key
import pkcs11
from pkcs11 import Attribute, KeyType
HIDDEN = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
MADE = {
    "several times": [(KeyType.AES, 256, HIDDEN)] * 2,
    "AES key of 256 bits": [(KeyType.AES, 128, HIDDEN)],
    "isn't an AES key": [(KeyType.DES3, None, HIDDEN)],
    "can be read out": [(KeyType.AES, 256, {**HIDDEN, Attribute.SENSITIVE: False})],
    "be read out": [(KeyType.AES, 256, {**HIDDEN, Attribute.EXTRACTABLE: True})],
    "may not encrypt": [(KeyType.AES, 256, {**HIDDEN, Attribute.ENCRYPT: False})],
    "encrypt and decrypt": [(KeyType.AES, 256, {**HIDDEN, Attribute.DECRYPT: False})],
}
token = pkcs11.lib(sys.argv[1]).get_token(token_label="auditor")
with token.open(user_pin="4711", rw=True) as session:
    for label, keys in MADE.items():
        for kind, bits, template in keys:
            session.generate_key(kind, bits, label=label, store=True, template=template)
    session.generate_key(KeyType.AES, 256, label="fit", store=True, template=HIDDEN)
def named(label):
    return Pkcs11Key(module=Path(sys.argv[1]), token="auditor", pin="4711", label=label)
for label in MADE:
    with pytest.raises(LedgerError, match=label):
        named(label).ensure()
with pytest.raises(LedgerError, match="several AES keys"):
    named("several times").wrap(b"secret", "subject")
for label in ("may not encrypt", "encrypt and decrypt"):
    with pytest.raises(LedgerError, match="may not encrypt and decrypt"):
        named(label).wrap(b"secret", "subject")
    with pytest.raises(LedgerError, match="may not encrypt and decrypt"):
        named(label).unwrap(bytes(60), "subject")
assert named("fit").ensure() is False
assert named("new").ensure() is True
print("held")
"""


def test_a_key_that_is_not_fit_for_a_vault_is_refused_before_it_is_used(
    token_key: Pkcs11Key,
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _UNFIT, str(token_key.module)], capture_output=True, text=True
    )
    assert (ran.stdout, ran.stderr) == ("held\n", "")


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
