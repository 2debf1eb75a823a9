"""Four eyes: a second person reads the signed statement and signs it, too, or declines.

The approver's private keys never lie in the home; what signs is handed in. The signatures join the
performer's in the envelope, so that whoever verifies the document checks them like those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from auditor.certificates.signatures import ALGORITHMS, APPROVER, PERFORMER, in_force, signed_by
from auditor.certificates.statement import parse_statement
from auditor.certificates.verify import verify_statement
from auditor.domain.artefact import Digest
from auditor.domain.case import ErasureCase
from auditor.domain.event import ApprovalDeclined, ApprovalRequested, StatementApproved
from auditor.errors import MisuseError, ProofError
from auditor.proof.dsse import add_signatures, verify_envelope
from auditor.proof.signing import Signer
from auditor.workflow.desk.signing import require_authentic
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, load_case, record

_ANEW = "have another signed: auditor certificate decline {case}, then auditor run"


def drafted_statement(home: Home, case: str) -> Mapping[str, Any]:
    """The predicate that waits for approval, the performer's signatures checked.

    Raises:
        MisuseError: nothing of this case waits for approval.
        ProofError: the performer's signatures don't hold.
    """
    predicate: Mapping[str, Any] = parse_statement(_draft(home, case)[1])["predicate"]
    return predicate


def approve(home: Home, case: str, signers: Sequence[Signer]) -> StatementApproved:
    """Sign the statement that waits, and put that on the books; the next run issues the document.

    Args:
        signers: the approver's Ed25519 and ML-DSA-65.

    Raises:
        MisuseError: nothing waits, or the keys aren't an approver's, or not on the statement's day.
        ProofError: the performer's signatures don't hold.
    """
    asked, payload = _draft(home, case)
    drafts = load_case(home, case).drafts
    issued = str(parse_statement(payload)["predicate"]["issued"])
    _require_approver(home, signers, issued)
    approved = add_signatures(home.store.get(asked.envelope), signers)
    event = StatementApproved(
        case=case,
        envelope=asked.envelope,
        approved=home.store.put(approved),
        actor=signers[0].key_id,
    )
    record(home, case_stream(case), event, "approved" if drafts == 1 else f"approved-{drafts}")
    return event


def decline(home: Home, case: str) -> ApprovalDeclined:
    """Send the statement back: the next run gathers its facts anew and signs another.

    One that nobody has to approve, or that is approved, is sent back only if it can't be issued any
    more: a key that signed it, or what the desk decided, doesn't hold since, or the trust file asks
    for more.

    Raises:
        MisuseError: no statement of this case waits, or it can be issued.
        HomeError: a run that may be issuing it holds this home.
    """
    if load_case(home, case).prepared is None:
        return _send_back(home, case)
    with alone(home):
        return _send_back(home, case)


def _send_back(home: Home, case: str) -> ApprovalDeclined:
    state = load_case(home, case)
    waits = state.drafted or state.prepared
    if waits is None or state.issued is not None:
        raise MisuseError(f"no statement of case {case} waits for approval")
    if _may_be_issued(home, case, state):
        raise MisuseError(
            f"no statement of case {case} waits for approval; issue it: auditor run --case {case}"
        )
    event = ApprovalDeclined(case=case, envelope=waits.envelope)
    record(home, case_stream(case), event, f"declined-{state.drafts + state.statements}")
    return event


def require_holds(home: Home, case: str, envelope: Digest) -> None:
    """See that a document of a signed statement would be valid today, before it is issued.

    Raises:
        ProofError: a key by which it is signed, approved or answered for is revoked, or the trust
            file asks for more than it has.
    """
    checks = verify_statement(home.store.get(envelope), home.trust, datetime.now(UTC))
    if flaw := next((check.detail for check in checks if check.held is False), ""):
        raise ProofError(f"{flaw}; {_ANEW.format(case=case)}")


def _may_be_issued(home: Home, case: str, state: ErasureCase) -> bool:
    try:
        if state.prepared is not None:
            require_holds(home, case, state.prepared.envelope)
        elif state.approved is not None:
            require_authentic(home, case)
            require_holds(home, case, state.approved.approved)
        else:
            return False
    except ProofError:
        return False
    return True


def _draft(home: Home, case: str) -> tuple[ApprovalRequested, bytes]:
    state = load_case(home, case)
    if state.drafted is None or state.approved is not None:
        raise MisuseError(f"no statement of case {case} waits for approval")
    envelope = home.store.get(state.drafted.envelope)
    try:
        keys = signed_by(envelope, home.trust, PERFORMER)
    except ProofError as error:
        raise ProofError(f"{error}; {_ANEW.format(case=case)}") from None
    opened = verify_envelope(envelope, [key.verifier() for key in keys])
    return state.drafted, opened.payload


def _require_approver(home: Home, signers: Sequence[Signer], day: str) -> None:
    if tuple(signer.algorithm for signer in signers) != ALGORITHMS:
        raise MisuseError(f"an approver signs with {' and '.join(ALGORITHMS)}; hand in that file")
    known = {key.key_id: key for key in home.trust.statement_keys}
    for signer in signers:
        key = known.get(signer.key_id)
        if key is None or key.role != APPROVER:
            raise MisuseError(
                f"{signer.algorithm} key {signer.key_id} is no approver's by the trust file; "
                "add its public half: auditor keys add --role approval"
            )
        if not in_force(key, day):
            raise MisuseError(
                f"{signer.algorithm} key {signer.key_id} wasn't in force on {day}, the statement's "
                "day; have another signed: auditor certificate decline, then auditor run"
            )
