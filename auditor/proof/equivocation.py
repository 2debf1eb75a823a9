"""Two checkpoints of one log that can't both be true, as evidence anyone can check.

    {"format": "auditor-equivocation/v1", "smaller": note, "larger": note,
     "prefix_root": base64, "path": [base64, ...]}

Of one size with two roots the notes speak for themselves, and prefix root and path are empty. Else
the path proves (RFC 9162 section 2.1.4) that the larger tree extends one of the smaller's size
whose root is ``prefix_root``, and that isn't the root which the log signed for that size.

Only the log's own signatures matter. What time it states and who cosigned doesn't: else a log would
escape by dating one of the two ahead, or by a spoilt cosignature under it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from auditor.errors import ProofError
from auditor.proof.checkpoint import Checkpoint
from auditor.proof.log_policy import END_OF_TIME, LogPolicy, examine_checkpoint
from auditor.proof.merkle import verify_consistency
from auditor.proof.note import LARGEST_NOTE
from auditor.proof.strict_json import (
    as_base64,
    as_list,
    as_text,
    exact_fields,
    read_object,
)

FORMAT = "auditor-equivocation/v1"

_WHAT = "the evidence of equivocation"
_LARGEST = 4 * LARGEST_NOTE
_MOST_HASHES = 64


class Tree(Protocol):
    """Some log's entries, or their hashes: what proofs are made from."""

    @property
    def size(self) -> int:
        """How many entries it has."""

    def root(self, size: int) -> bytes:
        """Root over the first ``size`` entries."""

    def prove_extension(self, old: int, new: int) -> Sequence[bytes]:
        """Consistency proof between two of its sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two checkpoints of one log, laid side by side.

    Attributes:
        evidence: that they contradict each other; empty where the larger extends the smaller.
    """

    smaller: Checkpoint
    larger: Checkpoint
    evidence: bytes = b""


def compare_notes(one: str, other: str, policy: LogPolicy, tree: Tree | None = None) -> Compared:
    """Demand a proof that the larger of two checkpoints extends the smaller.

    Args:
        one: a signed checkpoint.
        other: another one, of the same log.
        policy: the log's keys.
        tree: the log as it is now, needed unless the sizes are equal.

    Raises:
        ProofError: not signed by the log, two different logs, or nothing to prove it from.
    """
    pairs = [(_signed(note, policy), note) for note in (one, other)]
    (smaller, small), (larger, large) = sorted(pairs, key=lambda pair: pair[0].size)
    if smaller.origin != larger.origin:
        raise ProofError("the checkpoints are those of two different logs")
    if smaller.size == larger.size:
        evidence = b"" if smaller.root == larger.root else _evidence(small, large)
        return Compared(smaller=smaller, larger=larger, evidence=evidence)
    if tree is None or tree.size < larger.size or tree.root(larger.size) != larger.root:
        raise ProofError(
            f"no tree at hand that leads to the checkpoint of {larger.size} entries; name the "
            "log's export (--log), or ask the log for it"
        )
    prefix, path = tree.root(smaller.size), tree.prove_extension(smaller.size, larger.size)
    verify_consistency(smaller.size, larger.size, prefix, larger.root, path)
    evidence = b"" if prefix == smaller.root else _evidence(small, large, prefix, path)
    return Compared(smaller=smaller, larger=larger, evidence=evidence)


def verify_equivocation(evidence: bytes, policy: LogPolicy) -> Compared:
    """Check evidence, with nothing but the log's keys.

    Returns:
        The two checkpoints, which the log both signed and which contradict each other.

    Raises:
        ProofError: it is no evidence.
    """
    value = dict(read_object(evidence, _WHAT, _LARGEST))
    exact_fields(value, {"format", "smaller", "larger", "prefix_root", "path"}, _WHAT)
    if value["format"] != FORMAT:
        raise ProofError(f"this is no evidence of equivocation ({FORMAT})")
    smaller, larger = (
        _signed(as_text(value[name], _WHAT), policy) for name in ("smaller", "larger")
    )
    if smaller.origin != larger.origin:
        raise ProofError("the evidence is about two different logs")
    items = as_list(value["path"], _WHAT)
    if len(items) > _MOST_HASHES:
        raise ProofError("the evidence has too many hashes")
    path = [as_base64(item, _WHAT) for item in items]
    prefix = as_base64(value["prefix_root"], _WHAT)
    if smaller.size == larger.size:
        if prefix or path:
            raise ProofError("two checkpoints of one size need no proof; the evidence has one")
        prefix = larger.root
    else:
        verify_consistency(smaller.size, larger.size, prefix, larger.root, path)
    if smaller.root == prefix:
        raise ProofError("the evidence shows no contradiction: the larger extends the smaller")
    return Compared(smaller=smaller, larger=larger, evidence=evidence)


def _signed(note: str, policy: LogPolicy) -> Checkpoint:
    """A checkpoint by the log's own signatures."""
    log = replace(policy, witnesses=(), groups={}, quorum="none")
    return examine_checkpoint(note, log, END_OF_TIME).checkpoint


def _evidence(small: str, large: str, prefix: bytes = b"", path: Sequence[bytes] = ()) -> bytes:
    document = {
        "format": FORMAT,
        "smaller": small,
        "larger": large,
        "prefix_root": b64encode(prefix).decode("ascii"),
        "path": [b64encode(value).decode("ascii") for value in path],
    }
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True)
    return f"{text}\n".encode()
