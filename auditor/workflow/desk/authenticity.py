"""Whether an act on the books is the desk's own: by whose keys, since when, and who agreed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import date
from typing import TypeAlias

from auditor.certificates.signatures import DESK, in_force, signed_by
from auditor.domain import event as ev
from auditor.domain.canonical import canonical_bytes
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.entry import Recorded
from auditor.domain.request import DecidedBy, DecisionKind
from auditor.errors import AuditorError, MisuseError, ProofError
from auditor.proof.dsse import verify_envelope
from auditor.proof.trust import StatementKey, TrustFile
from auditor.workflow.homes.home import Home

ACT_TYPE = "application/vnd.auditor.desk-act+json"

Act: TypeAlias = (
    ev.RequestDecided
    | ev.DecisionProposed
    | ev.IdentityChecked
    | ev.ClockStopped
    | ev.ClockResumed
    | ev.ProcessingRestricted
    | ev.RestrictionLifted
    | ev.PoliciesRepinned
    | ev.SubjectsReadmitted
)
_ACTS = (
    *(ev.RequestDecided, ev.DecisionProposed, ev.IdentityChecked),
    *(ev.ClockStopped, ev.ClockResumed, ev.ProcessingRestricted, ev.RestrictionLifted),
    *(ev.PoliciesRepinned, ev.SubjectsReadmitted),
)
FOUR_EYED = frozenset({DecisionKind.GRANTED, DecisionKind.REFUSED})
"""What two have to agree on, where the home asks for four eyes."""


def act_bytes(act: Act, place: int) -> bytes:
    """What is signed: kind, place in the case's stream, and every field but the signature."""
    fields = {name: value for name, value in act.data().items() if name != "signature"}
    return canonical_bytes({"act": fields, "kind": act.kind, "place": place})


def verify_act(
    envelope: bytes, trust: TrustFile, act: Act, place: int, day: date
) -> tuple[StatementKey, ...]:
    """See that keys of the desk signed this act for this place, and were in force that day.

    Returns:
        The keys, one for each algorithm.

    Raises:
        ProofError: they didn't, a key is revoked, unknown or of another role, or not the actor's.
    """
    keys = signed_by(envelope, trust, DESK)
    opened = verify_envelope(envelope, [key.verifier() for key in keys])
    if (opened.payload_type, opened.payload) != (ACT_TYPE, act_bytes(act, place)):
        raise ProofError("what was signed isn't what is on the books, or not in this place")
    if keys[0].key_id != act.actor:
        raise ProofError(f"it is signed by key {keys[0].key_id}, not by its actor")
    for key in keys:
        if not in_force(key, day.isoformat()):
            raise ProofError(f"{key.algorithm} key {key.key_id} wasn't in force on {day}")
    return keys


def acts_among(records: Iterable[Recorded]) -> list[Recorded]:
    """Acts of the desk among a case's records, in their order."""
    return [item for item in records if isinstance(item.event, _ACTS)]


def last_word(
    records: Sequence[Recorded], *, before: int, proposed: bool = True
) -> Recorded | None:
    """The last decision before an entry, or proposal of one; extensions are neither."""
    kinds = (ev.RequestDecided, ev.DecisionProposed) if proposed else (ev.RequestDecided,)
    said = [
        item
        for item in records
        if item.sequence < before
        and isinstance(item.event, kinds)
        and item.event.decision is not DecisionKind.EXTENDED
    ]
    return said[-1] if said else None


def desk_keys(trust: TrustFile) -> tuple[StatementKey, ...]:
    """Every key of the desk that the trust file ever listed; with one, unsigned acts are none."""
    return tuple(key for key in trust.statement_keys if key.role == DESK)


class Book:
    """The home's keys and when they came, read once for many acts."""

    def __init__(self, home: Home) -> None:
        """The home's trust file and settings as they stand."""
        self._home = home
        self._trust = home.trust
        self._four_eyes = home.config.desk_four_eyes
        self._since = _signed_since(home, self._trust)

    def of_then(self, signed: int, records: Sequence[Recorded]) -> Book:
        """The same for what came before entry ``signed``, by which a case's statement was signed.

        A key counts as revoked only if it was by then. What the home asked for is told by the last
        decision, on which nothing was signed unless it held: one person's would not have done
        where two were asked for.
        """
        then, changes = copy(self), _trust_changes(self._home)
        then._trust = _before_revocations(self._trust, changes, signed)
        then._since = _first_signed(self._home, self._trust, changes)
        if self._four_eyes:
            with suppress(AuditorError):  # nothing good was signed on a flawed one: ask for all
                by = then.decided_by(records, before=signed)
                then._four_eyes = by is DecidedBy.TWO_KEYS
        return then

    def decided_by(self, records: Sequence[Recorded], *, before: int) -> DecidedBy:
        """By whose hand the last decision before an entry is.

        Raises:
            MisuseError: there is none.
            ProofError: its signature doesn't hold.
        """
        decided = last_word(records, before=before, proposed=False)
        if decided is None:
            raise MisuseError("the case isn't decided yet")
        keys, first = self.keys(decided), last_word(records, before=decided.sequence)
        if not keys:
            return DecidedBy.UNSIGNED
        return DecidedBy.TWO_KEYS if self.agreed(first, decided, keys) else DecidedBy.KEY

    def flaw(self, recorded: Recorded, records: Sequence[Recorded]) -> str:
        """Why an act counts for nothing; "" where it counts."""
        event = recorded.event
        try:
            keys = self.keys(recorded)
            if self._four_eyes and isinstance(event, ev.RequestDecided):
                self._require_agreed(recorded, event, keys, records)
        except AuditorError as error:
            return str(error)
        return ""

    def keys(self, recorded: Recorded) -> tuple[StatementKey, ...]:
        """Whose act it is; none before the desk had keys."""
        act = recorded.event
        if not isinstance(act, _ACTS):
            raise MisuseError(f"entry {recorded.sequence} is no act of the desk")
        if act.signature == UNSIGNED and recorded.sequence < self._since:
            return ()
        if act.signature == UNSIGNED:
            raise ProofError("it bears no signature of the desk")
        if not self._home.store.has(act.signature):
            raise ProofError("its signature isn't in the store")
        envelope = self._home.store.get(act.signature)
        day = date.fromisoformat(recorded.recorded_at[:10])
        return verify_act(envelope, self._trust, act, recorded.version, day)

    def _require_agreed(
        self,
        recorded: Recorded,
        decided: ev.RequestDecided,
        keys: Sequence[StatementKey],
        records: Sequence[Recorded],
    ) -> None:
        if decided.decision not in FOUR_EYED or recorded.sequence < self._since:
            return
        if not self.agreed(last_word(records, before=recorded.sequence), recorded, keys):
            raise ProofError("this home asks for two people's keys, and one alone decided")

    def agreed(
        self, first: Recorded | None, decided: Recorded, keys: Sequence[StatementKey]
    ) -> bool:
        """Whether the entry before a decision is another person's proposal of the same."""
        if first is None or not isinstance(first.event, ev.DecisionProposed):
            return False
        same = isinstance(decided.event, ev.RequestDecided) and agrees(first.event, decided.event)
        return same and {key.key_id for key in self.keys(first)}.isdisjoint(
            key.key_id for key in keys
        )


def agrees(proposal: ev.DecisionProposed, decided: ev.RequestDecided) -> bool:
    """Whether both say the same."""
    return (proposal.decision, proposal.reason, proposal.review) == (
        decided.decision,
        decided.reason,
        decided.review,
    )


def _signed_since(home: Home, trust: TrustFile) -> int:
    """From which entry on acts have to be signed; past all of them where the desk has no keys."""
    return 0 if home.config.desk_signed else _first_signed(home, trust, _trust_changes(home))


def _first_signed(home: Home, trust: TrustFile, changes: Sequence[Recorded]) -> int:
    listed = min((key.valid_from for key in desk_keys(trust)), default="")
    return _entered(changes, listed) if listed else home.ledger.size


def _before_revocations(trust: TrustFile, changes: Sequence[Recorded], entry: int) -> TrustFile:
    """The trust file with only those keys revoked that were before an entry."""
    keys = (
        replace(key, revoked_at="")
        if key.revoked_at and _entered(changes, key.revoked_at) > entry
        else key
        for key in trust.statement_keys
    )
    return replace(trust, statement_keys=tuple(keys))


def _trust_changes(home: Home) -> tuple[Recorded, ...]:
    records = home.ledger.replay("home")
    return tuple(item for item in records if isinstance(item.event, ev.TrustChanged))


def _entered(changes: Sequence[Recorded], moment: str) -> int:
    """The entry by which what the trust file dates so came onto the books; 0 if none says so."""
    return next((item.sequence for item in changes if item.recorded_at >= moment), 0)
