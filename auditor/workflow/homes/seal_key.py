"""Where the seal's key lies: in a file of the home, or on a PKCS#11 token."""

from __future__ import annotations

import os
from pathlib import Path

from auditor.certificates.seal import Seal, SealToken, load_seal, load_token_seal
from auditor.errors import HomeError
from auditor.workflow.homes.config import Config
from auditor.workflow.homes.founding import SEAL
from auditor.workflow.homes.keyring import Keyring
from auditor.workflow.homes.vault_keys import PIN_VARIABLE


def open_seal(keyring: Keyring, config: Config) -> Seal:
    """The seal that the settings name.

    Raises:
        HomeError: the file can't be read, or the token's PIN isn't set.
        CertificateError: what is there is no seal.
    """
    content = keyring.read(SEAL)
    if not config.seal_pkcs11_key:
        return load_seal(content)
    pin = os.environ.get(PIN_VARIABLE, "")
    if not pin:
        raise HomeError(f"the seal's key lies on a PKCS#11 token; set {PIN_VARIABLE} to its PIN")
    token = SealToken(
        module=Path(config.seal_pkcs11_module),
        token=config.seal_pkcs11_token,
        pin=pin,
        label=config.seal_pkcs11_key,
    )
    return load_token_seal(content, token)
