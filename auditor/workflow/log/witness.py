"""A witness: what a regulator or a sister hospital runs so that a ledger can't have two histories.

    keys/          its two cosigning keys, Ed25519 and ML-DSA-44
    name.txt       the name it cosigns under
    witness.db     for each log the checkpoint it cosigned last
    evidence/      two roots that a log signed for one size, where that was tried

It speaks C2SP tlog-witness v1.0.0 over HTTP and needs nothing but the logs' public keys. A witness
that lost its record, or has an older one, would cosign a second history: it refuses to work without
one, and makes way for a new witness with keys of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias

from waitress import create_server

from auditor.errors import AuditorError, HomeError, MisuseError, ProofError, TamperedError
from auditor.ledger.witness_book import WitnessBook
from auditor.proof.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    find_verified,
    key_of,
    parse_checkpoint,
)
from auditor.proof.equivocation import compare_notes
from auditor.proof.log_policy import LogPolicy
from auditor.proof.note import NoteKey
from auditor.proof.signing import ED25519, ML_DSA_44, Signer, generate_private_key, load_signer
from auditor.proof.witnessing import LARGEST_REQUEST, SIZE_TYPE, Judged, judge, parse_request
from auditor.workflow.homes.files import new_folder, write_file
from auditor.workflow.homes.keyring import Keyring

_KEYS = {ED25519: "witness-ed25519.pem", ML_DSA_44: "witness-ml-dsa-44.pem"}
_NAME = "name.txt"
_DATABASE = "witness.db"
_EVIDENCE = "evidence"
_NAMED_BY = 16  # digits of the origin's SHA-256 in the name of a file of evidence
_LONGEST_NAME = 255  # bytes; tlog-cosignature, "signed message"
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_LARGEST_PORT = 65_535
_LARGEST_HEADER = 16 << 10
_SECONDS_OF_IDLENESS = 30
_TEXT = "text/plain; charset=utf-8"

Journal: TypeAlias = Callable[[str], None]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness's folder, opened."""

    folder: Path
    name: str
    signers: tuple[Signer, ...]
    book: WitnessBook

    @property
    def vkeys(self) -> tuple[str, ...]:
        """What a hospital puts into its policy: one of these."""
        return tuple(key_of(signer, self.name, witness=True).vkey for signer in self.signers)


def create_witness(folder: Path, name: str) -> Witness:
    """Make a witness's folder: keys and an empty record. It appears whole or not at all.

    Raises:
        MisuseError: not a name that notes can carry.
        HomeError: there is something already, or it can't be written.
    """
    if len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
        raise MisuseError(f"a witness's name has at most {_LONGEST_NAME} bytes")
    keys = {file: generate_private_key(algorithm) for algorithm, file in _KEYS.items()}
    try:
        for pem in keys.values():
            key_of(load_signer(pem), name, witness=True)
    except ProofError as error:
        raise MisuseError(str(error)) from None
    with new_folder(folder.absolute(), "witness") as making:
        _furnish(making, name, keys)
    return open_witness(folder)


def _furnish(making: Path, name: str, keys: Mapping[str, bytes]) -> None:
    (making / "keys").mkdir(mode=0o700)
    keyring = Keyring.from_environment(making / "keys")
    for file, pem in keys.items():
        keyring.write(file, pem)
    write_file(making / _NAME, f"{name}\n".encode())
    book = _book(making)
    book.create()
    book.close()


def _book(folder: Path) -> WitnessBook:
    return WitnessBook(f"sqlite:///{folder / _DATABASE}")


def open_witness(folder: Path) -> Witness:
    """Open a witness's folder.

    Raises:
        HomeError: none there, its record is gone, or its keys can't be read.
    """
    try:
        name = (folder / _NAME).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, ValueError):
        raise HomeError(f"no witness at {folder}; make one: auditor ledger witness init") from None
    if not (folder / _DATABASE).is_file():
        raise HomeError(
            f"the witness at {folder} has lost its record ({_DATABASE}) and might cosign a second "
            "history; make a new one: auditor ledger witness init"
        )
    keyring = Keyring.from_environment(folder / "keys")
    signers = tuple(load_signer(keyring.read(file)) for file in _KEYS.values())
    return Witness(folder=folder, name=name, signers=signers, book=_book(folder))


def known_logs(policies: Sequence[LogPolicy]) -> Mapping[str, tuple[NoteKey, ...]]:
    """The logs of some policies by origin.

    Raises:
        MisuseError: two policies give different keys for one origin, or there is no log.
    """
    logs: dict[str, tuple[NoteKey, ...]] = {}
    for policy in policies:
        for origin in {key.name for key in policy.logs}:
            keys = policy.keys_of(origin)
            if logs.setdefault(origin, keys) != keys:
                raise MisuseError("two of the files give different keys for the same log")
    if not logs:
        raise MisuseError("none of the files lists a log to witness")
    return logs


def listening(service: WitnessService, listen: str) -> tuple[Any, Sequence[str]]:
    """A web server for a witness, and where it listens: port 0 lets the system choose.

    What is larger than any request isn't read: it would be kept on disk before we see it.

    Raises:
        MisuseError: no such address, or somebody else listens there.
    """
    port = listen.rpartition(":")[2]
    if not _PORT.fullmatch(port) or int(port) > _LARGEST_PORT:  # the system would take it modulo
        raise MisuseError(f"can't listen on {listen}: expected an address like 127.0.0.1:8722")
    try:
        server = create_server(
            service,
            map={},
            listen=listen,
            ident="auditor witness",
            max_request_body_size=LARGEST_REQUEST + 1,
            max_request_header_size=_LARGEST_HEADER,
            channel_timeout=_SECONDS_OF_IDLENESS,
        )
    except (OSError, ValueError) as error:
        raise MisuseError(f"can't listen on {listen}: {error}") from None
    several = getattr(server, "effective_listen", None)
    pairs = several or [(server.effective_host, server.effective_port)]
    return server, [f"{host}:{port}" for host, port in pairs]


class WitnessService:
    """The HTTP side, as a WSGI application (PEP 3333)."""

    def __init__(
        self, witness: Witness, logs: Mapping[str, tuple[NoteKey, ...]], journal: Journal
    ) -> None:
        """Serve a witness for some logs; ``journal`` is told one line a checkpoint."""
        self._witness = witness
        self._logs = logs
        self._journal = journal

    def __call__(self, environ: Mapping[str, Any], respond: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        status, kind, body = self._answer(environ)
        content = body.encode("utf-8")
        headers = [("Content-Type", kind), ("Content-Length", str(len(content)))]
        respond(f"{status.value} {status.phrase}", headers)
        return [content]

    def _answer(self, environ: Mapping[str, Any]) -> tuple[HTTPStatus, str, str]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if path in ("", "/") and method == "GET":
            return HTTPStatus.OK, _TEXT, "".join(f"{vkey}\n" for vkey in self._witness.vkeys)
        if path != "/add-checkpoint":
            return HTTPStatus.NOT_FOUND, _TEXT, ""
        if method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, ""
        length = str(environ.get("CONTENT_LENGTH") or "")
        if not length.isascii() or not length.isdigit():
            return HTTPStatus.LENGTH_REQUIRED, _TEXT, ""
        if int(length) > LARGEST_REQUEST:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TEXT, ""
        try:
            return self._add_checkpoint(environ["wsgi.input"].read(int(length)))
        except AuditorError as error:
            self._journal(f"internal error: {error}")
            return HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, ""

    def _add_checkpoint(self, body: bytes) -> tuple[HTTPStatus, str, str]:
        try:
            request = parse_request(body.decode("utf-8"))
        except (ProofError, UnicodeDecodeError):
            return HTTPStatus.BAD_REQUEST, _TEXT, ""

        def decide(latest: str | None) -> Judged:
            known = None if latest is None else self._recorded(latest)
            judged = judge(request, self._logs, known)
            if latest and judged.status is HTTPStatus.CONFLICT and _contradict(known, request.note):
                self._keep_evidence(latest, request.note)
            return judged

        now = int(datetime.now(UTC).timestamp())
        judged, moment = self._witness.book.advance(request.note, now, decide)
        self._journal(_line(request.note, judged))
        if judged.size is not None:
            return judged.status, SIZE_TYPE, f"{judged.size}\n"
        if judged.checkpoint is None:
            return judged.status, _TEXT, f"{judged.why}\n"
        lines = cosign_checkpoint(request.note, self._witness.signers, self._witness.name, moment)
        return judged.status, _TEXT, lines

    def _recorded(self, note: str) -> Checkpoint:
        """What was cosigned last; the log's signatures tell whether it still says what it said."""
        checkpoint = parse_checkpoint(note)
        try:
            keys = self._logs.get(checkpoint.origin, ())
            if all(find_verified(note, key) is not None for key in keys):
                return checkpoint
        except ProofError:
            pass
        raise TamperedError("the witness's record of a log was changed")

    def _keep_evidence(self, one: str, other: str) -> None:
        """Two roots that the log signed for one size, as a file that anyone can check."""
        checkpoint = parse_checkpoint(one)
        keys = self._logs[checkpoint.origin]
        policy = LogPolicy(logs=keys, witnesses=(), groups={}, quorum="none")
        name = hashlib.sha256(checkpoint.origin.encode("utf-8")).hexdigest()[:_NAMED_BY]
        folder = self._witness.folder / _EVIDENCE
        try:
            folder.mkdir(exist_ok=True)
            evidence = compare_notes(one, other, policy).evidence
            write_file(folder / f"{name}-{checkpoint.size}.json", evidence)
        except (HomeError, OSError) as error:  # the answer matters more
            self._journal(f"evidence of two histories can't be kept: {error}")


def _contradict(known: Checkpoint | None, note: str) -> bool:
    stated = parse_checkpoint(note)
    return known is not None and known.size == stated.size and known.root != stated.root


def _line(note: str, judged: Judged) -> str:
    """The journal's line; a stranger's checkpoint isn't named in it."""
    told = f"{judged.status.value} {judged.why or 'cosigned'}"
    if judged.status in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
        return told
    checkpoint = parse_checkpoint(note)
    return f"{told}: {checkpoint.size} entries of {checkpoint.origin}, root {checkpoint.root.hex()}"
