"""Real witnesses on loopback, as threads or processes, servers that lie, and small logs to show."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from waitress import wasyncore

from auditor.proof.checkpoint import Checkpoint, key_of, sign_checkpoint
from auditor.proof.log_policy import LogPolicy, parse_policy
from auditor.proof.merkle import consistency_path, leaf_hash, root_at, root_of
from auditor.proof.note import NoteKey, parse_vkey
from auditor.proof.signing import ED25519, ML_DSA_44, Signer, generate_private_key, load_signer
from auditor.proof.witnessing import AddCheckpoint, format_request
from auditor.workflow.log.witness import (
    Witness,
    WitnessService,
    create_witness,
    known_logs,
    listening,
    open_witness,
)

EMPTY: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log in memory; two of the same keys with other leaves are a fork."""

    origin: str
    signers: tuple[Signer, ...]
    leaves: tuple[bytes, ...]

    @property
    def policy(self) -> LogPolicy:
        keys = [key_of(signer, self.origin, witness=False) for signer in self.signers]
        return parse_policy("".join(f"log {key.vkey}\n" for key in keys) + "quorum none\n")

    def forked(self, at: int) -> Log:
        """The same log with another history after so many entries."""
        other = tuple(leaf_hash(b"forked" + leaf) for leaf in self.leaves[at:])
        return replace(self, leaves=self.leaves[:at] + other)

    def root(self, size: int) -> bytes:
        return root_at(self._read, size)

    def note(self, size: int, moment: int = 1, signers: Sequence[Signer] = ()) -> str:
        state = Checkpoint(origin=self.origin, size=size, root=self.root(size))
        return sign_checkpoint(state, signers or self.signers, moment)

    def request(self, old: int, size: int) -> str:
        path = consistency_path(self._read, old, size)
        return format_request(AddCheckpoint(old=old, path=path, note=self.note(size)))

    def _read(self, wanted: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        return [root_of(self.leaves[i << level : (i + 1) << level]) for level, i in wanted]


def make_log(origin: str = "log.example/ledger", size: int = 40) -> Log:
    signers = tuple(load_signer(generate_private_key(kind)) for kind in (ED25519, ML_DSA_44))
    leaves = tuple(leaf_hash(f"{origin} {number}".encode()) for number in range(size))
    return Log(origin=origin, signers=signers, leaves=leaves)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A witness at work."""

    folder: Path
    url: str
    vkeys: tuple[str, ...]
    journal: list[str] = field(default_factory=list)

    @property
    def keys(self) -> tuple[NoteKey, ...]:
        return tuple(parse_vkey(vkey) for vkey in self.vkeys)

    @property
    def ed25519(self) -> str:
        return self.vkeys[0]

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def ask(
        self,
        body: str | bytes,
        method: str = "POST",
        path: str = "/add-checkpoint",
        headers: dict[str, str] = EMPTY,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = body.encode("utf-8") if isinstance(body, str) else body
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8")
            return Reply(
                status=answer.status, kind=answer.headers.get("Content-Type", ""), text=text
            )
        finally:
            connection.close()


@contextmanager
def serving(folder: Path, *policies: LogPolicy) -> Iterator[Served]:
    """A witness in a thread; its folder is made where there is none."""
    if not folder.exists():
        create_witness(folder, f"{folder.name}.example/witness").book.close()
    witness = open_witness(folder)
    try:
        with serving_opened(witness, *policies) as served:
            yield served
    finally:
        witness.book.close()


@contextmanager
def serving_opened(witness: Witness, *policies: LogPolicy) -> Iterator[Served]:
    journal: list[str] = []
    service = WitnessService(witness, known_logs(policies), journal.append)
    server, (address,) = listening(service, "127.0.0.1:0")
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Served(
            folder=witness.folder, url=f"http://{address}", vkeys=witness.vkeys, journal=journal
        )
    finally:
        # A request's end pulls the trigger, too, and would close it before our own pull is done.
        pulled = threading.Event()
        server.trigger.pull_trigger(lambda: pulled.wait() and wasyncore.close_all(server._map))
        pulled.set()
        thread.join()
        server.task_dispatcher.shutdown()


@contextmanager
def process(folder: Path, *logs: Path) -> Iterator[tuple[Served, subprocess.Popen[str]]]:
    """A witness as its operator runs it."""
    words = ["ledger", "witness", "serve", "--folder", str(folder), "--listen", "127.0.0.1:0"]
    command = [sys.executable, "-m", "auditor.cli.main", *words]
    command += [word for log in logs for word in ("--log", str(log))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = "http://" + running.stdout.readline().split()[-1]
        journal = threading.Thread(target=running.stdout.read)  # lest a full pipe stop it
        journal.start()
        try:
            opened = open_witness(folder)
            opened.book.close()
            yield Served(folder=folder, url=url, vkeys=opened.vkeys), running
        finally:
            running.kill()
            journal.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """What a server answers instead; ``raw`` replaces all of HTTP."""

    status: int = 200
    body: Iterable[bytes] = ()
    headers: dict[str, str] = field(default_factory=dict)
    raw: Iterable[bytes] | None = None


@contextmanager
def lying(answer: Callable[[str], Lie]) -> Iterator[str]:
    """A server that answers requests to cosign as it likes; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            lie = answer(self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8"))
            if lie.raw is None:
                self.send_response(lie.status)
                for name, value in lie.headers.items():
                    self.send_header(name, value)
                self.end_headers()
            try:
                for some in lie.body if lie.raw is None else lie.raw:
                    self.wfile.write(some)
            except OSError:
                pass  # whoever asked has gone
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Tests need no access log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
