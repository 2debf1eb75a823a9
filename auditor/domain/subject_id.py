"""Ids of data subjects: which two are taken for the same, and which for none."""

from __future__ import annotations

import unicodedata

from auditor.domain.printable import flaw_of

_BYTE_ORDER_MARK = "\ufeff"


def alike(name: str) -> str:
    """What ids that look the same have in common: case and width of letters (UAX 15, NFKC).

    Blanks around an id and byte order marks, which text files begin with, are no part of it.

    >>> alike("PAT-7") == alike("pat-\uff17 ")
    True
    """
    return unicodedata.normalize("NFKC", name.replace(_BYTE_ORDER_MARK, "")).casefold().strip()


def flaw_of_id(text: str) -> str:
    """Why a request can't name somebody so; empty where it can (`auditor.domain.printable`).

    >>> flaw_of_id("phantom-0006 ")
    'begins or ends with a blank'
    """
    return "begins or ends with a blank" if text != text.strip() else flaw_of(text)
