"""The one way anything is asked of another machine: an HTTP POST with a time-out and a limit."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Lock, Timer
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from auditor.errors import LedgerError

_LONGEST_REASON = 200


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
    request = Request(url, data=body, headers={"Content-Type": kind}, method="POST")
    try:
        with _Hurry(timeout) as hurry, hurry.opener().open(request, timeout=timeout) as response:
            answer = Answer(status=response.status, body=_body(response, largest))
            hurry.require_in_time()  # else what came up to the cut might pass for all of it
            return answer
    except (OSError, HTTPException, ValueError, OverflowError) as error:
        raise LedgerError(_plain(error)) from None


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


class _Hurry:
    """Cuts a connection when the time for all of the answer is up.

    A socket's own time-out starts anew with every byte: who sends a header now and then, or "100
    Continue" without end, would hold us for as long as he likes.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = Timer(seconds, self._cut)
        self._timer.daemon = True
        self._lock = Lock()
        self._over = False
        self._connected: list[socket.socket] = []

    def __enter__(self) -> _Hurry:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            over, self._over = self._over, True
            for each in self._connected:
                each.close()
        if over and kind is not None:
            raise TimeoutError("timed out")

    def opener(self) -> OpenerDirector:
        """Speaks HTTP and nothing else: no file://, no redirect, every status as it is."""
        opener = OpenerDirector()
        for handler in (ProxyHandler(), _Plain(self.connection), _Tls(self.connection)):
            opener.add_handler(handler)
        return opener

    def connection(self, kind: type[_Watched], host: str, **options: Any) -> HTTPConnection:
        made = kind(host, **options)
        made.watch = self.watch
        return made

    def watch(self, connected: socket.socket) -> None:
        """Take a connection into charge, by a handle that TLS doesn't take over."""
        with self._lock:
            self._connected.append(connected.dup())
        self.require_in_time()

    def require_in_time(self) -> None:
        if self._over:
            raise TimeoutError("timed out")

    def _cut(self) -> None:
        with self._lock:
            if not self._over:
                self._over = True
                for each in self._connected:
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)


class _Watched(HTTPConnection):
    watch: Callable[[socket.socket], None]

    def connect(self) -> None:
        super().connect()
        self.watch(self.sock)


class _WatchedTls(HTTPSConnection, _Watched):
    """In this order, so that a connection is watched from before the handshake on."""


class _Plain(HTTPHandler):
    def __init__(self, connection: Callable[..., HTTPConnection]) -> None:
        super().__init__()
        self._connection = partial(connection, _Watched)

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connection, req)


class _Tls(HTTPSHandler):
    def __init__(self, connection: Callable[..., HTTPConnection]) -> None:
        super().__init__()
        self._connection = partial(connection, _WatchedTls)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connection, req)


def _plain(error: Exception) -> str:
    """What went wrong in one short line; it may quote the other side, and goes to a terminal."""
    told = str(getattr(error, "reason", error))
    words = "".join(each if each.isprintable() else " " for each in told).split()
    return " ".join(words)[:_LONGEST_REASON] or type(error).__name__


def _body(response: HTTPResponse, largest: int) -> bytes:
    body = b""
    while some := response.read1(largest):
        body += some
        if len(body) > largest:
            raise ValueError(f"it answered with more than {largest} bytes")
    return body
