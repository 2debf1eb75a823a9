"""The same notes, cosignatures and proofs before us and before an independent implementation.

`aics_tlog` knows Ed25519 only: to it our ML-DSA-44 lines are a stranger's, so that where it is
asked, our policy lists the Ed25519 keys alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ProofError
from auditor.proof.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    key_of,
    parse_checkpoint,
    sign_checkpoint,
)
from auditor.proof.log_policy import parse_policy, verify_cosigned
from auditor.proof.merkle import (
    consistency_path,
    hashes_of,
    inclusion_path,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from auditor.proof.note import parse_vkey
from tests.proof import plainly

aics: Any = pytest.importorskip(
    "aics_tlog",
    reason="no aics-tlog; install it: pip install --no-deps --ignore-requires-python "
    "aics-tlog==0.2.1",
)

NAME = "example.com/ledger"
OTHER = "example.com/other"
WITNESS = "witness.example/w"
NOW = 1_795_000_000

LOG = plainly.ed25519("log")
LOG_PQ = plainly.ml_dsa_44("log")
STRANGER = plainly.ed25519("stranger")
W4 = plainly.ed25519("witness")
ENTRIES = [f"entry {number}".encode() for number in range(33)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
STATE = Checkpoint(origin=NAME, size=33, root=root_of(LEAVES))

OURS_LOG = key_of(plainly.signer(LOG), NAME, witness=False).vkey
OURS_WITNESS = key_of(plainly.signer(W4), WITNESS, witness=True).vkey
POLICY = parse_policy(f"log {OURS_LOG}\nwitness w {OURS_WITNESS}\nquorum w\n")

OUR_NOTE = sign_checkpoint(STATE, [plainly.signer(LOG), plainly.signer(LOG_PQ)], NOW)
OUR_COSIGNED = OUR_NOTE + cosign_checkpoint(OUR_NOTE, [plainly.signer(W4)], WITNESS, NOW)


def their_note(checkpoint: Checkpoint, moment: int = NOW) -> str:
    """The same checkpoint, signed and cosigned by the other implementation."""
    told = aics.Checkpoint(origin=checkpoint.origin, size=checkpoint.size, root=checkpoint.root)
    note = aics.sign_checkpoint(told, LOG, checkpoint.origin)
    cosigned = aics.sign_cosignature(
        W4, WITNESS, moment, checkpoint.origin, checkpoint.size, checkpoint.root
    )[1]
    return str(aics.Note(text=note.text, signatures=(*note.signatures, cosigned)).serialise())


THEIR_COSIGNED = their_note(STATE)


def we_accept(text: str) -> bool:
    try:
        verify_cosigned(text, POLICY, NOW)
    except ProofError:
        return False
    return True


def they_accept(text: str) -> bool:
    try:
        note = aics.parse_note(text)
        found = aics.verify_checkpoint(
            note,
            aics.parse_vkey(OURS_LOG),
            [aics.parse_vkey(OURS_WITNESS)],
            quorum=1,
            expected_origin=NAME,
            max_future_seconds=600,
            now=NOW,
        )
    except ValueError:
        return False
    return bool(found.ok)


# keys and notes


def test_verifier_keys_are_the_same_text() -> None:
    for type_, name, private in ((1, NAME, LOG), (4, WITNESS, W4)):
        theirs = aics.format_vkey(aics.vkey_from_ed25519(name, private.public_key(), type_))
        assert theirs == parse_vkey(theirs).vkey
        assert theirs == (OURS_LOG if type_ == 1 else OURS_WITNESS)
        assert aics.parse_vkey(theirs).key_id == parse_vkey(theirs).key_id


def test_each_accepts_the_others_checkpoint_and_cosignature() -> None:
    assert they_accept(OUR_COSIGNED)
    assert we_accept(THEIR_COSIGNED)
    assert they_accept(THEIR_COSIGNED)
    assert we_accept(OUR_COSIGNED)


def test_what_both_sign_with_ed25519_is_the_same_to_the_byte() -> None:
    ours = OUR_COSIGNED.splitlines()
    pq = [line for line in ours if len(line) > 3_000]
    assert len(pq) == 1
    assert [line for line in ours if line not in pq] == THEIR_COSIGNED.splitlines()


def test_neither_accepts_less_than_log_and_witness() -> None:
    for text in (OUR_NOTE, OUR_COSIGNED.replace(OUR_COSIGNED.splitlines(True)[4], "")):
        assert not we_accept(text)
        assert not they_accept(text)


def with_line(change: Callable[[str], str], place: int) -> str:
    lines = THEIR_COSIGNED.splitlines(keepends=True)
    lines[place] = change(lines[place])
    return "".join(lines)


def swapped(old: str, new: str) -> str:
    assert old in THEIR_COSIGNED
    return THEIR_COSIGNED.replace(old, new)


COSIGNATURE = THEIR_COSIGNED.splitlines(keepends=True)[5]
TEXT = THEIR_COSIGNED.partition("\n\n")[0] + "\n"
ELSEWHERE = plainly.checkpoint_text(NAME, 34, STATE.root)

MUTATIONS = {
    "another origin": swapped(NAME + "\n", OTHER + "\n"),
    "another origin, signed": their_note(Checkpoint(origin=OTHER, size=33, root=STATE.root)),
    "another size": swapped("\n33\n", "\n34\n"),
    "leading zero": swapped("\n33\n", "\n033\n"),
    "negative size": swapped("\n33\n", "\n-33\n"),
    "another root": swapped(plainly.base64(STATE.root), plainly.base64(LEAVES[0])),
    "short root": swapped(plainly.base64(STATE.root), plainly.base64(STATE.root[:31])),
    "root without padding": swapped(plainly.base64(STATE.root), plainly.base64(STATE.root)[:-1]),
    "an extension line": swapped(TEXT, TEXT + "extension\n"),
    "an empty line": swapped(TEXT, TEXT + "\n"),
    "carriage returns": swapped("\n", "\r\n"),
    "a tab": swapped("— ", "—\t"),
    "a hyphen": swapped("— ", "- "),
    "a null": swapped("\n33\n", "\n33\0\n"),
    "no last newline in the text": swapped("\n\n", "\n"),
    "no signatures": TEXT + "\n",
    "log's line missing": with_line(lambda _: "", 4),
    "witness's line missing": with_line(lambda _: "", 5),
    "log's line twice": with_line(lambda line: line * 2, 4),
    "witness's line twice": with_line(lambda line: line * 2, 5),
    "log's line by a stranger": with_line(lambda _: plainly.note_line(NAME, STRANGER, TEXT), 4),
    "log's line under another name": with_line(lambda _: plainly.note_line(OTHER, LOG, TEXT), 4),
    "log's line of another text": with_line(lambda _: plainly.note_line(NAME, LOG, ELSEWHERE), 4),
    "cosignature of another text": with_line(
        lambda _: plainly.line_04(WITNESS, W4, NOW, ELSEWHERE), 5
    ),
    "cosignature by a stranger": with_line(
        lambda _: plainly.line_04(WITNESS, STRANGER, NOW, TEXT), 5
    ),
    "cosignature as a plain signature": with_line(
        lambda _: plainly.line(
            WITNESS,
            plainly.key_id(WITNESS, 4, plainly.public(W4)),
            NOW.to_bytes(8, "big") + W4.sign(TEXT.encode()),
        ),
        5,
    ),
    "cosignature from the future": with_line(
        lambda _: plainly.line_04(WITNESS, W4, NOW + 601, TEXT), 5
    ),
    "name with a plus": THEIR_COSIGNED + "— na+me AAAAAAA=\n",
    "name with a space of Unicode's": THEIR_COSIGNED + "— na\u2003me AAAAAAA=\n",
    "base64 with spare bits": THEIR_COSIGNED + "— name AAAAAAB=\n",
    "an empty last line": THEIR_COSIGNED + "\n",
    "a line that is none": THEIR_COSIGNED + "trailing\n",
}


@pytest.mark.parametrize("forged", MUTATIONS.values(), ids=MUTATIONS)
def test_a_forged_note_is_refused_by_both_alike(forged: str) -> None:
    assert not we_accept(forged)
    assert not they_accept(forged)


SAME = {
    "a stranger's line": THEIR_COSIGNED + plainly.note_line(NAME, STRANGER, TEXT),
    "a stranger's line twice": THEIR_COSIGNED + plainly.note_line(NAME, STRANGER, TEXT) * 2,
    "a line of the log's id and another name": THEIR_COSIGNED
    + plainly.line(OTHER, plainly.key_id(NAME, 1, plainly.public(LOG)), bytes(64)),
    "lines in another order": swapped(COSIGNATURE, "").replace("\n\n", f"\n\n{COSIGNATURE}"),
    "a cosignature at the edge of the future": with_line(
        lambda _: plainly.line_04(WITNESS, W4, NOW + 600, TEXT), 5
    ),
    "a signed extension line": "".join(
        (
            TEXT + "extension\n\n",
            plainly.note_line(NAME, LOG, TEXT + "extension\n"),
            plainly.line_04(WITNESS, W4, NOW, TEXT + "extension\n"),
        )
    ),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_what_changes_nothing_is_accepted_by_both_alike(text: str) -> None:
    assert we_accept(text)
    assert they_accept(text)


DIFFERENT = {
    # signed-note: a line is "base64-encoded signature, newline": without, it may be cut off
    "no newline at the end": THEIR_COSIGNED[:-1],
    # a key id and nothing after it: the reference implementation refuses it as we do
    "an empty signature": THEIR_COSIGNED + "— name AAAAAA==\n",
    # it takes up to 1,000 lines, we up to 96; the specification asks for 16
    "a hundred signatures": THEIR_COSIGNED + plainly.note_line(NAME, STRANGER, TEXT) * 100,
}


@pytest.mark.parametrize("text", DIFFERENT.values(), ids=DIFFERENT)
def test_where_we_are_the_stricter_by_design(text: str) -> None:
    assert not we_accept(text)
    assert they_accept(text)


def test_sizes_above_2_to_63_are_where_we_are_the_stricter() -> None:
    text = plainly.checkpoint_text(NAME, 2**63, STATE.root)
    signed = plainly.note_line(NAME, LOG, text) + plainly.line_04(WITNESS, W4, NOW, text)
    assert they_accept(f"{text}\n{signed}")
    assert not we_accept(f"{text}\n{signed}")


def test_a_cosignature_dated_ahead_spoils_a_note_for_us_and_doesnt_count_for_it() -> None:
    """Without a quorum the two differ: a wrong clock is told rather than read over."""
    late = with_line(lambda _: plainly.line_04(WITNESS, W4, NOW + 601, TEXT), 5)
    alone = parse_policy(f"log {OURS_LOG}\nwitness w {OURS_WITNESS}\nquorum none\n")
    with pytest.raises(ProofError, match="future"):
        verify_cosigned(late, alone, NOW)
    found = aics.verify_checkpoint(
        aics.parse_note(late),
        aics.parse_vkey(OURS_LOG),
        [aics.parse_vkey(OURS_WITNESS)],
        max_future_seconds=600,
        now=NOW,
    )
    assert (found.ok, found.future) == (True, [WITNESS])


@given(st.integers(0, len(THEIR_COSIGNED) - 2), st.sampled_from("A0+/= \n—é\t"))
def test_whatever_character_is_changed_both_say_the_same(place: int, character: str) -> None:
    forged = THEIR_COSIGNED[:place] + character + THEIR_COSIGNED[place + 1 :]
    assert we_accept(forged) == they_accept(forged)


@given(
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.integers(1, NOW + 600),
)
def test_checkpoints_of_any_size_root_and_time_are_accepted_both_ways(
    size: int, root: bytes, moment: int
) -> None:
    state = Checkpoint(origin=NAME, size=size, root=root)
    theirs = their_note(state, moment)
    ours = sign_checkpoint(state, [plainly.signer(LOG)], moment)
    ours += cosign_checkpoint(ours, [plainly.signer(W4)], WITNESS, moment)
    assert ours == theirs
    assert parse_checkpoint(theirs) == state
    assert we_accept(theirs)
    assert they_accept(ours)


# proofs


def we_include(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    try:
        verify_inclusion(leaf, index, size, path, root)
    except ProofError:
        return False
    return True


def we_find_consistent(old: int, new: int, one: bytes, two: bytes, path: list[bytes]) -> bool:
    try:
        verify_consistency(old, new, one, two, path)
    except ProofError:
        return False
    return True


@pytest.mark.parametrize("size", range(1, 34))
def test_roots_and_proofs_are_the_same_and_hold_both_ways(size: int) -> None:
    tree = aics.MerkleTree(ENTRIES)
    root = tree.root(size)
    assert root == root_of(LEAVES[:size])
    for index in range(size):
        path = list(inclusion_path(hashes_of(LEAVES), index, size))
        assert path == tree.inclusion_proof(index, size)
        assert aics.verify_inclusion(LEAVES[index], index, size, path, root)
        assert we_include(LEAVES[index], index, size, path, root)
        old = tree.root(index)
        proof = list(consistency_path(hashes_of(LEAVES), index, size))
        assert proof == tree.consistency_proof(index, size)
        assert aics.verify_consistency(index, size, old, root, proof)
        assert we_find_consistent(index, size, old, root, proof)


HASHES = [*LEAVES[:3], plainly.sha256(b""), plainly.sha256(b"elsewhere")]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["put", "drop", "insert"]), st.integers(0, 7), st.sampled_from(HASHES)
    ),
    max_size=2,
)


def edited(path: list[bytes], edits: list[tuple[str, int, bytes]]) -> list[bytes]:
    path = [*path]
    for kind, place, value in edits:
        if kind == "insert":
            path.insert(place, value)
        elif place < len(path):
            path[place : place + 1] = [] if kind == "drop" else [value]
    return path


@given(st.integers(0, 33), st.integers(1, 33), st.integers(0, 34), EDITS, st.sampled_from(HASHES))
def test_both_say_the_same_of_any_inclusion_proof(
    index: int, size: int, claimed: int, edits: list[tuple[str, int, bytes]], leaf: bytes
) -> None:
    index = min(index, size - 1)
    root = root_of(LEAVES[:size])
    path = edited(list(inclusion_path(hashes_of(LEAVES), index, size)), edits)
    for value in (LEAVES[index], leaf):
        for place in (index, claimed):
            ours = we_include(value, place, size, path, root)
            assert ours == aics.verify_inclusion(value, place, size, path, root)


@given(st.integers(0, 33), st.integers(0, 33), st.integers(0, 34), EDITS, st.sampled_from(HASHES))
def test_both_say_the_same_of_any_consistency_proof(
    old: int, new: int, claimed: int, edits: list[tuple[str, int, bytes]], other: bytes
) -> None:
    old, new = min(old, new), max(old, new)
    path = edited(list(consistency_path(hashes_of(LEAVES), old, new)), edits)
    for first in (root_of(LEAVES[:old]), other):
        for second in (root_of(LEAVES[:new]), other):
            for size in (old, claimed):
                ours = we_find_consistent(size, new, first, second, path)
                assert ours == aics.verify_consistency(size, new, first, second, path)


def test_hashes_of_another_length_are_refused_by_both_in_consistency_and_by_us_in_inclusion() -> (
    None
):
    """RFC 9162 leaves the length of a hash unsaid; a longer one would shift what is hashed."""
    root = aics.node_hash(LEAVES[0], LEAVES[1] + b"\0")
    assert aics.verify_inclusion(LEAVES[0], 0, 2, [LEAVES[1] + b"\0"], root)
    assert not we_include(LEAVES[0], 0, 2, [LEAVES[1] + b"\0"], root)
    for path in ([LEAVES[1] + b"\0"], [LEAVES[1][:31]]):
        assert not aics.verify_consistency(1, 2, LEAVES[0], root, path)
        assert not we_find_consistent(1, 2, LEAVES[0], root, path)
