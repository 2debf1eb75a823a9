"""A database put back to before what nobody signed yet: noticed, and put back or left behind."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.domain.request import DecisionKind
from auditor.errors import LedgerError, MisuseError, TamperedError
from auditor.ledger.ledger import Ledger
from auditor.ledger.sql import SqlEventStore
from auditor.workflow.desk.acts import restrict
from auditor.workflow.desk.desk import decide
from auditor.workflow.desk.signing import Hand
from auditor.workflow.homes.head import HEAD, kept_head, what_is_lost, why_not_held
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.homes.record import load_case
from auditor.workflow.log.book import audit_ledger
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.recovery import Condition, recover
from auditor.workflow.models.forgetting import forget_request
from tests.cli.conftest import Auditor, stock
from tests.ledger.books import fill
from tests.postgresql import database
from tests.workflow.desks import filed
from tests.workflow.killing import killed_before
from tests.workflow.test_recovery_stopped import on_postgresql

Act = Callable[[Home, str, str], object]

ACTS: dict[str, Act] = {
    "hold": lambda home, granted, _: decide(home, granted, DecisionKind.HELD),
    "withdraw": lambda home, granted, _: decide(home, granted, DecisionKind.WITHDRAWN),
    "restrict": lambda home, granted, _: restrict(home, granted, Hand()),
    "forget": lambda home, _, withdrawn: forget_request(home, withdrawn),
}


@pytest.fixture
def stocked(home: Home) -> Iterator[Home]:
    stock(home)
    yield home
    home.close()


def cases(home: Home) -> tuple[str, str]:
    """A case that is granted, and one that was withdrawn."""
    granted, withdrawn = filed(home), filed(home, "patient-4712")
    decide(home, granted, DecisionKind.GRANTED)
    decide(home, withdrawn, DecisionKind.WITHDRAWN)
    return granted, withdrawn


def copied(home: Home, target: Path) -> Path:
    """The home's database as it is, in one file."""
    home.close()
    return Path(shutil.copy(home.root / "ledger.db", target))


def put_back(home: Home, copy: Path) -> Home:
    home.close()
    for path in home.root.glob("ledger.db*"):
        path.unlink()
    shutil.copy(copy, home.root / "ledger.db")
    return open_home(home.root)


@pytest.mark.parametrize("act", ACTS)
def test_an_act_that_nobody_signed_for_yet_does_not_vanish(
    stocked: Home, tmp_path: Path, act: str
) -> None:
    granted, withdrawn = cases(stocked)
    record_checkpoint(stocked)
    older = copied(stocked, tmp_path / "older.db")
    ACTS[act](stocked, granted, withdrawn)
    entries = list(stocked.ledger.entries())
    newer = copied(stocked, tmp_path / "newer.db")
    with closing(put_back(stocked, older)) as home:
        lost = len(entries) - home.ledger.size
        for refused in (audit_ledger, record_checkpoint, filed):
            with pytest.raises(TamperedError, match=r"an older state was put back.*recover"):
                refused(home)
        with pytest.raises(LedgerError, match=r"--from.*--without-unsigned"):
            recover(home, source=None, known=(), new_origin=False)
        with pytest.raises(MisuseError, match="needs no new name"):
            recover(home, source=None, known=(), new_origin=True)
        with pytest.raises(LedgerError, match="doesn't lead from what is here"):
            recover(home, source=older, known=(), new_origin=False)
        done = recover(home, source=newer, known=(), new_origin=False)
        assert (done.condition, done.replayed, done.lost) == (Condition.LOST, lost, 0)
        assert list(home.ledger.entries()) == entries
        filed(home)
        audit_ledger(home)


def test_what_is_lost_for_good_is_told_and_left_behind(
    stocked: Home, tmp_path: Path, auditor: Auditor
) -> None:
    granted, _ = cases(stocked)
    record_checkpoint(stocked)
    older = copied(stocked, tmp_path / "older.db")
    decide(stocked, granted, DecisionKind.HELD)
    with closing(put_back(stocked, older)) as home:
        assert auditor("ledger", "audit", "--home", home.root).code == 5
        recovering = ("ledger", "recover", "--home", home.root)
        assert auditor(*recovering).code == 1
        ran = auditor(*recovering, "--without-unsigned", "--json")
        assert (ran.code, ran.json["lost"]) == (0, 1)
        assert ran.json["ledger_was"] == Condition.LOST.value
        assert load_case(home, granted).granted
        decide(home, granted, DecisionKind.HELD)
        assert auditor("ledger", "audit", "--home", home.root).code == 0


def test_an_older_state_that_was_written_to_past_the_guard_is_noticed(
    stocked: Home, tmp_path: Path
) -> None:
    older = copied(stocked, tmp_path / "older.db")
    fill(stocked.ledger, 3)
    with closing(put_back(stocked, older)) as home:
        with closing(Ledger(SqlEventStore(home.database))) as books:
            fill(books, 5, "past-the-guard")
        with pytest.raises(TamperedError, match="not those that it had"):
            fill(home.ledger, 1)
        done = recover(home, source=None, known=(), new_origin=False, without_unsigned=True)
        assert (done.condition, done.lost) == (Condition.LOST, 0)
        fill(home.ledger, 1)


def test_killed_anywhere_while_appending_nothing_is_taken_for_lost(home: Home) -> None:
    home.close()
    places = frozenset({"_append", "commit", "keep_head", "frontier", "root"})
    call, came_so_far = 0, True

    def append() -> None:
        with closing(open_home(home.root)) as opened:
            fill(opened.ledger, 2, f"stream-{call}")

    while came_so_far:
        call += 1
        came_so_far = killed_before(call, places, append)
        with closing(open_home(home.root)) as opened:
            assert opened.read_only == ""
            fill(opened.ledger, 1, f"after-{call}")
            assert kept_head(home.root) is not None
    assert call > 5


def test_who_write_at_once_find_nothing_lost(home: Home) -> None:
    flaws: list[str] = []

    def write(name: str) -> None:
        try:
            for number in range(15):
                with closing(open_home(home.root)) as opened:
                    fill(opened.ledger, 2, f"{name}-{number}")
                    flaws.extend(filter(None, [opened.read_only]))
        except Exception as error:  # of a thread, to be told below
            flaws.append(repr(error))

    writers = [threading.Thread(target=write, args=(name,)) for name in ("a", "b", "c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert flaws == []
    head = kept_head(home.root)
    assert head is not None and head.size <= home.ledger.size == 1 + 3 * 15 * 2
    assert not list(home.root.glob(".head*"))
    home.close()


@pytest.mark.parametrize("spoilt", [b"", b"\x00" * 80, b"99\n", b"999\n" + b"g" * 64 + b"\n", None])
def test_a_file_that_a_power_cut_spoilt_stops_nobody(home: Home, spoilt: bytes | None) -> None:
    path = home.root / HEAD
    path.unlink()
    if spoilt is None:
        path.mkdir()  # nor does one that can't be written
    else:
        path.write_bytes(spoilt)
    fill(home.ledger, 1)
    assert home.read_only == ""
    kept = kept_head(home.root)
    assert kept is None if spoilt is None else kept is not None and kept.size == home.ledger.size
    home.close()


def test_a_state_kept_by_an_earlier_version_counts(home: Home) -> None:
    """It wrote the number as it is, without zeros before it."""
    fill(home.ledger, 1)
    size, path = home.ledger.size, home.root / HEAD
    path.write_text(f"{size + 3}\n{'ab' * 32}\n", encoding="ascii")
    assert f"and had {size + 3}: an older state was put back" in home.read_only
    path.write_text(f"{size}\n{home.ledger.root().hex()}\n", encoding="ascii")
    assert home.read_only == ""
    home.close()


def test_half_of_a_line_that_somebody_writes_is_read_again(home: Home) -> None:
    fill(home.ledger, 1)
    kept = kept_head(home.root)
    assert kept is not None
    torn = replace(kept, size=kept.size - 1)  # the size of one state and the root of the next
    assert why_not_held(home.ledger, torn)
    assert what_is_lost(home.root, home.ledger, torn) == ""
    (home.root / HEAD).write_text(f"{torn.size}\n{torn.root.hex()}\n", encoding="ascii")
    assert "written to" in what_is_lost(home.root, home.ledger, torn)
    home.close()


def test_on_postgresql_it_is_noticed_too(tmp_path: Path) -> None:
    with database() as first, database() as second:
        home = create_home(tmp_path / "home", controller="C", dpo="D", database=first.application)
        fill(home.ledger, 2)
        home.close()
        put = on_postgresql(home.root, second.application)
        with closing(put), pytest.raises(TamperedError, match="an older state was put back"):
            fill(put.ledger, 1)
        again = on_postgresql(home.root, first.application)
        fill(again.ledger, 1, "again")
        assert again.read_only == ""
        again.close()
