"""Cases beside their rules, as the exports tell of them; nothing in them names a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from auditor.domain.entry import Recorded
from auditor.domain.request import Regime
from auditor.domain.verdict import Finding
from auditor.policies.rule import RulePack
from auditor.proof.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedCase:
    """One case laid beside its rules.

    Attributes:
        as_of: the day of judgement, on the controller's calendar.
        packs: that the case is laid beside.
        records: its own stream, in the ledger's order.
    """

    case: str
    regime: Regime
    received: date
    as_of: date
    packs: tuple[RulePack, ...]
    findings: tuple[Finding, ...]
    records: tuple[Recorded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The ledger's state that an export rests on.

    Attributes:
        note: its signed checkpoint (C2SP).
        leaves: RFC 6962 leaf hashes of the entries that are spoken of, by sequence.
        last: when the last entry was written, by the writer's clock.
    """

    checkpoint: Checkpoint
    note: str
    leaves: Mapping[int, bytes]
    last: str
