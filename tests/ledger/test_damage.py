"""Bits that flip, files cut short or mixed up: found, and never taken for the ledger."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from auditor.errors import LedgerError, TamperedError
from auditor.ledger.schema import NEWEST
from tests.campaigns import Campaign
from tests.ledger.books import drop_from_index, fill, open_ledger

_BITS_OF_A_NUMBER = 64


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger's file: seven entries in two streams, nothing left in a write-ahead log."""
    path = tmp_path_factory.mktemp("book") / "ledger.db"
    with closing(open_ledger(path)) as ledger:
        fill(ledger, 4, "m")
        fill(ledger, 3, "other")
    return path


@pytest.fixture
def copy(book: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(book, tmp_path / "ledger.db"))


class Cell(NamedTuple):
    """One value in one row."""

    table: str
    row: int
    column: str
    value: Any

    @property
    def bits(self) -> int:
        return _BITS_OF_A_NUMBER if isinstance(self.value, int) else 8 * len(self.raw)

    @property
    def raw(self) -> bytes:
        return self.value.encode() if isinstance(self.value, str) else bytes(self.value)

    def with_bit_flipped(self, bit: int) -> Any:
        """The value that a flipped bit leaves; text as its bytes, for it may be none any more."""
        if isinstance(self.value, int):
            changed = (self.value ^ 1 << bit) % 2**_BITS_OF_A_NUMBER
            return changed - 2**_BITS_OF_A_NUMBER * (changed >> _BITS_OF_A_NUMBER - 1)
        number = int.from_bytes(self.raw, "big") ^ 1 << bit
        return number.to_bytes(len(self.raw), "big")


def cells(connection: sqlite3.Connection) -> Iterator[Cell]:
    for table in ("entry", "head"):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        for row in connection.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid").fetchall():
            for column, value in zip(columns, row[1:], strict=True):
                yield Cell(table, row[0], column, value)


def without_triggers(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for (name,) in triggers.fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.commit()
    return connection


def test_a_flipped_bit_in_any_cell_is_found_and_its_entry_named(
    copy: Path, campaign: Campaign
) -> None:
    with closing(without_triggers(copy)) as connection, closing(open_ledger(copy)) as ledger:
        seen = cells(connection)
        every = [(cell, bit) for cell in seen for bit in range(cell.bits)]
        chosen = Random(0).sample(every, len(every))
        for number in campaign.sampled(len(chosen), every=37):
            cell, bit = chosen[number]
            flip = f"UPDATE {cell.table} SET {cell.column} = {{}} WHERE rowid = ?"
            text = "CAST(? AS TEXT)" if isinstance(cell.value, str) else "?"
            try:
                connection.execute(flip.format(text), (cell.with_bit_flipped(bit), cell.row))
            except sqlite3.IntegrityError:
                connection.rollback()
                continue  # another row has that number: the database itself refuses
            connection.commit()
            moved = cell.column in ("sequence", "id")  # those are the row number itself
            now = cell.with_bit_flipped(bit) if moved else cell.row
            named = rf"entry ({cell.row}|{now})\b" if cell.table == "entry" else "head|frontier"
            with pytest.raises(TamperedError, match=named):
                ledger.audit()
            campaign.count(flipped_bits=1)
            connection.execute(flip.format("?"), (cell.value, now))
            connection.commit()
        assert ledger.audit().entries == 7


@pytest.mark.parametrize("version", range(3))
def test_an_entry_that_its_streams_index_lost_is_missed(copy: Path, version: int) -> None:
    """One pointer of an index's page is gone; every row, hash and head is what it was."""
    drop_from_index(copy, b"other", version)
    with closing(open_ledger(copy)) as ledger:
        assert len(list(ledger.read())) == 7
        with pytest.raises(TamperedError, match=f"entry {4 + version} isn't found"):
            ledger.audit()
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("REINDEX")
        assert ledger.audit().entries == 7


def test_an_entry_that_the_index_of_event_ids_lost_is_missed(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection:
        ((event_id,),) = connection.execute("SELECT event_id FROM entry WHERE sequence = 3")
    drop_from_index(copy, event_id.encode())
    with closing(open_ledger(copy)) as ledger, pytest.raises(TamperedError, match="its event id"):
        ledger.audit()


def contents(path: Path) -> list[bytes]:
    """Everything that a ledger says, as a reader takes it in after an audit."""
    with closing(open_ledger(path)) as ledger:
        ledger.audit()
        list(ledger.read())
        return list(ledger.entries())


def refused(path: Path, before: list[bytes]) -> bool:
    """Whether the ledger refuses the file; if it doesn't, it holds what it held before."""
    try:
        assert contents(path) == before
    except LedgerError:
        return True
    finally:
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()
    return False


def test_a_flipped_bit_in_the_file_changes_no_entry_unseen(
    book: Path, tmp_path: Path, campaign: Campaign
) -> None:
    honest, before = book.read_bytes(), contents(book)
    random, found = Random(0), 0
    for number in range(campaign.rounds(200, of=12_000)):
        path = tmp_path / f"{number}.db"
        changed = bytearray(honest)
        # half of them in the first page, where the format and all definitions lie
        place = random.randrange(4096 if number % 2 else len(honest))
        changed[place] ^= 1 << random.randrange(8)
        path.write_bytes(changed)
        found += refused(path, before)
    assert found > 0
    campaign.count(refused=found)


def test_a_flipped_bit_in_the_tables_own_version_is_told(book: Path, tmp_path: Path) -> None:
    version = Cell("alembic_version", 1, "version_num", NEWEST)
    for bit in range(version.bits):
        path = Path(shutil.copy(book, tmp_path / f"{bit}.db"))
        with closing(sqlite3.connect(path)) as connection:
            flip = "UPDATE alembic_version SET version_num = CAST(? AS TEXT)"
            connection.execute(flip, [version.with_bit_flipped(bit)])
            connection.commit()
        with pytest.raises(LedgerError, match="version"):
            contents(path)


def test_a_file_cut_short_is_told(book: Path, tmp_path: Path, campaign: Campaign) -> None:
    """From two bytes on; an empty file is an empty ledger, and for the home's checkpoint to see."""
    honest, before = book.read_bytes(), contents(book)
    random, last_page = Random(0), len(honest) - 4096
    for _ in range(campaign.rounds(20, of=6_000)):
        path, length = tmp_path / "ledger.db", random.randrange(2, len(honest))
        path.write_bytes(honest[:length])
        # the end of the last page may be room that nothing was written to yet
        assert refused(path, before) or length > last_page
