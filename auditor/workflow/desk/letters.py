"""Letters of the desk: what a case lets be written, writing it, and putting it on the books.

A letter rests on the case as the ledger tells it, without acts that nobody vouches for. One that
the case contradicts isn't written.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeVar

from auditor.certificates.letter import Ending, Kept, LetterFacts, Sender, has_rights
from auditor.certificates.signatures import PERFORMER, signed_by
from auditor.certificates.statement import parse_statement
from auditor.domain import event as ev
from auditor.domain.canonical import canonical_bytes
from auditor.domain.case import ErasureCase, project
from auditor.domain.entry import Recorded
from auditor.domain.kind import Event
from auditor.domain.request import DecisionKind, DecisionReason, LetterKind, Outcome
from auditor.domain.role import require_role
from auditor.domain.verdict import Basis
from auditor.errors import HomeError, MisuseError
from auditor.policies.deadlines import answer_of
from auditor.policies.facts import CaseFacts
from auditor.proof.dsse import verify_envelope
from auditor.workflow.desk.acts import day_in
from auditor.workflow.desk.desk import require_case, today_of
from auditor.workflow.desk.library import case_facts, packs_pinned
from auditor.workflow.desk.signing import vouched
from auditor.workflow.homes.config import Config
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, load_case, record_next

LONGEST_ADDRESS = 600

_NEEDED = {
    "address": "the controller's address, line by line",
    "contact": "how the data protection officer is reached",
    "authority": "the authority that complaints go to",
}

_TELLS = {
    LetterKind.GRANTED: DecisionKind.GRANTED,
    LetterKind.REFUSED: DecisionKind.REFUSED,
    LetterKind.EXTENDED: DecisionKind.EXTENDED,
}
_FINAL = (DecisionKind.REFUSED, DecisionKind.WITHDRAWN)

E = TypeVar("E", bound=Event)


def letter_facts(
    home: Home, case: str, kind: LetterKind, locale: str, *, sent: date | None = None
) -> LetterFacts:
    """What a letter of that kind would say of a case as it stands.

    Args:
        locale: language of the letter, one of `catalogue.LOCALES`.
        sent: the day on it; None for today.

    Raises:
        MisuseError: no such case, or the case contradicts the letter.
        HomeError: the settings lack what stands on it.
        TamperedError: the case's stored statement isn't the one on the books.
        ProofError: a key that signed it is revoked.
    """
    require_case(home, case)
    records = vouched(home, home.ledger.replay(case_stream(case)))
    state = project(item.event for item in records)
    begun, ended = _last(records, ev.ProcessingRestricted), _last(records, ev.RestrictionLifted)
    flaw = why_not(kind, state, lifted=ended is not None)
    if kind is LetterKind.CLOSED and not flaw:
        flaw = _why_not_rested_on(home, state)
    if flaw:
        raise MisuseError(f"case {case}: {flaw}")
    if state.requested is None:
        raise MisuseError(f"no case {case}; see `auditor request list`")
    case_file = case_facts(home, case)
    answer = answer_of(packs_pinned(home, case_file), case_file)
    return LetterFacts(
        kind=kind,
        locale=locale,
        sender=_sender(home.config, kind),
        case=case,
        regime=state.requested.regime,
        received=state.requested.received,
        written=today_of(state) if sent is None else _left(state, case_file, kind, sent),
        due=None if answer is None else answer.due,
        reason=_reason(kind, state),
        review=_review(state),
        doubted=state.doubted,
        paused=None if state.paused is None else state.paused.reason,
        restricted=None if begun is None else begun.on,
        lifted=None if ended is None or state.restricted is not None else ended.on,
        ending=None if kind is not LetterKind.CLOSED else _ending(home, state),
    )


def _left(state: ErasureCase, facts: CaseFacts, kind: LetterKind, sent: date) -> date:
    """The day a letter left, which no letter does before the decision that it tells of.

    Raises:
        MisuseError: that day, or one that can't be.
    """
    told = None if kind not in _TELLS else facts.find_decision(_TELLS[kind])
    if told is not None and sent < told.day:
        raise MisuseError(f"{sent} lies before the decision that the letter tells of, {told.day}")
    return day_in(state, sent)


def why_not(kind: LetterKind, state: ErasureCase, *, lifted: bool) -> str:
    """Why a case, as it stands, contradicts a letter; "" where it doesn't.

    Args:
        lifted: a restriction of processing was lifted before.
    """
    decided = None if state.decided is None else state.decided.decision
    closed = state.issued is not None
    match kind:
        case LetterKind.ACKNOWLEDGED if decided not in (None, DecisionKind.HELD):
            return f"it is {decided} already; receipt is acknowledged before that"
        case LetterKind.GRANTED if decided is not DecisionKind.GRANTED:
            return "it isn't granted"
        case LetterKind.GRANTED if closed:
            return "it is closed; send the closing letter"
        case LetterKind.EXTENDED if state.extended is None:
            return "its time wasn't extended"
        case LetterKind.EXTENDED if closed or decided in _FINAL:
            return "it is answered; there is no more time to take"
        case LetterKind.REFUSED if decided is not DecisionKind.REFUSED:
            return "it isn't refused"
        case LetterKind.CLOSED:
            return _why_not_closed(state)
        case LetterKind.RESTRICTION_LIFTED if state.restricted is None and not lifted:
            return "its subjects' data were never restricted"
        case LetterKind.RECIPIENT_NOTICE if decided is not DecisionKind.GRANTED:
            return "it isn't granted, so there is nothing to tell recipients"
        case LetterKind.RECIPIENT_NOTICE if not state.recipients:
            return "no recipient is on record; add them: auditor request recipient add"
        case _:
            return ""


def record_sent(
    home: Home, case: str, facts: LetterFacts, document: bytes, *, address: str, role: str
) -> ev.LetterSent:
    """Put on the books that a letter left; its bytes and the address it went to go to the vault.

    Args:
        document: the file.
        address: of whoever it went to, a few lines; "" where it isn't kept here.
        role: who sent it, never a name.

    Raises:
        MisuseError: the address is too long, or the role is none.
        TamperedError: the ledger is read-only.
    """
    require_address(address)
    require_role(role)
    require_writable(home.root, home.ledger)  # else the vault would keep what no entry points to
    stream = case_stream(case)
    kept = {"address": address, "document": b64encode(document).decode("ascii")}
    event = ev.LetterSent(
        case=case,
        letter=facts.kind,
        language=facts.locale,
        document=home.vault.seal(stream, canonical_bytes(kept)),
        on=facts.written,
        actor=role,
    )
    record_next(home, stream, event)
    return event


def require_address(address: str) -> str:
    """See that an address can be kept, before the letter is written.

    Raises:
        MisuseError: it is too long.
    """
    if len(address) > LONGEST_ADDRESS:
        raise MisuseError(f"an address has at most {LONGEST_ADDRESS} characters")
    return address


def _why_not_closed(state: ErasureCase) -> str:
    if state.issued is None:
        return "it isn't closed; no document is issued yet"
    if state.issued.outcome is Outcome.REFUSED:
        return "it was refused; send the letter of refusal"
    if state.withdrawn is not None or state.superseded is not None:
        return "its document is no longer vouched for"
    return ""


def _why_not_rested_on(home: Home, state: ErasureCase) -> str:
    """Why a letter can't point to the documents of earlier cases; "" where it may."""
    for case in () if state.scope is None else state.scope.earlier:
        past = load_case(home, case)
        if past.withdrawn is not None or past.superseded is not None:
            return (
                f"it was settled before in case {case}, whose document is no longer vouched for; "
                "answer by hand"
            )
    return ""


def _sender(config: Config, kind: LetterKind) -> Sender:
    for name, what in _NEEDED.items():
        needed = name != "authority" or has_rights(kind)
        if needed and not getattr(config, f"letter_{name}"):
            raise HomeError(f"set {name} in [letters] of auditor.toml: {what}")
    return Sender(
        controller=config.controller,
        dpo=config.dpo,
        address=config.letter_address,
        contact=config.letter_contact,
        authority=config.letter_authority,
    )


def _reason(kind: LetterKind, state: ErasureCase) -> DecisionReason:
    by = state.extended if kind is LetterKind.EXTENDED else state.decided
    return DecisionReason.NONE if by is None else by.reason


def _review(state: ErasureCase) -> date | None:
    review = None if state.decided is None else state.decided.review
    return None if review == date.max else review


def _ending(home: Home, state: ErasureCase) -> Ending | None:
    """How the case ended, out of the statement that was signed."""
    if state.prepared is None:
        return None
    envelope = home.store.get(state.prepared.envelope)
    keys = [key.verifier() for key in signed_by(envelope, home.trust, PERFORMER)]
    predicate = parse_statement(verify_envelope(envelope, keys).payload)["predicate"]
    conclusion, plan = predicate.get("conclusion", {}), predicate.get("plan", {})
    basis = Basis(conclusion.get("basis", Basis.NONE.value))
    statistical = basis in (Basis.STATISTICAL_INDIVIDUAL, Basis.STATISTICAL_COHORT)
    return Ending(
        outcome=Outcome(predicate["outcome"]),
        basis=basis,
        margin=float(plan["margin"]) if statistical else None,
        tried=bool(predicate["attempts"]),
        earlier=() if state.scope is None else state.scope.earlier,
        kept=tuple(_kept(predicate["inventory"])),
    )


def _kept(inventory: Sequence[Mapping[str, str]]) -> Sequence[Kept]:
    """What is retained, each kind and ground once."""
    kept = {
        (item["kind"], item["ground"], item.get("review", ""))
        for item in inventory
        if item["fate"] == "retained"
    }
    return [
        Kept(what=what, why=why, review=date.fromisoformat(review) if review else None)
        for what, why, review in sorted(kept)
    ]


def _last(records: Sequence[Recorded], kind: type[E]) -> E | None:
    found = [item.event for item in records if isinstance(item.event, kind)]
    return found[-1] if found else None
