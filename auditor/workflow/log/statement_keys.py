"""Keys that sign statements, approvals, answers and decisions: made, added, rotated, revoked.

The trust file lists every key that ever signed, with its days and its revocation; each change of it
is an event, so that the ledger vouches for the list (`auditor.certificates.key_list`).
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from auditor.certificates.signatures import ALGORITHMS, APPROVER, PERFORMER
from auditor.errors import MisuseError, ProofError
from auditor.proof.signing import Signer, generate_private_key, key_id, load_signer
from auditor.proof.strict_json import (
    as_base64,
    as_list,
    as_object,
    as_text,
    exact_fields,
    read_object,
)
from auditor.proof.trust import StatementKey
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.founding import STATEMENT_KEYS
from auditor.workflow.homes.home import Home
from auditor.workflow.homes.keyring import Keyring
from auditor.workflow.log.checkpoints import signing_alone
from auditor.workflow.log.witnesses import change_trust

PAIR_VARIABLE = "AUDITOR_KEY_PASSPHRASE"
PUBLIC_SUFFIX = ".pub"

_FORMAT = "auditor-public-keys/v1"
_LARGEST = 1 << 16
_PEM = re.compile(rb"-----BEGIN [^-]+-----\n[^-]+-----END [^-]+-----\n?")


def make_pair(path: Path) -> Path:
    """Make a person's or an endpoint's keys, in a file that no home needs to see.

    Returns:
        The file beside it that holds the public halves, for `add_pair`.

    Raises:
        MisuseError: there is such a file already.
        HomeError: it can't be written.
    """
    public_path = path.with_name(path.name + PUBLIC_SUFFIX)
    if path.exists() or public_path.exists():
        raise MisuseError(f"{path} is there already; name another file")
    pems = [generate_private_key(algorithm) for algorithm in ALGORITHMS]
    public = {
        "format": _FORMAT,
        "keys": [
            {
                "algorithm": signer.algorithm,
                "public": b64encode(signer.public_bytes()).decode("ascii"),
            }
            for signer in map(load_signer, pems)
        ],
    }
    Keyring.from_environment(path.parent, PAIR_VARIABLE).write(path.name, b"".join(pems))
    write_file(public_path, f"{json.dumps(public, indent=2)}\n".encode())
    return public_path


def read_pair(path: Path) -> tuple[Signer, ...]:
    """The private keys that `make_pair` made.

    Raises:
        HomeError: unreadable, open to others, or under another passphrase.
        ProofError: it holds something else.
    """
    keyring = Keyring.from_environment(path.parent, PAIR_VARIABLE)
    return tuple(load_signer(pem) for pem in _PEM.findall(keyring.read(path.name)))


def add_pair(home: Home, public: bytes, role: str = APPROVER) -> tuple[StatementKey, ...]:
    """Let keys of that role be trusted, from today on.

    Args:
        public: the file that `make_pair` wrote beside the private keys.

    Raises:
        MisuseError: not such a file, or a key that the trust file lists already.
    """
    keys = listed_pair(public, role)
    try:
        with signing_alone(home):
            _change(home, (*home.trust.statement_keys, *keys))
    except ProofError as error:
        raise MisuseError(str(error)) from None
    return keys


def listed_pair(public: bytes, role: str) -> tuple[StatementKey, ...]:
    """Keys as the trust file would list them from now on.

    Raises:
        MisuseError: not a file that `make_pair` wrote.
    """
    now = _now()
    try:
        return tuple(_listed(algorithm, raw, role, now) for algorithm, raw in _public(public))
    except ProofError as error:
        raise MisuseError(str(error)) from None


def rotate_statement_keys(home: Home) -> tuple[StatementKey, ...]:
    """Sign with new keys from now on, or take a rotation that was stopped to its end.

    Documents signed before stay as good as they are. The old private keys are destroyed.

    Raises:
        HomeError: a key can't be read or written, or the passphrase isn't that of the keys in use.
        TamperedError: the ledger is read-only.
    """
    names, now = STATEMENT_KEYS, _now()
    with signing_alone(home):
        signers = _next_signers(home.keyring)
        listed = {key.key_id for key in home.trust.statement_keys}
        new = [_listed(s.algorithm, s.public_bytes(), PERFORMER, now) for s in signers]
        if not listed.issuperset(key.key_id for key in new):
            ended = [_ended(key, now) for key in home.trust.statement_keys]
            _change(home, (*ended, *new))
        for name in names.values():
            secret = home.keyring.read(_next(name))
            home.keyring.destroy(name)
            home.keyring.write(name, secret)
        for name in names.values():
            home.keyring.destroy(_next(name))
    home.forget_signers()
    return tuple(new)


def revoke_key(home: Home, named: str) -> StatementKey:
    """Tell regulators that nothing signed by a key can be relied on, whenever it was signed.

    Raises:
        MisuseError: no such key, or it is revoked already.
    """
    with signing_alone(home):
        keys = {key.key_id: key for key in home.trust.statement_keys}
        if named not in keys:
            raise MisuseError(
                "no statement key, approver's, endpoint's or desk's of that id; see: auditor keys "
                "list"
            )
        if keys[named].revoked_at:
            raise MisuseError(f"key {named} was revoked at {keys[named].revoked_at}")
        keys[named] = replace(keys[named], revoked_at=_now())
        _change(home, tuple(keys.values()))
    home.forget_signers()
    return keys[named]


def _change(home: Home, keys: Sequence[StatementKey]) -> None:
    change_trust(home, replace(home.trust, statement_keys=tuple(keys)))


def _ended(key: StatementKey, now: str) -> StatementKey:
    return replace(key, valid_until=now) if key.role == PERFORMER and not key.valid_until else key


def _next(name: str) -> str:
    return f"next-{name}"


def _next_signers(keyring: Keyring) -> list[Signer]:
    """Keys of a rotation that was stopped, else new ones."""
    if not all((keyring.folder / _next(name)).exists() for name in STATEMENT_KEYS.values()):
        for name in STATEMENT_KEYS.values():
            if (keyring.folder / name).exists():  # one that was lost is replaced like any other
                keyring.read(name)  # lest the next one be written under another passphrase, or none
        for algorithm, name in STATEMENT_KEYS.items():
            keyring.write(_next(name), generate_private_key(algorithm))
    return [load_signer(keyring.read(_next(name))) for name in STATEMENT_KEYS.values()]


def _public(content: bytes) -> list[tuple[str, bytes]]:
    what = "the file of public keys"
    fields = read_object(content, what, _LARGEST)
    exact_fields(fields, {"format", "keys"}, what)
    if fields["format"] != _FORMAT:
        raise ProofError(f"{what} isn't {_FORMAT}")
    found = []
    for item in as_list(fields["keys"], what):
        key = as_object(item, what)
        exact_fields(key, {"algorithm", "public"}, what)
        found.append((as_text(key["algorithm"], what), as_base64(key["public"], what)))
    if tuple(algorithm for algorithm, _ in found) != ALGORITHMS:
        raise ProofError(f"{what} doesn't hold one key each of {' and '.join(ALGORITHMS)}")
    return found


def _listed(algorithm: str, public: bytes, role: str, now: str) -> StatementKey:
    return StatementKey(
        key_id=key_id(algorithm, public),
        algorithm=algorithm,
        public=b64encode(public).decode("ascii"),
        role=role,
        valid_from=now,
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
