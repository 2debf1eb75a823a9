"""Names that others typed in and that are printed: refused where they'd read as something else."""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME = 120

# Drawn as nothing though they count as letters, marks or symbols: fillers and selectors
# (Unicode's Default_Ignorable_Code_Point beyond the control and format characters), blank Braille.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# What a spreadsheet takes for a formula (OWASP, "CSV injection"); a signed number is none.
_FORMULA = re.compile(r"[=@]|[+-](?!\d+(\.\d+)?$)")

_DRAWN = ("LATIN", "GREEK", "CYRILLIC", "MODIFIER", "FEMININE", "MASCULINE", "MICRO")


def flaw_of(text: str) -> str:
    """Why a name can't be printed as what it is; empty where it can.

    Refused are control, bidirectional, zero-width and unassigned characters, line breaks,
    characters drawn as nothing, sequences that change under Unicode normalisation (NFC),
    beginnings that a spreadsheet would run, and what is empty or too long.

    >>> flaw_of("Dr. Margarethe Kowalczyk-Ólafsdóttir"), flaw_of("-1")
    ('', '')
    >>> flaw_of('=HYPERLINK("http://example.com")')
    'begins like a formula'
    """
    if not text.strip() or len(text) > LONGEST_NAME:
        return f"must be one line of 1 to {LONGEST_NAME} characters"
    if not text.isprintable() or _UNSEEN.search(text):
        return "holds an invisible or control character; remove it"
    if unicodedata.normalize("NFC", text) != text:
        return "is not in Unicode normal form C; write it composed"
    if _FORMULA.match(unicodedata.normalize("NFKC", text)):
        return "begins like a formula"
    return ""


def shown(text: str) -> str:
    r"""Text of a stranger's, such as a file's name, on one line of a terminal and as it is.

    >>> print(shown("a.pdf\nVALID\x1b[2K"))
    a.pdf\nVALID\x1b[2K
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def undrawn(text: str) -> str:
    """Why no document could show a name, though it is one; empty where the shipped fonts know it.

    >>> undrawn("Szpital Łódź, Νοσοκομείο, Больница nº 1")
    ''
    >>> undrawn("東京病院")
    'must be in Latin, Greek or Cyrillic letters, as documents are drawn in no others'
    """
    for each in text:
        if each.isalpha() and not unicodedata.name(each, "").startswith(_DRAWN):
            return (
                "must be in Latin, Greek or Cyrillic letters, as documents are drawn in no others"
            )
    return ""


def hides(text: str) -> bool:
    """Whether a text holds something that isn't seen, or that turns the order of what is seen.

    Spaces of any width are seen; line breaks aren't text.

    >>> hides("« Zentrum »"), hides(f"St.{chr(0x202E)}elpmaxE"), hides(f"two{chr(10)}lines")
    (False, True, True)
    """
    return any(
        unicodedata.category(each)[0] == "C" or unicodedata.category(each) in ("Zl", "Zp")
        for each in set(text)
    ) or bool(_UNSEEN.search(text))
