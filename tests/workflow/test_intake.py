"""Files of requests: every flaw by row and column, nothing of it repeated, nothing let through."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.printable import flaw_of
from auditor.domain.request import Regime
from auditor.policies.deadlines import in_law_since
from auditor.policies.load import load_packs
from auditor.workflow.desk.intake import COLUMNS, MOST_FLAWS, IntakeError, Known, read_rows
from auditor.workflow.desk.intake_csv import MOST_ROWS, read_csv

TODAY = date(2026, 11, 20)
KNOWN = Known(
    models={"detector"},
    subjects={"p1", "p2"},
    today=TODAY,
    since={regime: in_law_since(load_packs(), regime) for regime in Regime},
)
GOOD = {
    "external_id": "DSR-1",
    "subject_id": "p1",
    "model": "detector",
    "regime": "gdpr",
    "ground": "gdpr-17-1-b",
    "received": "2026-11-02",
}


def table(*rows: Mapping[str, str], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def flaws(data: bytes) -> list[tuple[int, str]]:
    with pytest.raises(IntakeError) as refused:
        read_rows(read_csv(data), KNOWN)
    return [(flaw.row, flaw.column) for flaw in refused.value.flaws]


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
def test_a_table_is_read_as_spreadsheets_save_it(
    delimiter: str, mark: bytes, ending: bytes
) -> None:
    second = {**GOOD, "external_id": "DSR-2", "subject_id": "p2"}
    data = mark + table(GOOD, second, delimiter=delimiter).replace(b"\r\n", ending)
    asked = read_rows(read_csv(data + ending), KNOWN)
    assert [(item.row, item.external_id, item.subject_id) for item in asked] == [
        (2, "DSR-1", "p1"),
        (3, "DSR-2", "p2"),
    ]
    assert asked[0].received == date(2026, 11, 2)


BAD = {
    "external_id": ["", " x", "=1+1", "@SUM(A1)", "+a", "-a", "\ta", "\ra", "a\nb", "x" * 121],
    "subject_id": ["", "p3", "p1 ", "=p1", "p\u200b1", "\u202ep1", "P3", "p1\x01"],
    "model": ["", "other", "Detector", "detector "],
    "regime": ["", "GDPR", "lgpd"],
    "ground": ["", "uk-gdpr-17-1-b", "hipaa-508-b-5", "gdpr-17-1-g"],
    "received": [
        *("", "02.11.2026", "2026-02-30", "2025-02-29", "2026-11-21", "1999-12-31", "20261102"),
        *("2018-05-24", "2018-01-01", "0001-01-01"),  # before the GDPR: no rule would set a limit
        *("2026-W45-1", "2026-11-02T10:00", "0202-11-02", "\uff12026-11-02", "2026-1-2"),
    ],
}


@pytest.mark.parametrize(
    ("column", "value"), [(column, value) for column, values in BAD.items() for value in values]
)
def test_every_bad_cell_is_named_by_row_and_column(column: str, value: str) -> None:
    second = {**GOOD, "external_id": "DSR-2"}
    bad = {**GOOD, "external_id": "DSR-3", column: value}
    assert flaws(table(GOOD, second, bad)) == [(4, column)]


def test_all_flaws_are_told_not_the_first_alone_and_none_repeats_a_cell() -> None:
    secret = "Doe^Jane"
    rows = [{**GOOD, "external_id": f"DSR-{n}", "subject_id": secret} for n in range(3)]
    rows[1] |= {"received": secret, "ground": secret, "model": secret, "regime": secret}
    with pytest.raises(IntakeError) as refused:
        read_rows(read_csv(table(*rows)), KNOWN)
    told = refused.value
    assert [(f.row, f.column) for f in told.flaws] == [
        (2, "subject_id"),
        *((3, name) for name in ("subject_id", "model", "regime", "ground", "received")),
        (4, "subject_id"),
    ]
    assert secret not in str(told) + "".join(map(str, told.flaws))
    assert "1 of 7 flaws" in str(told)


def test_many_flaws_are_counted_and_not_all_listed() -> None:
    rows = [{**GOOD, "external_id": f"DSR-{n}", "model": "x"} for n in range(MOST_FLAWS + 50)]
    with pytest.raises(IntakeError) as refused:
        read_rows(read_csv(table(*rows)), KNOWN)
    assert len(refused.value.flaws) == MOST_FLAWS
    assert f"1 of {MOST_FLAWS + 50} flaws" in str(refused.value)


@pytest.mark.parametrize("written", ["P1", "\uff301", "p1"])
def test_a_patient_is_known_by_every_spelling_that_is_alike(written: str) -> None:
    (asked,) = read_rows(read_csv(table({**GOOD, "subject_id": written})), KNOWN)
    assert asked.subject_id == written


def test_an_external_id_stands_once() -> None:
    other = {**GOOD, "external_id": "DSR-2"}
    with pytest.raises(IntakeError, match=r"row 4, external_id: it stands in row 2 already"):
        read_rows(read_csv(table(GOOD, other, GOOD)), KNOWN)


def test_one_bad_row_of_fifty_thousand_is_found() -> None:
    rows = [{**GOOD, "external_id": f"DSR-{n}"} for n in range(50_000)]
    rows[31_415]["received"] = "2026-02-30"
    assert flaws(table(*rows)) == [(31_417, "received")]


HEADER = ",".join(COLUMNS)
ROW = ",".join(GOOD.values())


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", [(1, name) for name in COLUMNS]),
        (HEADER.encode(), [(1, "")]),
        (f"{HEADER}\n\n\n".encode(), [(1, "")]),
        (HEADER.replace("received", "day").encode(), [(1, "received")]),
        (f"{HEADER},model\n{ROW},detector".encode(), [(1, "model")]),
        (f"{HEADER},name\n{ROW},Jane".encode(), [(1, "")]),
        (f"{HEADER}\n{ROW},more\n{ROW[:-12]}".encode(), [(2, ""), (3, "")]),
        (f'{HEADER}\n{ROW}\n"x"y,{ROW}'.encode(), [(3, "")]),
        (f'{HEADER}\n"{ROW}'.encode(), [(2, "")]),
        (f"{HEADER}\n{ROW}\n".encode("utf-16"), [(1, "")]),
        (f"{HEADER}\nJos\xe9,{ROW}".encode("latin-1"), [(2, "")]),
        (f"{HEADER}\n{ROW}\0".encode(), [(2, "")]),
        (f"{HEADER}\n{'x' * 200_000}".encode(), [(2, "")]),
    ],
)
def test_what_is_no_such_table_is_refused(data: bytes, found: list[tuple[int, str]]) -> None:
    assert flaws(data) == found


def test_a_break_inside_quotes_begins_no_row_as_in_a_spreadsheet() -> None:
    broken = {**GOOD, "external_id": "a\nb"}
    last = {**GOOD, "external_id": "DSR-9", "received": "9.9.2026"}
    assert flaws(table(broken, last)) == [(2, "external_id"), (3, "received")]


def test_there_is_an_end_to_rows() -> None:
    data = f"{HEADER}\n".encode() + b"\n" * MOST_ROWS
    assert flaws(data) == [(MOST_ROWS + 1, "")]


cells = st.dictionaries(
    st.sampled_from(COLUMNS), st.text(max_size=12) | st.sampled_from(sorted(GOOD.values()))
)


@given(st.lists(cells, min_size=1, max_size=4))
def test_what_is_let_through_is_good_in_every_cell(changes: list[dict[str, str]]) -> None:
    rows = [(n, {**GOOD, **change}) for n, change in enumerate(changes, start=2)]
    try:
        asked = read_rows(rows, KNOWN)
    except IntakeError as refused:
        assert refused.flaws
        return
    assert len(asked) == len(rows) == len({item.external_id for item in asked})
    for item in asked:
        assert item.subject_id in KNOWN.subjects and item.model in KNOWN.models
        assert item.ground.value.startswith(f"{item.regime.value}-")
        assert KNOWN.since[item.regime] <= item.received <= TODAY
        assert flaw_of(item.external_id) == ""
