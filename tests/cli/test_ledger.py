from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from auditor.errors import ProofError, TamperedError
from auditor.proof.tlog_proof import verify_tlog_proof
from auditor.proof.trust import parse_trust
from auditor.workflow.homes.guard import close_for_writing
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.log.book import prove_entry
from auditor.workflow.log.checkpoints import record_checkpoint
from tests.cli.conftest import Auditor, stock
from tests.ledger.books import fill
from tests.postgresql import ROLE, database

NOW = 2**40


def test_an_honest_ledger_passes(auditor: Auditor, stocked: Home) -> None:
    ran = auditor("ledger", "audit", "--home", stocked.root, "--json")
    assert ran.code == 0
    assert ran.json["entries"] == stocked.ledger.size == 4
    assert ran.json["root"] == stocked.ledger.root().hex()


def _with_a_byte_changed(database: Path, sequence: int) -> None:
    """Change one byte of one stored entry, the triggers that would object taken away first."""
    with closing(sqlite3.connect(database)) as connection, connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        (stored,) = connection.execute(
            "SELECT entry FROM entry WHERE sequence = ?", (sequence,)
        ).fetchone()
        changed = bytearray(stored)
        changed[len(changed) // 2] ^= 1
        connection.execute(
            "UPDATE entry SET entry = ? WHERE sequence = ?", (bytes(changed), sequence)
        )
    connection.close()


@pytest.mark.parametrize("sequence", range(4))
def test_one_changed_byte_is_found_and_its_entry_named(
    auditor: Auditor, stocked: Home, sequence: int
) -> None:
    auditor("ledger", "checkpoint", "--home", stocked.root)
    stocked.close()
    _with_a_byte_changed(stocked.root / "ledger.db", sequence)
    ran = auditor("ledger", "audit", "--home", stocked.root)
    assert ran.code == 5
    assert str(sequence) in ran.err


def test_a_database_put_back_to_an_older_state_is_found(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    home.close()
    shutil.copytree(home.root, tmp_path / "backup")
    auditor("ledger", "checkpoint", "--home", home.root)
    stock(home)
    auditor("ledger", "checkpoint", "--home", home.root)
    for path in home.root.glob("ledger.db*"):
        path.unlink()
    shutil.copy(tmp_path / "backup" / "ledger.db", home.root / "ledger.db")
    for words in (("ledger", "audit"), ("ledger", "checkpoint"), ("keys", "publish")):
        ran = auditor(*words, "--home", home.root)
        assert ran.code == 5
        assert "checkpoint" in ran.err
    looked = auditor("request", "list", "--home", home.root)
    assert looked.code == 0
    assert "auditor ledger recover" in looked.err
    with pytest.raises(TamperedError, match="read-only"):
        stock(open_home(home.root))


def test_a_home_that_knows_of_another_history_is_not_as_it_was_written(
    auditor: Auditor, stocked: Home
) -> None:
    close_for_writing(stocked.root, "a witness has cosigned 9 entries")
    ran = auditor("ledger", "audit", "--home", stocked.root)
    assert ran.code == 5
    assert "a witness has cosigned 9 entries" in ran.err


def test_what_is_proved_while_another_process_signs_verifies(stocked: Home) -> None:
    record_checkpoint(stocked)

    def sign() -> None:
        with closing(open_home(stocked.root)) as other:
            for _ in range(40):
                fill(other.ledger, 1)
                record_checkpoint(other)

    with ThreadPoolExecutor(1) as pool:
        signing = pool.submit(sign)
        while not signing.done():
            entry, proof = prove_entry(stocked, 0)
            verify_tlog_proof(proof, entry, stocked.trust.policy, NOW)
        signing.result()


def test_what_cannot_be_proved_or_reached_is_one_line(
    auditor: Auditor, stocked: Home, tmp_path: Path
) -> None:
    auditor("ledger", "checkpoint", "--home", stocked.root)
    prove, no_port = ("ledger", "prove", "--home", stocked.root), "postgresql://u:secret@h:abc/db"
    for words, code in (
        ((*prove, 10**30), 2),
        ((*prove, 0, "--to", tmp_path / ("x" * 250)), 1),
        (("ledger", "migrate", "--owner", no_port, "--role", "r"), 1),
        (("init", "--database", no_port, "--controller", "C", "--dpo", "D"), 1),
    ):
        ran = auditor(*words, *(("--home", tmp_path / "new") if words[0] == "init" else ()))
        assert (words, ran.code, ran.out) == (words, code, "")
        assert len(ran.err.splitlines()) == 1
        assert "secret" not in ran.err
    assert list(tmp_path.glob("[!h.]*")) == []


def test_the_same_state_is_signed_once(auditor: Auditor, stocked: Home) -> None:
    first = auditor("ledger", "checkpoint", "--home", stocked.root)
    again = auditor("ledger", "checkpoint", "--home", stocked.root)
    assert first.code == 0
    assert first.out == again.out == stocked.checkpoints_path.read_text(encoding="utf-8")
    assert stocked.trust.checkpoint == first.out


def test_a_proof_can_be_checked_with_nothing_but_the_trust_file(
    auditor: Auditor, stocked: Home, tmp_path: Path
) -> None:
    auditor("ledger", "checkpoint", "--home", stocked.root)
    target = tmp_path / "entry.tlog-proof"
    shown = auditor("ledger", "prove", 2, "--to", target, "--home", stocked.root, "--json").json
    trust = parse_trust(stocked.trust_path.read_bytes())
    entry = shown["entry"].encode("utf-8")
    proof = target.read_text(encoding="utf-8")
    assert proof == shown["proof"]
    assert verify_tlog_proof(proof, entry, trust.policy, NOW)[1].checkpoint.size == 4
    with pytest.raises(ProofError):
        verify_tlog_proof(proof, entry + b" ", trust.policy, NOW)


def test_an_entry_beyond_the_newest_checkpoint_cannot_be_proved_yet(
    auditor: Auditor, home: Home
) -> None:
    auditor("ledger", "checkpoint", "--home", home.root)
    stock(home)
    ran = auditor("ledger", "prove", 1, "--home", home.root)
    assert ran.code == 2
    assert "auditor ledger checkpoint" in ran.err
    auditor("ledger", "checkpoint", "--home", home.root)
    assert auditor("ledger", "prove", 1, "--home", home.root).code == 0


def test_a_home_may_keep_its_ledger_on_postgresql(auditor: Auditor, tmp_path: Path) -> None:
    with database(migrated=False) as server:
        words = ("--controller", "St. Example", "--dpo", "DPO office", "--home", tmp_path / "home")
        ran = auditor("init", "--database", server.application, *words)
        assert ran.code == 1
        assert "auditor ledger migrate" in ran.err
        assert not (tmp_path / "home").exists()
        ran = auditor("ledger", "migrate", "--owner", server.owner, "--role", ROLE)
        assert ran.code == 0
        assert auditor("init", "--database", server.application, *words).code == 0
        opened = open_home(tmp_path / "home")
        stock(opened)
        opened.close()
        assert auditor("ledger", "checkpoint", "--home", tmp_path / "home").code == 0
        ran = auditor("ledger", "audit", "--home", tmp_path / "home", "--json")
        assert (ran.code, ran.json["entries"]) == (0, 4)
        assert not (tmp_path / "home" / "ledger.db").exists()
        again = auditor("init", "--database", server.application, *words[:-1], tmp_path / "other")
        assert again.code == 1
        assert "holds a ledger already" in again.err
