"""Everything that a careful desk enters beside the road, and the ways to be careless."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from auditor.domain import event as ev
from auditor.domain.kind import Event
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    DocumentKind,
    Ground,
    IdentityResult,
    LetterKind,
    PauseReason,
    RecipientOutcome,
    Regime,
)
from auditor.policies.facts import CaseFacts
from auditor.policies.rule import Applicability
from tests.policies import road
from tests.policies.road import CASE, RECEIVED, Edit, Entry, both, facts, named

SIGNED = named("signature")
STREAM = f"case:{CASE}"
DOCUMENTS = "documents"

GROUNDS = {
    Regime.GDPR: Ground.CONSENT_WITHDRAWN,
    Regime.UK_GDPR: Ground.UK_CONSENT_WITHDRAWN,
    Regime.HIPAA: Ground.AUTHORISATION_REVOKED,
    Regime.CCPA: Ground.DELETION_REQUESTED,
}


def letter(kind: LetterKind, days: int = 0) -> ev.LetterSent:
    return ev.LetterSent(
        case=CASE,
        letter=kind,
        language="en",
        document=named(kind),
        on=RECEIVED + timedelta(days),
        actor="dpo",
    )


def document(
    kind: DocumentKind,
    *,
    case: str = "all",
    start: date = date(2027, 1, 1),
    end: date = date(2027, 12, 31),
) -> ev.DocumentFiled:
    return ev.DocumentFiled(
        case=case,
        document_kind=kind,
        document=named(kind),
        in_force_from=start,
        in_force_until=end,
        actor="dpo",
    )


def identity(result: IdentityResult) -> ev.IdentityChecked:
    return ev.IdentityChecked(case=CASE, result=result, on=RECEIVED, actor="dpo", signature=SIGNED)


def recipient(name: str) -> ev.RecipientRecorded:
    return ev.RecipientRecorded(case=CASE, recipient=name, details=named(name))


def informed(name: str, outcome: RecipientOutcome) -> ev.RecipientInformed:
    return ev.RecipientInformed(
        case=CASE, recipient=name, outcome=outcome, letter=named(name), on=RECEIVED, actor="dpo"
    )


def restricted() -> ev.ProcessingRestricted:
    return ev.ProcessingRestricted(case=CASE, on=RECEIVED, actor="dpo", signature=SIGNED)


def lifted(days: int = 0) -> ev.RestrictionLifted:
    on = RECEIVED + timedelta(days)
    return ev.RestrictionLifted(case=CASE, on=on, actor="dpo", signature=SIGNED)


def stopped(days: int) -> ev.ClockStopped:
    return ev.ClockStopped(
        case=CASE,
        reason=PauseReason.CLARIFICATION,
        on=RECEIVED + timedelta(days),
        actor="dpo",
        signature=SIGNED,
    )


def resumed(days: int) -> ev.ClockResumed:
    on = RECEIVED + timedelta(days)
    return ev.ClockResumed(case=CASE, on=on, actor="dpo", signature=SIGNED)


def decision(
    kind: DecisionKind,
    reason: DecisionReason = DecisionReason.NONE,
    review: date = date.max,
) -> ev.RequestDecided:
    return ev.RequestDecided(
        case=CASE, decision=kind, reason=reason, review=review, actor="dpo", signature=SIGNED
    )


def after_request(*events: Event, days: int = 0) -> Edit:
    """Entered right behind the request, that many days later."""

    def edit(entries: list[Entry]) -> list[Entry]:
        at = next(i for i, entry in enumerate(entries) if isinstance(entry[2], ev.ErasureRequested))
        day = RECEIVED + timedelta(days)
        made = [(_stream(event), day, event) for event in events]
        return [*entries[: at + 1], *made, *entries[at + 1 :]]

    return edit


def at_end(*events: Event, days: int = 0) -> Edit:
    def edit(entries: list[Entry]) -> list[Entry]:
        day = RECEIVED + timedelta(days)
        return [*entries, *((_stream(event), day, event) for event in events)]

    return edit


def _stream(event: Event) -> str:
    return DOCUMENTS if getattr(event, "case", "") == "all" else STREAM


EXCLUDED = ev.SubjectsExcluded(case=CASE, entries=named("entries"), subjects=1, images=3)
ALL_DOCUMENTS = tuple(document(kind) for kind in DocumentKind)
PAPERS = both(
    after_request(
        *ALL_DOCUMENTS,
        letter(LetterKind.ACKNOWLEDGED),
        identity(IdentityResult.CONFIRMED),
        recipient("r1"),
        recipient("r2"),
        restricted(),
    ),
    at_end(
        informed("r1", RecipientOutcome.INFORMED),
        informed("r2", RecipientOutcome.DISPROPORTIONATE),
        letter(LetterKind.GRANTED),
        EXCLUDED,
        letter(LetterKind.RESTRICTION_LIFTED),
        lifted(),
    ),
    road.changed(ev.RequestDecided, signature=SIGNED),
)
"""Documents, letters, identity, recipients, a restriction, and a key that signed."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What happened; `edit` is told what a rule applies to, for its own ground and reason."""

    edit: Callable[[Applicability], Edit]
    as_of: date | None = None

    def entries(self, applies: Applicability) -> list[Entry]:
        regime = applies.regimes[0]
        ground = applies.grounds[0] if applies.grounds else GROUNDS[regime]
        received = road.changed(ev.ErasureRequested, policies=road.pinned(regime))
        return self.edit(applies)(received(road.road(regime=regime, ground=ground)))

    def facts(self, applies: Applicability) -> CaseFacts:
        return facts(self.entries(applies), as_of=self.as_of)


def ends(kind: DecisionKind, reason: DecisionReason, review: date, *more: Event, days: int) -> Edit:
    """The desk closes the case, that many days after receipt, and says so by letter."""

    def edit(entries: list[Entry]) -> list[Entry]:
        head = road.until(ev.ErasureRequested)(entries)
        head = after_request(*ALL_DOCUMENTS, identity(IdentityResult.CONFIRMED))(head)
        return at_end(decision(kind, reason, review), *more, days=days)(head)

    return edit


def reason_of(applies: Applicability, other: DecisionReason) -> DecisionReason:
    return applies.reasons[0] if applies.reasons else other
