"""Which decisions make sense on a case as it stands; a pure function of its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from dateutil.relativedelta import relativedelta

from auditor.domain.case import ErasureCase
from auditor.domain.request import DecisionKind, DecisionReason, IdentityResult, Regime

LONGEST_EXEMPTION = relativedelta(months=12)
"""How long an exemption may be relied on before it is looked at again; ours, no law's."""

NO_REVIEW = date.max

_EXTENSIONS = frozenset({DecisionReason.COMPLEXITY, DecisionReason.NUMBER_OF_REQUESTS})
_HOLDS = frozenset(
    {DecisionReason.NONE, DecisionReason.LEGAL_HOLD, DecisionReason.IDENTITY_DOUBTED}
)
EXEMPTIONS = frozenset(
    {
        DecisionReason.EXPRESSION,
        DecisionReason.LEGAL_OBLIGATION_TO_KEEP,
        DecisionReason.PUBLIC_HEALTH,
        DecisionReason.RESEARCH,
        DecisionReason.LEGAL_CLAIMS,
    }
)
"""Those of Art. 17(3) GDPR and UK GDPR: they may cease to hold."""

_IDENTITY = frozenset({DecisionReason.IDENTITY_UNRESOLVED, DecisionReason.NOT_IDENTIFIABLE})
_ANYWHERE = frozenset({DecisionReason.NO_GROUND, *_IDENTITY})
_EUROPEAN = EXEMPTIONS | _ANYWHERE | frozenset({DecisionReason.UNFOUNDED, DecisionReason.EXCESSIVE})
_REFUSALS: Mapping[Regime, frozenset[DecisionReason]] = {
    Regime.GDPR: _EUROPEAN,
    Regime.UK_GDPR: _EUROPEAN,
    Regime.HIPAA: _ANYWHERE | {DecisionReason.RELIED_UPON, DecisionReason.RECORDS_LAW},
    Regime.CCPA: _ANYWHERE | {DecisionReason.EXEMPT},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the desk would decide.

    Attributes:
        review: day by which an exemption is looked at again, `NO_REVIEW` for none.
    """

    decision: DecisionKind
    reason: DecisionReason = DecisionReason.NONE
    review: date = NO_REVIEW


def why_not(
    case: ErasureCase,
    regime: Regime,
    choice: Choice,
    *,
    today: date,
    due: date | None,
    stands: bool = True,
) -> str:
    """Why the desk can't decide so; "" where it can.

    Args:
        stands: the last decision is by the desk's own hand; one that isn't holds the case up.
        today: by the controller's calendar.
        due: last day of the time limit that runs, None where the regime knows none.
    """
    return (
        _too_late(case, choice.decision, stands=stands)
        or _wrong_reason(regime, choice)
        or _wrong_review(choice, today)
        or _wrong_identity(case, choice)
        or (_no_extension(case, today, due) if choice.decision is DecisionKind.EXTENDED else "")
    )


def _too_late(case: ErasureCase, decision: DecisionKind, *, stands: bool) -> str:
    if case.forgotten:
        return "whom it concerns is forgotten; a new request is filed anew"
    if case.prepared is not None:
        return "its document is signed; it can't be decided again"
    if case.drafted is not None:
        return "a statement waits for approval; decline it first: auditor certificate decline"
    if case.reached is None:
        return ""
    if case.all_accounted and (stands or decision is not DecisionKind.GRANTED):
        return "every copy is accounted for; it can't be decided again"
    if decision in (DecisionKind.REFUSED, DecisionKind.WITHDRAWN):
        return "it has reached its verdict; it can only be held, and granted again"
    return ""


def _wrong_reason(regime: Regime, choice: Choice) -> str:
    known = {
        DecisionKind.GRANTED: frozenset({DecisionReason.NONE}),
        DecisionKind.WITHDRAWN: frozenset({DecisionReason.NONE}),
        DecisionKind.HELD: _HOLDS,
        DecisionKind.EXTENDED: _EXTENSIONS,
        DecisionKind.REFUSED: _REFUSALS[regime],
    }[choice.decision]
    if choice.reason in known:
        return ""
    named = ", ".join(sorted(reason.value for reason in known - {DecisionReason.NONE}))
    if not named:
        return f"{choice.decision.value} takes no reason"
    return f"to be {choice.decision.value} under {regime.value} it needs one of: {named}"


def _wrong_review(choice: Choice, today: date) -> str:
    exempt = choice.decision is DecisionKind.REFUSED and choice.reason in EXEMPTIONS
    if not exempt:
        return "" if choice.review == NO_REVIEW else "only an exemption of Art. 17(3) is reviewed"
    if today < choice.review <= today + LONGEST_EXEMPTION:
        return ""
    return f"{choice.reason.value} may cease to hold; name the day of its review within 12 months"


def _wrong_identity(case: ErasureCase, choice: Choice) -> str:
    found = None if case.identity is None else case.identity.result
    if choice.decision is DecisionKind.GRANTED and found not in (None, IdentityResult.CONFIRMED):
        return "the identity of whoever asked isn't confirmed; record it: auditor request identity"
    if choice.decision is not DecisionKind.REFUSED:
        return ""
    needed = {
        DecisionReason.IDENTITY_UNRESOLVED: IdentityResult.DOUBTED,
        DecisionReason.NOT_IDENTIFIABLE: IdentityResult.NOT_IDENTIFIABLE,
    }.get(choice.reason)
    if needed not in (None, found):
        return f"record first that the identity is {needed.value}: auditor request identity"
    return ""


def _no_extension(case: ErasureCase, today: date, due: date | None) -> str:
    """Art. 12(3) GDPR: once, and told to the data subject within the first period."""
    if due is None:
        return "no time limit is known that could be extended"
    if case.extended is not None:
        return "its time was extended already"
    return f"the time limit ended on {due}; it can't be extended any more" if today > due else ""
