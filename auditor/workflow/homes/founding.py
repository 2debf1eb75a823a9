"""What a new home is made of: keys, and the trust file that names their public halves."""

from __future__ import annotations

import secrets
from base64 import b64encode
from datetime import datetime

from auditor.certificates.seal import make_test_seal
from auditor.proof.checkpoint import key_of
from auditor.proof.note import NoteKey
from auditor.proof.signing import (
    ED25519,
    ML_DSA_44,
    ML_DSA_65,
    Signer,
    generate_private_key,
    load_signer,
)
from auditor.proof.trust import StatementKey, TrustFile
from auditor.workflow.homes.keyring import Keyring

STATEMENT_KEYS = {ED25519: "statement-ed25519.pem", ML_DSA_65: "statement-ml-dsa-65.pem"}
LOG_ALGORITHMS = (ED25519, ML_DSA_44)
SEAL = "seal.pem"
VAULT_KEY = "vault-encryption.key"
LOOKUP_KEY = "vault-lookup.key"
EXCLUSION_KEY = "exclusion.key"
PSEUDONYM_KEY = "pseudonym.key"
SYMMETRIC_BYTES = 32

_ORIGIN_BYTES = 8


def make_keys(keyring: Keyring, controller: str, moment: datetime) -> TrustFile:
    """Make every key of a home, keep the private halves, and return what to publish."""
    statement = [
        _statement_key(_kept(keyring, name, algorithm), moment)
        for algorithm, name in STATEMENT_KEYS.items()
    ]
    origin, log = make_log_keys(keyring)
    for name in (VAULT_KEY, LOOKUP_KEY, EXCLUSION_KEY, PSEUDONYM_KEY):
        keyring.write(name, secrets.token_bytes(SYMMETRIC_BYTES))
    seal = make_test_seal(controller, moment)
    keyring.write(SEAL, seal.private_pem)
    return TrustFile(
        log_origin=origin,
        log_policy="".join(f"log {key.vkey}\n" for key in log) + "quorum none\n",
        statement_keys=tuple(statement),
        seal_roots=(seal.root_pem,),
    )


def make_log_keys(keyring: Keyring) -> tuple[str, tuple[NoteKey, ...]]:
    """Make the keys of a ledger under an origin of its own.

    The origin is random: a name made of the hospital's could be claimed twice. Each origin has its
    own keys, so that none of an older one's can be missed while new ones are made.

    Returns:
        The origin, and the public keys as notes name them.
    """
    origin = f"auditor-ledger/{secrets.token_hex(_ORIGIN_BYTES)}"
    signers = [_kept(keyring, log_key_file(origin, each), each) for each in LOG_ALGORITHMS]
    return origin, tuple(key_of(signer, origin, witness=False) for signer in signers)


def log_key_file(origin: str, algorithm: str) -> str:
    """Name of a ledger's key in the keys folder."""
    return f"{origin.replace('/', '-')}-{algorithm}.pem"


def _kept(keyring: Keyring, name: str, algorithm: str) -> Signer:
    pem = generate_private_key(algorithm)
    keyring.write(name, pem)
    return load_signer(pem)


def _statement_key(signer: Signer, moment: datetime) -> StatementKey:
    return StatementKey(
        key_id=signer.key_id,
        algorithm=signer.algorithm,
        public=b64encode(signer.public_bytes()).decode("ascii"),
        role="statement",
        valid_from=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
