"""A ledger put back to an older state: read-only until it is whole again, or has another name."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from auditor.domain.request import Ground, Regime
from auditor.errors import LedgerError, MisuseError, TamperedError
from auditor.workflow.desk.desk import file_request
from auditor.workflow.homes.guard import close_for_writing
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.publishing import export_ledger
from auditor.workflow.log.recovery import Condition, recover
from auditor.workflow.log.witness import create_witness
from auditor.workflow.log.witnesses import add_witness
from auditor.workflow.models.reerasure import forget_subject
from tests.cli.conftest import stock
from tests.ledger.books import an_append, fill
from tests.workflow.restores import (
    BEFORE,
    SIGNED,
    Restored,
    require_untouched,
    require_whole,
    restored,
    run,
    with_a_byte_changed,
)

APPENDS: dict[str, Callable[[Home], object]] = {
    "a model": stock,
    "a checkpoint": record_checkpoint,
    "a witness": lambda home: add_witness(
        home, "w", create_witness(home.root / "w", "example.org/w").vkeys[0], "http://127.0.0.1:9/"
    ),
    "an export": lambda home: export_ledger(home, home.root.with_name("other-export")),
    "a forgotten subject": lambda home: (
        home.vault.seal("case:1", b"payload"),
        forget_subject(home, "case:1"),
    ),
}


@pytest.mark.parametrize("kind", APPENDS)
def test_a_ledger_that_is_behind_takes_nothing(behind: Restored, kind: str) -> None:
    with pytest.raises(TamperedError, match="auditor ledger recover"):
        APPENDS[kind](behind.home)
    assert behind.now() == behind.entries[:BEFORE]


def test_a_payload_is_not_destroyed_while_the_ledger_cannot_say_so(behind: Restored) -> None:
    kept = behind.home.vault.seal("case:1", b"payload")
    with pytest.raises(TamperedError):
        forget_subject(behind.home, "case:1")
    assert behind.home.vault.open(kept) == b"payload"


def test_what_was_closed_by_another_process_takes_nothing_more(home: Home) -> None:
    """The guard has looked already; it looks again when one of its files is written."""
    fill(home.ledger, 1)
    close_for_writing(home.root, "a witness says otherwise")
    with pytest.raises(TamperedError, match="a witness says otherwise"):
        fill(home.ledger, 1)
    home.close()


def test_an_open_home_notices_what_another_process_signed(home: Home) -> None:
    record_checkpoint(home)
    home.close()
    older = (home.root / "ledger.db").read_bytes()
    long_running = open_home(home.root)
    fill(home.ledger, 5)
    record_checkpoint(home)
    home.close()
    (home.root / "ledger.db").write_bytes(older)
    with pytest.raises(TamperedError, match="an older state was put back"):
        fill(long_running.ledger, 1)
    long_running.close()


def test_without_a_copy_it_is_said_what_is_missing(behind: Restored) -> None:
    with pytest.raises(LedgerError, match=f"lacks entries {BEFORE} to {SIGNED - 1}; .*--from"):
        run(behind.home)
    require_untouched(behind)


@pytest.mark.parametrize("source", ["export", "newer/ledger.db"])
def test_entries_are_put_back_from_a_copy(behind: Restored, tmp_path: Path, source: str) -> None:
    note = behind.home.checkpoints_path.read_bytes()
    done = run(behind.home, tmp_path / source)
    assert (done.condition, done.known, done.replayed) == (Condition.BEHIND, SIGNED, 30)
    assert behind.home.checkpoints_path.read_bytes() == note
    assert not (behind.home.root / ".recovering").exists()
    again = run(behind.home, tmp_path / source)
    assert (again.condition, again.replayed) == (Condition.SOUND, 0)
    require_whole(behind)


def test_a_copy_still_open_elsewhere_is_read_with_its_log_and_stays_as_it_is(
    behind: Restored, tmp_path: Path
) -> None:
    elsewhere = open_home(behind.newer)
    fill(elsewhere.ledger, 3, "unsigned")
    (tmp_path / "taken").mkdir()
    files = {path.name: path.read_bytes() for path in behind.newer.glob("ledger.db*")}
    assert files["ledger.db-wal"]
    for name, content in files.items():
        (tmp_path / "taken" / name).write_bytes(content)
    elsewhere.close()
    done = run(behind.home, tmp_path / "taken" / "ledger.db")
    assert (done.replayed, done.left_out) == (30, 3)
    assert {p.name: p.read_bytes() for p in (tmp_path / "taken").iterdir()} == files
    require_whole(behind)


def test_more_than_one_commits_worth_is_put_back(tmp_path: Path, life: Path) -> None:
    made = restored(life, tmp_path)
    elsewhere = open_home(made.newer)
    elsewhere.ledger.append_all([an_append("many", version) for version in range(1_100)])
    note = record_checkpoint(elsewhere).note
    entries = list(elsewhere.ledger.entries())
    elsewhere.close()
    (tmp_path / "note").write_text(note, encoding="utf-8")
    done = run(made.home, made.newer / "ledger.db", tmp_path / "note")
    assert done.replayed == 1_130
    assert made.now() == entries
    made.home.close()


def shorter(made: Restored, folder: Path) -> Path:
    return folder / "older" / "ledger.db"


def another(made: Restored, folder: Path) -> Path:
    other = create_home(folder / "other", controller="St. Other", dpo="DPO office")
    fill(other.ledger, SIGNED + 9)
    other.close()
    return other.root / "ledger.db"


def changed_entry(made: Restored, folder: Path) -> Path:
    with_a_byte_changed(made.newer / "ledger.db", 30)
    return made.newer / "ledger.db"


def changed_bundle(made: Restored, folder: Path) -> Path:
    (bundle,) = (made.export / "tile" / "entries").rglob("*.p/*")
    content = bytearray(bundle.read_bytes())
    content[-9] ^= 1
    bundle.write_bytes(content)
    return made.export


def changed_tile(made: Restored, folder: Path) -> Path:
    (tile,) = (made.export / "tile" / "0").rglob("*.p/*")
    content = bytearray(tile.read_bytes())
    content[-9] ^= 1
    tile.write_bytes(content)
    return made.export


def damaged(made: Restored, folder: Path) -> Path:
    content = (made.newer / "ledger.db").read_bytes()
    (folder / "half.db").write_bytes(content[: len(content) // 2])
    return folder / "half.db"


def rubbish(made: Restored, folder: Path) -> Path:
    (folder / "rubbish").write_bytes(b"rubbish" * 999)
    return folder / "rubbish"


def empty(made: Restored, folder: Path) -> Path:
    (folder / "empty").write_bytes(b"")
    return folder / "empty"


def tiles_missing(made: Restored, folder: Path) -> Path:
    shutil.rmtree(made.export / "tile")
    return made.export


SPOILT = (
    shorter,
    another,
    changed_entry,
    changed_bundle,
    changed_tile,
    damaged,
    rubbish,
    empty,
    tiles_missing,
)


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_copy_that_is_not_the_ledger_is_refused_and_nothing_is_appended(
    behind: Restored, tmp_path: Path, spoil: Callable[[Restored, Path], Path]
) -> None:
    source = spoil(behind, tmp_path)
    with pytest.raises(LedgerError) as caught:
        run(behind.home, source)
    assert str(source) in str(caught.value)
    assert "name another copy" in str(caught.value)
    require_untouched(behind)


def test_a_copy_that_is_not_there_is_misuse(behind: Restored, tmp_path: Path) -> None:
    for source in (tmp_path / "nowhere", tmp_path / "older" / "keys"):
        with pytest.raises((MisuseError, LedgerError), match=r"nowhere|keys"):
            run(behind.home, source)
    require_untouched(behind)


def test_entries_are_not_put_back_onto_damaged_ones(behind: Restored) -> None:
    with_a_byte_changed(behind.home.root / "ledger.db", 4)
    for words in ({"source": behind.export}, {"source": None, "new_origin": True}):
        with pytest.raises(TamperedError, match="entry 4"):
            recover(behind.home, **{"known": [], "new_origin": False, **words})  # type: ignore[arg-type]  # by name
    assert sqlite_size(behind.home.root / "ledger.db") == BEFORE


def sqlite_size(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection, connection:
        (count,) = connection.execute("SELECT count(*) FROM entry").fetchone()
    connection.close()
    return int(count)


def test_what_was_written_to_after_it_was_put_back_is_another_history(behind: Restored) -> None:
    behind.write_on()
    forked = behind.now()
    for source in (behind.export, behind.newer / "ledger.db"):
        with pytest.raises(TamperedError, match=r"two histories .*--new-origin"):
            run(behind.home, source)
    with pytest.raises(TamperedError, match="two histories"):
        run(behind.home)
    assert behind.now() == forked


def test_a_fork_longer_than_what_was_signed_is_one_too(behind: Restored) -> None:
    behind.write_on(SIGNED)
    with pytest.raises(TamperedError, match="two histories"):
        run(behind.home)
    with pytest.raises(TamperedError, match="two histories"):
        fill(behind.home.ledger, 1)
    assert run(behind.home, new_origin=True).condition is Condition.FORKED
    behind.home.close()


def test_a_request_that_a_read_only_ledger_refuses_leaves_nothing_in_the_vault(home: Home) -> None:
    stock(home)
    close_for_writing(home.root, "a witness says so")

    def payloads() -> int:
        with closing(sqlite3.connect(home.root / "ledger.db")) as connection:
            return int(connection.execute("SELECT count(*) FROM vault_payload").fetchone()[0])

    before = payloads()
    with pytest.raises(TamperedError, match="read-only"):
        file_request(
            home,
            model="detector",
            subjects=("patient-4711",),
            regime=Regime.GDPR,
            ground=Ground.CONSENT_WITHDRAWN,
            received=date(2026, 11, 24),
        )
    assert payloads() == before
    home.close()
