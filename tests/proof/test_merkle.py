"""The Merkle tree against RFC 6962's own recursive definition."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

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
    root_of,
    verify_consistency,
    verify_inclusion,
)


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    left, right = naive_root(leaves[:k]), naive_root(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


LEAVES = [leaf_hash(str(number).encode()) for number in range(40)]
sizes = st.integers(1, len(LEAVES))


@pytest.mark.parametrize("size", range(len(LEAVES) + 1))
def test_the_root_is_the_rfcs(size: int) -> None:
    assert root_of(LEAVES[:size]) == naive_root(LEAVES[:size])


def test_the_rfcs_empty_tree_and_leaf() -> None:
    assert EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")
    assert leaf_hash(b"") == hashlib.sha256(b"\x00").digest()


@given(sizes, st.data())
def test_every_leaf_can_be_proved_and_no_other_passes(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path, root = inclusion_path(hashes_of(LEAVES), index, size), naive_root(LEAVES[:size])
    verify_inclusion(LEAVES[index], index, size, path, root)
    other = data.draw(st.integers(0, size).filter(lambda value: value != index))
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[index], other, size, path, root)
    with pytest.raises(ProofError):
        verify_inclusion(leaf_hash(b"forged"), index, size, path, root)
    for position in range(len(path)):
        bent = [*path]
        bent[position] = hashlib.sha256(path[position]).digest()
        with pytest.raises(ProofError):
            verify_inclusion(LEAVES[index], index, size, bent, root)
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[index], index, size, (*path, root), root)


@given(sizes, st.data())
def test_growth_can_be_proved_and_a_rewritten_past_cannot(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, size))
    path = consistency_path(hashes_of(LEAVES), old, size)
    old_root, new_root = naive_root(LEAVES[:old]), naive_root(LEAVES[:size])
    verify_consistency(old, size, old_root, new_root, path)
    with pytest.raises(ProofError):
        verify_consistency(old, size, hashlib.sha256(old_root).digest(), new_root, path)
    if 0 < old < size:
        rewritten = naive_root([leaf_hash(b"x"), *LEAVES[1:size]])
        with pytest.raises(ProofError):
            verify_consistency(old, size, old_root, rewritten, path)
        with pytest.raises(ProofError):
            verify_consistency(old, size, old_root, new_root, path[:-1])


def test_a_frontier_survives_its_bytes_and_refuses_others() -> None:
    frontier = Frontier()
    for leaf in LEAVES[:11]:
        frontier = frontier.append(leaf)
        assert Frontier.from_bytes(frontier.size, frontier.to_bytes()) == frontier
    for size, data in ((10, frontier.to_bytes()), (11, frontier.to_bytes()[:-1]), (-1, b"")):
        with pytest.raises(ProofError):
            Frontier.from_bytes(size, data)
    with pytest.raises(ProofError):
        inclusion_path(hashes_of(LEAVES), 3, 3)
    with pytest.raises(ProofError):
        consistency_path(hashes_of(LEAVES), 5, 4)
