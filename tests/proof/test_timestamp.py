"""Time stamps by a real authority (OpenSSL's) hold; whatever else claims to be one doesn't."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ProofError
from auditor.proof.timestamp import timestamp_request, verify_timestamp
from tests.tsa import DAY, STAMPING, Authority, authority, with_certificate

MESSAGE = b"a checkpoint\n"
_SAMPLED_BITS = 300


class Stamped(NamedTuple):
    by: Authority
    request: bytes
    token: bytes


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> Stamped:
    made = authority(tmp_path_factory.mktemp("tsa") / "one")
    request = timestamp_request(MESSAGE)
    return Stamped(made, request, made.answer(request))


def refused(token: bytes, roots: list[str], match: str, message: bytes = MESSAGE) -> None:
    with pytest.raises(ProofError, match=match) as caught:
        verify_timestamp(token, message, roots)
    assert "\n" not in str(caught.value)


def test_a_query_asks_for_sha_512_a_nonce_and_certificates() -> None:
    first, second = (tsp.TimeStampReq.load(timestamp_request(MESSAGE)) for _ in range(2))
    assert first["message_imprint"]["hash_algorithm"]["algorithm"].native == "sha512"
    assert first["cert_req"].native is True
    assert first["nonce"].native != second["nonce"].native
    with pytest.raises(ProofError, match="empty"):
        timestamp_request(b"")


def test_a_good_stamp_tells_when(stamped: Stamped) -> None:
    for request in (None, stamped.request):
        moment = verify_timestamp(stamped.token, MESSAGE, [stamped.by.root_pem], request)
        assert moment.tzinfo is UTC
        assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


def test_an_authority_under_another_authority_is_trusted_through_the_root(tmp_path: Path) -> None:
    made = authority(tmp_path / "tsa", intermediate=True)
    token = made.answer(timestamp_request(MESSAGE))
    verify_timestamp(token, MESSAGE, [made.root_pem])
    leaf = x509.load_pem_x509_certificate((tmp_path / "tsa" / "tsa.pem").read_bytes())
    refused(with_certificate(token, leaf), [made.root_pem], "isn't signed by an authority")


def test_one_root_of_several_is_enough_and_none_outlives_its_call(
    stamped: Stamped, tmp_path: Path
) -> None:
    other = authority(tmp_path / "other")  # its names are the same
    for roots in ([other.root_pem, stamped.by.root_pem], [stamped.by.root_pem, other.root_pem]):
        verify_timestamp(stamped.token, MESSAGE, roots)
        refused(stamped.token, [other.root_pem], "isn't signed by an authority")
    refused(stamped.token, [], "no roots")
    for root in ("", "-----BEGIN CERTIFICATE-----\n", "ö"):
        refused(stamped.token, [root], "not a PEM certificate")


def test_a_stamp_is_for_its_message_alone(stamped: Stamped) -> None:
    for message in (b"", b"another", MESSAGE[:-1], MESSAGE + b"\n"):
        refused(stamped.token, [stamped.by.root_pem], "another message", message)


def test_a_stamp_over_a_weaker_digest_is_not_taken(tmp_path: Path, stamped: Stamped) -> None:
    query = tsp.TimeStampReq.load(stamped.request)
    query["message_imprint"] = {
        "hash_algorithm": {"algorithm": "sha256"},
        "hashed_message": bytes(32),
    }
    refused(stamped.by.answer(query.dump()), [stamped.by.root_pem], "another message")


def test_an_old_answer_to_the_same_message_is_told_by_its_nonce(stamped: Stamped) -> None:
    for request, match in (
        (timestamp_request(MESSAGE), "another request"),
        (b"no request", "isn't one"),
        (stamped.request[:-5], "isn't one"),
    ):
        with pytest.raises(ProofError, match=match):
            verify_timestamp(stamped.token, MESSAGE, [stamped.by.root_pem], request)


@pytest.mark.parametrize(("days", "match"), [(-1, "is later than"), (20, "is earlier than")])
def test_a_stamp_from_outside_its_certificates_time_is_refused(
    tmp_path: Path, days: int, match: str
) -> None:
    made = authority(tmp_path / "tsa", until=datetime.now(UTC) + days * DAY)
    refused(made.answer(timestamp_request(MESSAGE)), [made.root_pem], match)


SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


@pytest.mark.parametrize(
    "extensions", [[], [(STAMPING, False)], [(SERVERS, True)]], ids=["none", "lax", "web"]
)
def test_a_certificate_that_is_not_for_time_stamping_is_refused(
    stamped: Stamped, extensions: list[tuple[x509.ExtensionType, bool]]
) -> None:
    token = with_certificate(stamped.token, stamped.by.certificate(*extensions))
    refused(token, [stamped.by.root_pem], "isn't for time stamping")
    good = with_certificate(stamped.token, stamped.by.certificate((STAMPING, True)))
    verify_timestamp(good, MESSAGE, [stamped.by.root_pem])


def test_a_refusal_is_told_with_the_authoritys_reason(tmp_path: Path) -> None:
    picky = authority(tmp_path / "picky", digests="sha256")
    token = picky.answer(timestamp_request(MESSAGE))
    refused(token, [picky.root_pem], "refused, status 2: .*digest algorithm is not supported")


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, 99])
def test_a_stamp_under_any_status_but_granted_is_refused(stamped: Stamped, status: int) -> None:
    at = stamped.token.index(b"\x30\x03\x02\x01\x00") + 4  # PKIStatusInfo { status 0 }
    token = stamped.token[:at] + bytes([status]) + stamped.token[at + 1 :]
    refused(token, [stamped.by.root_pem], f"refused, status {status}")


def test_a_response_that_is_cut_off_or_goes_on_is_refused(stamped: Stamped) -> None:
    for length in (*range(0, len(stamped.token), 37), len(stamped.token) - 1):
        refused(stamped.token[:length], [stamped.by.root_pem], "not a time stamp")
    refused(stamped.token + b"\x00", [stamped.by.root_pem], "not a time stamp")


@given(st.binary(max_size=300))
def test_no_bytes_are_mistaken_for_a_stamp(stamped: Stamped, token: bytes) -> None:
    refused(token, [stamped.by.root_pem], "time stamp")


def test_a_flipped_bit_never_gives_another_message_or_another_time(stamped: Stamped) -> None:
    roots = [stamped.by.root_pem]
    moment = verify_timestamp(stamped.token, MESSAGE, roots)
    held = 0
    for bit in random.Random(3161).sample(range(len(stamped.token) * 8), _SAMPLED_BITS):
        bent = bytearray(stamped.token)
        bent[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProofError):
            verify_timestamp(bytes(bent), b"another", roots)
        try:
            assert verify_timestamp(bytes(bent), MESSAGE, roots) == moment
            held += 1  # a bit that no signature covers, of the root that the response repeats
        except ProofError:
            pass
    assert held < _SAMPLED_BITS / 2
