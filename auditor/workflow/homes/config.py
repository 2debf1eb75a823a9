"""`auditor.toml`: what a home knows about its hospital, and how strictly it audits.

Unknown keys, missing keys and values out of range are errors, so that a misspelt setting can't
quietly mean the default.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.certificates.catalogue import LOCALES
from auditor.certificates.status import LONGEST_FRESH
from auditor.domain.evidence import LEAST_IN, LEAST_OUT
from auditor.domain.printable import flaw_of, undrawn
from auditor.errors import HomeError, PolicyError
from auditor.policies.zone import zone_of
from auditor.proof.trust import SEAL_LEVELS
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.settings_text import SETTINGS_TEXT
from auditor.workflow.homes.toml_tables import quoted, tables_of, texts, value

LARGEST_MARGIN = 0.5  # DESIGN section 4 point 4: beyond it, half an influence would pass

_LEDGER = ("database", "timestamps", "timestamp_roots")
_VAULT = ("pkcs11_module", "pkcs11_token", "pkcs11_key")
_SEAL = ("level", "roots", "revoked", *_VAULT)
_MODELS: Mapping[str, object] = {"factories": [], "checkpoint_spacing": 50}
_REFERENCES: Mapping[str, object] = {"bank_days": 0, "keep_erased": False}
_CERTIFICATES: Mapping[str, object] = {
    "locale": "en",
    "four_eyes": False,
    "status_days": 7,
    "challenge": [],
}
_DESK: Mapping[str, object] = {"signed": False, "four_eyes": False}
_LETTERS: Mapping[str, object] = {"address": [], "contact": [], "authority": []}
_UNLEARNING: Mapping[str, object] = {
    "methods": ["newton", "reset-and-heal"],
    "tail": 3.0,
    "most_steps": 20,
    "most_residual": 1.0,
}
_POLICIES: Mapping[str, object] = {"packs": []}

_LATER: Mapping[str, Mapping[str, object]] = {
    "ledger": dict.fromkeys(_LEDGER, ""),
    "vault": dict.fromkeys(_VAULT, ""),
    "models": _MODELS,
    "references": _REFERENCES,
    "desk": _DESK,
    "letters": _LETTERS,
    "certificates": _CERTIFICATES,
    "seal": {**dict.fromkeys(_SEAL, ""), "level": "B-B"},
    "unlearning": _UNLEARNING,
    "policies": _POLICIES,
}
"""Tables that homes of version 0.1 lack, with what `auditor init` writes into them."""

_TABLES: Mapping[str, Mapping[str, object]] = {
    "controller": {"name": None, "dpo": None, "country": "", "time_zone": "UTC"},
    "audit": {"margin": 0.35, "required_power": 0.8, "out_models": 16, "in_models": 16},
    **_LATER,
}
"""Every key with what `auditor init` writes there; None for what only the hospital can say."""

_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of a home.

    Attributes:
        controller: who decides on the processing (Art. 4(7) GDPR), as certificates name them.
        dpo: the data protection officer (Art. 37 GDPR), as certificates name them.
        country: ISO 3166-1 alpha-2 code for public holidays, or "".
        time_zone: IANA name of the zone whose days count.
        locale: language of the documents, one of `catalogue.LOCALES`.
        database: address of the ledger's database, or "" for SQLite in the home.
        timestamps: address of an RFC 3161 authority, or "".
        timestamp_roots: file of its root certificates, relative to the home.
        pkcs11_module: library of the token that holds the vault's key, or "" for a file.
        pkcs11_token: label of the token.
        pkcs11_key: label of the key on it.
        factories: ``module:factory`` of networks that recipes may name.
        checkpoint_spacing: steps of a training between checkpoints; 0 for none.
        margin: of residual influence, in (0, 0.5].
        required_power: in (0, 1).
        bank_days: that a shared reference bank is kept; 0 until the end of the next quarter.
        keep_erased: keep its models that an erased patient's images had trained until then.
        desk_signed: nothing is decided but by a key of the desk, from the first decision on.
        desk_four_eyes: two keys of the desk have to agree before a request is granted or refused.
        letter_address: the controller's, line by line, for the head of letters.
        letter_contact: how the data protection officer is reached, line by line.
        letter_authority: that complaints go to, line by line (Art. 77 GDPR).
        four_eyes: an approver has to sign each document, too.
        status_days: that a signed status counts as fresh, from 1 to `LONGEST_FRESH`.
        challenge: command that asks the endpoint which weights it serves, or empty.
        seal_level: PAdES level of the seal.
        seal_roots: file of root certificates it leads to, relative to the home, or "".
        seal_revoked: file of lists of revoked certificates, relative to the home, or "".
        seal_pkcs11_module: library of the token that holds the seal's key, or "" for a file.
        seal_pkcs11_token: label of that token.
        seal_pkcs11_key: label of the key on it.
        methods: approximate ones that a case may try.
        tail: memorisation from which on a single step isn't tried, above 0.
        most_steps: approximate erasures between two exact trainings, at least 1.
        most_residual: sum of residual influences between two exact trainings, above 0.
        packs: folders of the hospital's own rule packs, relative to the home.
    """

    controller: str
    dpo: str
    country: str = ""
    time_zone: str = "UTC"
    locale: str = "en"
    database: str = ""
    timestamps: str = ""
    timestamp_roots: str = ""
    pkcs11_module: str = ""
    pkcs11_token: str = ""
    pkcs11_key: str = ""
    factories: tuple[str, ...] = ()
    checkpoint_spacing: int = 50
    margin: float = 0.35
    required_power: float = 0.8
    out_models: int = 16
    in_models: int = 16
    bank_days: int = 0
    keep_erased: bool = False
    desk_signed: bool = False
    desk_four_eyes: bool = False
    letter_address: tuple[str, ...] = ()
    letter_contact: tuple[str, ...] = ()
    letter_authority: tuple[str, ...] = ()
    four_eyes: bool = False
    status_days: int = 7
    challenge: tuple[str, ...] = ()
    seal_level: str = "B-B"
    seal_roots: str = ""
    seal_revoked: str = ""
    seal_pkcs11_module: str = ""
    seal_pkcs11_token: str = ""
    seal_pkcs11_key: str = ""
    methods: tuple[str, ...] = ("newton", "reset-and-heal")
    tail: float = 3.0
    most_steps: int = 20
    most_residual: float = 1.0
    packs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, text in (("name", self.controller), ("dpo", self.dpo)):
            if flaw := flaw_of(text) or undrawn(text):
                raise HomeError(f"[controller] {name} {flaw}")
        if self.country and not (len(self.country) == 2 and self.country.isupper()):
            raise HomeError('[controller] country must be a code like "DE", or ""')
        try:
            zone_of(self.time_zone)
        except PolicyError as error:
            raise HomeError(f"[controller] time_zone: {error}") from None
        if self.locale not in LOCALES:
            raise HomeError(f"[certificates] locale must be one of {', '.join(LOCALES)}")
        if self.timestamps and not self.timestamp_roots:
            raise HomeError("[ledger] timestamps needs timestamp_roots, the authority's roots")
        token = (self.pkcs11_module, self.pkcs11_token, self.pkcs11_key)
        if any(token) and not all(token):
            raise HomeError(f"[vault] needs all of {', '.join(_VAULT)}, or none")
        self._check_letters()
        self._check_seal()
        if bad := [name for name in self.factories if not _FACTORY.fullmatch(name)]:
            raise HomeError(f'[models] factories are "module:factory"; found {bad[0]!r}')
        if self.checkpoint_spacing < 0:
            raise HomeError("[models] checkpoint_spacing must be at least 0")
        if not 0 < self.margin <= LARGEST_MARGIN:
            raise HomeError(f"[audit] margin must lie above 0 and at most at {LARGEST_MARGIN}")
        if self.margin != round(self.margin, 4):
            raise HomeError("[audit] margin has at most four decimals, as documents print it")
        if not 0 < self.required_power < 1:
            raise HomeError("[audit] required_power must lie between 0 and 1")
        if self.out_models < LEAST_OUT or self.in_models < LEAST_IN:
            raise HomeError(
                f"[audit] out_models must be at least {LEAST_OUT}, in_models at least {LEAST_IN}"
            )
        if self.bank_days < 0:
            raise HomeError("[references] bank_days must be at least 0")
        if not 1 <= self.status_days <= LONGEST_FRESH:
            raise HomeError(f"[certificates] status_days must lie between 1 and {LONGEST_FRESH}")
        if not min(self.tail, self.most_residual) > 0 or self.most_steps < 1:
            raise HomeError(
                "[unlearning] tail and most_residual must lie above 0, most_steps at 1 or above"
            )

    def _check_letters(self) -> None:
        for name in _LETTERS:
            for line in getattr(self, f"letter_{name}"):
                if flaw := flaw_of(line):
                    raise HomeError(f"[letters] a line of {name} {flaw}")

    def _check_seal(self) -> None:
        token = (self.seal_pkcs11_module, self.seal_pkcs11_token, self.seal_pkcs11_key)
        if any(token) and not all(token):
            raise HomeError(f"[seal] needs all of {', '.join(_VAULT)}, or none")
        if self.seal_level not in SEAL_LEVELS:
            raise HomeError(f"[seal] level must be one of {', '.join(SEAL_LEVELS)}")
        if self.seal_level != "B-B" and not self.timestamps:
            raise HomeError(f"[seal] level {self.seal_level} needs [ledger] timestamps")
        if self.seal_level in ("B-LT", "B-LTA") and not self.seal_revoked:
            raise HomeError(f"[seal] level {self.seal_level} needs revoked, a file of CRLs")


def write_config(path: Path, config: Config) -> None:
    """Write the settings, with a comment on each that needs one."""
    text = SETTINGS_TEXT.format(
        controller=quoted(config.controller),
        dpo=quoted(config.dpo),
        country=quoted(config.country),
        time_zone=quoted(config.time_zone),
        locale=quoted(config.locale),
        database=quoted(config.database),
        timestamps=quoted(config.timestamps),
        timestamp_roots=quoted(config.timestamp_roots),
        pkcs11_module=quoted(config.pkcs11_module),
        pkcs11_token=quoted(config.pkcs11_token),
        pkcs11_key=quoted(config.pkcs11_key),
        factories=json.dumps(config.factories),
        checkpoint_spacing=config.checkpoint_spacing,
        margin=config.margin,
        required_power=config.required_power,
        out_models=config.out_models,
        in_models=config.in_models,
        bank_days=config.bank_days,
        keep_erased=json.dumps(config.keep_erased),
        desk_signed=json.dumps(config.desk_signed),
        desk_four_eyes=json.dumps(config.desk_four_eyes),
        letter_address=json.dumps(config.letter_address, ensure_ascii=False),
        letter_contact=json.dumps(config.letter_contact, ensure_ascii=False),
        letter_authority=json.dumps(config.letter_authority, ensure_ascii=False),
        four_eyes=json.dumps(config.four_eyes),
        status_days=config.status_days,
        challenge=json.dumps(config.challenge, ensure_ascii=False),
        seal_level=quoted(config.seal_level),
        seal_roots=quoted(config.seal_roots),
        seal_revoked=quoted(config.seal_revoked),
        seal_pkcs11_module=quoted(config.seal_pkcs11_module),
        seal_pkcs11_token=quoted(config.seal_pkcs11_token),
        seal_pkcs11_key=quoted(config.seal_pkcs11_key),
        methods=json.dumps(config.methods),
        tail=config.tail,
        most_steps=config.most_steps,
        most_residual=config.most_residual,
        packs=json.dumps(config.packs, ensure_ascii=False),
    )
    write_file(path, text.encode("utf-8"))


def read_config(path: Path) -> Config:
    """Read the settings.

    Raises:
        HomeError: unreadable, not TOML, or a key that is unknown, missing or out of range.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HomeError(f"can't read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HomeError(f"{path} is not TOML: {error}") from None
    try:
        return _config(tables)
    except HomeError as error:
        raise HomeError(f"{path}: {error}") from None


def _config(tables: Mapping[str, object]) -> Config:
    tables = {**_LATER, **tables}
    if isinstance(found := tables.get("controller"), dict):  # homes of version 0.1 lack the zone
        tables = {**tables, "controller": {"time_zone": "UTC", **found}}
    held = tables_of(tables, _TABLES)
    controller = held["controller"]
    ledger = held["ledger"]
    vault = held["vault"]
    models = held["models"]
    audit = held["audit"]
    references = held["references"]
    desk = held["desk"]
    letters = held["letters"]
    certificates = held["certificates"]
    seal = held["seal"]
    unlearning = held["unlearning"]
    policies = held["policies"]
    return Config(
        controller=value(controller, "name", str),
        dpo=value(controller, "dpo", str),
        country=value(controller, "country", str),
        time_zone=value(controller, "time_zone", str),
        database=value(ledger, "database", str),
        timestamps=value(ledger, "timestamps", str),
        timestamp_roots=value(ledger, "timestamp_roots", str),
        pkcs11_module=value(vault, "pkcs11_module", str),
        pkcs11_token=value(vault, "pkcs11_token", str),
        pkcs11_key=value(vault, "pkcs11_key", str),
        factories=texts(models, "factories"),
        checkpoint_spacing=value(models, "checkpoint_spacing", int),
        margin=value(audit, "margin", float),
        required_power=value(audit, "required_power", float),
        out_models=value(audit, "out_models", int),
        in_models=value(audit, "in_models", int),
        bank_days=value(references, "bank_days", int),
        keep_erased=value(references, "keep_erased", bool),
        desk_signed=value(desk, "signed", bool),
        desk_four_eyes=value(desk, "four_eyes", bool),
        letter_address=texts(letters, "address"),
        letter_contact=texts(letters, "contact"),
        letter_authority=texts(letters, "authority"),
        locale=value(certificates, "locale", str),
        four_eyes=value(certificates, "four_eyes", bool),
        status_days=value(certificates, "status_days", int),
        challenge=texts(certificates, "challenge"),
        seal_level=value(seal, "level", str),
        seal_roots=value(seal, "roots", str),
        seal_revoked=value(seal, "revoked", str),
        seal_pkcs11_module=value(seal, "pkcs11_module", str),
        seal_pkcs11_token=value(seal, "pkcs11_token", str),
        seal_pkcs11_key=value(seal, "pkcs11_key", str),
        methods=texts(unlearning, "methods"),
        tail=value(unlearning, "tail", float),
        most_steps=value(unlearning, "most_steps", int),
        most_residual=value(unlearning, "most_residual", float),
        packs=texts(policies, "packs"),
    )
