"""Is the seal good, of which level, and since when? Offline, against roots of the trust file.

Level and moment are read from what is there and holds, never from what the file says of itself; the
statement says what must be there (`verify`, check 9). Every chain is checked at the moment that its
signature is known to have existed: the seal's at its time stamp, the stamp's own at its own time,
and each stamp's certificate has to last until the next stamp, or until now.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import factorial, prod
from typing import TYPE_CHECKING, Any

from asn1crypto import crl, pem
from asn1crypto import x509 as asn1
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.general import CMSExtractionError, CMSStructuralError
from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from auditor.certificates.seal_form import require_our_seal
from auditor.certificates.sealed_pdf import SealedPdf
from auditor.errors import InvalidCertificateError

if TYPE_CHECKING:
    from pyhanko.sign.validation import EmbeddedPdfSignature

_MOST_CARRIED = 24
_MOST_WAYS = 100  # from a certificate to its root, by the names of who may have issued it
_AHEAD = timedelta(minutes=5)  # that an authority's clock may run before ours
_UNREADABLE = (
    SignatureValidationError,
    CMSExtractionError,
    CMSStructuralError,
    PdfError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealFound:
    """A seal that holds.

    Attributes:
        signer: whom its certificate names.
        level: PAdES baseline level of what is there.
        moment: trusted time at which it existed; None without a time stamp.
    """

    signer: str
    level: str
    moment: datetime | None


def verify_seal(
    document: SealedPdf, roots: Sequence[str], stamp_roots: Sequence[str], now: datetime
) -> SealFound:
    """Check the seal and its time stamps.

    Args:
        document: read from the file.
        roots: PEM certificates that the seal's must lead to.
        stamp_roots: those that time stamps must lead to.
        now: the verifier's clock.

    Raises:
        InvalidCertificateError: changed bytes, another authority, an expired, revoked or unfit
            certificate, a stamp that doesn't hold.
    """
    logging.getLogger("pyhanko").setLevel(logging.CRITICAL)  # what it dislikes is refused below
    try:
        return _Checking(document, roots, stamp_roots, now).check()
    except InvalidCertificateError:
        raise
    except _UNREADABLE:
        raise InvalidCertificateError("the seal can't be read") from None


class _Checking:
    def __init__(
        self,
        document: SealedPdf,
        roots: Sequence[str],
        stamp_roots: Sequence[str],
        now: datetime,
    ) -> None:
        self.document = document
        self.roots = [_certificate(root) for root in roots]
        self.stamp_roots = [_certificate(root) for root in stamp_roots]
        self.now = now
        self.kept = document.evidence

    def check(self) -> SealFound:
        self._require_few()
        seal, archived = self.document.signature, self._archived()
        stamp = _stamp_on(seal)
        moment = None if stamp is None else _time_of(stamp)
        if moment is not None:
            self._require_lasting(stamp, moment, archived or self.now)
        elif archived is not None or self.kept is not None:
            raise InvalidCertificateError("the seal's time stamp was taken away")
        status = validate_pdf_signature(
            seal,
            signer_validation_context=self._context(self.roots, moment or self.now),
            ts_validation_context=(
                None if moment is None else self._context(self.stamp_roots, moment)
            ),
        )
        self._require_whole(status, archived)
        require_our_seal(seal, status.signing_cert)
        if moment is not None and not _holds(status.timestamp_validity):
            raise InvalidCertificateError(
                "the seal's time stamp doesn't hold, or leads to no trusted authority"
            )
        if not status.trusted:
            raise InvalidCertificateError(
                "the seal's certificate doesn't lead to a trusted root, was not valid at the time, "
                "or isn't shown not to be revoked"
            )
        return SealFound(
            signer=str(status.signing_cert.subject.human_friendly),
            level=self._level(moment, archived),
            moment=moment,
        )

    def _require_few(self) -> None:
        """Refuse more certificates than chains have.

        A chain is looked for by name: n authorities of one name can be gone through in n! ways.
        Whoever issued none may have many certificates, as a time-stamping authority that renews its
        own.
        """
        seal, stamp = self.document.signature, self.document.stamp
        signed = [seal.signed_data, _stamp_on(seal), None if stamp is None else stamp.signed_data]
        kept = () if self.kept is None else self.kept.certificates
        dumped = {item.chosen.dump() for each in signed if each for item in each["certificates"]}
        carried = [asn1.Certificate.load(each) for each in dumped.union(kept)]
        issuers = {each.issuer.dump() for each in carried}
        authorities = Counter(each.subject.dump() for each in carried)
        if (
            len(carried) > _MOST_CARRIED
            or prod(factorial(authorities[name]) for name in issuers) > _MOST_WAYS
        ):
            raise InvalidCertificateError("the PDF carries too many certificates to go through")

    def _archived(self) -> datetime | None:
        """When the time stamp over the whole file says that it was there."""
        stamp = self.document.stamp
        if stamp is None:
            return None
        moment = _time_of(stamp.signed_data)
        self._require_lasting(stamp.signed_data, moment, self.now)
        status = validate_pdf_timestamp(stamp, self._context(self.stamp_roots, moment))
        if not _holds(status) or status.coverage is not SignatureCoverageLevel.ENTIRE_FILE:
            raise InvalidCertificateError(
                "the time stamp over the file doesn't hold, or leads to no trusted authority"
            )
        return moment

    def _require_lasting(self, stamp: Any, moment: datetime, later: datetime) -> None:
        """See that a stamp isn't of the future, and that its certificate lasted until ``later``."""
        if moment > later + _AHEAD:
            raise InvalidCertificateError("a time stamp of the PDF is later than it can be")
        signer = stamp["signer_infos"][0]["sid"].native
        own = [
            item.chosen
            for item in stamp["certificates"]
            if signer
            == {
                "issuer": item.chosen.issuer.native,
                "serial_number": item.chosen.serial_number,
            }
        ]
        if len(own) != 1:  # by another name than that, or taken from elsewhere: its end isn't known
            raise InvalidCertificateError("a time stamp of the PDF doesn't carry its certificate")
        if not own[0].not_valid_before <= later <= own[0].not_valid_after:
            raise InvalidCertificateError(
                "the certificate of the PDF's time stamp has expired; ask for a document that "
                "was stamped again"
            )

    def _require_whole(self, status: Any, archived: datetime | None) -> None:
        if not (status.intact and status.valid):
            raise InvalidCertificateError("the seal is broken: the file was changed after sealing")
        whole = status.coverage is SignatureCoverageLevel.ENTIRE_FILE
        stamped = (
            archived is not None
            and status.coverage is SignatureCoverageLevel.ENTIRE_REVISION
            and status.modification_level is ModificationLevel.LTA_UPDATES
        )
        if not (whole or stamped) or not status.docmdp_ok:
            raise InvalidCertificateError("the seal doesn't cover the whole file")

    def _context(self, roots: Sequence[asn1.Certificate], moment: datetime) -> ValidationContext:
        kept = self.kept
        if kept is None:
            return ValidationContext(trust_roots=roots, allow_fetching=False, moment=moment)
        return ValidationContext(
            trust_roots=roots,
            allow_fetching=False,
            moment=moment,
            other_certs=[asn1.Certificate.load(each) for each in kept.certificates],
            crls=[crl.CertificateList.load(each) for each in kept.revoked],
            revocation_mode="require",
        )

    def _level(self, moment: datetime | None, archived: datetime | None) -> str:
        if moment is None:
            return "B-B"
        if self.kept is None:
            if archived is not None:
                raise InvalidCertificateError("what tells of revoked certificates was taken away")
            return "B-T"
        return "B-LT" if archived is None else "B-LTA"


def _stamp_on(seal: EmbeddedPdfSignature) -> Any:
    """The time stamp that the seal itself carries (RFC 3161 appendix A); None without one."""
    found = [
        value["content"]
        for attribute in seal.signer_info["unsigned_attrs"] or ()
        if attribute["type"].native == "signature_time_stamp_token"
        for value in attribute["values"]
    ]
    if len(found) > 1:
        raise InvalidCertificateError("the seal carries more than one time stamp")
    return found[0] if found else None


def _time_of(stamp: Any) -> datetime:
    """The time that a stamp tells (RFC 3161 section 2.4.2), not yet checked."""
    moment = stamp["encap_content_info"]["content"].parsed["gen_time"].native
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise InvalidCertificateError("a time stamp of the PDF tells no time")
    return moment


def _holds(status: Any) -> bool:
    return status is not None and status.intact and status.valid and status.trusted


def _certificate(text: str) -> asn1.Certificate:
    return asn1.Certificate.load(pem.unarmor(text.encode("ascii"))[2])
