"""Asking a time-stamping authority over the network (RFC 3161 section 3.4: over HTTP)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from auditor.errors import LedgerError, ProofError
from auditor.proof.timestamp import timestamp_request, verify_timestamp

LARGEST_ANSWER = 64 << 10

_QUERY = "application/timestamp-query"


def fetch_timestamp(url: str, message: bytes, roots: Sequence[str], timeout: float) -> bytes:
    """Have a message time-stamped.

    Args:
        url: the authority's address, http or https; a stamp is signed, so either is safe.
        message: what to stamp; only its digest leaves the house.
        roots: PEM certificates of the authorities to trust.
        timeout: seconds to wait for each step of the answer, and for all of it.

    Returns:
        The response (TimeStampResp, DER), verified.

    Raises:
        LedgerError: no such address, no answer in time, one that is too large, or one that
            doesn't hold.
    """
    host = _host(url)
    try:
        query = timestamp_request(message)
        token = _post(url, query, timeout)
        verify_timestamp(token, message, roots, query)
    except ProofError as error:
        raise LedgerError(f"no time stamp from {host}: {error}") from None
    except HTTPError as error:
        with error:
            raise LedgerError(f"no time stamp from {host}: it answered HTTP {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise LedgerError(
            f"no time stamp from {host}: {reason or type(error).__name__}; check the address and "
            "the network, then run the command again"
        ) from None
    return token


def _host(url: str) -> str:
    """The authority's name, for messages.

    Raises:
        LedgerError: no web address, or one with a password in it, which would end up in logs.
    """
    try:
        parts = urlsplit(url)
        host, user = parts.hostname, parts.username
    except ValueError:
        host = user = None
    if not host or user is not None or parts.scheme not in ("http", "https"):
        raise LedgerError(
            "the address of the time-stamping authority isn't http://... or https://... without a "
            "password; correct it"
        )
    return host


def _post(url: str, query: bytes, timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    request = Request(url, data=query, headers={"Content-Type": _QUERY}, method="POST")
    with _opener().open(request, timeout=timeout) as response:
        return _body(response, deadline)


def _opener() -> OpenerDirector:
    """Speaks HTTP and nothing else: no file://, and no redirect, which would drop the query."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _body(response: HTTPResponse, deadline: float) -> bytes:
    """The answer, read bit by bit so that one that trickles in runs out of time too."""
    body = b""
    while some := response.read1(LARGEST_ANSWER):
        body += some
        if len(body) > LARGEST_ANSWER:
            raise ValueError(f"it answered with more than {LARGEST_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    return body
