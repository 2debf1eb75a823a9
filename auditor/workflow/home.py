"""A home: one hospital's settings, keys, ledger, vault, model store and documents.

    auditor.toml    settings
    keys/           private keys, 0700, each file 0600
    ledger.db       the ledger and the vault
    checkpoint.txt  the newest signed checkpoint, outside the database on purpose: a database put
                    back to an older state can't take it along
    trust.json      what a regulator needs: public keys, seal roots, newest checkpoint
    store/          model weights, recipes, plans and evidence by digest
    certificates/   what was issued

Rooms never read this folder: they are handed signers, the vault and the store from here.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from auditor.domain.artefact import Digest
from auditor.errors import HomeError, TamperedError
from auditor.learning.store import ContentStore
from auditor.ledger.ledger import Ledger
from auditor.ledger.vault import Vault
from auditor.proof.note import Checkpoint, verify_checkpoint
from auditor.proof.signing import Signer, load_signer
from auditor.proof.trust import TrustFile, fingerprint, parse_trust, trust_bytes
from auditor.workflow.config import Config, read_config
from auditor.workflow.files import write_file
from auditor.workflow.keyring import Keyring
