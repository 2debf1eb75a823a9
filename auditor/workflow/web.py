"""The one way anything is asked of another machine: an HTTP POST with a time-out and a limit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from auditor.errors import LedgerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whatever the status."""

    status: int
    body: bytes


def post(url: str, body: bytes, kind: str, *, timeout: float, largest: int) -> Answer:
    """Send ``body`` and read the answer.

    Args:
        url: http or https.
        kind: content type of the body.
        timeout: seconds to wait for each step of the answer, and for all of it.
        largest: bytes of an answer accepted.

    Raises:
        LedgerError: no web address, no answer in time, or one that is too large; the message is
            the end of a sentence and names neither the address nor what was sent.
    """
    require_web_address(url)
    deadline = time.monotonic() + timeout
    request = Request(url, data=body, headers={"Content-Type": kind}, method="POST")
    try:
        with _opener().open(request, timeout=timeout) as response:
            return Answer(status=response.status, body=_body(response, deadline, largest))
    except (OSError, HTTPException, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise LedgerError(reason or type(error).__name__) from None


def require_web_address(url: str) -> str:
    """The host an address names.

    Raises:
        LedgerError: not http or https, or with a password in it, which would end up in logs.
    """
    try:
        parts = urlsplit(url)
        host, user = parts.hostname, parts.username
    except ValueError:
        host = user = None
    if not host or user is not None or parts.scheme not in ("http", "https"):
        raise LedgerError("its address isn't http://... or https://... without a password")
    return host


def _opener() -> OpenerDirector:
    """Speaks HTTP and nothing else: no file://, no redirect, every status handed back as it is."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    return opener


def _body(response: HTTPResponse, deadline: float, largest: int) -> bytes:
    """The answer, read bit by bit so that one that trickles in runs out of time too."""
    body = b""
    while some := response.read1(largest):
        body += some
        if len(body) > largest:
            raise ValueError(f"it answered with more than {largest} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    return body
