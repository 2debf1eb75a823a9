"""The request desk: requests come in, are decided, and can be looked up. No engine needed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime

from auditor.domain.canonical import canonical_bytes
from auditor.domain.case import ErasureCase
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.entry import Recorded
from auditor.domain.event import DecisionProposed, ErasureRequested, RequestDecided
from auditor.domain.request import DecisionKind, DecisionReason, Ground, Regime
from auditor.domain.subject_id import alike, flaw_of_id
from auditor.errors import MisuseError
from auditor.policies.deadlines import answer_of, in_law_since
from auditor.policies.facts import NO_HOLIDAYS
from auditor.policies.zone import TZDATA, local_day
from auditor.proof.signing import Signer
from auditor.workflow.desk.authenticity import FOUR_EYED, agrees, desk_keys
from auditor.workflow.desk.library import case_facts, packs_in_use, packs_of, pin_packs
from auditor.workflow.desk.rules import NO_REVIEW, Choice, why_not
from auditor.workflow.desk.signing import Hand, enter, require_second, stands
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, load_case, record
from auditor.workflow.homes.registry import find_model

_CASE_BYTES = 8  # 64 random bits: unguessable enough to be opaque, short enough to read out


def file_request(
    home: Home,
    *,
    model: str,
    subjects: tuple[str, ...],
    regime: Regime,
    ground: Ground,
    received: date,
) -> str:
    """Take a request in; the subject ids go to the vault, a commitment to the ledger.

    Returns:
        The opaque case id.

    Raises:
        MisuseError: no subject, one named twice or by what can't be an id, an unknown model, a
            ground that doesn't belong to the regime, or a day from before the regime's rules.
        PolicyError: a rule pack of the hospital's own can't be used.
        TamperedError: the ledger is read-only.
    """
    if not subjects or len(set(map(alike, subjects))) != len(subjects):
        raise MisuseError("a request names at least one subject, and each only once")
    if flaw := next(filter(None, map(flaw_of_id, subjects)), ""):
        raise MisuseError(f"a subject id {flaw}")
    if not ground.value.startswith(regime.value):
        raise MisuseError(f"ground {ground.value} doesn't belong to {regime.value}")
    if find_model(home, model) is None:
        raise MisuseError(f"no model named {model}; see `auditor model list`")
    if received < (since := in_law_since(packs_in_use(home), regime)):
        raise MisuseError(
            f"{received} lies before {since}, when the rules of {regime.value} began to apply"
        )
    require_writable(home.root, home.ledger)  # else the vault would keep what no entry points to
    case, policies = secrets.token_hex(_CASE_BYTES), pin_packs(home, regime)
    payload = home.vault.seal(case_stream(case), canonical_bytes({"subjects": subjects}))
    event = ErasureRequested(
        case=case,
        regime=regime,
        ground=ground,
        received=received,
        model=model,
        subjects=len(subjects),
        payload=payload,
        policies=policies,
        time_zone=home.config.time_zone,
        tzdata=TZDATA,
        holidays=home.config.country or NO_HOLIDAYS,
    )
    record(home, case_stream(case), event, "requested")
    return case


def decide(
    home: Home,
    case: str,
    decision: DecisionKind,
    role: str = "dpo",
    *,
    reason: DecisionReason = DecisionReason.NONE,
    review: date = NO_REVIEW,
    signers: Sequence[Signer] = (),
) -> Recorded:
    """Record the desk's decision; where four eyes are asked for, the first of two only proposes.

    Args:
        role: who decides, never a name; a key id takes its place where the desk has keys.
        review: day by which an exemption is looked at again.
        signers: keys of whoever decides, Ed25519 and ML-DSA-65.

    Returns:
        What was entered, a `DecisionProposed` where another key has to agree.

    Raises:
        MisuseError: unknown case, a decision that makes no sense on it as it stands, a key that
            isn't the desk's, or one person twice.
        ConcurrencyError: something else was done on the case meanwhile.
    """
    seen, state = home.ledger.version(case_stream(case)), require_case(home, case)
    choice = Choice(decision=decision, reason=reason, review=review)
    _require_sense(home, case, state, choice)
    hand = Hand(role=role, signers=tuple(signers))
    decided = RequestDecided(case=case, decision=decision, reason=reason, review=review, actor=role)
    if not home.config.desk_four_eyes or decision not in FOUR_EYED:
        return enter(home, decided, hand, seen)
    if not desk_keys(home.trust):
        raise MisuseError(
            "four eyes need two keys: auditor keys add --role desk, or set four_eyes = false in "
            "[desk] of auditor.toml"
        )
    first = state.proposed
    if first is not None and agrees(first, decided) and _stands(home, first):
        require_second(home, hand, first)
        return enter(home, decided, hand, seen)
    proposed = DecisionProposed(
        case=case, decision=decision, reason=reason, review=review, actor=role, signature=UNSIGNED
    )
    return enter(home, proposed, hand, seen)


def today_of(state: ErasureCase) -> date:
    """Today by the calendar that the case's days are counted in."""
    zone = "UTC" if state.requested is None else state.requested.time_zone
    return local_day(datetime.now(UTC), zone)


def _require_sense(home: Home, case: str, state: ErasureCase, choice: Choice) -> None:
    requested, standing = state.requested, state.decided
    if requested is None:
        raise MisuseError(f"no case {case}; see `auditor request list`")
    stands = standing is None or _stands(home, standing)
    if stands and standing is not None and standing.decision is choice.decision:
        raise MisuseError(f"case {case} is already {choice.decision.value}")
    due = None
    if choice.decision is DecisionKind.EXTENDED:
        answer = answer_of(packs_of(home, case), case_facts(home, case))
        due = None if answer is None else answer.due
    flaw = why_not(state, requested.regime, choice, today=today_of(state), due=due, stands=stands)
    if flaw:
        raise MisuseError(f"case {case}: {flaw}")


def _stands(home: Home, act: RequestDecided | DecisionProposed) -> bool:
    """Whether the last act of a case that says so is the desk's own."""
    records = home.ledger.replay(case_stream(act.case))
    last = next(item for item in reversed(records) if item.event == act)
    return stands(home, last, records)


def require_case(home: Home, case: str) -> ErasureCase:
    """A case that exists.

    Raises:
        MisuseError: no such case.
    """
    state = load_case(home, case)
    if state.requested is None:
        raise MisuseError(f"no case {case}; see `auditor request list`")
    return state


def subjects_of(home: Home, requested: ErasureRequested) -> tuple[str, ...]:
    """The subject ids of a request, out of the vault."""
    payload = json.loads(home.vault.open(requested.payload))
    return tuple(payload["subjects"])
