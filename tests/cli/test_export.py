"""`auditor ledger export`: a folder to serve, which verifies with the trust file alone."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import pytest

from auditor.ledger.tiles import TileReader
from auditor.proof.dsse import verify_envelope
from auditor.proof.log_policy import examine_checkpoint
from auditor.proof.trust import parse_trust
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.log.publishing import export_ledger
from auditor.workflow.log.recovery import recover
from tests.cli.conftest import Auditor, Ran
from tests.ledger.books import fill
from tests.workflow.restores import with_a_byte_changed

NOW = 2**40


def export(auditor: Auditor, home: Home, folder: Path) -> Ran:
    home.close()
    return auditor("ledger", "export", folder, "--home", home.root, "--json")


def files(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """Every file's content, and when it was written."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def require_verifies(folder: Path, trust: bytes, size: int) -> None:
    """With nothing but the folder and the trust file."""
    reader, policy = TileReader(folder), parse_trust(trust).policy
    state = examine_checkpoint(reader.note, policy, NOW).checkpoint
    assert (state.size, reader.size, len(list(reader.entries()))) == (size, size, size)
    reader.verify(state.root, state.size)


def test_an_export_verifies_and_only_grows(auditor: Auditor, stocked: Home, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    fill(stocked.ledger, 300)
    ran = export(auditor, stocked, folder)
    assert ran.code == 0
    assert (ran.json["entries"], ran.json["files_kept"]) == (304, 0)
    require_verifies(folder, stocked.trust_path.read_bytes(), 304)
    first = files(folder)
    again = export(auditor, stocked, folder)
    assert (again.code, again.json["entries"]) == (0, 304)
    assert again.json["files_written"] == 1  # the checkpoint
    kept = {path: told for path, told in files(folder).items() if path.name != "checkpoint"}
    assert kept == {path: told for path, told in first.items() if path.name != "checkpoint"}
    fill(stocked.ledger, 1)
    assert export(auditor, stocked, folder).json["entries"] == 305
    require_verifies(folder, stocked.trust_path.read_bytes(), 305)
    full = folder / "tile" / "0" / "000"
    assert files(folder)[full] == first[full]


@pytest.mark.parametrize("sequence", [0, 2, 300])
def test_a_tampered_ledger_is_not_exported_and_the_old_export_stays(
    auditor: Auditor, stocked: Home, tmp_path: Path, sequence: int
) -> None:
    folder = tmp_path / "export"
    fill(stocked.ledger, 300)
    assert export(auditor, stocked, folder).code == 0
    trust = stocked.trust_path.read_bytes()
    fill(stocked.ledger, 10)
    stocked.close()
    with_a_byte_changed(stocked.root / "ledger.db", sequence)
    ran = export(auditor, stocked, folder)
    assert ran.code == 5
    assert f"entry {sequence}" in ran.err
    require_verifies(folder, trust, 304)


def test_two_exports_at_once_take_turns(stocked: Home, tmp_path: Path) -> None:
    folder, others = tmp_path / "export", list[Future[None]]()

    def grow_and_export() -> None:
        with closing(open_home(stocked.root)) as other:
            fill(other.ledger, 5)
            export_ledger(other, folder)

    with ThreadPoolExecutor(1) as pool:

        def meanwhile(_done: int, _of: int) -> None:  # all is read, nothing published yet
            others.append(pool.submit(grow_and_export))
            wait(others, timeout=1)

        assert export_ledger(stocked, folder, meanwhile).entries == 4
        others[0].result()
    require_verifies(folder, stocked.trust_path.read_bytes(), 9)
    stocked.close()


def test_a_ledger_put_back_is_not_exported(auditor: Auditor, stocked: Home, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    stocked.close()
    older = (stocked.root / "ledger.db").read_bytes()
    fill(stocked.ledger, 5)
    assert export(auditor, stocked, folder).code == 0
    trust = stocked.trust_path.read_bytes()
    (stocked.root / "ledger.db").write_bytes(older)
    assert export(auditor, stocked, folder).code == 5
    require_verifies(folder, trust, 9)


def test_links_to_earlier_names_lie_beside(auditor: Auditor, stocked: Home, tmp_path: Path) -> None:
    stocked.close()
    older = (stocked.root / "ledger.db").read_bytes()
    fill(stocked.ledger, 5)
    first = tmp_path / "first"
    assert export(auditor, stocked, first).code == 0
    (stocked.root / "ledger.db").write_bytes(older)
    recover(stocked, source=None, known=[], new_origin=True)
    assert export(auditor, stocked, first).code == 1  # another log's by now
    folder = tmp_path / "second"
    assert export(auditor, stocked, folder).code == 0
    require_verifies(folder, stocked.trust_path.read_bytes(), stocked.ledger.size)
    require_verifies(first, stocked.trust_path.read_bytes(), 9)
    (link,) = (folder / "origins").iterdir()
    keys = [key.verifier for key in stocked.trust.policy.logs]
    assert verify_envelope(link.read_bytes(), keys).payload in TileReader(folder).entries()
    before = files(folder / "origins")
    assert export(auditor, stocked, folder).code == 0
    assert files(folder / "origins") == before
    stocked.close()


def test_bad_folders_are_one_line(auditor: Auditor, stocked: Home, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "checkpoint").write_bytes(b"not a checkpoint")
    for folder, code in (
        (stocked.root, 2),  # its keys would be served with it
        (stocked.root.parent, 2),
        (stocked.root / "keys", 2),
        (stocked.root / "new", 2),
        (tmp_path / "file", 1),
        (tmp_path / "file" / "below", 1),
        (tmp_path / "other", 5),
    ):
        ran = export(auditor, stocked, folder)
        assert (folder, ran.code, ran.out) == (folder, code, "")
        assert len([line for line in ran.err.splitlines() if line.startswith("auditor:")]) == 1
    assert not [*stocked.root.rglob("tile"), *stocked.root.rglob("checkpoint")]
    assert not (stocked.root / "new").exists()
