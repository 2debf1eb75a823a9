"""The offline verification of a report on a quarter: numbered checks, as `verify` makes them.

    1 form         a PDF with one PAdES certification seal over all of its bytes
    2 seal         the seal leads to a root of the trust file
    3 attachments  exactly the signed statement, its ledger proof and the ledger's signed state
    4 signatures   Ed25519 and ML-DSA-65, both by statement keys of the trust file, unrevoked
    5 statement    in-toto Statement v1 with the report's predicate, complete and canonical
    6 ledger       `quarter-reported` with this envelope's digest, under a checkpoint that the log
                   signed with every key the trust file lists for it
    7 state        the ledger's size and root that are reported on were signed by the log
    8 history      the proof's checkpoint doesn't contradict the trust file's
    9 pages        what the pages show is what was signed
   10 level        the seal is what the statement declares, and what the trust file asks for
   11 witnesses    as many as the trust file asks for have cosigned
   12 files        the list of cases and the findings are those that the statement speaks of
                   (where they are at hand)

No network, no engine, no database, no renderer. Whether the list of cases is whole is told by the
ledger's log (`auditor.workflow.documents.quarter_check`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from auditor.certificates.checks import (
    Found,
    Procedure,
    Status,
    VerificationReport,
    make_checks,
)
from auditor.certificates.quarter import STATE, files_of, parse_report
from auditor.certificates.quarter_page import report_html
from auditor.certificates.signatures import require_in_force
from auditor.certificates.statement import ENVELOPE, PROOF
from auditor.certificates.verify import Verification
from auditor.certificates.visible import verify_visible
from auditor.domain.artefact import Digest
from auditor.domain.event import QuarterReported
from auditor.errors import InvalidCertificateError
from auditor.proof.log_policy import examine_checkpoint
from auditor.proof.trust import TrustFile

Beside: TypeAlias = Callable[[str], Digest | None]


def verify_report(
    pdf: bytes, trust: TrustFile, *, files: Beside, now: datetime
) -> VerificationReport:
    """Verify a report with nothing but a trust file.

    Args:
        pdf: the file's bytes.
        files: the digest of what lies beside it under a name, if anything does. It is asked for the
            names that the statement gives, of the list of cases and of the findings.
        now: the verifier's clock, for the seal's certificate.
    """
    verification = _Report(pdf, trust, files, now)
    checks = make_checks(verification.procedure())
    invalid = any(check.held is False for check in checks)
    return VerificationReport(
        status=Status.INVALID if invalid else Status.VALID,
        checks=checks,
        predicate=None if invalid else verification.predicate,
    )


class _Report(Verification):
    """One report on the table."""

    def __init__(self, pdf: bytes, trust: TrustFile, files: Beside, now: datetime) -> None:
        super().__init__(pdf, trust, None, (), now)
        self.files = files
        self.said: Mapping[str, Any]

    def procedure(self) -> Procedure:
        return (
            ("form", self.form),
            ("seal", self.seal),
            ("attachments", self.attachments),
            ("signatures", self.signatures),
            ("statement", self.statement),
            ("ledger", self.ledger),
            ("state", self.state),
            ("history", self.history),
            ("pages", self.pages),
            ("level", self.level),
            ("witnesses", self.witnesses),
            ("files", self.beside),
        )

    def attachments(self) -> Found:
        if set(self.document.attachments) != {ENVELOPE, PROOF, STATE}:
            raise InvalidCertificateError(
                "the PDF doesn't carry exactly the statement, its proof and the ledger's state"
            )
        self.envelope = self.document.attachments[ENVELOPE]
        return True, f"{ENVELOPE}, {PROOF}, {STATE}"

    def statement(self) -> Found:
        self.said = parse_report(self.opened.payload)
        self.predicate = self.said["predicate"]
        require_in_force(self.keys, str(self.predicate["issued"]))
        return True, f"report {self.predicate['number']} on {self.predicate['quarter']}"

    def ledger(self) -> Found:
        proof = self.document.attachments[PROOF].decode("utf-8", "replace")
        self.prepared_at, self.witnessed, event = self.entry(proof)
        self.checkpoint = self.witnessed.checkpoint
        if not isinstance(event, QuarterReported) or event.envelope != Digest.of(self.envelope):
            raise InvalidCertificateError("the ledger's entry is about another statement")
        if (event.quarter, event.number) != (self.predicate["quarter"], self.predicate["number"]):
            raise InvalidCertificateError("the ledger's entry is about another report")
        return (
            True,
            f"entry {self.prepared_at} of {self.checkpoint.size} in {self.checkpoint.origin}",
        )

    def state(self) -> Found:
        """Whether what is reported on was signed."""
        note = self.document.attachments[STATE].decode("utf-8", "replace")
        signed = examine_checkpoint(note, self.policy, int(self.now.timestamp())).checkpoint
        stated = self.predicate["ledger"]
        told = (stated["origin"], stated["size"], stated["root"])
        if (signed.origin, signed.size, signed.root.hex()) != told:
            raise InvalidCertificateError("the ledger's signed state is another than reported on")
        return True, f"{signed.size} entries, root {stated['root'][:16]}"

    def pages(self) -> Found:
        verify_visible(self.pdf, report_html(self.said, str(Digest.of(self.opened.payload))))
        return True, "the pages show what was signed"

    def beside(self) -> Found:
        """Whether the files are those that the statement speaks of."""
        checked = []
        for file in files_of(self.said):
            found = self.files(file.name)
            if found is None:
                continue
            if found != file.digest:
                raise InvalidCertificateError(f"{file.name} isn't the file that was reported with")
            checked.append(file.name)
        if not checked:
            return None, "neither the list of cases nor the findings are at hand"
        return True, ", ".join(checked)
