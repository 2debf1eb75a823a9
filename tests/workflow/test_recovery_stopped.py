"""Recovery that is stopped, disputed by a witness, or of a ledger on PostgreSQL."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from auditor.errors import LedgerError, TamperedError
from auditor.workflow.homes.config import read_config, write_config
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.log.book import audit_ledger
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.publishing import export_ledger
from auditor.workflow.log.recovery import Condition, recover
from auditor.workflow.log.witnesses import add_witness
from tests.ledger.books import an_append, fill
from tests.postgresql import database
from tests.witnesses import Served, serving
from tests.workflow.killing import killed_before
from tests.workflow.restores import Restored, put, require_whole, restored, run

PUTTING_BACK = frozenset(
    {"write_file", "_copy_database", "replay_entries", "_write", "open_for_writing", "close"}
)
ENTRIES_AT_ONCE = 1_000


def kill_putting_back(root: Path, source: Path, call: int, functions: frozenset[str]) -> bool:
    return killed_before(call, functions, lambda: run(open_home(root), source))


@pytest.mark.parametrize("source", ["export", "newer/ledger.db"])
def test_killed_anywhere_while_putting_back_it_is_done_again(
    tmp_path: Path, life: Path, source: str
) -> None:
    call, came_so_far = 0, True
    while came_so_far:
        call += 7 if call else 1
        folder = tmp_path / str(call)
        made = restored(life, folder)
        came_so_far = kill_putting_back(made.home.root, folder / source, call, PUTTING_BACK)
        again = run(made.home, folder / source)
        assert again.condition in (Condition.BEHIND, Condition.SOUND)
        assert not (made.home.root / ".recovering").exists()
        require_whole(made)
    assert call > 20


def test_killed_between_two_commits_it_goes_on_where_it_was(tmp_path: Path, life: Path) -> None:
    made = restored(life, tmp_path)
    newer = open_home(made.newer)
    newer.ledger.append_all([an_append("many", version) for version in range(ENTRIES_AT_ONCE)])
    export_ledger(newer, made.export)
    entries = list(newer.ledger.entries())
    newer.close()
    assert kill_putting_back(
        made.home.root, made.export, ENTRIES_AT_ONCE + 1, frozenset({"_write"})
    )
    kept = made.now()
    assert kept == entries[: len(kept)]
    assert len(kept) == made.home.ledger.size == len(entries) - 30
    assert "an older state was put back" in made.home.read_only  # it knows more than it has
    with pytest.raises(TamperedError):
        fill(made.home.ledger, 1)
    assert run(made.home, made.export).replayed == 30
    assert made.now() == entries
    made.home.close()


# A witness knows more


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached directly, whatever proxy the machine has."""
    monkeypatch.setenv("no_proxy", "*")


def witnessed(made: Restored, folder: Path, witness: Served) -> None:
    """Ask a witness, go on, then put the whole home back."""
    put(made.newer, made.home.root)
    add_witness(made.home, "w", witness.ed25519, witness.url)
    record_checkpoint(made.home)
    made.home.close()
    copy_tree(made.home.root, folder / "before")
    fill(made.home.ledger, 7, "witnessed")
    export_ledger(made.home, folder / "witnessed")
    made.home.close()
    copy_tree(made.home.root, folder / "after")
    copy_tree(folder / "before", made.home.root)


def copy_tree(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def test_a_disputed_home_stays_closed_until_its_witness_agrees(tmp_path: Path, life: Path) -> None:
    made = restored(life, tmp_path)
    with serving(tmp_path / "w", made.home.trust.policy) as witness:
        witnessed(made, tmp_path, witness)
        fill(made.home.ledger, 1)  # nothing here shows that it was put back
        with pytest.raises(TamperedError, match="witness w"):
            record_checkpoint(made.home)
        for _ in range(2):
            with pytest.raises(TamperedError, match="witness w"):
                run(made.home)
            with pytest.raises(TamperedError, match="read-only"):
                fill(made.home.ledger, 1)
    with pytest.raises(LedgerError, match="witness w hasn't confirmed"):
        run(made.home)  # a silent witness hasn't taken anything back
    with pytest.raises(TamperedError, match="read-only"):
        fill(made.home.ledger, 1)
    made.home.close()


def test_a_home_put_back_whole_is_made_whole_and_its_witness_agrees(
    tmp_path: Path, life: Path
) -> None:
    made = restored(life, tmp_path)
    with serving(tmp_path / "w", made.home.trust.policy) as witness:
        witnessed(made, tmp_path, witness)
        with pytest.raises(TamperedError, match="witness w"):
            record_checkpoint(made.home)
        done = run(made.home, tmp_path / "witnessed")
        assert done.replayed == 7
        fill(made.home.ledger, 1, "afterwards")
        assert record_checkpoint(made.home).found.witnesses.keys() == {"w"}
    made.home.close()


def test_a_disputed_home_may_go_on_under_a_new_name(tmp_path: Path, life: Path) -> None:
    made = restored(life, tmp_path)
    with serving(tmp_path / "w", made.home.trust.policy) as witness:
        witnessed(made, tmp_path, witness)
        with pytest.raises(TamperedError, match="witness w"):
            record_checkpoint(made.home)
        done = run(made.home, new_origin=True)
    assert done.condition is Condition.DISPUTED
    fill(made.home.ledger, 1, "afterwards")
    assert record_checkpoint(made.home).silent.keys() == {"w"}  # it doesn't know the new name yet
    made.home.close()


def test_a_disputed_home_goes_on_without_a_witness_that_is_known_to_be_wrong(
    tmp_path: Path, life: Path
) -> None:
    made = restored(life, tmp_path)
    with serving(tmp_path / "w", made.home.trust.policy) as witness:
        witnessed(made, tmp_path, witness)
        told = made.home.trust_fingerprint
        with pytest.raises(TamperedError, match="witness w"):
            record_checkpoint(made.home)
        with pytest.raises(TamperedError, match="--distrust w"):
            run(made.home)
        done = recover(made.home, source=None, known=[], new_origin=False, distrusted=["w"])
    assert done.condition is Condition.DISPUTED
    fill(made.home.ledger, 1, "afterwards")
    assert record_checkpoint(made.home).found.quorum
    assert made.home.trust.policy.quorum == "none"
    assert made.home.trust_fingerprint != told  # regulators hear of it
    made.home.close()


# On PostgreSQL the application may only insert


def on_postgresql(root: Path, address: str) -> Home:
    """Point the home's settings at another database, as a restore into a new one would."""
    settings = root / "auditor.toml"
    write_config(settings, replace(read_config(settings), database=address))
    return open_home(root)


def test_a_ledger_on_postgresql_is_put_back_by_the_applications_role(tmp_path: Path) -> None:
    with database() as first, database() as second, database() as empty:
        home = create_home(
            tmp_path / "home",
            controller="St. Example",
            dpo="DPO office",
            database=first.application,
        )
        fill(home.ledger, 9)
        copied = list(home.ledger.entries())
        _copy(first.owner, second.owner)
        fill(home.ledger, 30, "more")
        export_ledger(home, tmp_path / "export")
        entries, note = list(home.ledger.entries()), home.checkpoints_path.read_bytes()
        home.close()
        for put_back, left in ((second, copied), (empty, [])):
            opened = on_postgresql(home.root, put_back.application)
            assert list(opened.ledger.entries()) == left
            with pytest.raises(TamperedError, match="read-only"):
                fill(opened.ledger, 1)
            with pytest.raises(LedgerError, match="lacks entries"):
                run(opened)
            assert run(opened, tmp_path / "export").replayed == len(entries) - len(left)
            assert list(opened.ledger.entries()) == entries
            assert opened.checkpoints_path.read_bytes() == note
            assert audit_ledger(opened)["entries"] == len(entries)
            opened.close()


def test_a_fork_on_postgresql_goes_on_under_a_new_name(tmp_path: Path) -> None:
    with database() as first, database() as second:
        home = create_home(
            tmp_path / "home",
            controller="St. Example",
            dpo="DPO office",
            database=first.application,
        )
        _copy(first.owner, second.owner)
        fill(home.ledger, 5)
        record_checkpoint(home)
        home.close()
        opened = on_postgresql(home.root, second.application)
        old = opened.trust.log_origin
        assert run(opened, new_origin=True).origin != old
        fill(opened.ledger, 1)
        record_checkpoint(opened)
        audit_ledger(opened)
        opened.close()


def _copy(source: str, target: str) -> None:
    """What a restore of a dump does: all rows, under the owner's rights."""
    with psycopg.connect(source) as read, psycopg.connect(target) as write:
        for table in ("entry", "head"):
            write.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            write.execute(f"DELETE FROM {table}")
            found = read.execute(f"SELECT * FROM {table}")
            assert found.description is not None
            names = ", ".join(column.name for column in found.description)
            marks = ", ".join(["%s"] * len(found.description))
            for row in found:
                write.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)
            write.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
