"""Checkpoints with a trusted time: stamped by a real authority, kept, exported, checked."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.errors import HomeError
from auditor.proof.checkpoint import parse_checkpoint
from auditor.proof.timestamp import timestamp_request, verify_timestamp
from auditor.workflow.homes.config import read_config, write_config
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.recovery import recover
from auditor.workflow.log.timestamping import stamp_checkpoint
from auditor.workflow.log.witnesses import add_witness
from tests.cli.conftest import Auditor, Ran
from tests.ledger.books import fill
from tests.tsa import Answer, Authority, answering, authority
from tests.witnesses import serving


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached directly, whatever proxy the machine has."""
    monkeypatch.setenv("no_proxy", "*")


def configured(home: Home, address: str, root: str) -> Home:
    """The home's settings name an authority and its root."""
    (home.root / "tsa.pem").write_text(root, encoding="ascii")
    settings = home.root / "auditor.toml"
    config = replace(read_config(settings), timestamps=address, timestamp_roots="tsa.pem")
    write_config(settings, config)
    home.close()
    return open_home(home.root)


@pytest.fixture
def made(tmp_path: Path) -> Authority:
    """An authority."""
    return authority(tmp_path / "tsa")


@pytest.fixture
def stamping(home: Home, made: Authority) -> Iterator[Home]:
    """A home whose checkpoints it stamps."""
    with answering(lambda query: Answer(body=[made.answer(query)])) as address:
        opened = configured(home, address, made.root_pem)
        yield opened
        opened.close()


def checkpoint(auditor: Auditor, home: Home) -> Ran:
    return auditor("ledger", "checkpoint", "--home", home.root, "--json")


def audit(auditor: Auditor, home: Home) -> Ran:
    return auditor("ledger", "audit", "--home", home.root, "--json")


def kept(home: Home, ending: str = ".tsr") -> list[Path]:
    return sorted((home.root / "timestamps").glob(f"*{ending}"))


def test_a_checkpoint_is_stamped_once_and_the_stamp_is_kept(
    auditor: Auditor, stamping: Home
) -> None:
    first, again = checkpoint(auditor, stamping), checkpoint(auditor, stamping)
    assert first.code == again.code == 0
    assert first.json["time_stamp"] == again.json["time_stamp"] != ""
    (token,), (note,) = kept(stamping), kept(stamping, ".note")
    root = (stamping.root / "tsa.pem").read_text(encoding="ascii")
    moment = verify_timestamp(token.read_bytes(), note.read_bytes(), [root])
    assert moment.isoformat() == first.json["time_stamp"]
    assert note.read_text(encoding="utf-8") == first.json["checkpoint"]  # nobody cosigned it
    fill(stamping.ledger, 1)
    stamping.close()
    assert checkpoint(auditor, stamping).code == 0
    assert len(kept(stamping)) == 2
    assert audit(auditor, stamping).json["time_stamps"] == 2


def test_a_stamp_stays_good_when_witnesses_cosign_later(
    auditor: Auditor, stamping: Home, tmp_path: Path
) -> None:
    with serving(tmp_path / "w", stamping.trust.policy) as witness:
        add_witness(stamping, "w", witness.ed25519, witness.url, "any")
    stamping.close()
    silent = checkpoint(auditor, stamping)
    assert silent.json["witnesses"] == []
    (token,) = kept(stamping)
    before = token.read_bytes()
    vkey = witness.ed25519
    with serving(tmp_path / "w", stamping.trust.policy) as back:
        assert back.ed25519 == vkey
        # it listens on another port now; the policy is told by the trust file
        text = stamping.trust_path.read_text(encoding="utf-8")
        stamping.trust_path.write_text(text.replace(witness.url, back.url), encoding="utf-8")
        ran = checkpoint(auditor, stamping)
    assert ran.json["witnesses"] == ["w"]
    assert ran.json["time_stamp"] == silent.json["time_stamp"]
    assert [path.read_bytes() for path in kept(stamping)] == [before]
    assert audit(auditor, stamping).json["time_stamps"] == 1


def changed_token(home: Home, made: Authority, tmp_path: Path) -> None:
    (path,) = kept(home)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def cut_token(home: Home, made: Authority, tmp_path: Path) -> None:
    (path,) = kept(home)
    path.write_bytes(path.read_bytes()[:-1])


def changed_note(home: Home, made: Authority, tmp_path: Path) -> None:
    (path,) = kept(home, ".note")
    path.write_bytes(path.read_bytes().replace(b"auditor-ledger", b"auditor-lodger"))


def no_note(home: Home, made: Authority, tmp_path: Path) -> None:
    (path,) = kept(home, ".note")
    path.unlink()


def of_another_message(home: Home, made: Authority, tmp_path: Path) -> None:
    (note,) = kept(home, ".note")
    note.write_bytes(note.read_bytes() + b"\n")


def of_another_history(home: Home, made: Authority, tmp_path: Path) -> None:
    """The same keys signed it, the authority stamped it: only the ledger doesn't hold it."""
    clone = Path(shutil.copytree(home.root, tmp_path / "clone"))
    other = open_home(clone)
    fill(other.ledger, 3, "clone")
    stamp_checkpoint(other, record_checkpoint(other))
    other.close()
    shutil.copytree(clone / "timestamps", home.root / "timestamps", dirs_exist_ok=True)


def of_an_unsigned_note(home: Home, made: Authority, tmp_path: Path) -> None:
    """Whoever can have something stamped can't have the log sign it."""
    (path,) = kept(home, ".note")
    note = "".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]).encode()
    for ending, content in ((".note", note), (".tsr", made.answer(timestamp_request(note)))):
        (home.root / "timestamps" / f"put-there{ending}").write_bytes(content)


SPOILT = (
    changed_token,
    cut_token,
    changed_note,
    no_note,
    of_another_message,
    of_another_history,
    of_an_unsigned_note,
)


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_stamp_that_is_not_this_ledgers_is_found_by_the_audit(
    auditor: Auditor,
    stamping: Home,
    made: Authority,
    tmp_path: Path,
    spoil: Callable[[Home, Authority, Path], None],
) -> None:
    assert checkpoint(auditor, stamping).code == 0
    spoil(stamping, made, tmp_path)
    ran = audit(auditor, stamping)
    assert ran.code == 5
    assert ".tsr" in ran.err.splitlines()[-1]


def test_stamps_of_another_authority_do_not_count(
    auditor: Auditor, stamping: Home, tmp_path: Path
) -> None:
    assert checkpoint(auditor, stamping).code == 0
    own = (stamping.root / "tsa.pem").read_text(encoding="ascii")
    other = authority(tmp_path / "other")
    (stamping.root / "tsa.pem").write_text(other.root_pem, encoding="ascii")
    for ran in (audit(auditor, stamping), checkpoint(auditor, stamping)):
        assert (ran.code, "beside the new one" in ran.err) == (1, True)  # nobody tampered
    # both, as it should be when a house changes its authority
    (stamping.root / "tsa.pem").write_text(f"{other.root_pem}\n# before:\n{own}", encoding="ascii")
    assert audit(auditor, stamping).code == 0


@pytest.mark.parametrize("spoil", [changed_note, no_note, of_another_message, of_another_history])
def test_what_was_changed_is_found_under_an_authority_that_is_not_known_too(
    auditor: Auditor,
    stamping: Home,
    made: Authority,
    tmp_path: Path,
    spoil: Callable[[Home, Authority, Path], None],
) -> None:
    assert checkpoint(auditor, stamping).code == 0
    spoil(stamping, made, tmp_path)
    other = authority(tmp_path / "other")
    (stamping.root / "tsa.pem").write_text(other.root_pem, encoding="ascii")
    assert audit(auditor, stamping).code == 5


def test_stamps_that_are_kept_are_told_when_no_authority_is_named_any_more(
    auditor: Auditor, stamping: Home, made: Authority, tmp_path: Path
) -> None:
    assert checkpoint(auditor, stamping).code == 0
    settings, told = stamping.root / "auditor.toml", ("time_stamps", "time_stamps_unchecked")
    for roots, counted in (("tsa.pem", (1, 0)), ("", (0, 1))):
        config = replace(read_config(settings), timestamps="", timestamp_roots=roots)
        write_config(settings, config)
        ran = audit(auditor, stamping)
        assert (ran.code, *(ran.json[name] for name in told)) == (0, *counted)
    changed_note(stamping, made, tmp_path)
    assert audit(auditor, stamping).code == 5


def test_without_an_answer_the_checkpoint_stands_and_is_stamped_later(
    auditor: Auditor, home: Home, made: Authority
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    opened = configured(home, f"http://127.0.0.1:{port}/", made.root_pem)
    ran = checkpoint(auditor, opened)
    assert ran.code == 1
    assert "no time stamp from 127.0.0.1" in ran.err
    note = opened.checkpoints_path.read_text(encoding="utf-8")
    assert parse_checkpoint(note).size == opened.ledger.size
    assert audit(auditor, opened).json["time_stamps"] == 0
    with answering(lambda query: Answer(body=[made.answer(query)])) as address:
        opened = configured(opened, address, made.root_pem)
        assert checkpoint(auditor, opened).json["checkpoint"] == note
    assert audit(auditor, opened).json["time_stamps"] == 1
    opened.close()


@pytest.mark.parametrize(
    "content", [None, b"", b"no certificate", "Zertifikat für".encode("latin-1")]
)
def test_a_missing_file_of_roots_is_one_clear_error(
    auditor: Auditor, stamping: Home, content: bytes | None
) -> None:
    path = stamping.root / "tsa.pem"
    roots = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    ran = checkpoint(auditor, stamping)
    assert (ran.code, kept(stamping)) == (1, [])
    assert "tsa.pem" in ran.err and "timestamp_roots" in ran.err
    path.write_bytes(roots)
    assert checkpoint(auditor, stamping).code == 0
    path.unlink()
    assert audit(auditor, stamping).code == 1


def test_without_an_authority_nothing_is_stamped(auditor: Auditor, home: Home) -> None:
    ran = checkpoint(auditor, home)
    assert (ran.code, ran.json["time_stamp"]) == (0, "")
    assert not (home.root / "timestamps").exists()
    assert audit(auditor, home).json["time_stamps"] == 0
    with pytest.raises(HomeError, match="timestamp_roots"):
        replace(home.config, timestamps="http://127.0.0.1/")


def test_stamps_under_an_old_name_stay_when_the_ledger_has_another(
    auditor: Auditor, stamping: Home
) -> None:
    older = (stamping.root / "ledger.db").read_bytes()
    fill(stamping.ledger, 3)
    stamping.close()
    assert checkpoint(auditor, stamping).code == 0
    (old,) = kept(stamping)
    (stamping.root / "ledger.db").write_bytes(older)
    recover(stamping, source=None, known=[], new_origin=True)
    fill(stamping.ledger, 4 - stamping.ledger.size)
    stamping.close()
    assert checkpoint(auditor, stamping).code == 0  # the same size, under the other name
    assert len(kept(stamping)) == 2
    assert old in kept(stamping)
    assert audit(auditor, stamping).json["time_stamps"] == 2


def test_an_export_carries_the_stamps(auditor: Auditor, stamping: Home, tmp_path: Path) -> None:
    checkpoint(auditor, stamping)
    (stamping.root / "timestamps" / ".left.tsr.1.part").write_bytes(b"half")
    ran = auditor("ledger", "export", tmp_path / "out", "--home", stamping.root)
    assert ran.code == 0
    names = {path.name for path in (tmp_path / "out" / "timestamps").iterdir()}
    assert names == {path.name for path in (*kept(stamping, ".tsr"), *kept(stamping, ".note"))}
