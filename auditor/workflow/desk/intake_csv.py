"""A table of requests: CSV in UTF-8 with or without byte order mark, comma or semicolon.

    external_id,subject_id,model,regime,ground,received

Rows are counted as a spreadsheet shows them: the header is row 1, and a line break inside quotes
begins no row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from auditor.workflow.desk.intake import COLUMNS, Cells, Flaw, IntakeError

MOST_ROWS = 200_000
_DELIMITERS = (",", ";")


def read_csv(data: bytes) -> Sequence[tuple[int, Cells]]:
    """Number and cells of each row; empty lines are passed over.

    Raises:
        IntakeError: not UTF-8, quotes out of place, a column missing, unknown or twice, rows that
            are too short or too long, or too many.
    """
    rows = list(_records(_decoded(data)))
    header = [name.strip() for name in rows[0][1]] if rows else []
    _require_columns(header)
    body = [(number, cells) for number, cells in rows[1:] if cells]
    odd = [
        Flaw(row=number, column="", problem=f"has {len(cells)} cells, the header {len(header)}")
        for number, cells in body
        if len(cells) != len(header)
    ]
    if odd:
        raise IntakeError(odd)
    return [(number, dict(zip(header, cells, strict=True))) for number, cells in body]


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise IntakeError([_whole(line, "is not UTF-8; save the table as CSV UTF-8")]) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise IntakeError([_whole(line, "holds a NUL; this is no CSV file")])
    return text


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    number = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter_of(text), strict=True)
    try:
        for number, cells in enumerate(reader, start=1):
            if number > MOST_ROWS:
                problem = f"is one too many; {MOST_ROWS} fit into one file"
                raise IntakeError([_whole(number, problem)])
            yield number, cells
    except csv.Error as error:
        raise IntakeError([_whole(number + 1, f"can't be read: {error}")]) from None


def _delimiter_of(text: str) -> str:
    """Whichever divides the header into more cells."""
    header = text.partition("\n")[0]
    return max(_DELIMITERS, key=header.count)


def _require_columns(header: Sequence[str]) -> None:
    flaws = [_column(name, "is missing") for name in COLUMNS if name not in header]
    flaws += [_column(name, "stands twice") for name in COLUMNS if header.count(name) > 1]
    unknown = sum(name not in COLUMNS for name in header)
    if unknown and not flaws:
        problem = f"{unknown} unknown columns; it has exactly {', '.join(COLUMNS)}"
        flaws.append(_whole(1, problem))
    if flaws:
        raise IntakeError(flaws)


def _column(name: str, problem: str) -> Flaw:
    return Flaw(row=1, column=name, problem=problem)


def _whole(row: int, problem: str) -> Flaw:
    return Flaw(row=row, column="", problem=problem)
