"""Reading out of a home what the exports tell."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.domain.quarter import quarter_named
from auditor.errors import LedgerError
from auditor.policies.evaluate import evaluate
from auditor.policies.facts import CaseFacts
from auditor.proof.merkle import leaf_hash
from auditor.workflow.desk.library import case_facts, packs_pinned
from auditor.workflow.desk.quarter import cases_in, require_begun
from auditor.workflow.exports.cases import AssessedCase, Signed
from auditor.workflow.exports.fhir import audit_bundle
from auditor.workflow.exports.oscal import assessment_results
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import every_case
from auditor.workflow.log.checkpoints import record_checkpoint


def cases_of(home: Home, case: str | None, quarter: str | None) -> tuple[str, ...]:
    """The case named, else a quarter's, else every case.

    Raises:
        MisuseError: no quarter of that name, or it hasn't begun.
    """
    if case:
        return (case,)
    if quarter:
        named = quarter_named(quarter)
        require_begun(home, named)
        return cases_in(home, named)
    return every_case(home)


def export_oscal(home: Home, cases: Sequence[str], title: str) -> bytes:
    """The cases' findings as OSCAL assessment results.

    Raises:
        MisuseError: no such case.
        TamperedError: the ledger isn't what was last signed.
        LedgerError: somebody wrote to it meanwhile.
    """
    before = home.ledger.size
    assessed = [assess(home, case) for case in cases]
    signed = signed_state(home, assessed)
    if signed.checkpoint.size != before:  # the findings would be older than the state they name
        raise LedgerError("the ledger was written to meanwhile; export again")
    return assessment_results(assessed, signed, title=title, controller=home.config.controller)


def export_fhir(home: Home, cases: Sequence[str]) -> bytes:
    """The cases' entries as FHIR AuditEvent and Provenance.

    Raises:
        MisuseError: no such case.
        TamperedError: an entry was changed.
    """
    records = [record for case in cases for record in case_facts(home, case).stream]
    return audit_bundle(
        sorted(records, key=lambda record: record.sequence),
        origin=home.trust.log_origin,
        controller=home.config.controller,
    )


def assess(home: Home, case: str) -> AssessedCase:
    """Lay a case beside its rules, as of today.

    Raises:
        MisuseError: no such case.
        PolicyError: its rule packs were never kept.
    """
    return assess_facts(home, case_facts(home, case))


def assess_facts(home: Home, facts: CaseFacts) -> AssessedCase:
    """As `assess`, where the case's facts are at hand."""
    packs = packs_pinned(home, facts)
    return AssessedCase(
        case=facts.case,
        regime=facts.regime,
        received=facts.received,
        as_of=facts.as_of,
        packs=packs,
        findings=evaluate(packs, facts),
        records=facts.stream,
    )


def signed_state(home: Home, cases: Sequence[AssessedCase]) -> Signed:
    """Sign the ledger's state, and look up the leaves that findings name.

    Raises:
        TamperedError: the ledger isn't what was last signed.
    """
    published = record_checkpoint(home)
    checkpoint = published.found.checkpoint
    named = {leaf for case in cases for finding in case.findings for leaf in finding.leaves}
    last = next(home.ledger.read(checkpoint.size - 1))  # others may have been appended since
    return Signed(
        checkpoint=checkpoint,
        note=published.note,
        leaves={leaf: leaf_hash(home.ledger.entry(leaf)) for leaf in sorted(named)},
        last=last.recorded_at,
    )
