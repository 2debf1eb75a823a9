"""Which logs a verifier trusts, and which witnesses must have cosigned (C2SP tlog-policy, draft).

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...
    quorum <name>|none

The format accepts a checkpoint signed by any one listed key. Here every key listed for the
checkpoint's origin must have signed, so that a dropped ML-DSA-44 signature is noticed; checkpoints
of every origin listed are accepted. A log's URL is read over, nothing here has a use for it.

Nothing here asks how old a checkpoint is: an older one stays as good as it was, and a proof in it
too. Who knows a newer one compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.errors import ProofError
from auditor.proof.checkpoint import Checkpoint, find_verified, parse_checkpoint
from auditor.proof.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    NOTE_ED25519,
    NoteKey,
    parse_vkey,
)

LARGEST_POLICY = 1 << 18  # octets
CLOCK_TOLERANCE = 600
"""Seconds that a cosignature's time may lie ahead of the verifier's clock."""
END_OF_TIME = 2**63
"""For a clock where whether the time lies ahead is somebody else's to ask."""

_NONE = "none"
_MOST_OF_A_KIND = 64  # tlog-policy: at least 32 logs, witnesses and groups should be supported
_BLANKS = re.compile(r"[ \t]+")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness: its name in the policy, its key, and where it takes checkpoints ("": unknown)."""

    name: str
    key: NoteKey
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Members, of which at least ``threshold`` must have witnessed a checkpoint."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPolicy:
    """What `parse_policy` read. ``quorum`` names a witness or a group, or is ``none``."""

    logs: tuple[NoteKey, ...]
    witnesses: tuple[Witness, ...]
    groups: Mapping[str, Group]
    quorum: str

    def keys_of(self, origin: str) -> tuple[NoteKey, ...]:
        """The keys that must all have signed a checkpoint of that origin."""
        return tuple(key for key in self.logs if key.name == origin)

    def reached(self, witnessed: Mapping[str, int]) -> bool:
        """Whether cosignatures by these witnesses make the quorum."""
        return self.quorum == _NONE or self._holds(self.quorum, witnessed)

    def _holds(self, name: str, witnessed: Mapping[str, int]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in witnessed
        return sum(self._holds(member, witnessed) for member in group.members) >= group.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """A checkpoint whose log's signatures hold, and what witnesses said about it.

    Attributes:
        signed: POSIX time the log states, 0 where it states none.
        witnesses: the policy's witnesses whose cosignatures hold, each with the time it states;
            0 where it states none, which vouches for the history and for no time
            (tlog-cosignature).
        quorum: whether they are as many as the policy asks for.
    """

    checkpoint: Checkpoint
    signed: int
    witnesses: Mapping[str, int]
    quorum: bool


def parse_policy(text: str) -> LogPolicy:
    """Read a policy.

    Raises:
        ProofError: naming the line that breaks the format's rules.
    """
    # A policy is octets (tlog-policy, "character set"): two texts name the same only if they are
    # the same, unnormalised, and only space, tab and newline part words.
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can carry
        raise ProofError("the log policy is not UTF-8") from None
    if size > LARGEST_POLICY or _FORBIDDEN.search(text):
        raise ProofError("the log policy is too large, or has control characters")
    if not text.endswith("\n"):  # else `quorum a-and-b`, cut off, might ask for `a` alone
        raise ProofError("the log policy's last line doesn't end with a newline; is it cut off?")
    reading = _Reading()
    for number, line in enumerate(text.split("\n"), start=1):
        words = [word for word in _BLANKS.split(line) if word]
        if words and not words[0].startswith("#"):
            try:
                reading.take(words)
            except ProofError as error:
                raise ProofError(f"line {number} of the log policy: {error}") from None
    return reading.policy()


def policy_text(policy: LogPolicy) -> str:
    """A policy as text that `parse_policy` reads."""
    lines = [f"log {key.vkey}" for key in policy.logs]
    lines += [f"witness {w.name} {w.key.vkey} {w.url}".rstrip() for w in policy.witnesses]
    lines += [
        f"group {name} {group.threshold} {' '.join(group.members)}"
        for name, group in policy.groups.items()
    ]
    return "\n".join([*lines, f"quorum {policy.quorum}"]) + "\n"


def examine_checkpoint(text: str, policy: LogPolicy, now: int) -> Witnessed:
    """Check the signatures of a checkpoint's log and of every witness in the policy.

    A quorum that isn't reached is told, not raised: see `verify_cosigned`.

    Args:
        text: the signed note.
        now: the verifier's clock, POSIX.

    Raises:
        ProofError: not a checkpoint, a log that the policy doesn't list, a key of that log that
            hasn't signed, a signature that doesn't hold, or a time ahead of the verifier's clock.
    """
    checkpoint = parse_checkpoint(text)
    keys = policy.keys_of(checkpoint.origin)
    if not keys:
        raise ProofError("the checkpoint is another log's: the policy doesn't list its origin")
    signed = 0
    for key in keys:
        moment = find_verified(text, key)
        if moment is None:
            raise ProofError(f"the checkpoint lacks the log's {key.verifier.algorithm} signature")
        signed = max(signed, moment)
    found = {witness.name: find_verified(text, witness.key) for witness in policy.witnesses}
    witnessed = {name: moment for name, moment in found.items() if moment is not None}
    if max([signed, *witnessed.values()]) > now + CLOCK_TOLERANCE:
        raise ProofError(
            "a cosignature of the checkpoint is from the future; check this machine's clock"
        )
    return Witnessed(
        checkpoint=checkpoint,
        signed=signed,
        witnesses=witnessed,
        quorum=policy.reached(witnessed),
    )


def verify_cosigned(text: str, policy: LogPolicy, now: int) -> Witnessed:
    """As `examine_checkpoint`, and the quorum must be reached.

    Raises:
        ProofError: see there; or too few witnesses have cosigned.
    """
    found = examine_checkpoint(text, policy, now)
    require_quorum(found, policy)
    return found


def require_quorum(found: Witnessed, policy: LogPolicy) -> None:
    """Raise ProofError where too few of the policy's witnesses have cosigned."""
    if not found.quorum:
        silent = [w.name for w in policy.witnesses if w.name not in found.witnesses]
        raise ProofError(
            f"too few witnesses have cosigned the checkpoint: missing {', '.join(silent)}"
        )


class _Reading:
    """A policy read so far."""

    def __init__(self) -> None:
        self._logs: list[NoteKey] = []
        self._witnesses: list[Witness] = []
        self._groups: dict[str, Group] = {}
        self._members: set[str] = set()
        self._quorum = ""

    def take(self, words: Sequence[str]) -> None:
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self._log(vkey)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._witness(name, vkey, "".join(url))
            case ["group", name, threshold, *members]:
                self._group(name, threshold, members)
            case ["quorum", name]:
                self._set_quorum(name)
            case _:
                raise ProofError("expected a log, witness, group or quorum line")
        if max(len(self._logs), len(self._witnesses), len(self._groups)) > _MOST_OF_A_KIND:
            raise ProofError(f"more than {_MOST_OF_A_KIND} of a kind")

    def policy(self) -> LogPolicy:
        if not self._quorum:
            raise ProofError("the log policy has no quorum line; `quorum none` asks for none")
        return LogPolicy(
            logs=tuple(self._logs),
            witnesses=tuple(self._witnesses),
            groups=self._groups,
            quorum=self._quorum,
        )

    def _log(self, vkey: str) -> None:
        key = parse_vkey(vkey)
        if key.type not in (NOTE_ED25519, COSIGNATURE_ML_DSA_44):
            raise ProofError("a log signs with an Ed25519 (01) or an ML-DSA-44 (06) key")
        self._require_new(key)
        self._logs.append(key)

    def _witness(self, name: str, vkey: str, url: str) -> None:
        key = parse_vkey(vkey)
        if key.type not in (COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44):
            raise ProofError("a witness cosigns with an Ed25519 (04) or an ML-DSA-44 (06) key")
        self._require_free(name)
        self._require_new(key)
        self._witnesses.append(Witness(name=name, key=key, url=url))

    def _group(self, name: str, threshold: str, members: Sequence[str]) -> None:
        self._require_free(name)
        for member in members:
            self._require_defined(member)
        if len(set(members)) != len(members) or self._members & set(members):
            raise ProofError("a name is a member of two groups, or twice of one")
        words = {"all": str(len(members)), "any": "1"}
        number = words.get(threshold, threshold)
        if not _NUMBER.fullmatch(number) or int(number) > len(members):
            raise ProofError("a group needs members, and a threshold from 1 to their number")
        self._members |= set(members)
        self._groups[name] = Group(threshold=int(number), members=tuple(members))

    def _set_quorum(self, name: str) -> None:
        if self._quorum:
            raise ProofError("a second quorum line")
        if name != _NONE:
            self._require_defined(name)
        self._quorum = name

    def _require_free(self, name: str) -> None:
        if name == _NONE or name in self._names():
            raise ProofError("that name is taken")

    def _require_defined(self, name: str) -> None:
        if name not in self._names():
            raise ProofError("it names a witness or group that no line before it defines")

    def _require_new(self, key: NoteKey) -> None:
        known = [*self._logs, *(witness.key for witness in self._witnesses)]
        if any(other.public == key.public for other in known):
            raise ProofError("the same key stands there twice; every role has its own")
        # Ids of four bytes collide for whoever tries 2^32 keys: each would then spoil every note
        # that the other signs (signed-note, "accidental collisions").
        if any((other.name, other.key_id) == (key.name, key.key_id) for other in known):
            raise ProofError(
                "another key has the same name and key id; notes can't tell them apart"
            )

    def _names(self) -> set[str]:
        return {witness.name for witness in self._witnesses} | set(self._groups)
