"""A backup is a home without keys: restored with them, it goes on; without, it tells nothing."""

from __future__ import annotations

import shutil
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pytest

from auditor.errors import HomeError, LedgerError, MisuseError, TamperedError
from auditor.workflow.desk.desk import subjects_of
from auditor.workflow.homes.alone import alone
from auditor.workflow.homes.config import Config, write_config
from auditor.workflow.homes.guard import close_for_writing
from auditor.workflow.homes.home import SETTINGS, Home, create_home, open_home
from auditor.workflow.homes.record import load_case
from auditor.workflow.log.book import audit_ledger
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.recovery import Condition, recover
from auditor.workflow.models.backup import back_up
from auditor.workflow.models.reerasure import came_back, forget_subject
from tests.cli.conftest import Auditor, stock
from tests.ledger.books import fill
from tests.workflow.desks import filed
from tests.workflow.killing import killed_before

SUBJECT = "MRN-0042-Doe"


@pytest.fixture
def stocked(home: Home) -> Home:
    stock(home)
    return home


def unpacked(file: Path, folder: Path) -> Path:
    with tarfile.open(file) as archive:
        archive.extractall(folder, filter="data")
    return folder / "home"


def with_keys(root: Path, keys: Path) -> Path:
    shutil.copytree(keys, root / "keys")
    return root


def subjects(home: Home, case: str) -> tuple[str, ...]:
    requested = load_case(home, case).requested
    assert requested is not None
    return subjects_of(home, requested)


def test_a_backup_is_restored_with_the_keys_that_were_kept_apart(
    stocked: Home, tmp_path: Path
) -> None:
    case = filed(stocked, SUBJECT)
    record_checkpoint(stocked)
    (stocked.certificates / "a.pdf").write_bytes(b"document")
    (stocked.root / "images.png").write_bytes(b"a patient")
    made = back_up(stocked, tmp_path / "home.tar")
    assert made.entries == stocked.ledger.size
    assert (tmp_path / "home.tar").stat().st_mode & 0o777 == 0o600
    root = unpacked(tmp_path / "home.tar", tmp_path / "restored")
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert len(files) == made.files
    assert {"auditor.toml", "trust.json", "checkpoint.txt", "ledger.db"} <= files
    assert "certificates/a.pdf" in files and "images.png" not in files
    with closing(open_home(with_keys(root, stocked.root / "keys"))) as again:
        done = recover(again, source=None, known=(), new_origin=False)
        assert done.condition is Condition.SOUND
        assert subjects(again, case) == (SUBJECT,)
        assert came_back(again, destroy=False) == ()
        filed(again, "another")
        assert audit_ledger(again)["ledger"] == "as it was written"


def test_without_the_keys_no_payload_opens(stocked: Home, tmp_path: Path) -> None:
    case = filed(stocked, SUBJECT)
    back_up(stocked, tmp_path / "home.tar")
    content = (tmp_path / "home.tar").read_bytes()
    assert SUBJECT.encode() not in content
    keys = list((stocked.root / "keys").iterdir())
    assert keys and not any(path.read_bytes().strip() in content for path in keys)
    root = unpacked(tmp_path / "home.tar", tmp_path / "restored")
    with closing(open_home(root)) as looked, pytest.raises(HomeError, match="can't read key"):
        subjects(looked, case)
    with closing(create_home(tmp_path / "other", controller="O", dpo="O")) as other:
        keys_of_another = other.root / "keys"
    with (
        closing(open_home(with_keys(root, keys_of_another))) as looked,
        pytest.raises(TamperedError),
    ):
        subjects(looked, case)


def test_what_was_forgotten_since_comes_back_with_an_old_backup_and_is_destroyed_again(
    stocked: Home, tmp_path: Path
) -> None:
    case = filed(stocked, SUBJECT)
    record_checkpoint(stocked)
    back_up(stocked, tmp_path / "old.tar")
    forget_subject(stocked, f"case:{case}")
    record_checkpoint(stocked)
    back_up(stocked, tmp_path / "new.tar")
    stocked.close()
    root = unpacked(tmp_path / "old.tar", tmp_path / "old")
    newer = unpacked(tmp_path / "new.tar", tmp_path / "new")
    shutil.copy(stocked.root / "checkpoint.txt", root)
    shutil.copy(stocked.root / "trust.json", root)
    with closing(open_home(with_keys(root, stocked.root / "keys"))) as again:
        with pytest.raises(TamperedError, match="read-only"):
            fill(again.ledger, 1)
        done = recover(again, source=newer / "ledger.db", known=(), new_origin=False)
        assert done.condition is Condition.BEHIND and done.replayed > 0
        (returned,) = came_back(again, destroy=True)
        assert returned.destroyed
        assert came_back(again, destroy=False) == ()


@pytest.mark.parametrize("named", ["", "ledger.db"])
def test_a_newer_backup_by_itself_brings_back_what_an_older_lacks(
    stocked: Home, tmp_path: Path, named: str
) -> None:
    """Else the home would sign on without the erasure, and two histories under one name."""
    case = filed(stocked, SUBJECT)
    back_up(stocked, tmp_path / "old.tar")
    forget_subject(stocked, f"case:{case}")
    made = back_up(stocked, tmp_path / "new.tar")
    assert made.signed == made.entries
    root = with_keys(unpacked(tmp_path / "old.tar", tmp_path / "old"), stocked.root / "keys")
    newer = unpacked(tmp_path / "new.tar", tmp_path / "new")
    with closing(open_home(root)) as again:
        done = recover(again, source=newer / named, known=(), new_origin=False)
        assert (done.condition, done.left_out) == (Condition.BEHIND, 0)
        assert list(again.ledger.entries()) == list(stocked.ledger.entries())
        (returned,) = came_back(again, destroy=True)
        assert returned.destroyed


def test_nothing_is_signed_past_a_copy_that_holds_more(stocked: Home, tmp_path: Path) -> None:
    back_up(stocked, tmp_path / "old.tar")
    root = with_keys(unpacked(tmp_path / "old.tar", tmp_path / "old"), stocked.root / "keys")
    fill(stocked.ledger, 3)
    with closing(create_home(tmp_path / "other", controller="O", dpo="O")) as other:
        fill(other.ledger, 1)
    with closing(open_home(root)) as again:
        note = again.checkpoints_path.read_bytes()
        for source, told in (
            (stocked.root / "ledger.db", "3 entries more.*--known"),
            (tmp_path / "other" / "ledger.db", "no copy of this ledger"),
        ):
            with pytest.raises(LedgerError, match=told):
                recover(again, source=source, known=(), new_origin=False)
        assert again.checkpoints_path.read_bytes() == note
        record_checkpoint(stocked)
        done = recover(again, source=stocked.root, known=(), new_origin=False)
        assert (done.condition, done.replayed) == (Condition.BEHIND, 3)


def test_no_link_leads_a_backup_into_the_home(stocked: Home, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(stocked.root)
    with closing(open_home(link)) as by_link:
        for home, target in ((stocked, link / "x.tar"), (by_link, stocked.root / "store/x.tar")):
            with pytest.raises(MisuseError, match="lies in the home itself"):
                back_up(home, target)
    assert not list(stocked.root.rglob("x.tar"))


@pytest.mark.parametrize("place", ["_copy_database", "_lasting", "_nobodys", "_publish"])
def test_what_a_killed_backup_left_is_gone_after_the_next(
    stocked: Home, tmp_path: Path, place: str
) -> None:
    """It holds the whole vault, and `request forget` doesn't reach it."""
    stocked.close()
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / ".backup-of-another").mkdir()
    killed = killed_before(
        1, frozenset({place}), lambda: back_up(open_home(stocked.root), folder / "a.tar")
    )
    left = {path.name for path in folder.iterdir()}
    assert killed and len(left) == 2 and "a.tar" not in left
    back_up(stocked, folder / "b.tar")
    assert {path.name for path in folder.iterdir()} == {".backup-of-another", "b.tar"}


def test_a_backup_is_made_though_nothing_can_be_signed(stocked: Home, tmp_path: Path) -> None:
    record_checkpoint(stocked)
    fill(stocked.ledger, 2)
    close_for_writing(stocked.root, "a witness says otherwise")
    made = back_up(stocked, tmp_path / "home.tar")
    assert made.signed == made.entries - 2


def test_a_backup_is_of_one_moment_whoever_writes_meanwhile(stocked: Home, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        with closing(open_home(stocked.root)) as other:
            while not stop.is_set():
                filed(other, SUBJECT)
                record_checkpoint(other)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [back_up(stocked, tmp_path / f"{number}.tar") for number in range(3)]
    finally:
        stop.set()
        writer.join()
    for number, backup in enumerate(made):
        root = unpacked(tmp_path / f"{number}.tar", tmp_path / f"restored-{number}")
        with closing(open_home(with_keys(root, stocked.root / "keys"))) as again:
            assert audit_ledger(again)["entries"] == backup.entries
            filed(again)
    assert made[0].entries <= made[-1].entries < stocked.ledger.size + 1


def test_a_backup_is_refused_where_it_would_do_harm(stocked: Home, tmp_path: Path) -> None:
    taken = tmp_path / "taken.tar"
    taken.write_bytes(b"older")
    for target in (taken, tmp_path / "nowhere" / "x.tar", stocked.root / "store" / "x.tar"):
        with pytest.raises(MisuseError):
            back_up(stocked, target)
    assert taken.read_bytes() == b"older"
    with alone(stocked), pytest.raises(HomeError, match="another run"):
        back_up(stocked, tmp_path / "x.tar")
    config = Config(controller="St. Example", dpo="DPO", database="postgresql://db/auditor")
    write_config(stocked.root / SETTINGS, config)
    with (
        closing(open_home(stocked.root)) as elsewhere,
        pytest.raises(MisuseError, match="pg_dump"),
    ):
        back_up(elsewhere, tmp_path / "x.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "taken.tar"]


def test_keys_stay_behind_even_where_the_settings_name_their_folder(
    stocked: Home, tmp_path: Path
) -> None:
    config = Config(controller="St. Example", dpo="DPO", packs=("keys",), seal_roots="roots.pem")
    write_config(stocked.root / SETTINGS, config)
    (stocked.root / "roots.pem").write_text("PEM")
    (stocked.root / "store" / ".half.part").write_bytes(b"half")
    (stocked.root / "store" / "link").symlink_to(stocked.root / "keys" / "vault-lookup.key")
    with closing(open_home(stocked.root)) as home:
        back_up(home, tmp_path / "home.tar")
    with tarfile.open(tmp_path / "home.tar") as archive:
        members = archive.getmembers()
    names = {member.name for member in members}
    assert "home/roots.pem" in names
    assert not any("keys" in name or "half" in name or "link" in name for name in names)
    assert {(member.uname, member.uid) for member in members} == {("", 0)}


def test_the_command_says_what_it_left_out(auditor: Auditor, stocked: Home, tmp_path: Path) -> None:
    ran = auditor("backup", tmp_path / "home.tar", "--home", stocked.root, "--json")
    assert ran.code == 0
    assert ran.json["keys"] == "left out" and ran.json["ledger_entries"] == stocked.ledger.size
    assert auditor("backup", tmp_path / "home.tar", "--home", stocked.root).code == 2
