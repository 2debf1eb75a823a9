"""Seals of every level: found as what they are, and every forged twin seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from asn1crypto import cms, pem
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from auditor.certificates.seal import Seal, SealToken, load_seal, load_token_seal
from auditor.certificates.seal_check import SealFound, verify_seal
from auditor.certificates.sealed_pdf import Evidence, SealedPdf, read_sealed_pdf
from auditor.certificates.sealing import LEVELS, seal_pdf
from auditor.errors import CertificateError, InvalidCertificateError
from tests.certificates import examples
from tests.certificates.conformance import shortcomings
from tests.certificates.sealers import _SEALS, DAY, Sealer, revoked, sealer
from tests.certificates.test_languages import made
from tests.ledger.token import LABEL, PIN, make_token
from tests.tsa import Issuer

ABOVE = LEVELS[1:]


@pytest.fixture(scope="module")
def page() -> bytes:
    return made(examples.refused())[1]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Sealer:
    return sealer(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def sealed(page: bytes, office: Sealer) -> dict[str, bytes]:
    return {
        level: seal_pdf(page, office.seal, None if level == "B-B" else office.trusted(level))
        for level in LEVELS
    }


def found(office: Sealer, pdf: bytes, now: datetime | None = None) -> SealFound:
    return checked(office, read_sealed_pdf(pdf), now)


def checked(office: Sealer, document: SealedPdf, now: datetime | None = None) -> SealFound:
    return verify_seal(document, [office.root_pem], [office.tsa.root_pem], now or datetime.now(UTC))


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_is_found_and_stays_archival(
    level: str, office: Sealer, sealed: dict[str, bytes]
) -> None:
    seal = found(office, sealed[level])
    assert (seal.level, seal.signer) == (level, "Common Name: Seal")
    if level == "B-B":
        assert seal.moment is None
    else:
        assert seal.moment is not None
        assert abs(datetime.now(UTC) - seal.moment) < DAY / 24
    assert shortcomings(sealed[level]) == []


@pytest.mark.parametrize("level", LEVELS)
def test_other_roots_are_not_trusted(
    level: str, office: Sealer, sealed: dict[str, bytes], tmp_path: Path
) -> None:
    document, now = read_sealed_pdf(sealed[level]), datetime.now(UTC)
    seal, tsa = [office.root_pem], [office.tsa.root_pem]
    with pytest.raises(InvalidCertificateError):
        verify_seal(document, tsa, tsa, now)
    if level != "B-B":
        # who may stamp may not seal, and the other way round
        for stamps in ([], seal):
            with pytest.raises(InvalidCertificateError):
                verify_seal(document, seal, stamps, now)


def test_a_stamp_keeps_a_seal_good_beyond_its_certificate(page: bytes, tmp_path: Path) -> None:
    brief = sealer(tmp_path, until=datetime.now(UTC).replace(microsecond=0) + DAY)
    later = datetime.now(UTC) + 3 * DAY
    for level in ABOVE:
        stamped = seal_pdf(page, brief.seal, brief.trusted(level))
        assert found(brief, stamped, later).level == level
        with pytest.raises(InvalidCertificateError, match="expired"):
            found(brief, stamped, later + 30 * DAY)
        with pytest.raises(InvalidCertificateError, match="later than it can be"):
            found(brief, stamped, datetime.now(UTC) - DAY)
    plain = seal_pdf(page, brief.seal)
    assert found(brief, plain).level == "B-B"
    with pytest.raises(InvalidCertificateError):
        found(brief, plain, later)


@pytest.mark.parametrize("level", ABOVE)
def test_a_stamp_taken_out_of_the_seal_shows(
    level: str, office: Sealer, sealed: dict[str, bytes]
) -> None:
    bare = _with_cms(sealed[level], _unstamped)
    if level == "B-T":
        assert found(office, bare).level == "B-B"  # less than the statement declares
    else:
        with pytest.raises(InvalidCertificateError):
            found(office, bare)


def test_the_last_stamp_cut_off_shows(office: Sealer, sealed: dict[str, bytes]) -> None:
    whole = sealed["B-LTA"]
    before = whole[: whole[:-6].rindex(b"%%EOF") + len(b"%%EOF\n")]
    assert found(office, before).level == "B-LT"


def test_what_tells_of_revocation_can_not_be_taken_out(
    office: Sealer, sealed: dict[str, bytes]
) -> None:
    for level in ("B-LT", "B-LTA"):
        document = read_sealed_pdf(sealed[level])
        assert document.evidence is not None
        empty = replace(document, evidence=Evidence(certificates=(), revoked=()))
        with pytest.raises(InvalidCertificateError):
            checked(office, empty)
        one = replace(
            document,
            evidence=replace(document.evidence, revoked=document.evidence.revoked[:1]),
        )
        with pytest.raises(InvalidCertificateError):
            checked(office, one)
    with pytest.raises(InvalidCertificateError, match="revoked certificates was taken away"):
        checked(office, replace(read_sealed_pdf(sealed["B-LTA"]), evidence=None))


def test_a_revoked_seal_seals_nothing_and_verifies_nothing(
    page: bytes, office: Sealer, sealed: dict[str, bytes]
) -> None:
    with pytest.raises(CertificateError, match="can't be sealed"):
        seal_pdf(page, office.seal, office.trusted("B-LT", serials=(42,)))
    document = read_sealed_pdf(sealed["B-LT"])
    assert document.evidence is not None
    lists = (revoked(office.issuer, (42,)), revoked(office.tsa.issuer, ()))
    told = tuple(pem.unarmor(text.encode())[2] for text in lists)
    with pytest.raises(InvalidCertificateError):
        checked(office, replace(document, evidence=replace(document.evidence, revoked=told)))


def test_a_stamp_of_another_file_is_refused(
    page: bytes, office: Sealer, sealed: dict[str, bytes]
) -> None:
    other = seal_pdf(page, office.seal, office.trusted("B-T"))
    stamp = _signed_data(other)["signer_infos"][0]["unsigned_attrs"].untag().dump()

    def exchanged(signed: cms.SignedData) -> None:
        signed["signer_infos"][0]["unsigned_attrs"] = cms.CMSAttributes.load(stamp)

    with pytest.raises(InvalidCertificateError, match="time stamp doesn't hold"):
        found(office, _with_cms(sealed["B-T"], exchanged))


@pytest.mark.parametrize("level", ["B-T", "B-LT"])
def test_a_stamp_without_its_certificate_is_refused(
    level: str, office: Sealer, sealed: dict[str, bytes]
) -> None:
    """It may be found elsewhere, as under the seal itself, but nobody then looks at its end."""

    def bared(signed: cms.SignedData) -> None:
        attributes = signed["signer_infos"][0]["unsigned_attrs"]
        (stamp,) = attributes[0]["values"]
        stamp["content"]["certificates"] = cms.CertificateSet([])

    with pytest.raises(InvalidCertificateError, match="doesn't carry its certificate"):
        found(office, _with_cms(sealed[level], bared))


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_may_follow(level: str, office: Sealer, sealed: dict[str, bytes]) -> None:
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

    writer = IncrementalPdfFileWriter(BytesIO(sealed[level]))
    writer.root["/Lang"] = writer.root["/Lang"]
    writer.update_root()
    grown = BytesIO()
    writer.write(grown)
    with pytest.raises(InvalidCertificateError, match="doesn't cover"):
        read_sealed_pdf(grown.getvalue())


def test_a_change_before_the_last_stamp_is_refused(
    page: bytes, office: Sealer, sealed: dict[str, bytes]
) -> None:
    """Somebody with a time stamp of their own adds a page's worth of text under it."""
    import asyncio

    from pyhanko.pdf_utils.generic import pdf_name
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.signers import PdfTimeStamper

    from auditor.certificates.sealing import _stamper

    writer = IncrementalPdfFileWriter(BytesIO(sealed["B-LT"]))
    writer.root[pdf_name("/Lang")] = pdf_name("/xx")
    writer.update_root()
    stamped = BytesIO()
    stamper = PdfTimeStamper(_stamper(office.tsa.answer))
    asyncio.run(stamper.async_timestamp_pdf(writer, "sha256", output=stamped))
    with pytest.raises(InvalidCertificateError):
        found(office, stamped.getvalue())


def test_an_authority_that_gives_no_stamp_is_told(page: bytes, office: Sealer) -> None:
    for answer in (b"", b"nonsense", b"\x30\x05\x30\x03\x02\x01\x02"):  # the last: rejected
        asked = replace(office.trusted("B-T"), ask=lambda query, given=answer: given)
        with pytest.raises(CertificateError, match="can't be sealed"):
            seal_pdf(page, office.seal, asked)


def test_rsa_seals_too_but_not_with_a_short_key(page: bytes, tmp_path: Path) -> None:
    office = sealer(tmp_path, kind="3072")
    assert found(office, seal_pdf(page, office.seal)).level == "B-B"
    (tmp_path / "short").mkdir()
    with pytest.raises(CertificateError, match="neither ECDSA P-256 nor RSA 3072"):
        load_seal(sealer(tmp_path / "short", kind="2048").pem)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SealToken, bytes]]:
    """A token with a key pair, and the public half (DER)."""
    import pkcs11
    from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

    library = make_token(tmp_path, monkeypatch)
    with pkcs11.lib(str(library)).get_token(token_label=LABEL).open(user_pin=PIN, rw=True) as open_:
        curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        parameters = open_.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
        public, private = parameters.generate_keypair(store=True, label="seal")
        assert private[pkcs11.Attribute.SENSITIVE] and not private[pkcs11.Attribute.EXTRACTABLE]
        der = encode_ec_public_key(public)
    yield SealToken(module=library, token=LABEL, pin=PIN, label="seal"), der


def test_a_key_on_a_token_seals(
    page: bytes, office: Sealer, token: tuple[SealToken, bytes]
) -> None:
    place, der = token
    public: Any = load_der_public_key(der)
    certificate = office.issuer.certificate("Token", public, (_SEALS, True), serial=43)
    seal = load_token_seal(certificate.public_bytes(Encoding.PEM), place)
    assert "4711" not in repr(seal)
    for level in ("B-B", "B-LTA"):
        out = seal_pdf(page, seal, None if level == "B-B" else office.trusted(level))
        assert found(office, out).level == level
    for wrong in (
        replace(place, pin="0000"),
        replace(place, token="other"),
        replace(place, label="other"),
        replace(place, module=Path("/nowhere.so")),
    ):
        with pytest.raises(CertificateError, match="PKCS#11 token can't be used"):
            seal_pdf(page, load_token_seal(certificate.public_bytes(Encoding.PEM), wrong))
    with pytest.raises(CertificateError):
        load_token_seal(b"nonsense", place)
    assert isinstance(certificate, x509.Certificate)


@pytest.mark.parametrize(("names", "each"), [(1, 12), (4, 3), (11, 2)])
def test_a_seal_with_many_authorities_of_one_name_is_not_gone_through(
    page: bytes, office: Sealer, names: int, each: int
) -> None:
    """Each could have issued each of the next name: more ways than anybody can try."""
    key, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ring = [Issuer(name=f"N{n}", key=key, until=office.issuer.until) for n in range(names)]
    leaf = ring[0].certificate("Seal", own.public_key(), (_SEALS, True), serial=1)
    authority = (x509.BasicConstraints(ca=True, path_length=None), True)
    others = tuple(
        issuer.certificate(ring[at - 1].name, key.public_key(), authority, serial=2 + each * at + n)
        for at, issuer in enumerate(ring)
        for n in range(each)
    )
    der = own.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    forged = seal_pdf(page, Seal(key=der, certificate=leaf, others=others))
    with pytest.raises(InvalidCertificateError, match="too many certificates"):
        found(office, forged)


def test_who_stamps_may_have_renewed_its_certificate_often(
    office: Sealer, sealed: dict[str, bytes]
) -> None:
    document = read_sealed_pdf(sealed["B-LTA"])
    assert document.evidence is not None
    renewed = tuple(
        office.tsa.issuer.certificate("Test TSA", office.tsa.key.public_key(), serial=serial)
        for serial in range(90, 95)
    )
    dumped = tuple(each.public_bytes(Encoding.DER) for each in renewed)
    evidence = replace(document.evidence, certificates=(*document.evidence.certificates, *dumped))
    assert checked(office, replace(document, evidence=evidence)).level == "B-LTA"


def _unstamped(signed: cms.SignedData) -> None:
    del signed["signer_infos"][0]["unsigned_attrs"]


def _signed_data(pdf: bytes) -> cms.SignedData:
    return read_sealed_pdf(pdf).signature.signed_data


def _with_cms(pdf: bytes, change: Any) -> bytes:
    """The file with its seal's CMS object changed, which no byte range covers."""
    with pikepdf.open(BytesIO(pdf)) as document:
        field = document.Root.AcroForm.Fields[0]
        contents = bytes(field.V.Contents)
        _, before, after, _ = (int(number) for number in field.V.ByteRange)
    info = cms.ContentInfo.load(contents)
    change(info["content"])
    hexed = info.dump().hex().encode()
    return pdf[:before] + b"<" + hexed.ljust(after - before - 2, b"0") + b">" + pdf[after:]
