"""Evidence of two histories: it can be had for every fork, and never for one history."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from auditor.errors import ProofError
from auditor.proof.checkpoint import Checkpoint, cosign_checkpoint, key_of, sign_checkpoint
from auditor.proof.equivocation import Compared, compare_notes, verify_equivocation
from auditor.proof.log_policy import LogPolicy, parse_policy, policy_text
from auditor.proof.merkle import EMPTY_ROOT, consistency_path, root_of
from auditor.proof.note import LARGEST_NOTE
from auditor.proof.signing import ED25519, generate_private_key, load_signer
from tests.witnesses import Log, make_log

SIZES = (1, 2, 3, 4, 7, 8, 9, 16, 21, 40)
FORKED_AT = 3


@dataclass(frozen=True, slots=True)
class Grown:
    """A log's entries as far as they are at hand."""

    log: Log
    size: int

    def root(self, size: int) -> bytes:
        assert size <= self.size
        return self.log.root(size)

    def prove_extension(self, old: int, new: int) -> Sequence[bytes]:
        return consistency_path(self._read, old, new)

    def _read(self, wanted: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        leaves = self.log.leaves
        return [root_of(leaves[i << level : (i + 1) << level]) for level, i in wanted]


LOG = make_log()
FORK = LOG.forked(FORKED_AT)
POLICY = LOG.policy


def compared(one: str, other: str, tree: Grown | None = None) -> Compared:
    """Compare, in both orders: the answer is the same."""
    found = compare_notes(one, other, POLICY, tree)
    turned = compare_notes(other, one, POLICY, tree)
    assert (turned.smaller.size, turned.larger.size) == (found.smaller.size, found.larger.size)
    assert bool(turned.evidence) == bool(found.evidence)
    return found


def test_one_history_gives_no_evidence() -> None:
    for smaller in (0, *SIZES):
        for larger in (0, *SIZES):
            found = compared(LOG.note(smaller), LOG.note(larger), Grown(LOG, 40))
            assert found.evidence == b""
            assert {found.smaller.size, found.larger.size} == {smaller, larger}


def test_two_histories_give_evidence_that_needs_the_keys_alone() -> None:
    for smaller in SIZES:
        for larger in SIZES:
            if smaller > larger:
                continue
            for small, large in ((LOG, FORK), (FORK, LOG)):
                tree = Grown(large, larger)
                found = compared(small.note(smaller), large.note(larger), tree)
                assert bool(found.evidence) == (smaller > FORKED_AT), (smaller, larger)
                if found.evidence:
                    read = verify_equivocation(found.evidence, parse_policy(policy_text(POLICY)))
                    assert (read.smaller, read.larger) == (found.smaller, found.larger)


def test_two_roots_of_one_size_need_no_tree() -> None:
    assert compared(LOG.note(9), LOG.note(9)).evidence == b""
    assert compared(LOG.note(9), FORK.note(9)).evidence


def test_without_a_tree_that_leads_to_the_larger_nothing_is_said() -> None:
    for tree in (None, Grown(LOG, 20), Grown(FORK, 40), Grown(make_log("x"), 40)):
        with pytest.raises(ProofError, match=r"no tree at hand .* 21 entries; name the log's"):
            compare_notes(LOG.note(9), LOG.note(21), POLICY, tree)


def test_a_tree_that_lies_proves_nothing() -> None:
    class Lying(Grown):
        def root(self, size: int) -> bytes:
            return LOG.root(size) if size == 21 else FORK.root(size)

    with pytest.raises(ProofError, match="consistency"):
        compare_notes(LOG.note(9), LOG.note(21), POLICY, Lying(LOG, 40))


def test_an_empty_log_that_was_signed_with_a_root_is_a_history_of_its_own() -> None:
    empty = Checkpoint(origin=LOG.origin, size=0, root=bytes(32))
    note = sign_checkpoint(empty, LOG.signers, 1)
    found = compared(note, LOG.note(9), Grown(LOG, 9))
    assert verify_equivocation(found.evidence, POLICY).smaller == empty
    assert compared(LOG.note(0), LOG.note(9), Grown(LOG, 9)).evidence == b""
    assert LOG.root(0) == EMPTY_ROOT


def test_dating_a_checkpoint_ahead_is_no_escape() -> None:
    found = compared(LOG.note(9, moment=2**62), FORK.note(9, moment=0))
    assert verify_equivocation(found.evidence, POLICY)


def test_a_spoilt_cosignature_is_no_escape() -> None:
    """A witness's line doesn't count, so it can't be in the way either."""
    signer = load_signer(generate_private_key(ED25519))
    vkey = key_of(signer, "w.example", witness=True).vkey
    text = policy_text(POLICY).replace("quorum none", f"witness w {vkey}\nquorum w")
    spoilt = LOG.note(9) + cosign_checkpoint(LOG.note(8), [signer], "w.example", 5)
    found = compare_notes(spoilt, FORK.note(9), parse_policy(text))
    assert verify_equivocation(found.evidence, parse_policy(text))


def test_what_the_log_did_not_sign_is_refused() -> None:
    stranger = make_log(LOG.origin)
    good = LOG.note(9)
    lines = good.split("\n")
    bad = [
        stranger.note(9),
        make_log("another.example").note(9),
        good.replace("\n9\n", "\n8\n"),
        "\n".join([*lines[:-2], ""]),
        "\n".join([*lines[:4], *lines[5:]]),
        LOG.note(9, signers=LOG.signers[:1]),
        "",
        "no note",
        "\ud800\n\n— a b\n",
        good * 2,
        "x" * (LARGEST_NOTE + 1),
    ]
    for note in bad:
        for pair in ((note, good), (good, note), (note, note)):
            with pytest.raises(ProofError):
                compare_notes(*pair, POLICY, Grown(LOG, 40))


def test_two_logs_of_one_policy_are_not_one_history() -> None:
    other = make_log("another.example")
    logs = policy_text(other.policy).partition("quorum")[0]
    both = parse_policy(logs + policy_text(POLICY))
    with pytest.raises(ProofError, match="two different logs"):
        compare_notes(LOG.note(9), other.note(9), both)
    value = document(compare_notes(LOG.note(9), FORK.note(9), POLICY).evidence)
    with pytest.raises(ProofError, match="two different logs"):
        verify_equivocation(packed({**value, "smaller": other.note(9)}), both)


def document(evidence: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(evidence)
    return value


def packed(value: object) -> bytes:
    return json.dumps(value).encode()


def b64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def unequal(smaller: int = 9, larger: int = 21) -> dict[str, Any]:
    tree = Grown(FORK, larger)
    return document(compared(LOG.note(smaller), FORK.note(larger), tree).evidence)


def equal() -> dict[str, Any]:
    return document(compared(LOG.note(9), FORK.note(9)).evidence)


def require_refused(value: object, policy: LogPolicy = POLICY) -> None:
    with pytest.raises(ProofError) as caught:
        verify_equivocation(value if isinstance(value, bytes) else packed(value), policy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [equal(), unequal(), unequal(8, 9), unequal(4, 40)])
def test_evidence_edited_in_any_field_is_refused(value: dict[str, Any]) -> None:
    verify_equivocation(packed(value), POLICY)
    other = b64(bytes(32))
    edits: dict[str, list[object]] = {
        "format": ["", "auditor-equivocation/v2", 1, None],
        "smaller": ["", LOG.note(2), FORK.note(7), make_log(LOG.origin).note(9), 7, None, []],
        "larger": ["", LOG.note(8), LOG.note(22), make_log(LOG.origin).note(21), 7, None],
        "prefix_root": [b64(LOG.root(9)), other, "AA==", "!", 7, None, other[:-1]],
        "path": [
            [*value["path"], other], [other, *value["path"]], [*value["path"][::-1], other],
            [other] * 64, [other] * 100_000, ["AA=="], [""], [None], {}, "", None,
        ],
    }  # fmt: skip
    for name, changes in edits.items():
        for change in changes:
            require_refused({**value, name: change})
        require_refused({key: item for key, item in value.items() if key != name})
    for number in range(len(value["path"])):
        require_refused({**value, "path": value["path"][:number] + value["path"][number + 1 :]})
        changed = [*value["path"][:number], other, *value["path"][number + 1 :]]
        require_refused({**value, "path": changed})
    require_refused({**value, "more": ""})
    require_refused(value, make_log(LOG.origin).policy)


def test_every_signature_in_the_evidence_counts() -> None:
    value = equal()
    for name in ("smaller", "larger"):
        lines = value[name].split("\n")
        for drop in (4, 5):
            assert lines[drop].startswith("— ")
            require_refused({**value, name: "\n".join(lines[:drop] + lines[drop + 1 :])})


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b"\xff", b"{" * 100_000, b"[" * 100_000, b" " * (1 << 21)]
)
def test_garbage_is_no_evidence(data: bytes) -> None:
    require_refused(data)


def test_one_history_cannot_be_made_to_look_like_two() -> None:
    """Whatever prefix root and path are put beside two checkpoints of one history."""
    hashes = {root for size in range(41) for root in (LOG.root(size), FORK.root(size))}
    paths = [
        Grown(LOG, 40).prove_extension(old, new) for old in SIZES for new in SIZES if old <= new
    ]
    for smaller, larger in ((0, 9), (8, 9), (9, 21), (16, 40), (9, 9), (21, 9)):
        value = {**unequal(), "smaller": LOG.note(smaller), "larger": LOG.note(larger)}
        for prefix in [*sorted(hashes)[::5], b""]:
            for path in ((), Grown(FORK, 40).prove_extension(9, 21), *paths[::11]):
                changed = {"prefix_root": b64(prefix), "path": [b64(each) for each in path]}
                require_refused({**value, **changed})
