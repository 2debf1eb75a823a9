"""Numbered checks of a paper, made in their order, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from auditor.errors import CertificateError, ProofError


class Status(StrEnum):
    """The verdict on a document (DESIGN section 2)."""

    VALID = "VALID"
    VALID_STATUS_UNKNOWN = "VALID_STATUS_UNKNOWN"
    INVALID = "INVALID"


Found: TypeAlias = tuple[bool | None, str]
Procedure: TypeAlias = tuple[tuple[str, Callable[[], Found]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One numbered check; ``held`` is None where there was nothing to check it with."""

    number: int
    name: str
    held: bool | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """The status, every check made, and what the document says (None while it can't be told)."""

    status: Status
    checks: tuple[Check, ...]
    predicate: Mapping[str, Any] | None

    @property
    def reason(self) -> str:
        """Why it is INVALID; empty otherwise."""
        return next((check.detail for check in self.checks if check.held is False), "")


def make_checks(procedure: Procedure) -> tuple[Check, ...]:
    """Make checks in their order, up to the first that fails."""
    checks: list[Check] = []
    for number, (name, check) in enumerate(procedure, start=1):
        try:
            held, detail = check()
        except (ProofError, CertificateError) as error:
            checks.append(Check(number=number, name=name, held=False, detail=str(error)))
            break
        checks.append(Check(number=number, name=name, held=held, detail=detail))
    return tuple(checks)
