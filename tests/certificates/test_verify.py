"""The offline verification: the true document passes, each forged twin is refused and named."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asn1crypto.algos import DigestAlgorithm, SignedDigestAlgorithm
from asn1crypto.cms import CMSAttribute, ContentInfo
from asn1crypto.core import Null, OctetString
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from auditor.certificates.render import render_certificate
from auditor.certificates.seal import load_seal, make_test_seal
from auditor.certificates.sealed_pdf import read_sealed_pdf
from auditor.certificates.sealing import seal_pdf
from auditor.certificates.statement import ENVELOPE, PAYLOAD_TYPE, PROOF, parse_statement
from auditor.certificates.verify import Status, verify_certificate
from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.errors import CertificateError
from auditor.proof.dsse import sign_envelope, verify_envelope
from auditor.proof.trust import TrustFile, parse_trust
from tests.certificates.conftest import Issued


def opened(issued: Issued) -> tuple[bytes, bytes, str]:
    """Payload, envelope and proof that the document carries."""
    attached = read_sealed_pdf(issued.pdf).attachments
    keys = [key.verifier() for key in parse_trust(issued.trust).statement_keys]
    payload = verify_envelope(attached[ENVELOPE], keys).payload
    return payload, attached[ENVELOPE], attached[PROOF].decode("utf-8")


def failed_check(issued: Issued, pdf: bytes) -> str:
    report = issued.verify(pdf, "")
    assert report.status is Status.INVALID
    assert report.predicate is None and report.reason
    return next(check.name for check in report.checks if check.held is False)


def test_the_true_document_is_valid(issued: Issued) -> None:
    report = issued.verify()
    assert report.status is Status.VALID_STATUS_UNKNOWN, report.reason
    held = [check.held for check in report.checks]
    assert held == [True] * 10 + [None] * 4  # no witness, approver, endpoint, status
    assert report.predicate is not None
    assert report.predicate["request"]["case"] == issued.case
    assert "trainingImages" not in report.predicate["request"]  # refused before anybody looked
    assert "device" not in report.predicate["execution"]
    without = verify_certificate(
        issued.pdf, parse_trust(issued.trust), sidecar=None, now=datetime.now(UTC)
    )
    assert without.status is Status.VALID_STATUS_UNKNOWN
    unchecked = [check.name for check in without.checks if not check.held]
    assert unchecked == ["issue", "witnesses", "approval", "serving", "status"]


def test_any_flipped_bit_is_refused(issued: Issued) -> None:
    """Whether or not the proof of issue, which names the file's digest, is at hand."""
    draw = random.Random(20261124)
    (_, before, after, _) = read_sealed_pdf(issued.pdf).signature.byte_range
    inside = [*draw.sample(range(before, after), 30), after - 2]
    places = [0, len(issued.pdf) - 1, *draw.sample(range(len(issued.pdf)), 60), *inside]
    trust = parse_trust(issued.trust)
    for place in places:
        forged = bytearray(issued.pdf)
        forged[place] ^= 1 << draw.randrange(8)
        for sidecar in (issued.sidecar, None):
            found = verify_certificate(bytes(forged), trust, sidecar=sidecar, now=datetime.now(UTC))
            assert found.status is Status.INVALID, place


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Signature = dict[str, Any]
"""A CMS signature as `asn1crypto` reads it."""


def rename_issuer(cms: Signature) -> None:
    serial = cms["signer_infos"][0]["sid"].chosen["serial_number"]
    cms["signer_infos"][0]["sid"].chosen["serial_number"] = serial.native ^ 1


def rewrite_version(cms: Signature) -> None:
    cms["version"] = "v3"


def rewrite_signers_version(cms: Signature) -> None:
    cms["signer_infos"][0]["version"] = "v3"


def name_another_digest(cms: Signature) -> None:
    cms["digest_algorithms"] = [{"algorithm": "sha384"}]


def add_an_attribute(cms: Signature) -> None:
    attribute = CMSAttribute({"type": "1.2.3.4.5", "values": [OctetString(b"x")]})
    cms["signer_infos"][0]["unsigned_attrs"] = [attribute]


def add_no_attribute(cms: Signature) -> None:
    cms["signer_infos"][0]["unsigned_attrs"] = []


def write_parameters(cms: Signature) -> None:
    algorithm = cms["signer_infos"][0]["signature_algorithm"]["algorithm"].native
    parameters = {"algorithm": algorithm, "parameters": Null()}
    cms["signer_infos"][0]["signature_algorithm"] = SignedDigestAlgorithm(parameters)


def drop_parameters(cms: Signature) -> None:
    bare = DigestAlgorithm.load(bytes.fromhex("300b0609608648016503040201"))  # SHA-256, no NULL
    cms["signer_infos"][0]["digest_algorithm"] = bare
    cms["digest_algorithms"] = [bare]


def mirror_s(cms: Signature) -> None:
    signer = cms["signer_infos"][0]
    r, s = decode_dss_signature(signer["signature"].native)
    signer["signature"] = encode_dss_signature(r, P256_ORDER - s)


def rewritten(pdf: bytes, change: Callable[[Signature], None]) -> bytes:
    """The file with another signature object in the hole that no signature covers."""
    signature = read_sealed_pdf(pdf).signature
    (_, before, after, _) = signature.byte_range
    hole, info = pdf[before + 1 : after - 1], ContentInfo.load(signature.pkcs7_content)
    whole = info.dump(force=True)
    assert bytes.fromhex(hole.decode()).startswith(whole)
    change(info["content"])
    other = info.dump(force=True)
    assert other != whole
    filled = other.ljust(len(hole) // 2, b"\0").hex().encode()
    filled = filled.upper() if hole.isupper() else filled
    return pdf[: before + 1] + filled + pdf[after - 1 :]


@pytest.mark.parametrize(
    "change",
    [
        rename_issuer,
        rewrite_version,
        rewrite_signers_version,
        name_another_digest,
        add_an_attribute,
        add_no_attribute,
        write_parameters,
        drop_parameters,
        mirror_s,
    ],
)
def test_what_the_signature_leaves_open_is_not_rewritten(
    issued: Issued, change: Callable[[Signature], None]
) -> None:
    """Else whoever holds a withdrawn document makes another file of it under the same seal."""
    found = verify_certificate(
        rewritten(issued.pdf, change),
        parse_trust(issued.trust),
        sidecar=None,
        now=datetime.now(UTC),
    )
    assert found.status is Status.INVALID


@pytest.mark.parametrize(
    "change",
    [
        lambda pdf: b"",
        lambda pdf: b"%PDF-1.7\n%%EOF",
        lambda pdf: pdf[:-10],
        lambda pdf: pdf + b"\n%%EOF\n",
        lambda pdf: pdf + b"1 0 obj <</Type /Catalog>> endobj\n%%EOF\n",
        lambda pdf: b"\n" + pdf,
        lambda pdf: pdf * 2,
        lambda pdf: bytes(17 << 20),
    ],
)
def test_what_is_no_sealed_pdf_of_ours_fails_the_first_check(issued: Issued, change) -> None:
    assert failed_check(issued, change(issued.pdf)) == "form"


def test_a_document_of_another_home_fails_at_its_seal(issued: Issued, stranger: Issued) -> None:
    assert issued.verify(stranger.pdf, stranger.sidecar).status is Status.INVALID
    assert failed_check(issued, stranger.pdf) == "seal"


def test_a_sidecar_of_another_document_is_refused(issued: Issued, stranger: Issued) -> None:
    for sidecar in (stranger.sidecar, opened(issued)[2], issued.sidecar[:-9], "nonsense"):
        report = issued.verify(sidecar=sidecar)
        assert report.status is Status.INVALID
        assert report.checks[-1].name == "issue"


def remade(issued: Issued, **changes: object) -> bytes:
    """What somebody who holds every key, but not the ledger, could make of the document."""
    payload, _, proof = opened(issued)
    statement = json.loads(payload)
    statement["predicate"].update(changes)
    forged = canonical_bytes(statement)
    envelope = sign_envelope(PAYLOAD_TYPE, forged, issued.home.statement_signers)
    pdf = render_certificate(statement["predicate"], str(Digest.of(forged)), envelope, proof)
    return seal_pdf(pdf, issued.home.seal)


def test_another_statement_under_the_old_proof_fails_at_the_ledger(issued: Issued) -> None:
    forged = remade(issued, controller={"name": "Elsewhere", "dataProtectionOfficer": "Nobody"})
    assert failed_check(issued, forged) == "ledger"


def test_pages_that_show_something_else_are_refused(issued: Issued) -> None:
    payload, envelope, proof = opened(issued)
    shown = json.loads(payload)["predicate"]
    digest = str(Digest.of(payload))
    true = seal_pdf(render_certificate(shown, digest, envelope, proof), issued.home.seal)
    assert issued.verify(true, "").checks[7].held is True
    shown["summary"] = ["The request was granted."]
    forged = seal_pdf(render_certificate(shown, digest, envelope, proof), issued.home.seal)
    assert failed_check(issued, forged) == "pages"


def test_an_envelope_without_one_of_its_signatures_is_refused(issued: Issued) -> None:
    payload, _, proof = opened(issued)
    for signer in issued.home.statement_signers:
        envelope = sign_envelope(PAYLOAD_TYPE, payload, [signer])
        pdf = render_certificate(
            parse_statement(payload)["predicate"], str(Digest.of(payload)), envelope, proof
        )
        assert failed_check(issued, seal_pdf(pdf, issued.home.seal)) == "signatures"


def test_a_seal_in_the_same_name_from_another_authority_is_refused(issued: Issued) -> None:
    payload, envelope, proof = opened(issued)
    twin = load_seal(make_test_seal("Universitätsklinikum Lindenau", datetime.now(UTC)).private_pem)
    pdf = render_certificate(
        parse_statement(payload)["predicate"], str(Digest.of(payload)), envelope, proof
    )
    assert failed_check(issued, seal_pdf(pdf, twin)) == "seal"


def test_a_second_seal_is_refused(issued: Issued) -> None:
    with pytest.raises(CertificateError):  # ours certifies that nothing may follow
        seal_pdf(issued.pdf, issued.home.seal)


def trusting(issued: Issued, trust: TrustFile, now: datetime | None = None) -> str:
    report = verify_certificate(issued.pdf, trust, now=now or datetime.now(UTC))
    assert report.status is Status.INVALID
    return next(check.name for check in report.checks if check.held is False)


def test_a_revoked_key_spoils_every_signature_by_it(issued: Issued) -> None:
    trust = parse_trust(issued.trust)
    for position in range(len(trust.statement_keys)):
        keys = list(trust.statement_keys)
        keys[position] = replace(keys[position], revoked_at="2099-01-01T00:00:00Z")
        changed = replace(trust, statement_keys=tuple(keys))
        assert trusting(issued, changed) == "signatures"


def test_keys_count_on_their_days_only(issued: Issued) -> None:
    trust = parse_trust(issued.trust)
    late = tuple(replace(k, valid_from="2099-01-01T00:00:00Z") for k in trust.statement_keys)
    assert trusting(issued, replace(trust, statement_keys=late)) == "statement"


def test_a_verifier_may_ask_for_more_than_was_given(issued: Issued) -> None:
    trust = replace(parse_trust(issued.trust), minimum_seal_level="B-T")
    assert trusting(issued, trust) == "level"


def test_a_fork_of_the_ledger_is_seen(issued: Issued) -> None:
    from auditor.proof.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
    from auditor.proof.tlog_proof import carried_note

    trust = parse_trust(issued.trust)
    report = issued.verify()
    assert report.checks[6].held is True
    proof = opened(issued)[2]
    ours = parse_checkpoint(carried_note(proof))
    fork = Checkpoint(origin=ours.origin, size=ours.size, root=bytes(32))
    note = sign_checkpoint(fork, issued.home.log_signers, 1)
    assert trusting(issued, replace(trust, checkpoint=note)) == "history"


def test_a_seal_out_of_its_time_is_refused(issued: Issued) -> None:
    later = datetime.now(UTC) + timedelta(days=365 * 20)
    assert trusting(issued, parse_trust(issued.trust), later) == "seal"


def test_a_seal_that_does_not_hang_together_is_refused() -> None:
    moment = datetime.now(UTC)
    one, two = make_test_seal("A", moment), make_test_seal("B", moment)
    key = one.private_pem.partition(b"-----BEGIN CERTIFICATE")[0]
    certificate = (
        b"-----BEGIN CERTIFICATE" + two.private_pem.partition(b"-----BEGIN CERTIFICATE")[2]
    )
    for pem in (b"", key, key + certificate, b"nonsense"):
        with pytest.raises(CertificateError):
            load_seal(pem)
