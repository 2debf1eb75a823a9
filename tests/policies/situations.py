"""The situations that every rule is looked at in; `truth.txt` says what each must then find."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from auditor.domain import event as ev
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.kind import Event
from auditor.domain.request import (
    DecisionKind,
    DecisionReason,
    DocumentKind,
    Ground,
    IdentityResult,
    LetterKind,
    RecipientOutcome,
    Regime,
)
from auditor.domain.scope_events import Readmission
from auditor.policies.rule import Applicability
from tests.policies.papers import (
    PAPERS,
    Situation,
    after_request,
    at_end,
    decision,
    document,
    ends,
    identity,
    informed,
    letter,
    lifted,
    reason_of,
    recipient,
    resumed,
    stopped,
)
from tests.policies.road import (
    CASE,
    RECEIVED,
    Edit,
    Entry,
    M,
    both,
    changed,
    inserted_before,
    is_accounting_of,
    is_kind,
    later,
    until,
)

NEVER = date.max
SOON, MORE_THAN_A_YEAR = date(2027, 12, 31), date(2028, 6, 30)
OLD = (date(2024, 1, 1), date(2026, 12, 31))
REFUSED, EXTENDED, GRANTED = DecisionKind.REFUSED, DecisionKind.EXTENDED, DecisionKind.GRANTED


def always(edit: Edit, as_of: date | None = None) -> Situation:
    return Situation(edit=lambda _: edit, as_of=as_of)


def refused(days: int, review: date, *, told: bool = True) -> Situation:
    """Refused by the rule's own reason, if it has one."""

    def edit(applies: Applicability) -> Edit:
        letters = (letter(LetterKind.REFUSED, days),) if told else ()
        return ends(
            REFUSED, reason_of(applies, DecisionReason.NO_GROUND), review, *letters, days=days
        )

    return Situation(edit=edit)


def extended(reason: DecisionReason, *, after: int, told: int | None, done: int) -> Situation:
    """Extended, told, and done with all papers, that many days after receipt."""
    letters = () if told is None else (letter(LetterKind.EXTENDED, told),)
    return always(
        both(
            PAPERS,
            later(ev.ScopeEstablished, done),
            changed_letters(done),
            after_request(decision(EXTENDED, reason), *letters, days=after),
        )
    )


def changed_letters(days: int) -> Edit:
    """The grant leaves that many days after receipt."""

    def edit(entries: list[Entry]) -> list[Entry]:
        return [
            (stream, day, letter(event.letter, days))
            if isinstance(event, ev.LetterSent) and event.letter is LetterKind.GRANTED
            else (stream, day, event)
            for stream, day, event in entries
        ]

    return edit


def doubted(result: IdentityResult) -> Edit:
    return both(PAPERS, is_kind(ev.IdentityChecked), after_request(identity(result)))


STALE = both(
    PAPERS,
    is_kind(ev.DocumentFiled),
    after_request(*(document(kind, start=OLD[0], end=OLD[1]) for kind in DocumentKind)),
)
AGED = both(
    PAPERS,
    is_kind(ev.DocumentFiled),
    after_request(*(document(kind, start=date(2026, 1, 30)) for kind in DocumentKind)),
)
CARELESS = both(
    PAPERS,
    is_kind(ev.RecipientInformed, ev.LetterSent, ev.RestrictionLifted),
    after_request(recipient("r3"), informed("r1", RecipientOutcome.IMPOSSIBLE)),
    inserted_before(ev.VerdictReached, lifted()),
    at_end(
        ev.SubjectsReadmitted(
            case=CASE,
            entries=M,
            reason=Readmission.ENTERED_IN_ERROR,
            actor="dpo",
            signature=UNSIGNED,
        )
    ),
    changed(ev.IdentityChecked, signature=UNSIGNED),
)
BROKEN = both(
    PAPERS,
    is_kind(ev.ModelRetired, ev.PlanPinned, ev.ReplayConfirmed),
    is_accounting_of(M),
    changed(ev.UnlearningCompleted, before=document(DocumentKind.COMPLAINT).document),
    changed(ev.ErasureRequested, policies=document(DocumentKind.COMPLAINT).document),
)


def _moved(event: Event, ahead: timedelta) -> dict[str, date]:
    """The day that an act states, so much later."""
    on = getattr(event, "on", None)
    return {"on": on + ahead} if isinstance(on, date) else {}


def in_2029(entries: list[Entry]) -> list[Entry]:
    """The same a thousand days later, when more is law."""
    ahead = timedelta(1000)
    on = RECEIVED + ahead
    fields: dict[type[Event], dict[str, date]] = {
        ev.ErasureRequested: {"received": on},
        ev.DocumentFiled: {"in_force_from": on, "in_force_until": on + timedelta(365)},
    }
    return [
        (stream, day + ahead, replace(event, **(fields.get(type(event)) or _moved(event, ahead))))
        for stream, day, event in entries
    ]


def by_name(entries: list[Entry]) -> list[Entry]:
    """The case goes by a name, not by a random id."""
    return [
        (
            stream.replace(CASE, "patient-mueller"),
            day,
            replace(event, case="patient-mueller") if getattr(event, "case", "") == CASE else event,
        )
        for stream, day, event in entries
    ]


def of_another_law(applies: Applicability) -> Edit:
    """The request names a ground that its own regime doesn't know."""
    hipaa = Regime.HIPAA in applies.regimes
    ground = Ground.CONSENT_WITHDRAWN if hipaa else Ground.OWN_POLICY
    return both(PAPERS, changed(ev.ErasureRequested, ground=ground), by_name)


SITUATIONS: dict[str, Situation] = {
    "in order": always(PAPERS),
    "no papers": always(both()),
    "intake": always(until(ev.ErasureRequested)),
    "silence": always(until(ev.ErasureRequested), as_of=date(2028, 1, 31)),
    "late": always(both(PAPERS, later(ev.ScopeEstablished, 200), changed_letters(200))),
    "extended": extended(DecisionReason.COMPLEXITY, after=20, told=20, done=80),
    "untold": extended(DecisionReason.NONE, after=20, told=None, done=80),
    "too late": extended(DecisionReason.COMPLEXITY, after=60, told=60, done=80),
    "refused": refused(20, SOON),
    "bare no": refused(100, NEVER, told=False),
    "long no": refused(100, MORE_THAN_A_YEAR),
    "withdrawn": always(ends(DecisionKind.WITHDRAWN, DecisionReason.NONE, NEVER, days=9)),
    "nothing": always(
        both(PAPERS, until(ev.ScopeEstablished), changed(ev.ScopeEstablished, training_images=0))
    ),
    "doubted": always(doubted(IdentityResult.DOUBTED)),
    "unknown": always(
        both(doubted(IdentityResult.NOT_IDENTIFIABLE), after_request(letter(LetterKind.REFUSED)))
    ),
    "unshown": always(after_request(identity(IdentityResult.NOT_IDENTIFIABLE))),
    "stale": always(STALE),
    "aged": always(AGED),
    "careless": always(CARELESS),
    "broken": always(BROKEN),
    "paused": always(
        both(
            PAPERS,
            later(ev.ScopeEstablished, 60),
            changed_letters(60),
            after_request(resumed(49), days=49),
            after_request(stopped(9), days=9),
        )
    ),
    "waiting": always(both(until(ev.ErasureRequested), at_end(stopped(9))), as_of=date(2027, 6, 1)),
    "before": always(both(PAPERS, changed(ev.ErasureRequested, received=date(1996, 1, 1)))),
    "in 2029": always(both(PAPERS, in_2029)),
    "intake in 2029": always(both(until(ev.ErasureRequested), in_2029)),
    "misfiled": Situation(edit=of_another_law),
}
assert date(2027, 1, 31) == RECEIVED
