"""Rotating the vault's key-encryption key: another key for the same payloads, no leaf changed.

    new key made -> every subject's key wrapped under it -> keys of before destroyed

From the moment the new key is there, new subjects' keys are wrapped under it, and those of before
still open what they wrapped; so whatever stops the rotation, nothing is lost, and the next run
takes it to its end. Payloads in backups from before a rotation open no more.
"""

from __future__ import annotations

from dataclasses import dataclass

from auditor.workflow.homes.home import SETTINGS, Home
from auditor.workflow.homes.vault_keys import (
    destroy_retired_keys,
    make_next_key,
    open_vault,
    token_key,
)
from auditor.workflow.log.checkpoints import signing_alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What a rotation did.

    Attributes:
        key: name of the key-encryption key of now.
        wrapped: how many subjects' keys were wrapped anew.
        destroyed: how many key files of before were destroyed.
    """

    key: str
    wrapped: int
    destroyed: int


def rotate_vault(home: Home, retired_label: str = "") -> Rotated:
    """Give the vault another key-encryption key, or take a rotation that was stopped to its end.

    Args:
        retired_label: of the token's key of before, where one token key follows another; it stays
            on the token until its administrator destroys it there.

    Raises:
        MisuseError: nothing says which key on the token follows the one in use.
        HomeError: a key can't be read or written.
        LedgerError: the token can't be used, or the vault's database.
        TamperedError: a subject's key opens under none of the keys that are here; nothing is
            destroyed then.
    """
    before = [token_key(home.config, retired_label)] if retired_label else []
    with signing_alone(home):  # two at once would each make a key, and one be lost
        make_next_key(home.keyring, home.config, retired_label)
        settings = home.root / SETTINGS
        vault = open_vault(home.database, home.keyring, home.config, settings, before)
        try:
            wrapped = vault.rotate()
        finally:
            vault.close()
        destroyed = destroy_retired_keys(home.keyring, home.config)
    return Rotated(key=vault.key_name, wrapped=wrapped, destroyed=destroyed)
