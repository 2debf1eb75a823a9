"""Where the vault's key-encryption keys lie: files of the home, or a PKCS#11 token.

Files are numbered: the one with the highest number is in use, and others, while there are any, are
what a rotation that was stopped has before it. With a token in the settings all files are.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from auditor.errors import HomeError, MisuseError
from auditor.ledger.vault import Vault
from auditor.ledger.wrapping import AesKey, KeyWrapping, Pkcs11Key
from auditor.workflow.homes.config import Config, read_config
from auditor.workflow.homes.founding import LOOKUP_KEY, SYMMETRIC_BYTES, VAULT_KEY
from auditor.workflow.homes.keyring import Keyring

PIN_VARIABLE = "AUDITOR_PKCS11_PIN"

_FILE = re.compile(r"vault-encryption(?:-([1-9][0-9]{0,8}))?\.key")


def open_vault(
    database: str,
    keyring: Keyring,
    config: Config,
    settings: Path,
    before: Sequence[KeyWrapping] = (),
) -> Vault:
    """The vault under the key of now, with those of before as far as they are still here.

    Args:
        settings: file that ``config`` was read from, to see whether it was changed since.
        before: further keys of before, from elsewhere.

    Raises:
        HomeError: a key can't be read, or the token's PIN isn't set.
    """
    keys: list[KeyWrapping] = [AesKey(keyring.read(name)) for name in _files(keyring, config)]
    if config.pkcs11_module:
        keys.append(token_key(config, config.pkcs11_key))
    places = _places(keyring, config)
    return Vault(
        database,
        wrapping=keys[-1],
        lookup_key=keyring.read(LOOKUP_KEY),
        retired=[*keys[:-1], *before],
        newest=lambda: places == _places(keyring, read_config(settings)),
    )


def make_next_key(keyring: Keyring, config: Config, retired_label: str) -> None:
    """Make the key to rotate to, unless a rotation that was stopped has made it.

    A file is the key of now as soon as it is there.

    Args:
        retired_label: of the token's key of before, where one token key follows another.

    Raises:
        MisuseError: nothing says which key on the token follows the one in use.
        HomeError: a file can't be read or written.
        LedgerError: the token can't be used.
    """
    if config.pkcs11_module:
        if not retired_label and not _retired(keyring, config):
            raise MisuseError(
                "the vault's key lies on the token already; for another one change pkcs11_key in "
                "auditor.toml and give the label of this one as --retired-key"
            )
        token_key(config, config.pkcs11_key).ensure()
    elif not _retired(keyring, config):
        newest = _files(keyring, config)[-1]
        keyring.read(newest)  # lest the next one be written under another passphrase, or none
        name = f"vault-encryption-{_number(newest) + 1}.key"
        keyring.write(name, secrets.token_bytes(SYMMETRIC_BYTES))


def destroy_retired_keys(keyring: Keyring, config: Config) -> int:
    """Destroy the files of before; a key on a token is its administrator's to destroy.

    Returns:
        How many there were.
    """
    names = _retired(keyring, config)
    for name in names:
        keyring.destroy(name)
    return len(names)


def token_key(config: Config, label: str) -> Pkcs11Key:
    """A key on the token that the settings name.

    Raises:
        HomeError: they name none, or the PIN isn't set.
    """
    if not config.pkcs11_module:
        raise HomeError("auditor.toml names no PKCS#11 token; see its table [vault]")
    pin = os.environ.get(PIN_VARIABLE, "")
    if not pin:
        raise HomeError(f"the vault's key lies on a PKCS#11 token; set {PIN_VARIABLE} to its PIN")
    return Pkcs11Key(
        module=Path(config.pkcs11_module), token=config.pkcs11_token, pin=pin, label=label
    )


def _places(keyring: Keyring, config: Config) -> tuple[str, ...]:
    """Where the newest key lies."""
    if config.pkcs11_module:
        return (config.pkcs11_module, config.pkcs11_token, config.pkcs11_key)
    return (_files(keyring, config)[-1],)


def _retired(keyring: Keyring, config: Config) -> Sequence[str]:
    files = _files(keyring, config)
    return files if config.pkcs11_module else files[:-1]


def _files(keyring: Keyring, config: Config) -> Sequence[str]:
    """Names of the key files, the newest last; without a token there is one at least."""
    names = (path.name for path in keyring.folder.glob("vault-encryption*.key"))
    found = sorted(filter(_FILE.fullmatch, names), key=_number)
    return found or ([] if config.pkcs11_module else [VAULT_KEY])


def _number(name: str) -> int:
    match = _FILE.fullmatch(name)
    return int(match[1] or 0) if match else 0
