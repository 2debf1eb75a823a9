"""The names in entries of the exclusion list, which take no arrays to be read.

What stands in the entries, and what they are worth without their key, is told in
`auditor.workflow.models.exclusion_list`.
"""

from __future__ import annotations

import hmac
import json

from auditor.domain.subject_id import alike
from auditor.errors import HomeError, TamperedError

FORMAT = "auditor-exclusion/v1"
SOMETHING_ELSE = "entries of the exclusion list hold something else"


def keyed_name(secret: bytes, name: str) -> str:
    """A subject id as it stands in the entries."""
    return keyed(secret, b"subject", alike(name).encode("utf-8")).hex()


def listed_names(secret: bytes, content: bytes) -> frozenset[str]:
    """The keyed names of stored entries.

    Raises:
        HomeError: they were made under another key.
        TamperedError: they hold something else.
    """
    try:
        stored = json.loads(content)
        if stored["format"] != FORMAT:
            raise ValueError
        if not hmac.compare_digest(stored["key"], keyed(secret, b"key").hex()):
            raise HomeError(
                "the exclusion list was made under another key; restore keys/exclusion.key"
            )
        return frozenset(stored["names"])
    except (ValueError, KeyError, TypeError):
        raise TamperedError(SOMETHING_ELSE) from None


def keyed(secret: bytes, use: bytes, content: bytes = b"") -> bytes:
    """The keyed hash (HMAC-SHA-256) of something, for one use."""
    return hmac.digest(secret, b"/".join((FORMAT.encode(), use, content)), "sha256")
