"""`auditor ledger witness`: being one, and asking some."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.domain.artefact import Digest
from auditor.domain.event import TrustChanged
from auditor.proof.log_policy import policy_text
from auditor.proof.trust import trust_bytes
from auditor.workflow.homes.guard import close_for_writing
from auditor.workflow.homes.home import Home
from tests.cli.conftest import Auditor, Ran
from tests.witnesses import Served, make_log, process, serving

NOBODY = "http://127.0.0.1:1"
WORDS = ("ledger", "witness")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached directly, whatever proxy the machine has."""
    monkeypatch.setenv("no_proxy", "*")


def made(auditor: Auditor, folder: Path) -> list[str]:
    ran = auditor(*WORDS, "init", "--name", f"{folder.name}.example", "--folder", folder, "--json")
    assert ran.code == 0
    assert ran.json["folder"] == str(folder)
    return [str(vkey) for vkey in ran.json["vkeys"]]


def require_refused(ran: Ran, code: int, why: str = "") -> None:
    """One line on stderr that says why, and nothing else."""
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("auditor: ") and ran.err.count("\n") == 1
    assert why in ran.err


def trust_changes(home: Home) -> list[Digest]:
    found = [each.event for each in home.ledger.replay("home")]
    home.close()
    return [event.trust for event in found if isinstance(event, TrustChanged)]


def test_a_witness_has_two_keys_of_its_own(auditor: Auditor, tmp_path: Path) -> None:
    vkeys = made(auditor, tmp_path / "deep" / "w")
    assert len(set(vkeys)) == 2
    assert all(vkey.startswith("w.example+") for vkey in vkeys)
    keys = list((tmp_path / "deep" / "w" / "keys").iterdir())
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert vkeys != made(auditor, tmp_path / "deep2" / "w")


@pytest.mark.parametrize(
    "name", ["", "two words", "a+b", "a\nb", "tab\there", "w" * 256, "ü" * 128]
)
def test_a_name_that_notes_cannot_carry_is_refused(
    auditor: Auditor, tmp_path: Path, name: str
) -> None:
    ran = auditor(*WORDS, "init", "--name", name, "--folder", tmp_path / "w")
    require_refused(ran, 2, "name")
    assert list(tmp_path.iterdir()) == []
    made(auditor, tmp_path / "w")


def test_a_folder_that_is_not_empty_is_left_alone(auditor: Auditor, tmp_path: Path) -> None:
    made(auditor, tmp_path / "w")
    before = {path: path.read_bytes() for path in (tmp_path / "w").rglob("*") if path.is_file()}
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "w", tmp_path / "file", tmp_path / "file" / "w"):
        require_refused(auditor(*WORDS, "init", "--name", "n", "--folder", folder), 1)
    assert before == {path: path.read_bytes() for path in before}
    assert {path.name for path in tmp_path.iterdir()} == {"w", "file"}


def serve(*words: object) -> Ran:
    """`serve` that isn't expected to come up, in a process of its own."""
    command = [sys.executable, "-m", "auditor.cli.main", *WORDS, "serve", *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return Ran(code=ran.returncode, out=ran.stdout, err=ran.stderr)


def test_an_address_that_is_taken_is_told(auditor: Auditor, home: Home, tmp_path: Path) -> None:
    made(auditor, tmp_path / "w")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ("--log", home.trust_path, "--folder", tmp_path / "w", "--listen", listen)
        require_refused(serve(*words), 2, f"can't listen on {listen}")


def test_what_cannot_be_served_is_told(auditor: Auditor, home: Home, tmp_path: Path) -> None:
    folder, trust = tmp_path / "w", home.trust_path
    made(auditor, folder)
    empty, other, garbage = (tmp_path / name for name in ("empty", "other", "garbage"))
    empty.write_text("quorum none\n")
    log, stranger = make_log("a.example"), make_log("a.example")
    (tmp_path / "log").write_text(policy_text(log.policy))
    other.write_text(policy_text(stranger.policy))
    garbage.write_bytes(b"\xff\x00{")

    def refused(code: int, why: str, *logs: Path, at: Path = folder, listen: str = "x:y") -> None:
        words = [word for each in logs for word in ("--log", each)]
        ran = auditor(*WORDS, "serve", *words, "--folder", at, "--listen", listen)
        require_refused(ran, code, why)

    refused(1, "auditor ledger witness init", trust, at=tmp_path / "none")
    refused(2, "can't read", tmp_path / "missing")
    refused(2, "can't read", tmp_path)
    refused(1, "log policy", garbage)
    refused(2, "none of the files lists a log", empty)
    refused(2, "different keys for the same log", tmp_path / "log", trust, other)
    for listen in ("x:y", "x", "", "127.0.0.1:nowhere", "127.0.0.1:99999", "127.0.0.1:-1", "?:1"):
        refused(2, "can't listen", trust, listen=listen)
    (folder / "witness.db").unlink()
    refused(1, "lost its record", trust)
    assert auditor(*WORDS, "serve", "--folder", folder).code == 2


def test_a_served_witness_cosigns_what_a_home_signs(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    vkeys = made(auditor, tmp_path / "w")
    with process(tmp_path / "w", home.trust_path) as (served, _):
        ran = auditor(*WORDS, "add", "dpo", vkeys[1], served.url, "--home", home.root, "--json")
        assert (ran.code, ran.json["quorum"]) == (0, "witnesses")
        ran = auditor("ledger", "checkpoint", "--home", home.root, "--json")
        assert ran.code == 0
        assert (ran.json["witnesses"], ran.json["silent"], ran.json["quorum"]) == (
            ["dpo"],
            {},
            True,
        )
    rows = auditor(*WORDS, "list", "--home", home.root, "--json").json
    row = {"name": "dpo", "algorithm": "ml-dsa-44", "url": served.url, "cosigned": 2}
    assert rows == [row]
    ran = auditor("ledger", "checkpoint", "--home", home.root)
    assert ran.code == 0
    assert "witness dpo hasn't cosigned: " in ran.err


def test_the_fingerprint_changes_with_the_policy_and_not_with_a_checkpoint(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    one, other = made(auditor, tmp_path / "a")
    seen = [home.trust_fingerprint]

    def told(*words: object) -> list[str]:
        ran = auditor(*WORDS, *words, "--home", home.root, "--json")
        assert ran.code == 0
        assert ran.json["fingerprint"] == home.trust_fingerprint
        seen.append(ran.json["fingerprint"])
        stated = Digest.of(trust_bytes(replace(home.trust, checkpoint="")))
        assert trust_changes(home)[-1] == stated
        assert auditor("ledger", "checkpoint", "--home", home.root).code == 0
        assert home.trust_fingerprint == seen[-1]
        return [*ran.json["witnesses"], ran.json["quorum"]]

    assert told("add", "a", one, NOBODY) == ["a", "witnesses"]
    assert told("add", "b", other, NOBODY, "--quorum", "any") == ["a", "b", "witnesses"]
    assert "group witnesses 1 a b\n" in home.trust.log_policy
    assert told("remove", "a") == ["b", "witnesses"]
    assert "group witnesses 1 b\n" in home.trust.log_policy
    assert told("remove", "b", "--quorum", "1") == ["none"]
    assert len(set(seen)) == 4  # and that without witnesses is the first again
    assert seen[0] == seen[-1]
    assert len(trust_changes(home)) == 4


def test_the_event_stands_before_the_file_changes(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    """Where the event can't be written, nothing changes; the same again is no second event."""
    vkeys, before = made(auditor, tmp_path / "w"), home.trust_path.read_bytes()
    close_for_writing(home.root, "for a test")
    ran = auditor(*WORDS, "add", "dpo", vkeys[0], NOBODY, "--home", home.root)
    assert ran.code == 5
    assert home.trust_path.read_bytes() == before
    assert trust_changes(home) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", "w", "VKEY?", NOBODY), "verifier key"),
        (("add", "w", "VKEY", "x.example"), "address"),
        (("add", "w", "VKEY", "ftp://x.example"), "address"),
        (("add", "w", "VKEY", "file:///etc/passwd"), "address"),
        (("add", "w", "VKEY", "http://me:secret@x.example"), "address"),
        (("add", "w", "VKEY", "http://x.example/ y"), "one word"),
        (("add", "w", "VKEY", "http://x.example/\nquorum none"), "one word"),
        (("add", "w", "VKEY", "http://x.example/\n# "), "one word"),
        (("add", "two words", "VKEY", NOBODY), "one word"),
        (("add", "", "VKEY", NOBODY), "one word"),
        (("add", "none", "VKEY", NOBODY), "taken"),
        (("add", "witnesses", "VKEY", NOBODY), "taken"),
        (("add", "old", "VKEY", NOBODY), "taken"),
        (("add", "w", "OLD", NOBODY), "same key"),
        (("add", "w", "LOG", NOBODY), "cosigns with"),
        (("add", "w", "VKEY", NOBODY, "--quorum", "0"), "from 1 to 2"),
        (("add", "w", "VKEY", NOBODY, "--quorum", "3"), "from 1 to 2"),
        (("add", "w", "VKEY", NOBODY, "--quorum", "-1"), "from 1 to 2"),
        (("add", "w", "VKEY", NOBODY, "--quorum", "some"), "from 1 to 2"),
        (("add", "w", "VKEY", NOBODY, "--quorum", "\N{FULLWIDTH DIGIT NINE}"), "from 1 to 2"),
        (("add", "w", "VKEY", NOBODY, "--quorum", "9" * 5_000), "from 1 to 2"),
        (("remove", "w"), "auditor ledger witness list"),
        (("policy", "MISSING"), "can't read"),
        (("policy", "."), "can't read"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(
    auditor: Auditor, home: Home, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    old, vkey = made(auditor, tmp_path / "w")
    assert auditor(*WORDS, "add", "old", old, NOBODY, "--home", home.root).code == 0
    before, events = home.trust_path.read_bytes(), trust_changes(home)
    keys = {"VKEY": vkey, "OLD": old, "LOG": home.trust.policy.logs[0].vkey, "VKEY?": vkey[:-1]}
    ran = auditor(*WORDS, *(keys.get(word, word) for word in words), "--home", home.root)
    require_refused(ran, 2, why)
    assert "secret" not in ran.err
    assert (home.trust_path.read_bytes(), trust_changes(home)) == (before, events)


def test_a_policy_file_is_taken_or_refused_as_a_whole(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    one, other = made(auditor, tmp_path / "w")
    file, logs = tmp_path / "policy", policy_text(home.trust.policy).partition("quorum")[0]
    good = f"witness a {one} {NOBODY}\nwitness b {other}\ngroup g any a b\nquorum g\n"
    before = home.trust_path.read_bytes()
    stranger = policy_text(make_log("x").policy).partition("quorum")[0]
    for bad, why in (
        (stranger + good, "aren't those of this home"),
        (logs.split("\n")[0] + "\n" + good, "aren't those of this home"),
        (good[:-1], "cut off"),
        (good.replace(" any ", " 3 "), "line 3"),
        (good.replace("a b", "a c"), "line 3"),
        ("", "cut off"),
        ("{}\n", "line 1"),
    ):
        file.write_text(bad)
        require_refused(auditor(*WORDS, "policy", file, "--home", home.root), 2, why)
        assert home.trust_path.read_bytes() == before
    file.write_bytes(b"\xff\n")
    require_refused(auditor(*WORDS, "policy", file, "--home", home.root), 2, "can't read")
    for text in (good, logs + good):
        file.write_text(text)
        assert auditor(*WORDS, "policy", file, "--home", home.root).code == 0
        assert policy_text(home.trust.policy) == logs + good.replace(" any ", " 1 ")
    assert len(trust_changes(home)) == 1
    for words in (("add", "c", one, NOBODY), ("remove", "a")):
        ran = auditor(*WORDS, *words, "--home", home.root)
        require_refused(ran, 2, "groups of its own")


def test_without_witnesses_there_is_nothing_to_list(auditor: Auditor, home: Home) -> None:
    ran = auditor(*WORDS, "list", "--home", home.root)
    assert (ran.code, ran.out, ran.err) == (0, "", "nothing to list\n")
    assert json.loads(auditor(*WORDS, "list", "--home", home.root, "--json").out) == []


def test_a_home_put_back_is_told_with_the_code_of_a_tampered_one(
    auditor: Auditor, home: Home, tmp_path: Path
) -> None:
    def checkpoint() -> Ran:
        return auditor("ledger", "checkpoint", "--home", home.root)

    with serving(tmp_path / "w", home.trust.policy) as served:
        assert added(auditor, home, served).code == 0
        assert checkpoint().code == 0
        saved = {path: path.read_bytes() for path in home.root.iterdir() if path.is_file()}
        assert auditor(*WORDS, "remove", "dpo", "--home", home.root).code == 0
        assert added(auditor, home, served).code == 0
        assert checkpoint().code == 0
        for path in home.root.iterdir():
            if path.is_file():
                path.unlink()
        for path, content in saved.items():
            path.write_bytes(content)
        require_refused(checkpoint(), 5, "witness dpo has cosigned 4 entries")
        assert home.checkpoints_path.read_bytes() == saved[home.checkpoints_path]
        looked = auditor(*WORDS, "list", "--home", home.root)
        assert looked.code == 0
        assert "auditor ledger recover" in looked.err


def added(auditor: Auditor, home: Home, served: Served) -> Ran:
    return auditor(*WORDS, "add", "dpo", served.ed25519, served.url, "--home", home.root)
