"""What a ledger is known to have signed, and from whom: recovery is as good as what it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.errors import HomeError, LedgerError, MisuseError, ProofError, TamperedError
from auditor.proof.checkpoint import parse_checkpoint
from auditor.proof.tlog_proof import format_proof
from auditor.workflow.homes.guard import newest_note
from auditor.workflow.homes.home import create_home, open_home
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.recovery import Condition
from tests.ledger.books import fill
from tests.workflow.restores import (
    BEFORE,
    SIGNED,
    Restored,
    put,
    require_untouched,
    require_whole,
    restored,
    run,
)


def proof_of(made: Restored) -> str:
    """A ledger proof as it lies beside an issued document."""
    newer = open_home(made.newer)
    note, size = newest_note(newer.root) or "", newer.ledger.size
    proof = format_proof(3, newer.ledger.prove(3, size), note, extra=newer.ledger.entry(3))
    newer.close()
    return proof


def test_a_home_put_back_whole_learns_from_what_others_kept(tmp_path: Path, life: Path) -> None:
    copies = {
        "a regulator's trust file": lambda made: (made.newer / "trust.json").read_text(),
        "a checkpoint": lambda made: (made.newer / "checkpoint.txt").read_text(),
        "a ledger proof": proof_of,
    }
    for number, copy in enumerate(copies.values()):
        folder = tmp_path / str(number)
        made = restored(life, folder, whole=True)
        assert run(made.home).condition is Condition.SOUND  # nothing here shows it
        (folder / "copy").write_text(copy(made), encoding="utf-8")
        with pytest.raises(LedgerError, match="lacks entries"):
            run(made.home, None, folder / "copy")
        require_untouched(made)  # what was shown once is known from then on
        assert run(made.home, made.newer / "ledger.db").replayed == 30
        require_whole(made)


def test_an_export_tells_what_was_signed_and_brings_the_entries(tmp_path: Path, life: Path) -> None:
    made = restored(life, tmp_path, whole=True)
    assert run(made.home, made.export).replayed == 30
    require_whole(made)


def test_an_issued_documents_proof_closes_a_home_put_back_whole(tmp_path: Path, life: Path) -> None:
    made = restored(life, tmp_path, whole=True)
    sidecar = made.home.certificates / "0123456789abcdef.pdf.tlog-proof"
    sidecar.write_text(proof_of(made), encoding="utf-8")
    assert "older state of the whole home" in made.home.read_only
    require_untouched(made)
    with pytest.raises(LedgerError, match="lacks entries"):
        run(made.home)
    assert run(made.home, made.newer / "ledger.db").replayed == 30
    require_whole(made)


def test_a_spoilt_proof_neither_closes_the_home_nor_is_passed_over(behind: Restored) -> None:
    run(behind.home, behind.export)
    sidecar = behind.home.certificates / "0123456789abcdef.pdf.tlog-proof"
    for spoilt in ("rubbish", proof_of(behind).replace(f"\n{SIGNED}\n", "\n999\n")):
        sidecar.write_text(spoilt, encoding="utf-8")
        assert behind.home.read_only == ""
        with pytest.raises(ProofError, match=r"0123456789abcdef\.pdf\.tlog-proof"):
            run(behind.home)
    behind.home.close()


@pytest.mark.parametrize("spoil", ["forged", "another log's", "a folder", "nothing"])
def test_what_shows_no_checkpoint_of_this_ledger_is_refused(
    behind: Restored, tmp_path: Path, spoil: str
) -> None:
    path = tmp_path / "shown"
    if spoil == "forged":
        text = behind.home.checkpoints_path.read_text(encoding="utf-8")
        path.write_text(text.replace(f"\n{SIGNED}\n", f"\n{SIGNED + 1}\n"), encoding="utf-8")
    elif spoil == "another log's":
        other = create_home(tmp_path / "other", controller="St. Other", dpo="DPO office")
        fill(other.ledger, SIGNED)
        path.write_text(record_checkpoint(other).note, encoding="utf-8")
        other.close()
    elif spoil == "a folder":
        path.mkdir()
    with pytest.raises((ProofError, MisuseError, LedgerError), match="shown"):
        run(behind.home, None, path)
    require_untouched(behind)


def test_either_file_of_the_newest_checkpoint_keeps_the_guard_up(
    tmp_path: Path, life: Path
) -> None:
    made = restored(life, tmp_path)
    note = made.home.checkpoints_path.read_bytes()
    made.home.checkpoints_path.unlink()
    require_untouched(made)
    made.home.checkpoints_path.write_bytes(b"not a checkpoint")
    with pytest.raises(ProofError, match=r"checkpoint\.txt"):
        fill(made.home.ledger, 1)
    made.home.checkpoints_path.write_bytes(note)
    trust = made.home.trust_path.read_bytes()
    made.home.trust_path.unlink()
    for act in (lambda: fill(made.home.ledger, 1), lambda: run(made.home, made.export)):
        with pytest.raises(HomeError, match=r"trust\.json.*restore it"):
            act()
    made.home.trust_path.write_bytes(trust)
    require_untouched(made)
    made.home.checkpoints_path.unlink()
    assert run(made.home, made.export).replayed == 30
    assert made.home.checkpoints_path.read_bytes() == note
    require_whole(made)


def test_a_clone_that_signed_on_is_told_from_its_checkpoint(tmp_path: Path, life: Path) -> None:
    """Each is larger than what the other signed at some time: two histories for good."""
    made = restored(life, tmp_path, whole=True)
    fill(made.home.ledger, 50, "meanwhile")
    record_checkpoint(made.home)
    for _ in range(2):  # what was shown once stays known
        with pytest.raises(TamperedError, match="two histories"):
            run(made.home, None, made.newer / "checkpoint.txt")
        with pytest.raises(TamperedError, match="two histories"):
            fill(made.home.ledger, 1)
    with pytest.raises(TamperedError, match="two histories"):
        run(made.home)
    done = run(made.home, None, made.newer / "checkpoint.txt", new_origin=True)
    assert done.condition is Condition.FORKED
    fill(made.home.ledger, 1)
    made.home.close()


def test_two_signed_roots_of_one_size_leave_a_new_name_only(tmp_path: Path, life: Path) -> None:
    made = restored(life, tmp_path, whole=True)
    fill(made.home.ledger, SIGNED - BEFORE, "meanwhile")
    assert parse_checkpoint(record_checkpoint(made.home).note).size == SIGNED
    with pytest.raises(TamperedError, match="two histories"):
        run(made.home, None, made.newer / "checkpoint.txt")
    assert run(made.home, None, new_origin=True).condition is Condition.FORKED
    made.home.close()


def test_a_database_put_back_over_unsigned_entries_lacks_nothing_signed(
    tmp_path: Path, life: Path
) -> None:
    made = restored(life, tmp_path)
    put(made.newer, made.home.root)
    fill(made.home.ledger, 4, "unsigned")
    assert run(made.home).condition is Condition.SOUND
    with pytest.raises(MisuseError, match="needs no new name"):
        run(made.home, new_origin=True)
    with pytest.raises(MisuseError, match="either"):
        run(made.home, made.export, new_origin=True)
    made.home.close()


def test_a_vault_stays_readable_through_it_all(tmp_path: Path, life: Path) -> None:
    made = restored(life, tmp_path)
    kept = made.home.vault.seal("case:1", b"payload")
    run(made.home, made.export)
    assert made.home.vault.open(kept) == b"payload"
    made.home.close()
