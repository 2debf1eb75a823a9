"""Four eyes: a second person reads the signed statement and signs it, too, or declines.

The approver's private keys never lie in the home; what signs is handed in. The signatures join the
performer's in the envelope, so that whoever verifies the document checks them like those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.certificates.signatures import ALGORITHMS, APPROVER, PERFORMER, in_force, signed_by
from auditor.certificates.statement import parse_statement
from auditor.domain.event import ApprovalDeclined, ApprovalRequested, StatementApproved
from auditor.errors import MisuseError
from auditor.proof.dsse import add_signatures, verify_envelope
from auditor.proof.signing import Signer
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, load_case, record


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
    issued = str(parse_statement(payload)["predicate"]["issued"])
    _require_approver(home, signers, issued)
    approved = add_signatures(home.store.get(asked.envelope), signers)
    event = StatementApproved(
        case=case,
        envelope=asked.envelope,
        approved=home.store.put(approved),
        actor=signers[0].key_id,
    )
    record(home, case_stream(case), event, "approved")
    return event


def decline(home: Home, case: str) -> ApprovalDeclined:
    """Send the statement back: the next run gathers its facts anew and signs another.

    Raises:
        MisuseError: nothing of this case waits for approval.
    """
    asked, _ = _draft(home, case)
    event = ApprovalDeclined(case=case, envelope=asked.envelope)
    record(home, case_stream(case), event, f"declined-{load_case(home, case).drafts}")
    return event


def _draft(home: Home, case: str) -> tuple[ApprovalRequested, bytes]:
    state = load_case(home, case)
    if state.drafted is None or state.approved is not None:
        raise MisuseError(f"no statement of case {case} waits for approval")
    envelope = home.store.get(state.drafted.envelope)
    keys = signed_by(envelope, home.trust, PERFORMER)
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
