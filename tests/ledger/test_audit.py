"""The audit against a slow twin that says what it looks for; how much is read, counted."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from math import log2
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelDeployed, is_known
from auditor.errors import TamperedError
from auditor.ledger import ledger as ledger_module
from auditor.ledger.ledger import Append, Ledger
from auditor.ledger.memory import MemoryEventStore
from auditor.ledger.store import STORED_TYPES, Stored
from auditor.proof.merkle import Frontier, completed_by, leaf_hash, root_of, subtrees
from benchmarks.ledger import counted, counts, items
from tests.ledger.books import an_append, fill, open_ledger
from tests.postgresql import database

HEAD = "head"
ENTRY, LEAF, SUBTREES = 4, 5, 6

# The twins -------------------------------------------------------------------------------------


class Shown(MemoryEventStore):
    """A store that shows an audit whatever rows and head it was given."""

    def __init__(self, rows: list[Stored], head: Frontier) -> None:
        super().__init__()
        self.shown, self.head = rows, head

    def stored(self) -> Iterator[Stored]:
        return iter(self.shown)

    def frontier(self) -> Frontier:
        return self.head


def found_fast(rows: list[Stored], head: Frontier) -> int | str:
    """What the ledger's audit finds: how many entries, or the first bad one, or the head."""
    try:
        audited = Ledger(Shown(rows, head)).audit()
    except TamperedError as error:
        named = re.search(r"entry (-?\d+) ", str(error))
        return f"entry {named[1]}" if named else HEAD
    assert audited.root == head.root()
    return audited.entries


def found_slowly(rows: list[Stored], head: Frontier) -> int | str:
    """The same, from the definitions, with everything worked out anew for every row."""
    for place in range(max(len(rows), head.size)):
        if place == head.size:
            return HEAD if tree_of(rows[:place]) != head else f"entry {rows[place][0]}"
        if place == len(rows) or rows[place][0] > place:
            return f"entry {place}"
        if rows[place][0] < place:
            return f"entry {rows[place][0]}"
        if not fits(rows[: place + 1]):
            return f"entry {place}"
    return len(rows) if tree_of(rows) == head else HEAD


def tree_of(rows: list[Stored]) -> Frontier:
    leaves = [row[LEAF] for row in rows]
    return Frontier(
        len(leaves),
        tuple(root_of(leaves[i << k : (i + 1) << k]) for k, i in subtrees(0, len(leaves))),
    )


def fits(rows: list[Stored]) -> bool:
    """Whether the last of these rows is what can stand after the others."""
    *before, last = rows
    if [type(value) for value in last] != list(STORED_TYPES):
        return False
    sequence, stream, version, event_id, entry, leaf, stored = last
    try:
        told = json.loads(entry)
        told_of = (told["stream"], told["version"], told["event_id"])
        known = is_known(told["kind"]) and isinstance(told["data"], dict)
        dated = isinstance(told["recorded_at"], str)
        identified = str(UUID(event_id)) == event_id
    except (ValueError, KeyError, TypeError):
        return False
    if leaf_hash(entry) != leaf:
        return False
    leaves = [row[LEAF] for row in rows]
    completed = [
        root_of(leaves[i << level : (i + 1) << level]) for level, i in completed_by(sequence)
    ]
    return (
        known
        and dated
        and identified
        and told_of == (stream, version, event_id)
        and version == sum(row[1] == stream for row in before)
        and all(row[3] != event_id for row in before)
        and stored == b"".join(completed)
    )


# What may happen to a ledger ---------------------------------------------------------------------


def forged(rows: list[Stored]) -> tuple[list[Stored], Frontier]:
    """All hashes made to fit again, as by somebody who holds the whole database."""
    leaves, made = [], list[Stored]()
    for place, row in enumerate(rows):
        leaves.append(leaf_hash(row[ENTRY]))
        roots = [root_of(leaves[i << k : (i + 1) << k]) for k, i in completed_by(place)]
        made.append((*row[:LEAF], leaves[-1], b"".join(roots)))
    return made, tree_of(made)


def refiled(row: Stored, **told: object) -> Stored:
    """An entry that says something else, and columns that say the same."""
    fields = json.loads(row[ENTRY]) | told
    filed = (fields["stream"], fields["version"], fields["event_id"])
    return (row[0], *filed, json.dumps(fields).encode(), *row[LEAF:])


OTHER = st.one_of(
    st.integers(-2, 9),
    st.sampled_from(["a", "b", "", str(UUID(int=1)), f"{{{UUID(int=2)}}}", "x" * 36]),
    st.binary(max_size=2),
    st.binary(min_size=32, max_size=32),
    st.sampled_from([None, 1.0, b"{}", b"[", b"\xff", b'{"data":{},"kind":[]}']),
)
TOLD = st.sampled_from(
    [
        {"kind": "unheard-of/v1"},
        {"kind": "home-created/v1"},
        {"kind": 7},
        {"recorded_at": 0},
        {"data": []},
        {"version": 0},
        {"version": 3},
        {"stream": "a"},
        {"event_id": str(UUID(int=1))},
        {"event_id": "no id"},
    ]
)


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[list[Stored], Frontier]:
    """A ledger of up to a dozen entries, tampered with up to three times or not at all."""
    store, versions = MemoryEventStore(), dict[str, int]()
    for number, stream in enumerate(draw(st.lists(st.sampled_from("abc"), max_size=12))):
        event = ModelDeployed(model="m", version=number, weights=Digest.of(b"w"))
        version = versions.get(stream, 0)
        versions[stream] = version + 1
        append = Append(
            stream=stream,
            events=(event,),
            expected_version=version,
            event_ids=(UUID(int=number + 1),),
        )
        Ledger(store).append_all([append])
    rows, head = list(store.stored()), store.frontier()
    for _ in range(draw(st.integers(0, 3)) if rows else 0):
        at = draw(st.integers(0, len(rows) - 1))
        how = draw(st.sampled_from(["column", "swap", "flip", "drop", "double", "head", "tell"]))
        if how == "column":
            column = draw(st.integers(1, 6))
            rows[at] = (*rows[at][:column], draw(OTHER), *rows[at][column + 1 :])
        elif how == "swap":
            column, other = draw(st.integers(1, 6)), draw(st.integers(0, len(rows) - 1))
            value = rows[other][column]
            rows[at] = (*rows[at][:column], value, *rows[at][column + 1 :])
        elif how == "flip" and isinstance(rows[at][ENTRY], bytes) and rows[at][ENTRY]:
            entry = bytearray(rows[at][ENTRY])
            entry[draw(st.integers(0, len(entry) - 1))] ^= 1 << draw(st.integers(0, 7))
            rows[at] = (*rows[at][:ENTRY], bytes(entry), *rows[at][LEAF:])
        elif how == "drop" and len(rows) > 1:
            del rows[at]
        elif how == "double":
            rows.append((draw(st.sampled_from([-1, len(rows), 9_999])), *rows[at][1:]))
        elif how == "head":
            some = draw(st.integers(0, len(rows)))
            if all(isinstance(row[LEAF], bytes) and len(row[LEAF]) == 32 for row in rows):
                head = tree_of(rows[:some])
        elif all(map(as_written, rows)):
            rows[at] = refiled(rows[at], **draw(TOLD))
            how_far = draw(st.sampled_from(["not", "rows", "head"]))
            if how_far != "not":
                rows, whole = forged(rows)
                head = whole if how_far == "head" else head
    return sorted(rows, key=lambda row: row[0]), head


def as_written(row: Stored) -> bool:
    """Whether its bytes still have the fields that `refiled` changes."""
    try:
        return {"event_id", "stream", "version"} <= json.loads(row[ENTRY]).keys()
    except (ValueError, TypeError, AttributeError):
        return False


@given(ledgers())
def test_the_audit_finds_what_a_slow_twin_finds(made: tuple[list[Stored], Frontier]) -> None:
    assert found_fast(*made) == found_slowly(*made)


@pytest.mark.parametrize(
    "told",
    [
        {"kind": "unheard-of/v1"},
        {"data": "none"},
        {"event_id": "no id"},
        {"event_id": str(UUID(int=1))},
        {"version": 5},
    ],
)
def test_hashes_that_fit_dont_help_an_entry_that_cant_be(told: dict[str, object]) -> None:
    ledger = Ledger(store := MemoryEventStore())
    first = an_append("m", 0)
    ledger.append_all([Append(**fields_of(first) | {"event_ids": (UUID(int=1),)})])
    fill(ledger, 4)
    rows = list(store.stored())
    assert found_fast(*forged(rows)) == 5
    rows[3] = refiled(rows[3], **told)
    assert found_fast(*forged(rows)) == found_slowly(*forged(rows)) == "entry 3"


def fields_of(append: Append) -> dict[str, Any]:
    return {name: getattr(append, name) for name in Append.__dataclass_fields__}


def test_an_entry_of_brackets_is_unreadable_and_no_crash() -> None:
    ledger = Ledger(store := MemoryEventStore())
    fill(ledger, 2)
    rows = list(store.stored())
    rows[1] = (*rows[1][:ENTRY], b"[" * 60_000, *rows[1][LEAF:])
    assert found_fast(*forged(rows)) == "entry 1"


# Rows that stand apart ---------------------------------------------------------------------------

_FAR = (-(2**63), -1, 5, 6, 20_000, 2**63 - 1)


@pytest.mark.parametrize("place", _FAR)
def test_a_row_put_anywhere_in_sqlite_is_found(tmp_path: Path, place: int) -> None:
    path = tmp_path / "ledger.db"
    ledger = open_ledger(path)
    fill(ledger, 5)
    ledger.close()
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO entry SELECT ?, stream, 5, 'x', entry, leaf, subtrees FROM entry "
        "WHERE sequence = 2",
        (place,),
    )
    connection.commit()
    connection.close()
    ledger = open_ledger(path)
    with pytest.raises(TamperedError, match=f"entry {place} "):
        ledger.audit()
    ledger.close()


@pytest.mark.parametrize("place", _FAR)
def test_a_row_put_anywhere_in_postgresql_is_found(place: int) -> None:
    with database() as made:
        ledger = open_ledger(made.application)
        fill(ledger, 5)
        made.as_application(
            f"INSERT INTO entry SELECT {place}, stream, 5, 'x', entry, leaf, subtrees FROM entry "
            "WHERE sequence = 2"
        )
        with pytest.raises(TamperedError, match=f"entry {place} "):
            ledger.audit()
        ledger.close()


def test_every_page_of_rows_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.ledger.sql._ROWS_AT_ONCE", 4)
    ledger = open_ledger(tmp_path / "ledger.db")
    for count in (3, 1, 1, 3, 5):
        fill(ledger, count)
        size = ledger.size
        assert ledger.audit().entries == size
        assert [item.sequence for item in ledger.read()] == list(range(size))
        assert [item.version for item in ledger.replay("m")] == list(range(size))
    ledger.close()


@pytest.mark.parametrize("rows_at_once", [2, 3, 100])
def test_a_writer_may_append_while_the_audit_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr("auditor.ledger.sql._ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(ledger_module, "_PROGRESS_EVERY", 1)
    reader, writer = open_ledger(tmp_path / "ledger.db"), open_ledger(tmp_path / "ledger.db")
    fill(writer, 3)
    told: list[tuple[int, int]] = []

    def append(done: int, of: int) -> None:
        told.append((done, of))
        if len(told) <= 7:
            fill(writer, 1)

    audited = reader.audit(append)
    assert (audited.entries, audited.root) == (10, writer.root())
    assert told[-1] == (10, 10)
    reader.close()
    writer.close()


# How much is read --------------------------------------------------------------------------------


def test_proofs_and_appends_read_a_few_rows_by_key(tmp_path: Path) -> None:
    """Counted by SQLite: look-ups, and steps of its machine, which would betray any scan."""
    path, source, work = tmp_path / "ledger.db", items(), {}
    for size in (2**6, 2**12):
        ledger = open_ledger(path)
        while (missing := size - ledger.size) > 0:
            ledger.append_all([next(source).append for _ in range(min(missing, 500))])
        ledger.close()
        work[size] = counts(path, next(source), proofs=40)
    for size, found in work.items():
        assert found.inclusion[0] <= log2(size) + 10
        assert found.extension[0] <= 2 * log2(size) + 10
        assert found.append[0] <= 6
        assert {plan for plan in found.plans if "SEARCH" not in plan} == {"SCAN head"}
    small, large = work.values()

    def steps(each: tuple[int, int]) -> int:
        return each[1]

    assert steps(large.append) <= steps(small.append) + 20
    assert steps(large.inclusion) <= 2 * steps(small.inclusion)
    assert steps(large.extension) <= 2 * steps(small.extension)


def test_an_append_reads_the_head_alone_where_nobody_else_wrote(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with (
        counted() as work,
        closing(open_ledger(path)) as ledger,
        closing(open_ledger(path)) as other,
    ):
        fill(ledger, 1)
        for whose, streams in (
            (ledger, {"head"}),
            (other, {"head", "entry"}),
            (ledger, {"head", "entry"}),
        ):
            append = an_append("m", other.version("m"))
            work.selects.clear()
            whose.append_all([append])
            assert {re.findall(r"FROM (\w+)", asked)[0] for asked in work.selects} == streams
