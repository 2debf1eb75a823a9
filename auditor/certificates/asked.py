"""What two trust files ask for otherwise, beside the keys of statements: told line by line.

A witness that is replaced, a quorum that is lowered, a root that is given up: each can be rightly
so, and each is what somebody would like who wants fewer to look on. Whoever takes a newer trust
file reads these lines and asks where one surprises them.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence

from auditor.proof.log_policy import LogPolicy
from auditor.proof.note import NoteKey
from auditor.proof.trust import TrustFile


def asked_otherwise(held: TrustFile, offered: TrustFile) -> tuple[str, ...]:
    """A line for each log key, witness and root that is gone or new, and for what else is asked."""
    ours, theirs = held.policy, offered.policy
    return (
        *_moved("log key", [_named(k) for k in ours.logs], [_named(k) for k in theirs.logs]),
        *_moved("witness", _witnesses(ours), _witnesses(theirs)),
        *_changed("quorum", _quorum(ours), _quorum(theirs)),
        *_moved("seal root", _digests(held.seal_roots), _digests(offered.seal_roots)),
        *_moved(
            "time stamp root", _digests(held.timestamp_roots), _digests(offered.timestamp_roots)
        ),
        *_changed("least seal level", held.minimum_seal_level, offered.minimum_seal_level),
        *_changed("log", held.log_origin, offered.log_origin),
    )


def _moved(what: str, before: Sequence[str], now: Sequence[str]) -> list[str]:
    gone = [f"{what} gone: {each}" for each in before if each not in now]
    return gone + [f"{what} new: {each}" for each in now if each not in before]


def _changed(what: str, before: str, now: str) -> list[str]:
    return [] if before == now else [f"{what}: was {before}, is {now}"]


def _named(key: NoteKey) -> str:
    return f"{key.name}+{key.key_id.hex()}"


def _witnesses(policy: LogPolicy) -> list[str]:
    return [_named(witness.key) for witness in policy.witnesses]


def _quorum(policy: LogPolicy) -> str:
    """The quorum with its groups written out, the witnesses by their keys."""
    keys = {witness.name: _named(witness.key) for witness in policy.witnesses}

    def told(name: str) -> str:
        group = policy.groups.get(name)
        if group is None:
            return keys.get(name, name)
        return f"{group.threshold} of ({', '.join(sorted(map(told, group.members)))})"

    return told(policy.quorum)


def _digests(roots: Sequence[str]) -> list[str]:
    """Certificates by the SHA-256 of their DER, as other tools show them."""
    return [hashlib.sha256(ssl.PEM_cert_to_DER_cert(root)).hexdigest() for root in roots]
