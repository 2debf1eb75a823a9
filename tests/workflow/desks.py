"""People of a desk with keys of their own, and a home whose trust file lists them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from auditor.domain.request import Ground, Regime
from auditor.proof.signing import Signer
from auditor.workflow.desk.desk import file_request
from auditor.workflow.homes.config import write_config
from auditor.workflow.homes.home import SETTINGS, Home, open_home
from auditor.workflow.log.statement_keys import add_pair, make_pair, read_pair

RECEIVED = date(2026, 11, 2)


def person(folder: Path, name: str) -> tuple[Signer, ...]:
    """Keys of one person, known to no home yet."""
    make_pair(folder / f"{name}.key")
    return read_pair(folder / f"{name}.key")


def employ(home: Home, folder: Path, name: str, role: str = "desk") -> tuple[Signer, ...]:
    """Keys of one person, listed in the trust file."""
    signers = person(folder, name)
    add_pair(home, (folder / f"{name}.key.pub").read_bytes(), role)
    return signers


def with_four_eyes(home: Home) -> Home:
    """The home again, asking for two pairs of eyes."""
    write_config(home.root / SETTINGS, replace(home.config, desk_four_eyes=True))
    home.close()
    return open_home(home.root)


def filed(
    home: Home,
    subject: str = "patient-4711",
    *,
    regime: Regime = Regime.GDPR,
    ground: Ground = Ground.CONSENT_WITHDRAWN,
    received: date | None = None,
) -> str:
    """A request for the one model of `tests.cli.conftest.stock`."""
    return file_request(
        home,
        model="detector",
        subjects=(subject,),
        regime=regime,
        ground=ground,
        received=received or RECEIVED,
    )
