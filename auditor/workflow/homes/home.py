"""A home: one hospital's settings, keys, ledger, vault, model store and documents.

    auditor.toml    settings
    keys/           private keys; folder 0700, files 0600
    ledger.db       the ledger and the vault
    checkpoint.txt  the newest signed checkpoint, outside the database on purpose: a database put
                    back to an older state can't take it along (`auditor.workflow.homes.guard`)
    head.txt        how far the ledger had come, signed or not (`auditor.workflow.homes.head`)
    trust.json      what a regulator needs: public keys, seal roots, newest checkpoint
    store/          model weights, recipes, plans and evidence by digest
    certificates/   what was issued

Rooms never read this folder: they are handed signers, the vault and the store from here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from auditor import __version__
from auditor.certificates.seal import Seal
from auditor.domain.artefact import Digest
from auditor.domain.event import HomeCreated
from auditor.errors import HomeError
from auditor.learning.store import ContentStore
from auditor.ledger.ledger import Clock, Ledger, utc_now
from auditor.ledger.projection import SqlSnapshots
from auditor.ledger.sql import SqlEventStore
from auditor.ledger.vault import Vault
from auditor.proof.checkpoint import Checkpoint
from auditor.proof.signing import Signer, load_signer
from auditor.proof.trust import TrustFile, fingerprint, trust_bytes
from auditor.workflow.homes.config import Config, read_config, write_config
from auditor.workflow.homes.files import new_folder, write_file
from auditor.workflow.homes.founding import (
    LOG_ALGORITHMS,
    STATEMENT_KEYS,
    log_key_file,
    make_keys,
)
from auditor.workflow.homes.guard import (
    CHECKPOINT,
    TRUST,
    GuardedLedger,
    newest_checkpoint,
    read_file,
    read_trust,
    why_read_only,
)
from auditor.workflow.homes.keyring import Keyring
from auditor.workflow.homes.seal_key import open_seal
from auditor.workflow.homes.vault_keys import open_vault

SETTINGS = "auditor.toml"
DATABASE = "ledger.db"
KEYS = "keys"

_VARIABLE = "AUDITOR_HOME"
_DEFAULT = ".auditor"


@dataclass(frozen=True, kw_only=True)  # no slots: keys are read when first used, then kept
class Home:
    """An open home. Keys are read on first use, so that looking at it needs no passphrase.

    Attributes:
        root: absolute path of the folder.
    """

    root: Path
    config: Config
    ledger: Ledger
    store: ContentStore

    @property
    def trust_path(self) -> Path:
        """The trust file."""
        return self.root / TRUST

    @property
    def checkpoints_path(self) -> Path:
        """The newest signed checkpoint, a C2SP signed note."""
        return self.root / CHECKPOINT

    @property
    def certificates(self) -> Path:
        """Folder of issued documents."""
        return self.root / "certificates"

    @property
    def trust(self) -> TrustFile:
        """The trust file as it stands.

        Raises:
            HomeError: missing or unreadable.
            ProofError: not a trust file.
        """
        return read_trust(self.root)

    @property
    def trust_fingerprint(self) -> str:
        """What the hospital tells the regulator by another way than the certificate."""
        return fingerprint(read_file(self.trust_path))

    @cached_property
    def keyring(self) -> Keyring:
        """The home's private keys."""
        return Keyring.from_environment(self.root / KEYS)

    @cached_property
    def statement_signers(self) -> tuple[Signer, ...]:
        """Ed25519 and ML-DSA-65; a statement needs both.

        Raises:
            HomeError: a key can't be read, or the trust file says that it signs no more.
        """
        signers = tuple(load_signer(self.keyring.read(name)) for name in STATEMENT_KEYS.values())
        listed = {key.key_id: key for key in self.trust.statement_keys}
        for signer in signers:
            key = listed.get(signer.key_id)
            if key is None or key.valid_until or key.revoked_at:
                raise HomeError(
                    f"the {signer.algorithm} key that signs statements is ended or revoked by the "
                    "trust file; make new ones: auditor keys rotate statement"
                )
        return signers

    def forget_signers(self) -> None:
        """Read the statement keys anew when they are next used."""
        self.__dict__.pop("statement_signers", None)

    @property
    def log_signers(self) -> tuple[Signer, ...]:
        """Sign checkpoints under the origin of now: Ed25519 and ML-DSA-44."""
        return self.signers_of(self.trust.log_origin)

    def signers_of(self, origin: str) -> tuple[Signer, ...]:
        """The log's keys under one of its origins."""
        names = [log_key_file(origin, algorithm) for algorithm in LOG_ALGORITHMS]
        return tuple(load_signer(self.keyring.read(name)) for name in names)

    @cached_property
    def seal(self) -> Seal:
        """Key and certificates of the PDF seal."""
        return open_seal(self.keyring, self.config)

    @cached_property
    def vault(self) -> Vault:
        """Erasable payloads that ledger entries commit to."""
        return open_vault(self.database, self.keyring, self.config, self.root / SETTINGS)

    @cached_property
    def snapshots(self) -> SqlSnapshots:
        """Read models, outside trust."""
        return SqlSnapshots(self.database)

    @property
    def database(self) -> str:
        """Address of the database of ledger and vault."""
        return _database(self.root, self.config)

    def newest_checkpoint(self) -> Checkpoint | None:
        """The last state that was signed, its signatures checked; None before the first.

        Raises:
            ProofError: the note isn't this log's.
        """
        newest = newest_checkpoint(self.root)
        return None if newest is None else newest.checkpoint

    @property
    def read_only(self) -> str:
        """Why nothing may be appended to the ledger; "" where all is well."""
        return why_read_only(self.root, self.ledger)

    def close(self) -> None:
        """Let go of the database; the home can be used again all the same."""
        self.ledger.close()
        for name in ("vault", "snapshots"):
            if name in self.__dict__:
                getattr(self, name).close()

    def read_mapping(self, digest: Digest) -> Mapping[str, str]:
        """A stored flat map of texts, such as a method's parameters.

        Raises:
            LedgerError: not in the store.
            TamperedError: stored, but changed.
        """
        content = json.loads(self.store.get(digest))
        return {str(key): str(value) for key, value in content.items()}


def default_home() -> Path:
    """$AUDITOR_HOME, else ``.auditor`` in the current folder."""
    return Path(os.environ.get(_VARIABLE) or _DEFAULT)


def create_home(
    root: Path | None = None,
    *,
    controller: str,
    dpo: str,
    country: str = "",
    time_zone: str = "UTC",
    database: str = "",
    desk_signed: bool = False,
    clock: Clock = utc_now,
) -> Home:
    """Make a home: settings, keys, ledger, trust file. It appears whole or not at all.

    Args:
        desk_signed: nothing is ever decided in it but by a key of the desk.

    Raises:
        HomeError: a setting makes no sense, there is something already, or it can't be written.
    """
    config = Config(
        controller=controller,
        dpo=dpo,
        country=country,
        time_zone=time_zone,
        database=database,
        desk_signed=desk_signed,
    )
    root = (root or default_home()).absolute()
    with new_folder(root, "home") as making:
        _furnish(making, config, clock)
    return open_home(root, clock=clock)


def _furnish(making: Path, config: Config, clock: Clock) -> None:
    """Everything a home starts with; its first entry commits to the first trust file."""
    write_config(making / SETTINGS, config)
    (making / KEYS).mkdir(mode=0o700)
    (making / "certificates").mkdir()
    keyring = Keyring.from_environment(making / KEYS)
    trust = make_keys(keyring, config.controller, clock())
    write_file(making / TRUST, trust_bytes(trust))
    home = _home(making, config, clock)
    try:
        if home.ledger.size:
            raise HomeError("that database holds a ledger already; name another one (--database)")
        event = HomeCreated(
            code_version=__version__, trust=Digest.of(trust_bytes(trust)), origin=trust.log_origin
        )
        home.ledger.append("home", [event], expected_version=0, event_ids=[uuid4()])
    finally:
        home.close()


def _home(root: Path, config: Config, clock: Clock) -> Home:
    return Home(
        root=root,
        config=config,
        ledger=GuardedLedger(SqlEventStore(_database(root, config)), clock, root),
        store=ContentStore(root / "store"),
    )


def _database(root: Path, config: Config) -> str:
    return config.database or f"sqlite:///{root / DATABASE}"


def open_home(root: Path | None = None, *, clock: Clock = utc_now) -> Home:
    """Open the home at ``root``, by default `default_home`.

    Raises:
        HomeError: no home there, or settings that make no sense.
    """
    root = (root or default_home()).absolute()
    if not (root / SETTINGS).is_file() and not (root / DATABASE).is_file():
        raise HomeError(f"no home at {root}; create one with `auditor init`, or name it (--home)")
    _require(root / SETTINGS)
    config = read_config(root / SETTINGS)
    if not config.database:
        _require(root / DATABASE)
    return _home(root, config, clock)


def _require(path: Path) -> None:
    if not path.is_file():
        raise HomeError(f"{path} is missing; restore the home from a backup")
