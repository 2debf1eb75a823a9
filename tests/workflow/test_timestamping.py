"""Asking an authority over HTTP: a good stamp comes back, everything else is one plain error."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auditor.errors import LedgerError
from auditor.proof.timestamp import timestamp_request, verify_timestamp
from auditor.workflow.log.timestamping import LARGEST_ANSWER, fetch_timestamp
from tests.tsa import Answer, answering, authority, tls_of, tsa

MESSAGE = b"a checkpoint\n"
PATIENCE = 10.0


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached directly, whatever proxy the machine has."""
    monkeypatch.setenv("no_proxy", "*")


def refused(address: str, roots: list[str], match: str, timeout: float = PATIENCE) -> None:
    with pytest.raises(LedgerError, match=match) as caught:
        fetch_timestamp(address, MESSAGE, roots, timeout)
    assert "\n" not in str(caught.value)


def test_a_stamp_is_fetched_verified_and_returned_as_it_came(tmp_path: Path) -> None:
    with tsa(tmp_path / "tsa") as (address, root):
        token = fetch_timestamp(address, MESSAGE, [root], PATIENCE)
    verify_timestamp(token, MESSAGE, [root])


def test_an_authority_is_asked_over_https_under_a_certificate_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = authority(tmp_path / "tsa")
    with answering(lambda query: Answer(body=[made.answer(query)]), tls_of(made)) as address:
        refused(address, [made.root_pem], "certificate verify failed")
        (tmp_path / "web.pem").write_text(made.root_pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "web.pem"))
        fetch_timestamp(address, MESSAGE, [made.root_pem], PATIENCE)


def test_an_authority_that_nobody_trusts_is_refused(tmp_path: Path) -> None:
    other = authority(tmp_path / "other")
    with tsa(tmp_path / "tsa") as (address, _):
        refused(address, [other.root_pem], "isn't signed by an authority")
        refused(address, [], "no roots")


def test_a_lying_authority_is_found_out(tmp_path: Path) -> None:
    made, picky = authority(tmp_path / "tsa"), authority(tmp_path / "picky", digests="sha256")
    lies: list[tuple[Callable[[bytes], bytes], str]] = [
        (lambda query: made.answer(timestamp_request(b"another")), "another message"),
        (lambda query: made.answer(timestamp_request(MESSAGE)), "another request"),
        (picky.answer, "refused, status 2"),
        (lambda query: made.answer(query)[:-9], "not a time stamp"),
        (lambda query: b"<html>", "not a time stamp"),
        (lambda query: query, "not a time stamp"),
        (lambda query: b"", "not a time stamp"),
    ]
    for lie, match in lies:
        with answering(lambda query, lie=lie: Answer(body=[lie(query)])) as address:
            refused(address, [made.root_pem, picky.root_pem], f"127.0.0.1: .*{match}")


def test_a_dead_authority_is_told_from_a_lying_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    refused(f"http://127.0.0.1:{port}/", [], "no time stamp from 127.0.0.1: .*refused; check")


def test_a_slow_authority_is_not_waited_for() -> None:
    over = threading.Event()

    def late() -> Iterator[bytes]:
        over.wait(60)
        yield b"too late"

    def trickling() -> Iterator[bytes]:
        while not over.wait(0.1):
            yield b"\x30"

    for body in (late, trickling):
        with answering(lambda query, body=body: Answer(body=body())) as address:
            start = time.monotonic()
            refused(address, [], "timed out", timeout=0.5)
            assert time.monotonic() - start < 30
    over.set()


def test_a_huge_answer_is_cut_short() -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield bytes(LARGEST_ANSWER // 4)

    with answering(lambda query: Answer(body=endless())) as address:
        refused(address, [], f"more than {LARGEST_ANSWER} bytes")
    assert len(sent) < 1_000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 404, 500, 503])
@pytest.mark.parametrize("location", ["file:///etc/hostname", "ftp://127.0.0.1/", "/again"])
def test_redirects_and_errors_are_not_followed(status: int, location: str) -> None:
    asked = []

    def answer(query: bytes) -> Answer:
        asked.append(query)
        return Answer(body=[b"elsewhere"], status=status, headers={"Location": location})

    with answering(answer) as address:
        refused(address, [], f"answered HTTP {status}")
    assert len(asked) == 1


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1",
        "file:///etc/hostname",
        "ftp://127.0.0.1/",
        "data:,stamp",
        "http://",
        "http://[",
        "http://127.0.0.1:port/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/a b",
        "http://user:secret@127.0.0.1/",
        "http://user:secret@/",
    ],
)
def test_what_is_no_web_address_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(LedgerError, match="address") as caught:
        fetch_timestamp(address, MESSAGE, [], PATIENCE)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
