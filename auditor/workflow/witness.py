"""A witness: what a regulator or a sister hospital runs so that a ledger can't have two histories.

    keys/          its two cosigning keys, Ed25519 and ML-DSA-44
    name.txt       the name it cosigns under
    witness.db     for each log the checkpoint it cosigned last

It speaks C2SP tlog-witness v1.0.0 over HTTP and needs nothing but the logs' public keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias

from auditor.errors import AuditorError, HomeError, MisuseError, ProofError
from auditor.ledger.witness_book import WitnessBook
from auditor.proof.checkpoint import cosign_checkpoint, key_of
from auditor.proof.log_policy import LogPolicy
from auditor.proof.note import NoteKey
from auditor.proof.signing import ED25519, ML_DSA_44, Signer, generate_private_key, load_signer
from auditor.proof.witnessing import LARGEST_REQUEST, SIZE_TYPE, judge, parse_request
from auditor.workflow.files import write_file
from auditor.workflow.keyring import Keyring

_KEYS = {ED25519: "witness-ed25519.pem", ML_DSA_44: "witness-ml-dsa-44.pem"}
_NAME = "name.txt"
_DATABASE = "witness.db"
_TEXT = "text/plain; charset=utf-8"

Journal: TypeAlias = Callable[[str], None]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness's folder, opened."""

    name: str
    signers: tuple[Signer, ...]
    book: WitnessBook

    @property
    def vkeys(self) -> tuple[str, ...]:
        """What a hospital puts into its policy: one of these."""
        return tuple(key_of(signer, self.name, witness=True).vkey for signer in self.signers)


def create_witness(folder: Path, name: str) -> Witness:
    """Make a witness's folder and keys.

    Raises:
        MisuseError: not a name that notes can carry.
        HomeError: there is something already, or it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise HomeError(f"{folder} isn't empty; name another folder for the new witness")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "keys").mkdir(mode=0o700)
    except OSError as error:
        raise HomeError(f"can't make a witness at {folder}: {error.strerror}") from None
    keyring = Keyring.from_environment(folder / "keys")
    for algorithm, file in _KEYS.items():
        pem = generate_private_key(algorithm)
        try:
            key_of(load_signer(pem), name, witness=True)
        except ProofError as error:
            raise MisuseError(str(error)) from None
        keyring.write(file, pem)
    write_file(folder / _NAME, f"{name}\n".encode())
    return open_witness(folder)


def open_witness(folder: Path) -> Witness:
    """Open a witness's folder.

    Raises:
        HomeError: none there, or its keys can't be read.
    """
    try:
        name = (folder / _NAME).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, ValueError):
        raise HomeError(f"no witness at {folder}; make one: auditor ledger witness init") from None
    keyring = Keyring.from_environment(folder / "keys")
    signers = tuple(load_signer(keyring.read(file)) for file in _KEYS.values())
    return Witness(name=name, signers=signers, book=WitnessBook(f"sqlite:///{folder / _DATABASE}"))


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


class WitnessService:
    """The HTTP side, as a WSGI application (PEP 3333)."""

    def __init__(
        self, witness: Witness, logs: Mapping[str, tuple[NoteKey, ...]], journal: Journal
    ) -> None:
        """Serve a witness for some logs; ``journal`` is told one line a request."""
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
        now = int(datetime.now(UTC).timestamp())
        judged, moment = self._witness.book.advance(
            request.note, now, lambda latest: judge(request, self._logs, latest)
        )
        self._journal(f"{judged.status.value} {judged.why or 'cosigned'}")
        if judged.size is not None:
            return judged.status, SIZE_TYPE, f"{judged.size}\n"
        if judged.checkpoint is None:
            return judged.status, _TEXT, f"{judged.why}\n"
        lines = cosign_checkpoint(request.note, self._witness.signers, self._witness.name, moment)
        return judged.status, _TEXT, lines
