"""Trusted time: RFC 3161 time stamps over a message, asked for and checked without any network.

An authority signs the SHA-512 of a message together with the time at which it saw it. Whoever holds
message, response and the authority's root can check that later, also when the authority is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from asn1crypto import cms, tsp
from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from auditor.errors import ProofError, UnknownAuthorityError

_GRANTED = 0  # PKIStatus, RFC 3161 section 2.4.2; "with modifications" is not what was asked for
_SHA_512 = "2.16.840.1.101.3.4.2.3"
_LONGEST_REASON = 200

_NOT_FOR_STAMPING = (
    "is signed with a certificate that isn't for time stamping (RFC 3161 section 2.3)"
)
# What the verifier, and OpenSSL below it, say and what that means; the nearest miss first.
_REASONS = {
    "EKU": _NOT_FOR_STAMPING,
    "certificate purpose": _NOT_FOR_STAMPING,
    "certificate has expired": "is later than its authority's certificate",
    "certificate is not yet valid": "is earlier than its authority's certificate",
}
_UNTRUSTED = "isn't signed by an authority under the given roots"
_NO_CHAIN = "Verify error"  # OpenSSL's word for a chain; it tells a wrong signature otherwise


def timestamp_request(message: bytes) -> bytes:
    """A query for a time stamp (TimeStampReq, DER): SHA-512, a nonce, certificates wanted.

    Raises:
        ProofError: there is nothing to stamp.
    """
    if not message:
        raise ProofError("an empty message can't be time-stamped")
    builder = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA512)
    return builder.nonce(nonce=True).cert_request(cert_request=True).build().as_bytes()


def verify_timestamp(
    token: bytes, message: bytes, roots: Sequence[str], request: bytes | None = None
) -> datetime:
    """Check that an authority under one of the roots has seen this message, and tell when.

    Args:
        token: the authority's response (TimeStampResp, DER).
        message: what it should have stamped.
        roots: PEM certificates of the authorities to trust.
        request: the query it answers, where that is at hand; else no nonce is compared.

    Returns:
        The time stamped, in UTC.

    Raises:
        UnknownAuthorityError: it is for this message, but leads to none of the roots.
        ProofError: not a response, a refusal, or it doesn't show what it should.
    """
    trusted = [_root(pem) for pem in roots]
    nonce = None if request is None else _nonce(request)
    try:
        response = _decode(token)
        _check_granted(response)
        return _check_stamp(response, message, trusted, nonce)
    except ProofError:
        raise
    except Exception:  # a stranger's bytes: three libraries parse them, and raise what they like
        raise ProofError(
            "not a time stamp; expected a DER TimeStampResp (RFC 3161 section 2.4.2)"
        ) from None


def _check_granted(response: TimeStampResponse) -> None:
    if response.status != _GRANTED:
        said = " ".join(" ".join(response.status_string).split())
        reason = "".join(each for each in said if each.isprintable())[:_LONGEST_REASON]
        raise ProofError(
            f"the time-stamping authority refused, status {response.status}"
            + (f": {reason}" if reason else "")
        )


def _check_stamp(
    response: TimeStampResponse,
    message: bytes,
    roots: list[x509.Certificate],
    nonce: int | None,
) -> datetime:
    stamped = response.tst_info
    imprint, digest = stamped.message_imprint, hashlib.sha512(message).digest()
    if imprint.hash_algorithm.dotted_string != _SHA_512 or imprint.message != digest:
        raise ProofError("the time stamp is for another message")
    if nonce is not None and stamped.nonce != nonce:
        raise ProofError("the time stamp answers another request: its nonce differs")
    _check_chain(response, digest, roots)
    return stamped.gen_time.astimezone(UTC)


def _check_chain(response: TimeStampResponse, digest: bytes, roots: list[x509.Certificate]) -> None:
    """Raise ProofError unless the stamp is signed by an authority under one of the roots.

    UnknownAuthorityError is raised where nothing but a root is missing.

    One root at a time: OpenSSL looks an issuer up by name and may stop at a namesake. And each with
    a builder of its own, as what is added to one is added to all its copies.
    """
    if not roots:
        raise UnknownAuthorityError("no roots are given that a time stamp could be checked against")
    said = []
    for root in roots:
        try:
            if VerifierBuilder(roots=[root]).build().verify(response, digest):
                return
        except VerificationError as error:
            said.append(str(error))
    found = next((ours for theirs, ours in _REASONS.items() if theirs in " ".join(said)), None)
    if found is None and all(_NO_CHAIN in each for each in said):
        raise UnknownAuthorityError(f"the time stamp {_UNTRUSTED}")
    raise ProofError(f"the time stamp {found or _UNTRUSTED}")


def _decode(token: bytes) -> TimeStampResponse:
    """Read a response, also one whose certificates stand in any order.

    DER sorts a SET OF (X.690 section 11.6) and the decoder insists; OpenSSL's authority doesn't. No
    signature covers that order (RFC 5652 section 5.4).
    """
    try:
        return decode_timestamp_response(token)
    except ValueError:
        response = tsp.TimeStampResp.load(token, strict=True)
        signed = response["time_stamp_token"]["content"]
        signed["certificates"] = cms.CertificateSet([*signed["certificates"]])
        return decode_timestamp_response(response.dump())


def _nonce(request: bytes) -> int:
    try:
        nonce = tsp.TimeStampReq.load(request, strict=True)["nonce"].native
    except (ValueError, TypeError):
        nonce = None
    if not isinstance(nonce, int):
        raise ProofError("the request for the time stamp isn't one, or has no nonce")
    return nonce


def _root(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode("ascii"))
    except ValueError:
        raise ProofError("a root for time stamps is not a PEM certificate") from None
