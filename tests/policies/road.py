"""Case streams for the truth tables: one full road, and edits of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind, Digest, digest_of
from auditor.domain.entry import Recorded
from auditor.domain.evidence import CandidateRole
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, Ground, Regime
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, Verdict
from auditor.policies.facts import CaseFacts
from auditor.policies.load import load_packs
from auditor.policies.pinning import concerning, packs_digest
from auditor.policies.rule import RulePack

CASE = "00112233aabbccdd"
OTHER_CASE = "ffffffffffffffff"
RECEIVED = date(2027, 1, 31)  # a Sunday; the first month ends on Monday, 1 March 2027


def named(name: str) -> Digest:
    return digest_of({"name": name})


PACKS = load_packs()
RULES = {rule.id: rule for pack in PACKS for rule in pack.rules}


def packs_for(regime: Regime) -> tuple[RulePack, ...]:
    """The packs that a request under that regime pins."""
    return concerning(PACKS, regime)


def pinned(regime: Regime) -> Digest:
    return packs_digest(packs_for(regime))


M, NEWTON, RETRAINED, CONTROL = map(named, ("before", "newton", "retrained", "control"))
PLAN, BANK, PAYLOAD, PARAMETERS = map(named, ("plan", "bank", "payload", "parameters"))
IN_MODELS = (named("in-1"), named("in-2"))

Entry = tuple[str, date, Event]  # stream, day written, event
Edit = Callable[[list[Entry]], list[Entry]]


def road(
    *,
    regime: Regime = Regime.GDPR,
    ground: Ground = Ground.CONSENT_WITHDRAWN,
    case: str = CASE,
) -> list[Entry]:
    """Newton FAILED, an exact retrain confirmed, every copy accounted for."""
    stream, model, day = f"case:{case}", "model:tb", RECEIVED

    def verified(attempt: int, role: CandidateRole, weights: Digest, verdict: Verdict) -> Event:
        return ev.CandidateVerified(
            case=case,
            attempt=attempt,
            role=role,
            weights=weights,
            plan=PLAN,
            evidence=named(f"evidence-{attempt}-{role}"),
            verdict=verdict,
        )

    def completed(attempt: int, method: str, after: Digest) -> Event:
        return ev.UnlearningCompleted(
            case=case,
            attempt=attempt,
            method=method,
            before=M,
            after=after,
            parameters=PARAMETERS,
            device="cpu",
            milliseconds=7,
            record=PARAMETERS,
        )

    def gone(artefact: Digest, kind: ArtefactKind, fate: ArtefactFate, ground: str) -> Event:
        return ev.ArtefactAccounted(
            case=case, artefact=artefact, artefact_kind=kind, fate=fate, ground=ground
        )

    in_case: list[Event] = [
        ev.ErasureRequested(
            case=case,
            regime=regime,
            ground=ground,
            received=RECEIVED,
            model="tb",
            subjects=1,
            payload=PAYLOAD,
            policies=pinned(regime),
        ),
        ev.RequestDecided(case=case, decision=DecisionKind.GRANTED, actor="dpo"),
        ev.ScopeEstablished(
            case=case,
            weights=M,
            training_images=3,
            held_out_images=0,
            earlier=(),
            obstacle=Obstacle.NONE,
            affected=(M, PAYLOAD),
        ),
        ev.BankTrained(case=case, bank=BANK, out_models=2, in_models=2),
        ev.PlanPinned(case=case, plan=PLAN, bank=BANK, ladder=("newton", "retrain")),
        verified(0, CandidateRole.UNTOUCHED, M, Verdict.FAILED),
        verified(0, CandidateRole.RETRAIN, CONTROL, Verdict.PASSED),
        ev.AttemptStarted(case=case, attempt=1, method="newton", plan=PLAN),
        completed(1, "newton", NEWTON),
        verified(1, CandidateRole.REQUEST, NEWTON, Verdict.FAILED),
        ev.AttemptStarted(case=case, attempt=2, method="retrain", plan=PLAN),
        completed(2, "retrain", RETRAINED),
        ev.ReplayConfirmed(case=case, attempt=2, weights=RETRAINED),
        verified(2, CandidateRole.REQUEST, RETRAINED, Verdict.INDETERMINATE),
        ev.VerdictReached(
            case=case, verdict=Verdict.INDETERMINATE, basis=Basis.EXACT, weights=RETRAINED
        ),
    ]
    fates: list[Event] = [
        *(
            gone(item, ArtefactKind.REFERENCE_IN, ArtefactFate.DESTROYED, "no-longer-needed")
            for item in IN_MODELS
        ),
        gone(NEWTON, ArtefactKind.CANDIDATE, ArtefactFate.DESTROYED, "no-longer-needed"),
        gone(CONTROL, ArtefactKind.CANDIDATE, ArtefactFate.DESTROYED, "no-longer-needed"),
        gone(
            PAYLOAD,
            ArtefactKind.TRAINING_DATA,
            ArtefactFate.RETAINED,
            "medical-record-retention",
        ),
        gone(M, ArtefactKind.MODEL, ArtefactFate.DESTROYED, "replaced-in-service"),
    ]
    in_model: list[Event] = [
        ev.ModelRetired(model="tb", version=1, weights=M),
        ev.ModelDeployed(model="tb", version=2, weights=RETRAINED),
    ]
    return [
        (model, day, ev.ModelDeployed(model="tb", version=1, weights=M)),
        *((stream, day, event) for event in in_case),
        *((model, day, event) for event in in_model),
        *((stream, day, event) for event in fates),
    ]


def recorded(entries: Sequence[Entry], *, start: int = 0) -> tuple[Recorded, ...]:
    """What the ledger would make of it."""
    versions: dict[str, int] = {}
    made = []
    for sequence, (stream, day, event) in enumerate(entries, start):
        versions[stream] = versions.get(stream, 0) + 1
        made.append(
            Recorded(
                sequence=sequence,
                stream=stream,
                version=versions[stream],
                event_id=UUID(int=sequence),
                recorded_at=f"{day}T09:00:00Z",
                event=event,
            )
        )
    return tuple(made)


def facts(entries: Sequence[Entry], *, as_of: date | None = None, country: str = "") -> CaseFacts:
    last = max(day for _, day, _ in entries)
    return CaseFacts(records=recorded(entries), as_of=as_of or last, country=country)


# Edits ------------------------------------------------------------------------------------------


def as_it_is(entries: list[Entry]) -> list[Entry]:
    return entries


def until(kind: type[Event]) -> Edit:
    """Stop after the first event of that kind."""

    def edit(entries: list[Entry]) -> list[Entry]:
        at = next(i for i, entry in enumerate(entries) if isinstance(entry[2], kind))
        return entries[: at + 1]

    return edit


def without(test: Callable[[Event], bool]) -> Edit:
    return lambda entries: [entry for entry in entries if not test(entry[2])]


def changed(kind: type[Event], **fields: object) -> Edit:
    """Change fields of every event of that kind."""
    return lambda entries: [
        (stream, day, replace(event, **fields) if isinstance(event, kind) else event)  # type: ignore[arg-type]  # by name
        for stream, day, event in entries
    ]


def changed_last(kind: type[Event], **fields: object) -> Edit:
    def edit(entries: list[Entry]) -> list[Entry]:
        at = max(i for i, entry in enumerate(entries) if isinstance(entry[2], kind))
        stream, day, event = entries[at]
        return [*entries[:at], (stream, day, replace(event, **fields)), *entries[at + 1 :]]  # type: ignore[arg-type]  # by name

    return edit


def later(kind: type[Event], days: int) -> Edit:
    """Everything from the first event of that kind on is written that many days later."""

    def edit(entries: list[Entry]) -> list[Entry]:
        at = next(i for i, entry in enumerate(entries) if isinstance(entry[2], kind))
        moved = [(stream, day + timedelta(days), event) for stream, day, event in entries[at:]]
        return [*entries[:at], *moved]

    return edit


def inserted_before(kind: type[Event], event: Event, days: int = 0) -> Edit:
    def edit(entries: list[Entry]) -> list[Entry]:
        at = next(i for i, entry in enumerate(entries) if isinstance(entry[2], kind))
        new = (f"case:{CASE}", RECEIVED + timedelta(days), event)
        return [*entries[:at], new, *entries[at:]]

    return edit


def both(*edits: Edit) -> Edit:
    def edit(entries: list[Entry]) -> list[Entry]:
        for each in edits:
            entries = each(entries)
        return entries

    return edit


def decided(decision: DecisionKind) -> ev.RequestDecided:
    return ev.RequestDecided(case=CASE, decision=decision, actor="dpo")


def ends_with(decision: DecisionKind, days: int = 0) -> Edit:
    """The desk's word is the last one, that many days after receipt."""

    def edit(entries: list[Entry]) -> list[Entry]:
        head = until(ev.ErasureRequested)(entries)
        return [*head, (f"case:{CASE}", RECEIVED + timedelta(days), decided(decision))]

    return edit


def is_accounting_of(*artefacts: object) -> Edit:
    """Drop what the stream says about these artefacts."""
    return without(lambda event: getattr(event, "artefact", None) in artefacts)


def is_kind(*kinds: type[Event]) -> Edit:
    return without(lambda event: isinstance(event, kinds))
