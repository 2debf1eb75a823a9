"""Attacks on the tree: everything but the one right proof is refused.

Good proofs come from RFC 6962's own recursion (`tests.proof.plainly`), for every pair of sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ProofError
from auditor.proof.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    hashes_of,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_at,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.campaigns import Campaign
from tests.proof import plainly

LARGEST = 70
ENTRIES = [f"entry {number}".encode() for number in range(LARGEST)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ELSEWHERE = plainly.sha256(b"elsewhere")


@cache
def root(size: int) -> bytes:
    return plainly.tree_hash(ENTRIES[:size])


def included(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root_: bytes | None = None
) -> bool:
    try:
        verify_inclusion(leaf, index, size, path, root(size) if root_ is None else root_)
    except ProofError:
        return False
    return True


def consistent(
    old: int, new: int, path: Sequence[bytes], roots: tuple[bytes, bytes] | None = None
) -> bool:
    old_root, new_root = roots or (root(old), root(new))
    try:
        verify_consistency(old, new, old_root, new_root, path)
    except ProofError:
        return False
    return True


def mutations(path: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Every way to change one thing about a proof's hashes."""
    for place in range(len(path) + 1):
        for inserted in {ELSEWHERE, EMPTY_ROOT, *path}:
            yield [*path[:place], inserted, *path[place:]]
    for place, value in enumerate(path):
        yield [*path[:place], *path[place + 1 :]]
        for bit in (0, 100, 255):
            bent = bytearray(value)
            bent[bit // 8] ^= 1 << bit % 8
            yield [*path[:place], bytes(bent), *path[place + 1 :]]
        for other in {ELSEWHERE, EMPTY_ROOT, *path} - {value}:
            yield [*path[:place], other, *path[place + 1 :]]
        for wrong in (b"", value[:31], value + b"\0"):
            yield [*path[:place], wrong, *path[place + 1 :]]
        for later in range(place + 1, len(path)):
            swapped = [*path]
            swapped[place], swapped[later] = swapped[later], swapped[place]
            if swapped != [*path]:
                yield swapped


# every proof for every size, against the recursion


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_every_inclusion_proof_is_the_rfcs_and_holds(size: int) -> None:
    for index in range(size):
        path = plainly.audit_path(index, ENTRIES[:size])
        assert list(inclusion_path(hashes_of(LEAVES), index, size)) == path
        assert included(LEAVES[index], index, size, path)


@pytest.mark.parametrize("new", range(LARGEST + 1))
def test_every_consistency_proof_is_the_rfcs_and_holds(new: int) -> None:
    for old in range(new + 1):
        path = plainly.consistency_proof(old, ENTRIES[:new])
        assert list(consistency_path(hashes_of(LEAVES), old, new)) == path
        assert consistent(old, new, path)


# no mutation of one


@given(st.integers(1, LARGEST), st.data())
def test_no_changed_inclusion_proof_holds(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = plainly.audit_path(index, ENTRIES[:size])
    assert included(LEAVES[index], index, size, path)
    assert not [bent for bent in mutations(path) if included(LEAVES[index], index, size, bent)]
    assert not included(LEAVES[index], index, size, path[::-1]) or path == path[::-1]
    for other in set(range(-1, LARGEST + 1)) - {index}:
        assert not included(LEAVES[index], other, size, path)
    for leaf in (*LEAVES[:index], *LEAVES[index + 1 :], ELSEWHERE, b"", LEAVES[index][:31]):
        assert not included(leaf, index, size, path)
    for wrong in (ELSEWHERE, EMPTY_ROOT, b"", root(size)[:31], root(size) + b"\0"):
        assert not included(LEAVES[index], index, size, path, wrong)


@given(st.integers(0, LARGEST), st.data())
def test_no_changed_consistency_proof_holds(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    path = plainly.consistency_proof(old, ENTRIES[:new])
    assert consistent(old, new, path)
    assert not [bent for bent in mutations(path) if consistent(old, new, bent)]
    for wrong in (ELSEWHERE, b"", root(new)[:31], root(new) + b"\0"):
        assert not consistent(old, new, path, (wrong, root(new)))
        if old > 0 or len(wrong) != 32:  # every tree extends the empty one
            assert not consistent(old, new, path, (root(old), wrong))


def test_no_single_change_to_any_proof_of_any_size_holds(campaign: Campaign) -> None:
    pairs = [(one, size) for size in range(LARGEST + 1) for one in range(size)]
    for place in campaign.sampled(len(pairs), every=47):
        one, size = pairs[place]
        path = plainly.audit_path(one, ENTRIES[:size])
        for bent in mutations(path):
            assert not included(LEAVES[one], one, size, bent)
            campaign.count(forged_inclusion_proofs=1)
        for bent in mutations(plainly.consistency_proof(one, ENTRIES[:size])):
            assert not consistent(one, size, bent)
            campaign.count(forged_consistency_proofs=1)


@given(st.integers(1, LARGEST), st.data())
def test_a_consistency_proof_is_for_its_two_sizes_alone(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    path = plainly.consistency_proof(old, ENTRIES[:new])
    for other in set(range(LARGEST + 1)) - {old}:
        roots = (root(old), root(new))
        assert not consistent(other, new, path, roots)
        assert not consistent(other, new, path, (root(other), root(new))) or not (path or other)
    for other in set(range(old, LARGEST + 1)) - {new}:
        assert not consistent(old, other, path, (root(old), root(other)))


@given(st.integers(2, LARGEST), st.data())
def test_no_order_of_a_proofs_hashes_but_its_own_holds(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = plainly.audit_path(index, ENTRIES[:size])[:4]
    tail = plainly.audit_path(index, ENTRIES[:size])[4:]
    for order in permutations(path):
        assert included(LEAVES[index], index, size, [*order, *tail]) == ([*order] == path)


@given(st.integers(2, LARGEST), st.data())
def test_a_rewritten_removed_or_reordered_past_is_never_consistent(
    new: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, new - 1))
    place = data.draw(st.integers(0, old - 1))
    entries = ENTRIES[:new]
    forgeries = [
        [*entries[:place], b"rewritten", *entries[place + 1 :]],
        [*entries[:place], *entries[place + 1 :], b"one more"],
        [*entries[:place], b"slipped in", *entries[place:-1]],
        [entries[new - 1], *entries[1:-1], entries[0]],
    ]
    for forged in forgeries:
        path = plainly.consistency_proof(old, forged)  # the best that the forger can offer
        honest = plainly.consistency_proof(old, entries)
        roots = (root(old), plainly.tree_hash(forged))
        assert not consistent(old, new, path, roots)
        assert not consistent(old, new, honest, roots)


# leaves and nodes


def test_an_inner_node_doesnt_pass_as_an_entry() -> None:
    """Second preimage: without the prefixes, an entry of two hashes would hash as their node."""
    entries = ENTRIES[:4]
    left, right = leaf_hash(entries[0]), leaf_hash(entries[1])
    path = [node_hash(leaf_hash(entries[2]), leaf_hash(entries[3]))]
    true_root = plainly.tree_hash(entries)
    assert included(node_hash(left, right), 0, 2, path, true_root)  # size 2 isn't what is signed
    for forged in (left + right, b"\x01" + left + right, b"\x00" + left + right):
        assert leaf_hash(forged) != node_hash(left, right)
        for size in (2, 3, 4):
            for index in range(size):
                assert not included(leaf_hash(forged), index, size, path, true_root)


@given(st.integers(2, LARGEST), st.data())
def test_no_inner_node_passes_as_a_leaf_of_the_signed_size(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = plainly.audit_path(index, ENTRIES[:size])
    value = LEAVES[index]
    for level, sibling in enumerate(path):
        value = min((node_hash(value, sibling), node_hash(sibling, value)), key=_is_a_node)
        for place in range(size):
            assert not included(value, place, size, path[level + 1 :])


NODES = {
    plainly.tree_hash(ENTRIES[start:end])
    for start in range(LARGEST)
    for end in range(start + 1, min(start + 65, LARGEST) + 1)
}


def _is_a_node(value: bytes) -> bool:
    """False, which sorts first, for a node of the tree."""
    return value not in NODES


def test_an_entry_of_64_bytes_that_are_two_hashes_is_a_leaf_like_any_other() -> None:
    entry = LEAVES[0] + LEAVES[1]
    entries = [ENTRIES[0], ENTRIES[1], entry]
    assert root_of([leaf_hash(each) for each in entries]) == plainly.tree_hash(entries)
    assert leaf_hash(entry) not in (node_hash(LEAVES[0], LEAVES[1]), plainly.sha256(entry))
    true_root = plainly.tree_hash(entries)
    assert included(leaf_hash(entry), 2, 3, plainly.audit_path(2, entries), true_root)
    for index in (0, 1):
        path = plainly.audit_path(index, entries)
        assert not included(leaf_hash(entry), index, 3, path, true_root)


def test_a_leaf_doubled_at_the_right_edge_makes_another_root() -> None:
    """Where lone nodes are paired with themselves, as in Bitcoin, these two would be the same."""
    for size in range(1, LARGEST, 2):
        doubled = [*ENTRIES[:size], ENTRIES[size - 1]]
        assert plainly.tree_hash(doubled) != root(size)
        assert root_of([leaf_hash(each) for each in doubled]) != root(size)


# edges


def test_the_empty_tree_holds_nothing_and_every_tree_extends_it() -> None:
    assert root_of([]) == root_at(hashes_of(LEAVES), 0) == EMPTY_ROOT == root(0)
    assert not included(LEAVES[0], 0, 0, [], EMPTY_ROOT)
    assert not included(EMPTY_ROOT, 0, 0, [], EMPTY_ROOT)
    assert consistent(0, 0, [])
    assert consistent(0, 5, [])
    assert not consistent(0, 5, [], (ELSEWHERE, root(5)))
    assert not consistent(0, 0, [], (EMPTY_ROOT, ELSEWHERE))
    assert not consistent(0, 0, [], (ELSEWHERE, ELSEWHERE))


@pytest.mark.parametrize("peak", [b"", LEAVES[0][:31], LEAVES[0] + b"\0"])
def test_a_frontier_holds_hashes_alone_one_for_each_set_bit_of_its_size(peak: bytes) -> None:
    assert Frontier(1, (LEAVES[0],)).root() == LEAVES[0]
    for size, peaks in ((1, (peak,)), (3, (LEAVES[0], peak)), (1, ()), (2, (LEAVES[0],) * 2)):
        with pytest.raises(ProofError):
            Frontier(size, peaks)


def test_a_tree_of_one_is_its_leaf() -> None:
    assert included(LEAVES[0], 0, 1, [])
    assert not included(LEAVES[0], 0, 1, [LEAVES[0]])
    assert not included(LEAVES[0], 1, 1, [])


def test_a_smaller_tree_extends_no_larger_one() -> None:
    for old in range(1, 20):
        for new in range(old):
            path = plainly.consistency_proof(new, ENTRIES[:old])
            assert not consistent(old, new, path)
            assert not consistent(old, new, [])
    for old, new in ((-1, 0), (-1, 5), (0, -1)):
        assert not consistent(old, new, [], (EMPTY_ROOT, EMPTY_ROOT))
    with pytest.raises(ProofError):
        consistency_path(hashes_of(LEAVES), 3, 2)


@pytest.mark.parametrize("size", [2**32, 2**62 + 1, 2**63 - 1, 2**63, 2**64])
def test_sizes_beyond_any_tree_are_refused_or_proved_by_their_length(size: int) -> None:
    """A path for leaf 0 or the last one of a tree of that size, made without the tree."""
    depth = (size - 1).bit_length()
    path = [plainly.sha256(b"%d" % level) for level in range(depth)]
    value = LEAVES[0]
    for sibling in path:
        value = node_hash(value, sibling)
    assert included(LEAVES[0], 0, size, path, value)
    assert not included(LEAVES[0], 0, size, path[:-1], value)
    assert not included(LEAVES[0], 0, size, [*path, ELSEWHERE], value)
    assert not included(LEAVES[0], size, size, path, value)
    assert not included(LEAVES[0], size - 1, size, path, value)
    assert not consistent(1, size, path[:-1], (LEAVES[0], value))
    assert consistent(1, size, path, (LEAVES[0], value))
    assert not consistent(size, size, [], (value, ELSEWHERE))


@given(
    st.integers(-2, 2**64),
    st.integers(-2, 2**64),
    st.lists(st.binary(max_size=33) | st.sampled_from([EMPTY_ROOT, ELSEWHERE]), max_size=66),
    st.binary(max_size=33),
)
def test_nothing_but_a_proof_error_comes_of_any_input(
    one: int, other: int, path: list[bytes], value: bytes
) -> None:
    included(value, one, other, path, ELSEWHERE)
    included(ELSEWHERE, one, other, path, value)
    consistent(one, other, path, (value, ELSEWHERE))
    consistent(one, other, path, (ELSEWHERE, value))
