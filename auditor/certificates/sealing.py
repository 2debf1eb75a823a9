"""Sealing a PDF: one invisible PAdES certification signature that forbids any change.

Baseline levels after ETSI EN 319 142-1:

    B-B     the seal, with its certificate bound in
    B-T     and a time stamp over it
    B-LT    and, under the seal itself, what tells that no certificate was revoked
    B-LTA   and a time stamp over the whole file, in a revision of its own

Up to B-LT the seal covers every byte. Nothing is looked up: the caller gives the lists of revoked
certificates and asks the authority for stamps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from asn1crypto import crl as asn1_crl
from asn1crypto import pem, tsp
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives.serialization import Encoding

from auditor.certificates.seal import Seal, SealToken
from auditor.certificates.seal_form import STRICT, lowered
from auditor.errors import CertificateError

if TYPE_CHECKING:
    from pyhanko.sign.signers import PdfSignatureMetadata, Signer
    from pyhanko.sign.timestamps import TimeStamper
    from pyhanko_certvalidator import ValidationContext

FIELD = "Seal"
STAMP_FIELD = "Archive"
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")

_DIGEST = "sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedTime:
    """What a level above B-B needs.

    Attributes:
        level: ``B-T``, ``B-LT`` or ``B-LTA``.
        ask: sends a query (TimeStampReq, DER) to the authority; returns its response (DER).
        roots: PEM certificates that seal and stamps lead to.
        revoked: lists of revoked certificates (CRL, PEM) of every authority on the way there; for
            B-LT and above.
    """

    level: str
    ask: Callable[[bytes], bytes]
    roots: Sequence[str]
    revoked: Sequence[str] = ()


def seal_pdf(pdf: bytes, seal: Seal, trusted: TrustedTime | None = None) -> bytes:
    """The PDF with its one seal; nothing may be added after it.

    Raises:
        CertificateError: the authority gives no stamp, or what is given doesn't show that no
            certificate was revoked.
    """
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.pdf_utils.misc import PdfError
    from pyhanko.pdf_utils.writer import BasePdfFileWriter
    from pyhanko.sign.signers import PdfSigner
    from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
    from pyhanko_certvalidator.errors import ValidationError

    class ArchivalSigner(PdfSigner):
        """Stays at PDF 1.7, on which PDF/A-3 is built, where pyHanko would go to 2.0 for ECDSA."""

        def register_extensions(self, pdf_out: BasePdfFileWriter, *, md_algorithm: str) -> None:
            pdf_out.register_extension(ESIC_EXTENSION_1)

    sealed = BytesIO()
    with _signer(seal) as signer, _quiet():
        try:
            ArchivalSigner(
                _metadata(seal, trusted),
                signer=signer,
                timestamper=None if trusted is None else _stamper(trusted.ask),
            ).sign_pdf(IncrementalPdfFileWriter(BytesIO(pdf)), output=sealed)
        except (PdfError, ValidationError, ValueError) as error:
            raise CertificateError(
                f"the PDF can't be sealed: {error}; check the seal's certificates, the "
                "time-stamping authority and the lists of revoked certificates"
            ) from None
    return sealed.getvalue()


def _metadata(seal: Seal, trusted: TrustedTime | None) -> PdfSignatureMetadata:
    from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
    from pyhanko.sign.signers.pdf_byterange import BuildProps
    from pyhanko.sign.signers.pdf_signer import (
        DSSContentSettings,
        PdfSignatureMetadata,
        SigDSSPlacementPreference,
    )

    long_term = trusted is not None and LEVELS.index(trusted.level) >= LEVELS.index("B-LT")
    return PdfSignatureMetadata(
        field_name=FIELD,
        app_build_props=BuildProps(name="auditor", revision=STRICT),
        md_algorithm=_DIGEST,
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
        embed_validation_info=long_term,
        use_pades_lta=trusted is not None and trusted.level == "B-LTA",
        timestamp_field_name=STAMP_FIELD,
        validation_context=_context(seal, trusted) if trusted and long_term else None,
        dss_settings=DSSContentSettings(
            include_vri=False, placement=SigDSSPlacementPreference.TOGETHER_WITH_SIGNATURE
        ),
    )


def _context(seal: Seal, trusted: TrustedTime) -> ValidationContext:
    from pyhanko_certvalidator import ValidationContext

    return ValidationContext(
        trust_roots=[_certificate(root) for root in trusted.roots],
        other_certs=_others(seal),
        crls=[asn1_crl.CertificateList.load(_der(each)) for each in trusted.revoked],
        revocation_mode="require",
        allow_fetching=False,
    )


@contextmanager
def _signer(seal: Seal) -> Iterator[Signer]:
    from asn1crypto import keys
    from pyhanko.sign.signers import SimpleSigner
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    certificate = asn1.Certificate.load(seal.certificate.public_bytes(Encoding.DER))
    others = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # pyHanko leaves it bare
    others.register_multiple(_others(seal))

    class FileSigner(SimpleSigner):
        """ECDSA with the lower s."""

        def sign_raw(self, data: bytes, digest_algorithm: str) -> bytes:
            return _written(certificate, super().sign_raw(data, digest_algorithm))

    if isinstance(seal.key, SealToken):
        with _token_signer(seal.key, certificate, others) as signer:
            yield signer
    else:
        yield FileSigner(
            signing_cert=certificate,
            signing_key=keys.PrivateKeyInfo.load(seal.key),
            cert_registry=others,
        )


@contextmanager
def _token_signer(token: SealToken, certificate: asn1.Certificate, others: Any) -> Iterator[Signer]:
    try:
        import pkcs11
        from pyhanko.config.pkcs11 import TokenCriteria
        from pyhanko.sign.pkcs11 import PKCS11Signer, open_pkcs11_session
    except ModuleNotFoundError:
        raise CertificateError(
            "a seal on a token needs its library; install it: pip install 'auditor[hsm]'"
        ) from None

    class TokenSigner(PKCS11Signer):
        """ECDSA with the lower s, and each certificate once."""

        @property
        def cert_registry(self) -> Any:
            """Without the signer's own, which is put in besides."""
            return others

        async def async_sign_raw(
            self, data: bytes, digest_algorithm: str, dry_run: bool = False
        ) -> bytes:
            signature = await super().async_sign_raw(data, digest_algorithm, dry_run)
            return signature if dry_run else _written(certificate, signature)

    try:
        with open_pkcs11_session(
            str(token.module), token_criteria=TokenCriteria(label=token.token), user_pin=token.pin
        ) as session:
            yield TokenSigner(
                session,
                signing_cert=certificate,
                key_label=token.label,
                use_raw_mechanism=True,  # not every token makes the digest itself
            )
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        raise CertificateError(
            f"the seal's PKCS#11 token can't be used ({type(error).__name__}); check module, token "
            "label, key label and PIN"
        ) from None


def _written(certificate: asn1.Certificate, signature: bytes) -> bytes:
    return lowered(signature) if certificate.public_key.algorithm == "ec" else signature


def _others(seal: Seal) -> list[asn1.Certificate]:
    others = [item for item in seal.others if item != seal.certificate]
    return [asn1.Certificate.load(item.public_bytes(Encoding.DER)) for item in others]


def _stamper(ask: Callable[[bytes], bytes]) -> TimeStamper:
    from pyhanko.sign.timestamps import TimeStamper

    class Asking(TimeStamper):
        async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
            return tsp.TimeStampResp.load(ask(req.dump()))

    return Asking()  # type: ignore[no-untyped-call]  # pyHanko leaves it bare


def _certificate(text: str) -> asn1.Certificate:
    return asn1.Certificate.load(_der(text))


def _der(text: str) -> bytes:
    return bytes(pem.unarmor(text.encode("ascii"))[2])


@contextmanager
def _quiet() -> Iterator[None]:
    """PyHanko tells in its log what it raises, too."""
    logger = logging.getLogger("pyhanko")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
