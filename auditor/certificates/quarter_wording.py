"""What a report on a quarter says, in plain words; templates/messages/quarter has the others."""

from __future__ import annotations

TITLE = "Report on Erasure Requests"

COVERS = (
    "This report covers every case that was received or closed from {first} to {last}, or received "
    "before and left open, as the ledger told it on {issued}."
)
NOT_OVER = "The quarter was not over on that day: a later report may tell of more."
NO_CASE = "There was no such case."
FEW_CASES = "There were fewer than {least} such cases."
CASES = "There were {cases} such cases."
NONE_LATE = "No answer was late."
SOME_UNANSWERED = (
    "Of cases whose time limit is over there are some of which nothing on record says that the "
    "person was answered."
)
SOME_LATE = "At least one answer was late; why is told below."
SOME_LATE_UNTOLD = (
    "At least one answer was late; why isn't told here, as a smaller number could be had from it."
)
SOME_NOT_VOUCHED_FOR = (
    "At least one document of these cases is no longer vouched for: it was withdrawn or superseded "
    "after it had been issued."
)
SUPPRESSED = (
    "Counts below {least} are added to others, or said to be fewer than {least}, in each table, "
    "and where two tables count the same. What can be worked out from several tables and from what "
    "is known otherwise is not ruled out."
)

COMPLETE = (
    "The list of these cases is fixed by the digest of the file {cases} that this statement "
    "speaks of, and what was found on each by that of {findings}. Whoever has the log of the "
    "ledger can make the list again from it, and see that it is whole."
)

NON_CLAIMS = (
    "Requests that were never entered in the ledger are not seen by this report.",
    "This is neither legal advice nor a finding that the controller's processing as a whole is "
    "lawful.",
    "What was measured on each model stands in the document of its case, not here.",
)
NO_TRUSTED_TIME = (
    "Dates are those of the issuer's clock. The ledger fixes the order of events, but no "
    "independent time-stamp was obtained."
)

TABLES = {
    "outcomes": "How the cases ended",
    "standing": "What became of the documents",
    "flow": "When they came and when they were closed",
    "answers": "Time limits of the answers",
    "lateness": "Why answers were late",
    "verdicts": "Verdicts",
    "regimes": "Under which law",
}

ROWS = {
    "certified": "certified",
    "not-erased": "attempted, not established",
    "nothing-to-unlearn": "nothing to unlearn",
    "refused": "refused",
    "withdrawn": "withdrawn by the person",
    "open": "not closed yet",
    "no-longer-vouched-for": "withdrawn or superseded since",
    "standing": "vouched for, or none issued yet",
    "received-and-closed": "received and closed in the quarter",
    "received": "received in the quarter, not closed in it",
    "closed": "received before, closed in the quarter",
    "carried-over": "received before, not closed in the quarter",
    "in-time": "answered in time",
    "late": "late",
    "running": "time limit still running",
    "unanswered": "time limit over, no answer on record",
    "no-limit": "no time limit",
    "for-a-person": "for a person to judge",
    "undecided": "not decided by the last day",
    "legal-hold": "held for legal reasons",
    "identity-doubted": "identity in doubt",
    "held": "held",
    "approval-awaited": "approval not given by the last day",
    "run-not-finished": "unlearning and audit not finished by the last day",
    "not-told": "decided, but not told by the last day",
    "told-not-erased": "told by the last day that the erasure is not established",
    "PASSED": "passed",
    "FAILED": "failed",
    "INDETERMINATE": "undecided by the audit",
    "none": "without a verdict",
    "gdpr": "GDPR",
    "uk-gdpr": "UK GDPR",
    "hipaa": "HIPAA",
    "ccpa": "CCPA",
}
