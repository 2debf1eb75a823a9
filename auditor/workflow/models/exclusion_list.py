"""Entries that keep patients out of future training, keyed, so that nobody is read off them.

A subject id stands as HMAC-SHA-256 (RFC 2104), each band of a picture's views (`auditor.
verification.fingerprint`) as the first eight bytes of one, all under a key of their own. Without
the key an entry matches nothing and says nothing; who holds it can turn the bands back into a
coarse fingerprint and try out ids, so entries are pseudonymised, not anonymous (EDPB Guidelines
01/2025).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import canonical_bytes
from auditor.errors import TamperedError
from auditor.verification.fingerprint import BANDS, VALUES, Bands
from auditor.workflow.models.keyed_names import (
    FORMAT,
    SOMETHING_ELSE,
    keyed,
    keyed_name,
    listed_names,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entries:
    """One case's entries as they are compared: keyed ids, and the bands of listed pictures."""

    names: frozenset[str]
    pictures: Bands


def entries_bytes(secret: bytes, case: str, names: Collection[str], pictures: Bands) -> bytes:
    """What is stored of a case; the case id tells the entries of two cases of one patient apart.

    Args:
        names: subject ids.
        pictures: their bands, (n, views, BANDS).
    """
    tokens = _tokens(secret)[np.arange(BANDS), pictures]
    return canonical_bytes(
        {
            "case": case,
            "format": FORMAT,
            "key": keyed(secret, b"key").hex(),
            "names": sorted(keyed_name(secret, name) for name in names),
            "pictures": [b64encode(each.tobytes()).decode("ascii") for each in tokens],
        }
    )


def read_entries(secret: bytes, content: bytes) -> Entries:
    """Entries as `entries_bytes` wrote them.

    Raises:
        HomeError: they were made under another key.
        TamperedError: they hold something else.
    """
    names = listed_names(secret, content)
    try:
        stored = json.loads(content)
        pictures = [_bands(secret, b64decode(each, validate=True)) for each in stored["pictures"]]
    except (ValueError, KeyError, TypeError, NotBase64):
        raise TamperedError(SOMETHING_ELSE) from None
    none = np.zeros((0, 0, BANDS), dtype=np.int16)
    return Entries(names=names, pictures=np.stack(pictures) if pictures else none)


def _bands(secret: bytes, stored: bytes) -> Bands:
    """The bands behind their tokens."""
    tokens = np.frombuffer(stored, dtype="<u8").reshape(-1, BANDS)
    book = _tokens(secret)
    found = np.empty(tokens.shape, dtype=np.int16)
    for band in range(BANDS):
        order = np.argsort(book[band])
        places = np.searchsorted(book[band], tokens[:, band], sorter=order)
        found[:, band] = order[np.minimum(places, VALUES - 1)]
    if not np.array_equal(book[np.arange(BANDS), found], tokens):
        raise ValueError
    return found


@lru_cache(maxsize=1)  # some 14,000 of them, the same for every case
def _tokens(secret: bytes) -> NDArray[np.uint64]:
    """What stands for each value of each band, (BANDS, VALUES)."""
    tokens = [
        keyed(secret, b"band", bytes((band, *value.to_bytes(2, "big"))))[:8]
        for band in range(BANDS)
        for value in range(VALUES)
    ]
    return np.frombuffer(b"".join(tokens), dtype="<u8").reshape(BANDS, VALUES)
