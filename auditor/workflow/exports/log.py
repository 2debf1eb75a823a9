"""The ledger as an audit log: one JSON object a line, each entry whole and with its leaf hash.

A line holds what the entry holds, as it was written, so that whoever has the log can make every
entry's bytes and with them the ledger's Merkle root again (docs/exports.md):

    {"data":{...},"event_id":"...","kind":"...","leaf":"<hex>","recorded_at":"...","sequence":7,...}
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from auditor.domain.canonical import canonical_bytes
from auditor.ledger.ledger import Ledger
from auditor.proof.merkle import leaf_hash


def log_lines(ledger: Ledger, start: int = 0) -> Iterator[bytes]:
    """Lines of the entries from sequence ``start`` on, each with its newline.

    Raises:
        TamperedError: an entry was changed.
    """
    for sequence, entry in enumerate(ledger.entries(start), start):
        yield log_line(sequence, entry)


def log_line(sequence: int, entry: bytes) -> bytes:
    """One entry's line.

    Args:
        sequence: its place in the ledger.
        entry: its stored bytes.
    """
    fields = json.loads(entry)
    return canonical_bytes({**fields, "leaf": leaf_hash(entry).hex(), "sequence": sequence}) + b"\n"
