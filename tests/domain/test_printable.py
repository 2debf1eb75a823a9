"""Names that could be read as something else than they are."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from auditor.domain.printable import LONGEST_NAME, flaw_of

FORMULAS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    "@SUM(A1)",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "\uff1d1+1",  # a full-width sign is read as the plain one
    '=HYPERLINK("http://example.com")',
)
UNSEEN = {
    "right-to-left override": "St.\u202eelpmaxE",
    "left-to-right mark": "St.\u200eExample",
    "isolate": "St. \u2066Example\u2069",
    "zero-width space": "St.\u200bExample",
    "zero-width joiner": "St.\u200dExample",
    "byte order mark": "\ufeffSt. Example",
    "soft hyphen": "St. Ex\u00adample",
    "Hangul filler": "St.\u3164Example",
    "blank Braille": "St.\u2800Example",
    "variation selector": "St. Example\ufe0f",
    "grapheme joiner": "St. Ex\u034fample",
    "tag": "St. Example\U000e0041",
    "line separator": "St.\u2028Example",
    "new line": "St.\nExample",
    "tab": "\tSt. Example",
    "null": "St.\x00Example",
    "half a pair": "St. \ud800",
    "no-break space": "St.\u00a0Example",
}


@pytest.mark.parametrize(
    "name",
    [
        "St. Example",
        "Universitätsklinikum Lindenau",
        "Dr. Margarethe Kowalczyk-Ólafsdóttir",
        "Ελληνικό Νοσοκομείο",
        "O'Neill & Sons <Radiology>",
        "{{ 7 * 7 }}",
        "a = b",
        "-1",
        "+12.5",
        "x" * LONGEST_NAME,
    ],
)
def test_names_that_are_what_they_seem_pass(name: str) -> None:
    assert flaw_of(name) == ""


@pytest.mark.parametrize("name", UNSEEN.values(), ids=UNSEEN)
def test_what_is_not_seen_is_refused(name: str) -> None:
    assert "invisible or control" in flaw_of(name)


@pytest.mark.parametrize("name", FORMULAS)
def test_what_a_spreadsheet_would_run_is_refused(name: str) -> None:
    assert flaw_of(name) == "begins like a formula"


def test_what_is_empty_too_long_or_not_composed_is_refused() -> None:
    for name in ("", "   ", "x" * (LONGEST_NAME + 1)):
        assert "one line of 1 to" in flaw_of(name)
    assert "normal form C" in flaw_of("Universita\u0308t")


def test_no_control_or_format_character_of_unicode_passes() -> None:
    hidden = (chr(code) for code in range(sys.maxunicode + 1))
    assert not [
        hex(ord(each))
        for each in hidden
        if unicodedata.category(each)[0] == "C" and not flaw_of(f"a{each}b")
    ]
