"""`auditor ledger recover`: what it says, how it ends, and that looking is always possible."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from auditor.domain.request import Ground, Regime
from auditor.proof.trust import fingerprint
from auditor.workflow.desk.desk import file_request
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.log.witness import create_witness
from auditor.workflow.models.reerasure import forget_subject
from tests.cli.conftest import Auditor, Ran, stock
from tests.workflow.restores import BEFORE, SIGNED, Restored, live, restored

GROUND = next(ground for ground in Ground if ground.value.startswith("gdpr"))


def _with_a_request(home: Home) -> None:
    stock(home)
    file_request(
        home,
        model="detector",
        subjects=("patient-0815",),
        regime=Regime.GDPR,
        ground=GROUND,
        received=date(2026, 10, 1),
    )


@pytest.fixture(scope="session")
def cli_life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return live(tmp_path_factory.mktemp("life"), prepare=_with_a_request)


@pytest.fixture
def behind(cli_life: Path, tmp_path: Path) -> Iterator[Restored]:
    """A home with a model in service, whose database was put back to an older state."""
    made = restored(cli_life, tmp_path)
    made.home.close()
    yield made
    made.home.close()


def recover(auditor: Auditor, made: Restored, *words: object) -> Ran:
    return auditor("ledger", "recover", "--home", made.home.root, "--json", *words)


def test_every_way_of_writing_ends_with_5_and_looking_works(
    auditor: Auditor, behind: Restored, tmp_path: Path
) -> None:
    (vkey, _) = create_witness(tmp_path / "w", "example.org/w").vkeys
    (case,) = auditor("request", "list", "--json", "--home", behind.home.root).json
    filed = ("--model", "detector", "--subject", "patient-4711", "--ground", GROUND.value)
    refused: list[tuple[object, ...]] = [
        ("ledger", "checkpoint"),
        ("ledger", "audit"),
        ("ledger", "export", tmp_path / "new-export"),
        ("ledger", "witness", "add", "w", vkey, "http://127.0.0.1:9/"),
        ("keys", "publish"),
        ("request", "file", "--regime", "gdpr", *filed),
        ("request", "decide", case["case"], "--grant"),
    ]
    for words in refused:
        ran = auditor(*words, "--home", behind.home.root)
        assert (words, ran.code, ran.out) == (words, 5, "")
        assert "auditor ledger recover" in ran.err
        assert "patient" not in ran.err
    for words in (("request", "list"), ("model", "list"), ("keys", "list")):
        ran = auditor(*words, "--home", behind.home.root)
        assert ran.code == 0
        assert "auditor: read-only: " in ran.err
        assert "auditor ledger recover" in ran.err
    assert behind.now() == behind.entries[:BEFORE]


def test_it_says_what_is_missing_and_then_puts_it_back(auditor: Auditor, behind: Restored) -> None:
    ran = recover(auditor, behind)
    assert (ran.code, ran.out) == (1, "")
    assert f"lacks entries {BEFORE} to {SIGNED - 1}" in ran.err
    ran = recover(auditor, behind, "--from", behind.export)
    assert ran.code == 0
    told = ran.json
    assert told["erase_again"] == []
    assert (told["ledger_was"], told["known_entries"], told["put_back"]) == ("behind", SIGNED, 30)
    assert (told["left_out"], told["link"]) == (0, "")
    assert told["fingerprint"] == fingerprint((behind.newer / "trust.json").read_bytes())
    assert behind.now() == behind.entries
    assert auditor("ledger", "audit", "--home", behind.home.root, "--json").code == 0
    again = recover(auditor, behind, "--from", behind.export)
    assert (again.code, again.json["ledger_was"], again.json["put_back"]) == (0, "sound", 0)


def test_a_fork_ends_with_5_until_it_has_another_name(auditor: Auditor, behind: Restored) -> None:
    behind.write_on()
    old = behind.home.trust
    ran = recover(auditor, behind, "--from", behind.export)
    assert ran.code == 5
    assert "--new-origin" in ran.err
    ran = recover(auditor, behind, "--new-origin")
    assert ran.code == 0
    assert ran.json["origin"] != old.log_origin
    assert Path(ran.json["link"]).is_file()
    trust = behind.home.trust_path.read_bytes()
    assert (
        ran.json["fingerprint"]
        == fingerprint(trust)
        != fingerprint((behind.newer / "trust.json").read_bytes())
    )
    assert recover(auditor, behind, "--new-origin").code == 2
    for words in (("checkpoint",), ("audit",)):
        assert auditor("ledger", *words, "--home", behind.home.root).code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--from", "nowhere"), 2),
        (("--from", "empty-folder"), 1),
        (("--from", "rubbish"), 1),
        (("--known", "nowhere"), 2),
        (("--known", "rubbish"), 1),
        (("--known", "forged"), 1),
        (("--known", "empty-folder"), 1),
        (("--from", "export", "--new-origin"), 2),
    ],
)
def test_bad_paths_are_one_line_and_change_nothing(
    auditor: Auditor, behind: Restored, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    (tmp_path / "empty-folder").mkdir()
    (tmp_path / "rubbish").write_bytes(b"\x00rubbish" * 99)
    note = (behind.newer / "checkpoint.txt").read_text(encoding="utf-8")
    (tmp_path / "forged").write_text(note.replace(f"\n{SIGNED}\n", "\n99\n"), encoding="utf-8")
    trust = behind.home.trust_path.read_bytes()
    named = [word if word.startswith("--") else tmp_path / word for word in words]
    ran = recover(auditor, behind, *named)
    assert ran.code == code
    told, *more = [line for line in ran.err.splitlines() if "read-only:" not in line]
    assert more == []
    assert told.startswith("auditor: ")
    assert behind.now() == behind.entries[:BEFORE]
    assert behind.home.trust_path.read_bytes() == trust


@pytest.mark.parametrize("content", [b"\x00rubbish" * 99, b""])
def test_rubbish_is_told_where_nothing_is_to_be_put_back(
    auditor: Auditor, home: Home, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "rubbish").write_bytes(content)
    home.close()
    words = ("ledger", "recover", "--home", home.root, "--from")
    ran = auditor(*words, tmp_path / "rubbish")
    assert (ran.code, ran.out) == (1, "")
    assert "rubbish can't be put back from" in ran.err
    copy = Path(shutil.copy(home.root / "ledger.db", tmp_path / "newer.db"))
    assert auditor(*words, copy).code == 0


def test_what_came_back_is_listed_and_erased_again(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    stock(home)
    home.vault.seal("case:1", b'{"subjects":["patient-4711"]}')
    home.close()
    assert auditor("ledger", "checkpoint", "--home", home.root).code == 0
    before = (home.root / "ledger.db").read_bytes()
    forget_subject(home, "case:1")
    home.close()
    assert auditor("ledger", "export", tmp_path / "export", "--home", home.root).code == 0
    (home.root / "ledger.db").write_bytes(before)
    words = ("ledger", "recover", "--home", home.root, "--from", tmp_path / "export")
    shown = auditor(*words)
    assert shown.code == 0
    assert "Erasures to be run again" in shown.out
    assert "patient" not in shown.out + shown.err
    (item,) = auditor(*words, "--json").json["erase_again"]
    assert (item["what"], item["destroyed_again"]) == ("vault-payload", False)
    (item,) = auditor(*words, "--erase-again", "--json").json["erase_again"]
    assert item["destroyed_again"] is True
    assert auditor(*words, "--json").json["erase_again"] == []
    assert "Erasures" not in auditor(*words).out
    opened = open_home(home.root)
    assert opened.vault.commitments("case:1") == ()
    opened.close()
