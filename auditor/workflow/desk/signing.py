"""Whose hand an act of the desk is by: signed when it is written, verified when it is relied on.

Where the trust file lists keys of the role ``desk``, every act is signed by a pair of them (Ed25519
and ML-DSA-65). The signature is over the act's fields and its place in the case's stream, so that
it vouches for nothing else and can't be repeated later; the envelope lies in the store. Whoever
can write into the database but holds no key of the desk can't decide anything.

Without such keys an act bears the name of a role and no signature, unless the settings ask for
signatures from the start (`signed` in [desk]). What was entered before the first key was listed
stays as good as it was: the ledger's order shows that it came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TypeAlias

from auditor.certificates.signatures import DESK, in_force, signed_by
from auditor.domain import event as ev
from auditor.domain.canonical import canonical_bytes
from auditor.domain.desk_events import UNSIGNED
from auditor.domain.entry import Recorded
from auditor.domain.kind import Event
from auditor.domain.request import DecidedBy, DecisionKind
from auditor.domain.role import require_role
from auditor.errors import AuditorError, MisuseError, ProofError
from auditor.proof.dsse import sign_envelope, verify_envelope
from auditor.proof.signing import Signer
from auditor.proof.trust import StatementKey, TrustFile
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, record_at

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """Who acts: a role, and a person's keys where the desk has keys."""

    role: str = "dpo"
    signers: tuple[Signer, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a role that can't stand in an entry (MisuseError)."""
        require_role(self.role)


def enter(home: Home, act: Act, by: Hand, seen: int | None = None) -> Recorded:
    """Sign an act and put it on the books; what it says of actor and signature is filled in here.

    Args:
        seen: how many entries of the case were looked at before it was decided to act so; None for
            all that there are.

    Raises:
        MisuseError: the desk has keys and none of them signs, or it has none and one does, or it
            has none and the settings ask for one.
        ConcurrencyError: somebody else wrote to the case meanwhile.
    """
    stream = case_stream(act.case)
    place, trust = home.ledger.version(stream) if seen is None else seen, home.trust
    if not desk_keys(trust):
        if by.signers or home.config.desk_signed:
            raise MisuseError(
                "the trust file lists no key of the desk, and nothing is decided without; make one "
                "and add it: auditor keys new FILE, then auditor keys add FILE.pub --role desk"
            )
        return record_at(home, stream, replace(act, actor=by.role), place)
    if not by.signers:
        raise MisuseError("the desk of this home signs what it decides; hand in your key: --key")
    act = replace(act, actor=by.signers[0].key_id)
    envelope = sign_envelope(ACT_TYPE, act_bytes(act, place), by.signers)
    try:
        verify_act(envelope, trust, act, place, datetime.now(UTC).date())
    except ProofError as error:
        raise MisuseError(f"{error}; hand in a key file of the desk that is in force") from None
    return record_at(home, stream, replace(act, signature=home.store.put(envelope)), place)


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


def require_authentic(home: Home, case: str) -> None:
    """See that what a case stands on is by the desk's own hand.

    These are its last decision and the last of every other kind of act. What came before was
    overruled, and an extension moves nothing but a day: where these aren't authentic, `vouched`
    leaves them out of the facts.

    Raises:
        ProofError: an act isn't signed, or not by a key of the desk that holds, or fewer agreed
            to it than the home asks for.
    """
    records = home.ledger.replay(case_stream(case))
    book = _Book(home)
    standing = {type(act.event): act for act in _acts(records) if not _moves_nothing(act.event)}
    for recorded in standing.values():
        if flaw := book.flaw(recorded, records):
            raise ProofError(
                f"entry {recorded.sequence}, {recorded.event.kind}: {flaw}; nothing is done on "
                "it until the desk has decided anew"
            )


def vouched(home: Home, records: Sequence[Recorded]) -> tuple[Recorded, ...]:
    """A case's records without acts that nobody vouches for; closed cases stay as they were."""
    if any(isinstance(item.event, ev.CertificateIssued) for item in records):
        return tuple(records)
    book = _Book(home)
    flawed = {act.sequence for act in _acts(records) if book.flaw(act, records)}
    return tuple(item for item in records if item.sequence not in flawed)


def stands(home: Home, recorded: Recorded, records: Sequence[Recorded]) -> bool:
    """Whether an act among a case's records is the desk's own."""
    return not _Book(home).flaw(recorded, records)


def decided_by(home: Home, case: str) -> DecidedBy:
    """By whose hand a case's last decision is, extensions aside.

    Raises:
        MisuseError: nothing was decided yet.
        ProofError: its signature doesn't hold.
    """
    records = home.ledger.replay(case_stream(case))
    decided = _last_word(records, before=home.ledger.size, proposed=False)
    if decided is None:
        raise MisuseError(f"case {case} isn't decided yet")
    book = _Book(home)
    keys, first = book.keys(decided), _last_word(records, before=decided.sequence)
    if not keys:
        return DecidedBy.UNSIGNED
    return DecidedBy.TWO_KEYS if book.agreed(first, decided, keys) else DecidedBy.KEY


def require_second(home: Home, by: Hand, proposal: ev.DecisionProposed) -> None:
    """See that whoever agrees to a proposal isn't who made it.

    Raises:
        MisuseError: they share a key.
    """
    envelope, known = home.store.get(proposal.signature), home.trust
    theirs = {key.key_id for key in signed_by(envelope, known, DESK)}
    if theirs & {signer.key_id for signer in by.signers}:
        raise MisuseError("you proposed this yourself; another person of the desk has to agree")


def desk_keys(trust: TrustFile) -> tuple[StatementKey, ...]:
    """Every key of the desk that the trust file ever listed; with one, unsigned acts are none."""
    return tuple(key for key in trust.statement_keys if key.role == DESK)


class _Book:
    """The home's keys and when they came, read once for many acts."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._trust = home.trust
        self._four_eyes = home.config.desk_four_eyes
        self._since = _signed_since(home, self._trust)

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
        if not self.agreed(_last_word(records, before=recorded.sequence), recorded, keys):
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


def _acts(records: Iterable[Recorded]) -> list[Recorded]:
    return [item for item in records if isinstance(item.event, _ACTS)]


def _moves_nothing(event: Event) -> bool:
    """An extension, or a proposal: no step is taken on either."""
    extends = isinstance(event, ev.RequestDecided) and event.decision is DecisionKind.EXTENDED
    return extends or isinstance(event, ev.DecisionProposed)


def _last_word(
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


def _signed_since(home: Home, trust: TrustFile) -> int:
    """From which entry on acts have to be signed; past all of them where the desk has no keys."""
    if home.config.desk_signed:
        return 0
    listed = min((key.valid_from for key in desk_keys(trust)), default="")
    if not listed:
        return home.ledger.size
    changes = (
        item.sequence
        for item in home.ledger.replay("home")
        if isinstance(item.event, ev.TrustChanged) and item.recorded_at >= listed
    )
    return next(changes, 0)
