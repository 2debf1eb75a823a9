"""Proof, in one text file, that an entry is in a log (C2SP tlog-proof@v1, draft of 2026).

c2sp.org/tlog-proof@v1
extra YWdlLXYx             optional, never authenticated
index 73894
gSKyXoYZUgZ6jduW...        inclusion proof, one hash per line, from the leaf's sibling upwards
(empty line)
example.com/ledger         the checkpoint, a signed note, to the end
...
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from auditor.errors import ProofError
from auditor.proof.checkpoint import as_hashes, as_size
from auditor.proof.log_policy import LogPolicy, Witnessed, examine_checkpoint, require_quorum
from auditor.proof.merkle import leaf_hash, verify_inclusion
from auditor.proof.note import LARGEST_NOTE
from auditor.proof.strict_json import as_base64

HEADER = "c2sp.org/tlog-proof@v1"
LARGEST_PROOF = LARGEST_NOTE + (1 << 17)  # an entry of 65,535 bytes may be carried, in base64

_EXTRA = "extra "
_INDEX = "index "


def format_proof(
    index: int, path: Sequence[bytes], checkpoint_note: str, extra: bytes = b""
) -> str:
    """Write a proof.

    Args:
        index: the entry's place in the log, from 0.
        path: `auditor.proof.merkle.inclusion_path` in the checkpoint's tree.
        checkpoint_note: signed checkpoint, taken over as it is.
        extra: bytes for the application; nobody vouches for them.
    """
    lines = [HEADER]
    if extra:
        lines.append(f"{_EXTRA}{b64encode(extra).decode('ascii')}")
    lines.append(f"{_INDEX}{index}")
    lines.extend(b64encode(value).decode("ascii") for value in path)
    return "\n".join(lines) + "\n\n" + checkpoint_note


def verify_tlog_proof(
    text: str, entry: bytes, policy: LogPolicy, now: int
) -> tuple[int, Witnessed]:
    """Check that a checkpoint signed and cosigned as the policy asks covers this entry.

    As `examine_tlog_proof`, and the quorum must be reached.

    Raises:
        ProofError: see there; or too few witnesses have cosigned.
    """
    index, found = examine_tlog_proof(text, entry, policy, now)
    require_quorum(found, policy)
    return index, found


def examine_tlog_proof(
    text: str, entry: bytes, policy: LogPolicy, now: int
) -> tuple[int, Witnessed]:
    """Check that a checkpoint signed by its log covers this entry.

    Args:
        text: the proof.
        entry: the entry's exact bytes.
        now: the verifier's clock, POSIX.

    Returns:
        The entry's index, and the checkpoint that covers it, with what witnesses said.

    Raises:
        ProofError: another form, another log, a bad signature, or not this entry.
    """
    index, path, note = _parse(text)
    found = examine_checkpoint(note, policy, now)
    checkpoint = found.checkpoint
    verify_inclusion(leaf_hash(entry), index, checkpoint.size, path, checkpoint.root)
    return index, found


def carried_note(text: str) -> str:
    """The checkpoint's note in a proof, unverified.

    Raises:
        ProofError: not a proof.
    """
    return _parse(text)[2]


def carried_entry(text: str) -> bytes:
    """The bytes a proof carries as ``extra``; to be believed only once they verify as the entry.

    Raises:
        ProofError: not a proof, or it carries nothing.
    """
    _parse(text)
    line = text.split("\n", 2)[1]
    if not line.startswith(_EXTRA):
        raise ProofError("the ledger proof carries no entry")
    return as_base64(line.removeprefix(_EXTRA), "the ledger proof's extra data")


def _parse(text: str) -> tuple[int, list[bytes], str]:
    if len(text) > LARGEST_PROOF:
        raise ProofError(f"the ledger proof is larger than {LARGEST_PROOF} characters")
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines.pop(0) != HEADER:
        raise ProofError(f"not a ledger proof; its first line would be {HEADER}")
    if lines and lines[0].startswith(_EXTRA):
        extra = as_base64(lines.pop(0).removeprefix(_EXTRA), "the ledger proof's extra data")
        if not extra:  # tlog-proof: "If no extra data is present, this line is omitted"
            raise ProofError("the ledger proof has an empty line of extra data")
    if not lines or not lines[0].startswith(_INDEX):
        raise ProofError("the ledger proof has no index line")
    index = as_size(lines.pop(0).removeprefix(_INDEX), "the ledger proof's index")
    return index, as_hashes(lines, "the ledger proof"), note
