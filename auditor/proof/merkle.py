"""The Merkle tree of RFC 6962 section 2.1: SHA-256, leaves and nodes told apart by a prefix.

    leaf = SHA-256(0x00 || entry)        node = SHA-256(0x01 || left || right)

A tree over n leaves splits at the largest power of two below n. `Frontier` keeps only the roots of
the perfect subtrees, one per set bit of n, which is all that appending needs.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from auditor.errors import ProofError

HASH_BYTES = 32

Subtree: TypeAlias = tuple[int, int]
"""A perfect subtree: its level (0: a leaf) and its place among those of that level."""

HashReader: TypeAlias = Callable[[Sequence[Subtree]], Sequence[bytes]]
"""Tells the roots of perfect subtrees, in the order asked for."""

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash of an entry's stored bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree that can only grow.

    Attributes:
        size: number of leaves.
        peaks: roots of the perfect subtrees, largest first; one for each set bit of ``size``.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ProofError("the Merkle frontier doesn't fit its size")
        if not {HASH_BYTES}.issuperset(map(len, self.peaks)):
            raise ProofError("the Merkle frontier holds something that is no hash")

    def append(self, leaf: bytes) -> Frontier:
        """The frontier with one more leaf hash."""
        return self.grow(leaf)[0]

    def grow(self, leaf: bytes) -> tuple[Frontier, tuple[bytes, ...]]:
        """The frontier with one more leaf hash, and the roots of `completed_by` that leaf."""
        peaks = list(self.peaks)
        completed = grow_in_place(peaks, self.size, leaf)
        return Frontier(self.size + 1, tuple(peaks)), tuple(completed)

    def root(self) -> bytes:
        """Root of the tree so far; of the empty tree, the hash of nothing."""
        return _joined(self.peaks) if self.peaks else EMPTY_ROOT

    def to_bytes(self) -> bytes:
        """The peaks one after another, as the ledger stores them."""
        return b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """Read what `to_bytes` wrote.

        Raises:
            ProofError: the bytes don't fit a tree of that size.
        """
        if len(data) % HASH_BYTES:
            raise ProofError("the Merkle frontier is cut off")
        starts = range(0, len(data), HASH_BYTES)
        return cls(size, tuple(data[start : start + HASH_BYTES] for start in starts))


def grow_in_place(peaks: list[bytes], size: int, leaf: bytes) -> list[bytes]:
    """`Frontier.grow` on the bare peaks of a tree of ``size`` leaves, for long walks over leaves.

    Returns:
        Roots of the subtrees `completed_by` that leaf.
    """
    completed = []
    while size & 1:
        leaf = node_hash(peaks.pop(), leaf)
        completed.append(leaf)
        size >>= 1
    peaks.append(leaf)
    return completed


def hashes_of(leaf_hashes: Sequence[bytes]) -> HashReader:
    """A reader over a list of leaf hashes, for trees small enough to lie in memory."""

    def read(wanted: Sequence[Subtree]) -> Sequence[bytes]:
        return [root_of(leaf_hashes[i << level : (i + 1) << level]) for level, i in wanted]

    return read


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Merkle tree hash of a list of leaf hashes."""
    frontier = Frontier()
    for leaf in leaf_hashes:
        frontier = frontier.append(leaf)
    return frontier.root()


def subtrees(start: int, end: int) -> tuple[Subtree, ...]:
    """The perfect subtrees that leaves ``start`` to ``end`` fall into, from left to right.

    ``start`` must be where a subtree of the range's size begins, as it is for every range that a
    Merkle proof names.

    >>> subtrees(0, 7)
    ((2, 0), (1, 2), (0, 6))
    """
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return tuple(found)


def completed_by(index: int) -> tuple[Subtree, ...]:
    """The subtrees above leaf level that leaf ``index`` completes, smallest first.

    >>> completed_by(3)
    ((1, 1), (2, 0))
    """
    return tuple((level, index >> level) for level in range(1, _trailing_ones(index) + 1))


def root_at(read: HashReader, size: int) -> bytes:
    """Root of the tree of the first ``size`` leaves, from O(log size) hashes."""
    return _root_of_ranges(read, [(0, size)])[0] if size else EMPTY_ROOT


def inclusion_path(read: HashReader, index: int, size: int) -> tuple[bytes, ...]:
    """Audit path of leaf ``index`` in the tree of the first ``size`` leaves (section 2.1.1).

    Returns:
        Sibling hashes from the leaf's up to the root's child.

    Raises:
        ProofError: there is no such leaf in a tree of that size.
    """
    if not 0 <= index < size:
        raise ProofError(f"no leaf {index} in a tree of {size} leaves")
    ranges: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return _root_of_ranges(read, ranges[::-1])


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Check an audit path (RFC 9162 section 2.1.3.2).

    Args:
        leaf: leaf hash.
        index: the leaf's place, from 0.
        size: leaves in the tree.
        path: sibling hashes, from the leaf's upwards.
        root: the tree's root.

    Raises:
        ProofError: the leaf isn't shown to be at that place.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    _check_hashes((leaf, root, *path))
    inner = (index ^ (size - 1)).bit_length()  # levels below where leaf and right edge part
    border = (index >> inner).bit_count()  # above, only left siblings on the right edge count
    if len(path) != inner + border:
        raise ProofError("the inclusion proof has too many or too few hashes")
    value = _fold(leaf, index, path[:inner])
    for sibling in path[inner:]:
        value = node_hash(sibling, value)
    _check_root(value, root, "inclusion")


def consistency_path(read: HashReader, old: int, new: int) -> tuple[bytes, ...]:
    """Proof that the tree of ``new`` leaves extends that of ``old`` (section 2.1.2).

    Empty where ``old`` is 0 or equals ``new``: then there is nothing to show.

    Raises:
        ProofError: the sizes are out of order.
    """
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} leaves can't extend one of {old}")
    if old in (0, new):
        return ()
    ranges: list[tuple[int, int]] = []
    start, end, whole = 0, new, True  # whole: the old tree's root itself is known to the reader
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, whole = middle, False
    if not whole:
        ranges.append((start, end))
    return _root_of_ranges(read, ranges[::-1])


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check a consistency proof (RFC 9162 section 2.1.4.2).

    Raises:
        ProofError: the new tree isn't shown to extend the old one.
    """
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} leaves can't extend one of {old}")
    _check_hashes((old_root, new_root, *path))
    if old in (0, new):
        if path:
            raise ProofError("the consistency proof has too many hashes")
        expected = EMPTY_ROOT if old == 0 else new_root
        _check_root(expected, old_root, "consistency")
        if new == 0:
            _check_root(EMPTY_ROOT, new_root, "consistency")
        return
    shift = _trailing_ones(old - 1)  # levels of the last perfect subtree of the old tree
    node = (old - 1) >> shift
    last = (new - 1) >> shift
    if node == 0:  # the old tree is one perfect subtree: its root is where the proof starts
        seed, rest = old_root, list(path)
    elif path:
        seed, rest = path[0], list(path[1:])
    else:
        raise ProofError("the consistency proof has too few hashes")
    inner = (node ^ last).bit_length()
    if len(rest) != inner + (node >> inner).bit_count():
        raise ProofError("the consistency proof has too many or too few hashes")
    old_value = new_value = seed
    for level, sibling in enumerate(rest):
        if level >= inner or node >> level & 1:
            old_value = node_hash(sibling, old_value)
            new_value = node_hash(sibling, new_value)
        else:
            new_value = node_hash(new_value, sibling)
    _check_root(old_value, old_root, "consistency")
    _check_root(new_value, new_root, "consistency")


def _root_of_ranges(read: HashReader, ranges: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    parts = [subtrees(start, end) for start, end in ranges]
    hashes = iter(read([part for each in parts for part in each]))
    return tuple(_joined([next(hashes) for _ in each]) for each in parts)


def _joined(peaks: Sequence[bytes]) -> bytes:
    """Root over perfect subtrees that stand side by side, largest first."""
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def _fold(leaf: bytes, index: int, siblings: Sequence[bytes]) -> bytes:
    value = leaf
    for level, sibling in enumerate(siblings):
        value = node_hash(sibling, value) if index >> level & 1 else node_hash(value, sibling)
    return value


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def _trailing_ones(number: int) -> int:
    return (~number & (number + 1)).bit_length() - 1


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise ProofError(f"a hash in a Merkle proof is {HASH_BYTES} bytes long")


def _check_root(found: bytes, expected: bytes, kind: str) -> None:
    if not hmac.compare_digest(found, expected):
        raise ProofError(f"the {kind} proof leads to another root")
