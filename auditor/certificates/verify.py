"""The offline verification: numbered checks, in this order, the first that fails ends it.

    1 form         a PDF with one PAdES certification seal over all of its bytes, but for the
                   time stamp over the whole file that level B-LTA adds
    2 seal         the seal leads to a root of the trust file
    3 attachments  exactly the signed statement and its ledger proof
    4 signatures   Ed25519 and ML-DSA-65, both by statement keys of the trust file, unrevoked
    5 statement    in-toto Statement v1 with our predicate, complete and canonical
    6 ledger       `certificate-prepared` with this envelope's digest, under a checkpoint that the
                   log signed with every key the trust file lists for it
    7 history      that checkpoint doesn't contradict the trust file's
    8 pages        what the pages show is what was signed
    9 level        the seal is what the statement declares, and what the trust file asks for
   10 issue        `certificate-issued` with this file's digest (where its proof is at hand)
   11 witnesses    as many as the trust file asks for have cosigned the proof of issue, or, where
                   none is at hand, the proof inside
   12 approval     where the statement says four eyes, or the trust file names approvers: signed
                   by an approver's keys, too
   13 serving      on certificates, where the statement holds an endpoint's answer, or the trust
                   file names one: signed by its keys, for this case and these weights
   14 status       not withdrawn or superseded, by a fresh status of the issuer's (where at hand)

No network, no engine, no database, no renderer; libraries for PDFs and pages are loaded by the
first check that needs them, so what is refused before never meets them. Whether a document was
withdrawn since can't be seen in itself: without a fresh status the best answer is
VALID_STATUS_UNKNOWN.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from auditor.certificates.checks import Check as Check
from auditor.certificates.checks import Found, Procedure, make_checks
from auditor.certificates.checks import Status as Status
from auditor.certificates.checks import VerificationReport as VerificationReport
from auditor.certificates.facts import Approval
from auditor.certificates.sealed_pdf import SealedPdf, read_sealed_pdf
from auditor.certificates.served import verify_served
from auditor.certificates.signatures import (
    APPROVER,
    ENDPOINT,
    PERFORMER,
    keys_in_force,
    require_in_force,
    signed_by,
)
from auditor.certificates.statement import ENVELOPE, PAYLOAD_TYPE, PROOF, parse_statement
from auditor.certificates.status import Document, judge_statuses
from auditor.domain.artefact import Digest
from auditor.domain.event import CertificateIssued, CertificatePrepared, event_from
from auditor.domain.kind import Event
from auditor.domain.request import Outcome
from auditor.errors import InvalidCertificateError, ProofError
from auditor.proof.checkpoint import Checkpoint, parse_checkpoint
from auditor.proof.dsse import Opened, verify_envelope
from auditor.proof.log_policy import Witnessed, require_quorum
from auditor.proof.tlog_proof import carried_entry, examine_tlog_proof
from auditor.proof.trust import SEAL_LEVELS, StatementKey, TrustFile

if TYPE_CHECKING:
    from auditor.certificates.seal_check import SealFound


def verify_certificate(
    pdf: bytes,
    trust: TrustFile,
    *,
    sidecar: str | None = None,
    statuses: Sequence[bytes] = (),
    now: datetime,
) -> VerificationReport:
    """Verify a document with nothing but a trust file.

    Args:
        pdf: the file's bytes.
        sidecar: the proof of issue that lies beside the file, if at hand.
        statuses: signed statuses, of this document and of others, as many as are at hand.
        now: the verifier's clock, for the seal's certificate and the status.
    """
    verification = Verification(pdf, trust, sidecar, statuses, now)
    checks = make_checks(verification.procedure())
    invalid = any(check.held is False for check in checks)
    return VerificationReport(
        status=Status.INVALID if invalid else _best(checks[-1]),
        checks=checks,
        predicate=None if invalid else verification.predicate,
    )


def verify_statement(envelope: bytes, trust: TrustFile, now: datetime) -> tuple[Check, ...]:
    """Verify what can be of a signed statement before there is a document of it.

    Whoever issues asks this first: since it was signed a key may have been revoked or added, or the
    trust file may ask for a higher seal.
    """
    verification = Verification(b"", trust, None, (), now)
    verification.envelope = envelope
    return make_checks(
        (
            ("signatures", verification.signatures),
            ("statement", verification.statement),
            ("declared", verification.declared),
            ("approval", verification.approval),
            ("serving", verification.serving),
        )
    )


def _best(last: Check) -> Status:
    """The last check is that of the status; only where it held is nothing left unknown."""
    return Status.VALID if last.held else Status.VALID_STATUS_UNKNOWN


class Verification:
    """One document on the table; each check leaves behind what later ones need.

    The checks are methods of the names above; another kind of paper has other ones.
    """

    def __init__(
        self,
        pdf: bytes,
        trust: TrustFile,
        sidecar: str | None,
        statuses: Sequence[bytes],
        now: datetime,
    ) -> None:
        """Lay it on the table; nothing is looked at yet."""
        self.pdf = pdf
        self.trust = trust
        self.policy = trust.policy
        self.sidecar = sidecar
        self.statuses = statuses
        self.now = now
        self.document: SealedPdf
        self.sealed: SealFound
        self.envelope: bytes
        self.opened: Opened
        self.keys: tuple[StatementKey, ...]
        self.predicate: Mapping[str, Any]
        self.checkpoint: Checkpoint
        self.witnessed: Witnessed
        self.prepared_at: int

    def procedure(self) -> Procedure:
        """The checks, in order."""
        return (
            ("form", self.form),
            ("seal", self.seal),
            ("attachments", self.attachments),
            ("signatures", self.signatures),
            ("statement", self.statement),
            ("ledger", self.ledger),
            ("history", self.history),
            ("pages", self.pages),
            ("level", self.level),
            ("issue", self.issue),
            ("witnesses", self.witnesses),
            ("approval", self.approval),
            ("serving", self.serving),
            ("status", self.status),
        )

    def form(self) -> Found:
        """Whether the file has our form."""
        self.document = read_sealed_pdf(self.pdf)
        return True, "one certification seal over the whole file"

    def seal(self) -> Found:
        """Whose seal it bears."""
        from auditor.certificates.seal_check import verify_seal

        trust = self.trust
        self.sealed = verify_seal(self.document, trust.seal_roots, trust.timestamp_roots, self.now)
        return True, f"sealed by {self.sealed.signer}"

    def attachments(self) -> Found:
        """What it carries."""
        if set(self.document.attachments) != {ENVELOPE, PROOF}:
            raise InvalidCertificateError(
                "the PDF doesn't carry exactly the statement and its proof"
            )
        self.envelope = self.document.attachments[ENVELOPE]
        return True, f"{ENVELOPE}, {PROOF}"

    def signatures(self) -> Found:
        """Who signed the statement."""
        self.keys = signed_by(self.envelope, self.trust, PERFORMER)
        self.opened = verify_envelope(self.envelope, [key.verifier() for key in self.keys])
        if self.opened.payload_type != PAYLOAD_TYPE:
            raise InvalidCertificateError("the envelope holds something other than a statement")
        return True, ", ".join(f"{key.algorithm} {key.key_id}" for key in self.keys)

    def statement(self) -> Found:
        """What the statement says."""
        self.predicate = parse_statement(self.opened.payload)["predicate"]
        require_in_force(self.keys, str(self.predicate["issued"]))
        return True, f"{self.predicate['documentType']}, outcome {self.predicate['outcome']}"

    def ledger(self) -> Found:
        """Where the ledger has it."""
        proof = _text(self.document.attachments[PROOF])
        self.prepared_at, self.witnessed, event = self.entry(proof)
        self.checkpoint = self.witnessed.checkpoint
        if not isinstance(event, CertificatePrepared) or event.envelope != Digest.of(self.envelope):
            raise InvalidCertificateError("the ledger's entry is about another statement")
        self._require_same_case(event)
        return (
            True,
            f"entry {self.prepared_at} of {self.checkpoint.size} in {self.checkpoint.origin}",
        )

    def history(self) -> Found:
        """Whether the ledger tells one history."""
        if not self.trust.checkpoint:
            return None, "the trust file holds no checkpoint to compare with"
        known, ours = parse_checkpoint(self.trust.checkpoint), self.checkpoint
        if known.origin != ours.origin:
            return None, "the trust file's newest checkpoint is of another of its origins"
        if known.size == ours.size and known.root != ours.root:
            raise InvalidCertificateError("two histories: the ledger signed two roots for one size")
        if known.size < ours.size:
            return True, f"newer than the trust file's checkpoint ({known.size} entries)"
        return True, f"the trust file's checkpoint holds {known.size} entries"

    def pages(self) -> Found:
        """Whether the pages show what was signed."""
        from auditor.certificates.page import document_html
        from auditor.certificates.visible import verify_visible

        html = document_html(self.predicate, str(Digest.of(self.opened.payload)))
        verify_visible(self.pdf, html)
        return True, "the pages show what was signed"

    def level(self) -> Found:
        """Whether the seal is what was declared."""
        declared, level = self.predicate["seal"], self.sealed.level
        moment = self.sealed.moment
        if declared["level"] != level:
            raise InvalidCertificateError(
                f"the statement declares a seal of level {declared['level']}, the file has {level}"
            )
        if (declared["trustedTime"] == "none") != (moment is None):
            raise InvalidCertificateError("the statement says otherwise of trusted time")
        self.declared()
        when = "no trusted time" if moment is None else f"stamped {moment:%Y-%m-%dT%H:%M:%SZ}"
        return True, f"PAdES {level}, {when}"

    def declared(self) -> Found:
        """Whether the seal that is declared is what the trust file asks for."""
        level, least = self.predicate["seal"]["level"], self.trust.minimum_seal_level
        if SEAL_LEVELS.index(level) < SEAL_LEVELS.index(least):
            raise InvalidCertificateError(f"the trust file asks for a seal of level {least}")
        return True, f"PAdES {level}"

    def issue(self) -> Found:
        """Whether the ledger has this file."""
        if self.sidecar is None:
            return None, "no proof of issue at hand (FILE.pdf.tlog-proof beside the file)"
        index, self.witnessed, event = self.entry(self.sidecar)
        if not isinstance(event, CertificateIssued) or event.pdf != Digest.of(self.pdf):
            raise InvalidCertificateError("the proof of issue is about another file")
        if index <= self.prepared_at:
            raise InvalidCertificateError("the document was issued before it was prepared")
        self._require_same_case(event)
        return True, f"entry {index} of {self.witnessed.checkpoint.size}"

    def witnesses(self) -> Found:
        """Whether enough witnesses cosigned."""
        try:
            require_quorum(self.witnessed, self.policy)
        except ProofError as error:
            # a document from before a witness was asked: a newer checkpoint covers it, too
            raise InvalidCertificateError(
                f"{error}; ask for a fresh proof of issue (auditor certificate export)"
            ) from None
        names = ", ".join(sorted(self.witnessed.witnesses))
        return (True, f"cosigned by {names}") if names else (None, "the trust file asks for none")

    def approval(self) -> Found:
        """Whether it was approved."""
        issued = str(self.predicate["issued"])
        if self.predicate["approval"] == Approval.NONE:
            if keys_in_force(self.trust, APPROVER, issued):
                raise InvalidCertificateError(
                    "the trust file names approvers, but the statement asks for no approval"
                )
            return None, "the statement asks for none"
        keys = signed_by(self.envelope, self.trust, APPROVER)
        require_in_force(keys, issued)
        if {key.key_id for key in keys} & {key.key_id for key in self.keys}:
            raise InvalidCertificateError("performer and approver are the same")
        return True, ", ".join(f"{key.algorithm} {key.key_id}" for key in keys)

    def serving(self) -> Found:
        """Whether the weights are served."""
        issued = str(self.predicate["issued"])
        if self.predicate["outcome"] != Outcome.CERTIFIED:
            return None, "no weights are certified"
        if "served" not in self.predicate:
            if keys_in_force(self.trust, ENDPOINT, issued):
                raise InvalidCertificateError(
                    "the trust file names an endpoint, but the statement holds no answer of it"
                )
            return None, "no endpoint was asked"
        return True, verify_served(self.predicate, self.trust)

    def status(self) -> Found:
        """Whether it is still vouched for."""
        document = Document(case=self.predicate["request"]["case"], pdf=Digest.of(self.pdf))
        return judge_statuses(self.statuses, self.trust, document, now=self.now)

    def entry(self, proof: str) -> tuple[int, Witnessed, Event]:
        """An event that a tlog-proof carries, its place, and the checkpoint it is proved by."""
        entry = carried_entry(proof)
        index, found = examine_tlog_proof(proof, entry, self.policy, int(self.now.timestamp()))
        try:
            fields = json.loads(entry)
            return index, found, event_from(fields["kind"], fields["data"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InvalidCertificateError("the ledger's entry can't be read") from None

    def _require_same_case(self, event: CertificatePrepared | CertificateIssued) -> None:
        stated = (self.predicate["request"]["case"], self.predicate["outcome"])
        if stated != (event.case, event.outcome.value):
            raise InvalidCertificateError("the ledger's entry is about another case or outcome")


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidCertificateError("the ledger proof is not text") from None
