"""From a finished case to its document, in the order of DESIGN section 6.

    pages drawn, to see that they can be -> DSSE signed -> `certificate-prepared` appended ->
    checkpoint -> tlog-proof -> PDF rendered with both attached -> sealed -> fsynced under a
    temporary name -> `certificate-issued` appended -> checkpoint -> its proof written beside the
    PDF -> renamed

Where four eyes are required, the envelope waits after the first arrow for an approver's signatures
(`auditor.workflow.documents.approval`) and is put on the books with them. Stopped at any arrow, the
next run goes on from there; the seal is made again only while no issued event exists, so there is
never a second certificate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from auditor.certificates.facts import ModelFacts
from auditor.certificates.press import Sheet, render_all
from auditor.certificates.render import require_drawable
from auditor.certificates.sealing import seal_pdf
from auditor.certificates.signatures import APPROVER, PERFORMER, keys_in_force, signed_by
from auditor.certificates.statement import PAYLOAD_TYPE, parse_statement, statement_bytes
from auditor.certificates.verify import Status, verify_certificate
from auditor.domain.artefact import Digest
from auditor.domain.case import ErasureCase
from auditor.domain.entry import Recorded
from auditor.domain.event import ApprovalRequested, CertificateIssued, CertificatePrepared
from auditor.domain.kind import Event
from auditor.domain.request import Outcome
from auditor.errors import CertificateError, TamperedError
from auditor.proof.dsse import sign_envelope, verify_envelope
from auditor.proof.tlog_proof import format_proof
from auditor.workflow.desk.signing import require_authentic
from auditor.workflow.documents.approval import require_holds
from auditor.workflow.documents.document import document_facts
from auditor.workflow.documents.serving import ask_endpoint
from auditor.workflow.homes.files import sync_folder, write_file
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.record import case_stream, load_case, record
from auditor.workflow.homes.registry import require_model
from auditor.workflow.homes.steps import outcome_of
from auditor.workflow.log.checkpoints import record_checkpoint, require_witnessed
from auditor.workflow.log.seals import trusted_time


def certificate_path(home: Home, case: str) -> Path:
    """Where a case's document lies once it is issued."""
    return home.certificates / f"{case}.pdf"


def sidecar_path(document: Path) -> Path:
    """The proof of the issued leaf lies beside the document."""
    return document.with_name(f"{document.name}.tlog-proof")


def prepare_statement(home: Home, case: str, state: ErasureCase) -> None:
    """Sign the statement and put its digest on the books, or have it approved before that.

    Raises:
        CertificateError: the case isn't ready, another model than the statement's is in service or
            served, the trust file names approvers or an endpoint whom the settings pass over, or
            the document couldn't be drawn: a name that is corrected lets the case go on.
        ProofError: what the desk decided isn't by its own hand, or a key by which the statement is
            signed and approved was revoked since.
        TamperedError: the stored weights aren't those that were measured.
    """
    if state.approved is not None:
        require_holds(home, case, state.approved.approved)
        _prepare(home, case, state, state.approved.approved)
        return
    require_authentic(home, case)
    facts = document_facts(home, case, state)
    _require_weights(home, facts.model)
    four_eyes = home.config.four_eyes
    if not four_eyes and keys_in_force(home.trust, APPROVER, facts.issued.isoformat()):
        raise CertificateError(
            "the trust file names approvers, so no document without approval is valid: set "
            "four_eyes = true in auditor.toml, or revoke their keys: auditor keys revoke"
        )
    facts = replace(facts, served=ask_endpoint(home, facts))
    payload = statement_bytes(facts)
    require_drawable(parse_statement(payload)["predicate"], str(Digest.of(payload)))
    envelope = home.store.put(sign_envelope(PAYLOAD_TYPE, payload, home.statement_signers))
    if four_eyes:
        asked = ApprovalRequested(case=case, outcome=outcome_of(state), envelope=envelope)
        record(home, case_stream(case), asked, f"drafted-{state.drafts + 1}")
    else:
        _prepare(home, case, state, envelope)


def _prepare(home: Home, case: str, state: ErasureCase, envelope: Digest) -> None:
    event = CertificatePrepared(case=case, outcome=outcome_of(state), envelope=envelope)
    step = "prepared" if state.statements == 0 else f"prepared-{state.statements + 1}"
    record(home, case_stream(case), event, step)


def _require_weights(home: Home, model: ModelFacts) -> None:
    """What is measured is loaded once; between that and the signature the file may be swapped."""
    named = (model.before if model.after is None else model.after).weights
    if require_model(home, model.name).in_service == named:
        home.store.get(named)
    elif model.after is not None:
        raise CertificateError(f"the model in service isn't {named}, which this case made")


def issue(home: Home, case: str, state: ErasureCase) -> None:
    """Render, seal and keep the PDF under a temporary name, then put its digest on the books.

    Raises:
        CertificateError: no statement has been prepared, too few witnesses answer, or the document
            wouldn't be valid.
        ProofError: a key of the statement's was revoked since it was signed.
        HomeError: the PDF can't be written (disk full); nothing is on the books then.
    """
    if state.prepared is not None:
        require_holds(home, case, state.prepared.envelope)
    _issue_all(home, {case: _sheet(home, case, state)}, workers=1)


def issue_all(home: Home, cases: Sequence[str], workers: int) -> None:
    """Issue the documents of several cases, each on the books before the next is sealed.

    Args:
        cases: whose statements are prepared, and hold (`approval.require_holds`).
        workers: processes that draw pages; the keys stay in this one.

    Raises:
        CertificateError, ProofError, HomeError: as `issue`; those before are issued.
    """
    sheets = {case: _sheet(home, case, load_case(home, case)) for case in cases}
    _issue_all(home, sheets, workers)


def _sheet(home: Home, case: str, state: ErasureCase) -> Sheet:
    if state.prepared is None:
        raise CertificateError(f"case {case} has no signed statement yet")
    envelope = home.store.get(state.prepared.envelope)
    # by keys of the trust file, as they may have been rotated since it was signed
    keys = [key.verifier() for key in signed_by(envelope, home.trust, PERFORMER)]
    payload = verify_envelope(envelope, keys).payload
    return Sheet(
        predicate=parse_statement(payload)["predicate"],
        statement_digest=str(Digest.of(payload)),
        envelope=envelope,
        proof=prove_event(home, case, state.prepared),
    )


def _issue_all(home: Home, sheets: Mapping[str, Sheet], workers: int) -> None:
    home.certificates.mkdir(exist_ok=True)
    pages = render_all(tuple(sheets.values()), workers)
    for (case, sheet), pdf in zip(sheets.items(), pages, strict=True):
        level, outcome = sheet.predicate["seal"]["level"], Outcome(sheet.predicate["outcome"])
        sealed = seal_pdf(pdf, home.seal, trusted_time(home, level))
        _require_valid(home, case, sealed)
        write_file(_unpublished(home, case), sealed)
        event = CertificateIssued(case=case, outcome=outcome, pdf=Digest.of(sealed))
        record(home, case_stream(case), event, "issued")


def _require_valid(home: Home, case: str, sealed: bytes) -> None:
    """See that whoever verifies the document today finds it valid, before it is on the books."""
    report = verify_certificate(sealed, home.trust, now=datetime.now(UTC))
    if report.status is Status.INVALID:
        raise CertificateError(
            f"the document of case {case} wouldn't be valid, so none is issued: {report.reason}"
        )


def publish(home: Home, case: str) -> Path:
    """Write the issued leaf's proof beside the document and give it its name.

    Raises:
        CertificateError: nothing was issued, or too few witnesses answer.
        TamperedError: the kept PDF isn't the one on the books.
    """
    issued = load_case(home, case).issued
    document = certificate_path(home, case)
    if issued is None:
        raise CertificateError(f"case {case} has no issued document")
    if document.exists() and sidecar_path(document).exists():
        return document
    kept = _unpublished(home, case)
    if Digest.of(kept.read_bytes()) != issued.pdf:
        raise TamperedError(f"{kept} isn't the document on the books; restore it from a backup")
    write_file(sidecar_path(document), _proof(home, case, CertificateIssued).encode("utf-8"))
    kept.replace(document)
    sync_folder(document.parent)
    return document


def proof_of_issue(home: Home, case: str) -> str:
    """A fresh proof of the issued leaf, under the newest checkpoint and today's witnesses.

    Raises:
        CertificateError: too few witnesses answer.
        TamperedError: the ledger is read-only.
    """
    return _proof(home, case, CertificateIssued)


def _unpublished(home: Home, case: str) -> Path:
    return home.certificates / f".{case}.pdf.unpublished"


def prove_event(home: Home, case: str, event: Event) -> str:
    """A fresh proof of one of a case's entries.

    Raises:
        CertificateError: too few witnesses answer.
    """
    entries = home.ledger.replay(case_stream(case))
    return prove_entry(home, next(item for item in entries if item.event == event))


def _proof(home: Home, case: str, kind: type[Event]) -> str:
    """A tlog-proof of the case's event of that kind against a fresh checkpoint."""
    entries = home.ledger.replay(case_stream(case))
    return prove_entry(home, next(item for item in entries if isinstance(item.event, kind)))


def prove_entry(home: Home, entry: Recorded) -> str:
    """A fresh proof of an entry of the ledger.

    Raises:
        CertificateError: too few witnesses answer.
    """
    published = record_checkpoint(home)
    note, size = require_witnessed(published), published.found.checkpoint.size
    path = home.ledger.prove(entry.sequence, size)
    return format_proof(entry.sequence, path, note, extra=home.ledger.entry(entry.sequence))
