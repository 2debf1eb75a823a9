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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from auditor.certificates.signatures import DESK, signed_by
from auditor.domain import event as ev
from auditor.domain.case import ErasureCase, project
from auditor.domain.entry import Recorded
from auditor.domain.kind import Event
from auditor.domain.request import DecidedBy, DecisionKind
from auditor.domain.role import require_role
from auditor.errors import MisuseError, ProofError
from auditor.proof.dsse import sign_envelope
from auditor.proof.signing import Signer
from auditor.workflow.desk.authenticity import (
    ACT_TYPE,
    Act,
    Book,
    act_bytes,
    acts_among,
    desk_keys,
    last_word,
    verify_act,
)
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, record_at


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
    book = Book(home)
    standing = {
        type(act.event): act for act in acts_among(records) if not _moves_nothing(act.event)
    }
    for recorded in standing.values():
        if flaw := book.flaw(recorded, records):
            raise ProofError(
                f"entry {recorded.sequence}, {recorded.event.kind}: {flaw}; nothing is done on "
                "it until the desk has decided anew"
            )


def vouched(home: Home, records: Sequence[Recorded]) -> tuple[Recorded, ...]:
    """A case's records without acts that nobody vouches for.

    What a closed case's document was signed on stays as it was, though a key was revoked since or
    the home asks for more by now. What was written behind it has to hold today.
    """
    today, signed = Book(home), _signed_on(records)
    then = today.of_then(signed, records) if signed else today
    flawed = {
        act.sequence
        for act in acts_among(records)
        if (then if act.sequence < signed else today).flaw(act, records)
    }
    return tuple(item for item in records if item.sequence not in flawed)


def as_vouched(home: Home, case: str) -> ErasureCase:
    """A case without acts that nobody vouches for.

    Whoever keeps something because a case was granted asks this besides the case as it is on the
    books, so that nobody who can write into the database alone sets anything free.
    """
    return project(item.event for item in vouched(home, home.ledger.replay(case_stream(case))))


def stands(home: Home, recorded: Recorded, records: Sequence[Recorded]) -> bool:
    """Whether an act among a case's records is the desk's own."""
    return not Book(home).flaw(recorded, records)


def decided_by(home: Home, case: str) -> DecidedBy:
    """By whose hand a case's last decision is, extensions aside.

    Raises:
        MisuseError: nothing was decided yet.
        ProofError: its signature doesn't hold.
    """
    records = home.ledger.replay(case_stream(case))
    if last_word(records, before=home.ledger.size, proposed=False) is None:
        raise MisuseError(f"case {case} isn't decided yet")
    return Book(home).decided_by(records, before=home.ledger.size)


def require_second(home: Home, by: Hand, proposal: ev.DecisionProposed) -> None:
    """See that whoever agrees to a proposal isn't who made it.

    Raises:
        MisuseError: they share a key.
    """
    envelope, known = home.store.get(proposal.signature), home.trust
    theirs = {key.key_id for key in signed_by(envelope, known, DESK)}
    if theirs & {signer.key_id for signer in by.signers}:
        raise MisuseError("you proposed this yourself; another person of the desk has to agree")


def _signed_on(records: Sequence[Recorded]) -> int:
    """The entry by which a closed case's statement was signed; 0 where the case isn't closed."""
    signed = 0
    for item in records:
        match item.event:
            case ev.CertificatePrepared():
                signed = item.sequence
            case ev.CertificateIssued():
                return signed or item.sequence
    return 0


def _moves_nothing(event: Event) -> bool:
    """An extension, or a proposal: no step is taken on either."""
    extends = isinstance(event, ev.RequestDecided) and event.decision is DecisionKind.EXTENDED
    return extends or isinstance(event, ev.DecisionProposed)
