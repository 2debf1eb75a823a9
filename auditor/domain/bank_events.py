"""Events of shared reference banks; `auditor.domain.event` is where all kinds are found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from auditor.domain.artefact import Digest
from auditor.domain.kind import Event, named


class BankDesign(StrEnum):
    """Who is left out of the models of a bank (DESIGN section 4 point 6).

    Only OUT models trained without exactly the cohort in question are exchangeable with a retrain.
    """

    LEAVE_COHORT_OUT = "leave-cohort-out"
    RANDOM_SUBSETS = "random-subsets"


@named("shared-bank-planned/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBankPlanned(Event):
    """A bank that is to serve several requests; written before the first of its models exists.

    `inclusion` is SHA-256(nonce || list of who is in which model), the nonce stays in the vault.
    `weights` are those in service; `destroy_by` is the day after which no model of it may be kept.
    """

    model: str
    bank: Digest
    weights: Digest
    design: BankDesign
    models: int
    inclusion: Digest
    destroy_by: date


@named("shared-bank-trained/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBankTrained(Event):
    """All models of a shared bank stand; `listing` is the digest of the list of their digests."""

    model: str
    bank: Digest
    listing: Digest


@named("shared-bank-tried/v2")
@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBankTried(Event):
    """True leave-out retrains were audited against a shared bank, and so many of them FAILED.

    `margin_millionths` is the margin of residual influence that they were audited with.
    """

    model: str
    bank: Digest
    retrains: int
    failed: int
    findings: Digest
    margin_millionths: int


@named("shared-bank-destroyed/v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBankDestroyed(Event):
    """Whatever is left of a shared bank is destroyed; written before, so that a stop hides none."""

    model: str
    bank: Digest
