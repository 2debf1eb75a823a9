"""A case's identifiers, letters, addresses and documents are destroyed when nothing needs them.

The case stays on the books with its verdict, and its document stays as good as it was: neither
holds personal data. Who asked can't be told any more. What still has to know them afterwards has
a store of its own: the exclusion list, keyed, keeps them out of data sets, and by it an erased
patient is left out of the model's next trainings, too (`auditor.workflow.models.lineage`).
"""

from __future__ import annotations

from auditor.domain import event as ev
from auditor.domain.artefact import ArtefactFate, ArtefactKind
from auditor.domain.case import ErasureCase
from auditor.domain.request import DecisionKind
from auditor.errors import MisuseError
from auditor.workflow.desk.desk import require_case, today_of
from auditor.workflow.desk.rules import NO_REVIEW
from auditor.workflow.desk.signing import as_vouched, require_authentic
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.guard import require_writable
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, record
from auditor.workflow.models.accounting import NO_LONGER_NEEDED
from auditor.workflow.models.lineage import exclusion_of, is_settled
from auditor.workflow.models.reerasure import forget_subject
from auditor.workflow.models.restrictions import is_restricting


def forget_request(home: Home, case: str) -> int:
    """Destroy what the vault holds of a case; the ledger says so first.

    Stopped in between, it is done again, and stands on the books once. What was filed to the case
    since, such as a letter that left later, goes with the next call.

    Returns:
        How many payloads there were.

    Raises:
        MisuseError: no such case, or something still needs to know whom it concerns.
        ProofError: a withdrawal isn't by the desk's own hand.
        HomeError: another run is working.
        LedgerError: it is forgotten, and traces are left while another process reads.
        TamperedError: the ledger is read-only; nothing is destroyed.
    """
    with alone(home):
        require_writable(home.root, home.ledger)
        state = require_case(home, case)
        if flaw := why_needed(home, case, state):
            raise MisuseError(f"case {case} can't be forgotten: {flaw}")
        if state.requested is not None:
            payload = state.requested.payload
            event = ev.ArtefactAccounted(
                case=case,
                artefact=payload,
                artefact_kind=ArtefactKind.REQUEST_PAYLOAD,
                fate=ArtefactFate.DESTROYED,
                ground=NO_LONGER_NEEDED,
            )
            record(home, case_stream(case), event, f"forgotten-{payload.value}")
        return forget_subject(home, case_stream(case))


def why_needed(home: Home, case: str, state: ErasureCase) -> str:
    """What still needs to know whom a case concerns; "" for nothing.

    Raises:
        ProofError: a withdrawal isn't by the desk's own hand.
    """
    if flaw := _why_open(home, case, state):
        return flaw
    if is_restricting(home, case):
        return "it restricts the processing of their data: auditor request lift"
    decided, entries = state.decided, exclusion_of(home, case)
    if decided is not None and decided.review != NO_REVIEW and today_of(state) < decided.review:
        return f"the exemption it was refused by is to be looked at again on {decided.review}"
    if not (state.granted or as_vouched(home, case).granted):
        return ""
    if state.uninformed:
        return "recipients of the data aren't told yet: auditor request recipient mark"
    if entries is None:
        return "its patients aren't on the exclusion list, which is all that knows them afterwards"
    if is_settled(state) and not home.store.has(entries.entries):
        return "its patients were readmitted: the model leaves them out by what the vault holds"
    return ""


def _why_open(home: Home, case: str, state: ErasureCase) -> str:
    if state.held:
        return "the desk holds it"
    if state.issued is not None:
        return ""
    if state.decided is None or state.decided.decision is not DecisionKind.WITHDRAWN:
        return f"it isn't closed; decide it, or run it: auditor run --case {case}"
    if state.drafted is not None or state.prepared is not None:
        return f"its document isn't issued yet: auditor run --case {case}"
    require_authentic(home, case)
    return ""
