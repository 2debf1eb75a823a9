"""A home whose ledger is witnessed: what lands in its files, and what is refused without."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from auditor.certificates.verify import Status, verify_certificate
from auditor.errors import (
    CertificateError,
    HomeError,
    LedgerError,
    MisuseError,
    TamperedError,
)
from auditor.proof.checkpoint import (
    cosign_checkpoint,
    find_verified,
    parse_checkpoint,
    sign_checkpoint,
)
from auditor.proof.log_policy import CLOCK_TOLERANCE, LogPolicy, examine_checkpoint
from auditor.proof.merkle import verify_consistency
from auditor.proof.trust import parse_trust, trust_bytes
from auditor.proof.witnessing import SIZE_TYPE, parse_request
from auditor.workflow.documents.notary import issue, publish
from auditor.workflow.homes.files import write_file
from auditor.workflow.homes.home import Home, open_home
from auditor.workflow.homes.record import case_stream, load_case
from auditor.workflow.homes.web import post
from auditor.workflow.log import cosigning
from auditor.workflow.log.checkpoints import Published, record_checkpoint, require_witnessed
from auditor.workflow.log.recovery import Condition, recover
from auditor.workflow.log.witness import Witness, create_witness
from auditor.workflow.log.witnesses import add_witness, remove_witness, set_policy
from tests.campaigns import Campaign
from tests.certificates.conftest import issue_record
from tests.cli.conftest import stock
from tests.ledger.books import fill
from tests.witnesses import Lie, Served, lying, serving

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached directly, whatever proxy the machine has."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(autouse=True)
def _closed(home: Home) -> Iterator[None]:
    yield
    home.close()


def joined(home: Home, name: str, served: Served, quorum: str = "all") -> None:
    add_witness(home, name, served.ed25519, served.url, quorum)


def moved(home: Home, name: str, url: str) -> None:
    """The same witness at another address; nothing is put on the books."""
    policy = home.trust.policy
    key = next(each.key.vkey for each in policy.witnesses if each.name == name)
    text = home.trust.log_policy
    old = next(line for line in text.split("\n") if line.startswith(f"witness {name} "))
    text = text.replace(old, f"witness {name} {key} {url}")
    write_file(home.trust_path, trust_bytes(replace(home.trust, log_policy=text)))


def told_by(home: Home, published: Published) -> tuple[set[str], set[str]]:
    """Witnesses that cosigned and those that didn't; both files hold the note that was returned."""
    assert home.checkpoints_path.read_text() == home.trust.checkpoint == published.note
    assert published.found == examine_checkpoint(
        published.note, home.trust.policy, int(datetime.now(UTC).timestamp())
    )
    return set(published.found.witnesses), set(published.silent)


@pytest.fixture
def one(tmp_path: Path, home: Home) -> Iterator[Served]:
    with serving(tmp_path / "one", home.trust.policy) as served:
        yield served


@pytest.fixture
def two(tmp_path: Path, home: Home) -> Iterator[Served]:
    with serving(tmp_path / "two", home.trust.policy) as served:
        yield served


def test_the_cosignature_lands_in_both_files(home: Home, one: Served) -> None:
    joined(home, "dpo", one)
    for _ in range(3):
        fill(home.ledger, 3)
        published = record_checkpoint(home)
        assert told_by(home, published) == ({"dpo"}, set())
        assert require_witnessed(published) == published.note
        assert find_verified(published.note, one.keys[0])
        assert find_verified(published.note, one.keys[1]) is None  # not in the policy


def test_a_witness_that_joins_late_is_given_what_it_missed(
    home: Home, one: Served, two: Served
) -> None:
    joined(home, "first", one)
    record_checkpoint(home)
    joined(home, "second", two)
    assert told_by(home, record_checkpoint(home)) == ({"first", "second"}, set())
    remove_witness(home, "first")
    assert told_by(home, record_checkpoint(home)) == ({"second"}, set())


def test_a_witness_hears_of_nothing_that_is_not_in_the_files_yet(home: Home, one: Served) -> None:
    heard = []

    def answer(request: str) -> Lie:
        note = parse_request(request).note
        heard.append(parse_checkpoint(note).size)
        assert note == home.checkpoints_path.read_text() == home.trust.checkpoint
        return Lie(body=[one.ask(request).text.encode()])

    with lying(answer) as url:
        joined(home, "dpo", replace(one, url=url))
        for _ in range(3):
            fill(home.ledger, 1)
            assert told_by(home, record_checkpoint(home)) == ({"dpo"}, set())
    assert heard == [3, 3, 4, 4, 5]


@pytest.mark.parametrize(
    ("quorum", "alive", "reached"),
    [
        ("all", "abc", True), ("all", "ab", False), ("all", "", False),
        ("any", "c", True), ("any", "", False),
        ("2", "ac", True), ("2", "b", False),
        ("none", "", True), ("none", "a", True),
    ],
)  # fmt: skip
def test_the_quorum_is_as_the_policy_has_it(
    home: Home, tmp_path: Path, quorum: str, alive: str, reached: bool
) -> None:
    for name in "abc":
        witness = create_witness(tmp_path / name, f"{name}.example")
        witness.book.close()
        add_witness(home, name, witness.vkeys[0], NOBODY, quorum if name == "c" else "any")
    for name in alive:
        with serving(tmp_path / name, home.trust.policy) as served:
            moved(home, name, served.url)
            published = record_checkpoint(home)
        moved(home, name, NOBODY)
    published = record_checkpoint(home)
    assert told_by(home, published)[0] == set(alive)
    assert published.found.quorum is reached
    if not reached:
        with pytest.raises(CertificateError, match="too few witnesses"):
            require_witnessed(published)


def test_groups_of_groups_can_be_asked_for(home: Home, one: Served, two: Served) -> None:
    lines = [
        f"witness a {one.vkeys[0]} {one.url}", f"witness b {one.vkeys[1]} {one.url}",
        f"witness c {two.vkeys[0]} {NOBODY}", "group ours all a b", "group g any ours c",
        "quorum g",
    ]  # fmt: skip
    set_policy(home, "\n".join(lines) + "\n")
    published = record_checkpoint(home)
    assert told_by(home, published) == ({"a", "b"}, {"c"})
    require_witnessed(published)


def at(opened: Witness, moment: int, note: str) -> str:
    return cosign_checkpoint(note, opened.signers[:1], opened.name, moment)


def now() -> int:
    return int(datetime.now(UTC).timestamp())


LIES: dict[str, tuple[Callable[[Witness, Witness, str], Lie], str]] = {
    "nothing": (lambda own, other, note: Lie(), "no cosignature"),
    "garbage": (lambda own, other, note: Lie(body=[b"\xff\x00garbage\n\n"]), "no cosignature"),
    "a line of garbage": (lambda own, other, note: Lie(body=["— a b\n".encode()]), "base64"),
    "another witness's": (
        lambda own, other, note: Lie(body=[at(other, now(), note).encode()]),
        "no cosignature",
    ),
    "another size's": (
        lambda own, other, note: Lie(body=[at(own, now(), _of_another_size(note)).encode()]),
        "signature",
    ),
    "another time's": (
        lambda own, other, note: Lie(body=[_with_another_time(at(own, now(), note)).encode()]),
        "signature",
    ),
    "from the future": (
        lambda own, other, note: Lie(body=[at(own, now() + 10_000, note).encode()]),
        "another time than now",
    ),
    "from long ago": (
        lambda own, other, note: Lie(body=[at(own, 1, note).encode()]),
        "another time than now",
    ),
    "huge": (
        lambda own, other, note: Lie(body=(bytes(1 << 16) for _ in range(1 << 16))),
        "more than",
    ),
    "a redirect": (
        lambda own, other, note: Lie(status=307, headers={"Location": "http://127.0.0.1:2/"}),
        "HTTP status 307",
    ),
    "a cosignature that is no success": (
        lambda own, other, note: Lie(status=500, body=[at(own, now(), note).encode()]),
        "HTTP status 500",
    ),
    "no answer but that it failed": (lambda own, other, note: Lie(status=500), "dated ahead"),
    "no size": (lambda own, other, note: Lie(status=409, body=[b"-1\n"]), "no number"),
    "a conflict without end": (lambda own, other, note: Lie(status=409, body=[b"0\n"]), "409"),
    "unknown log": (lambda own, other, note: Lie(status=404), "give it the trust file"),
    "no HTTP": (lambda own, other, note: Lie(raw=[b"\x1b[2J\x07hello\n"]), "hello"),
    "a hung up line": (lambda own, other, note: Lie(raw=[]), "Remote end closed"),
}


def _of_another_size(note: str) -> str:
    state = parse_checkpoint(note)
    return note.replace(f"\n{state.size}\n", f"\n{state.size + 1}\n", 1)


def _with_another_time(line: str) -> str:
    head, _, tail = line.rpartition(" ")
    return f"{head} {tail[:8]}{'B' if tail[8] == 'A' else 'A'}{tail[9:]}"


@pytest.mark.parametrize("lie", LIES)
def test_a_witness_that_lies_is_told_as_silent(home: Home, tmp_path: Path, lie: str) -> None:
    own, other = (create_witness(tmp_path / name, f"{name}.example") for name in ("own", "other"))
    answer, why = LIES[lie]
    record_checkpoint(home)
    with lying(lambda request: answer(own, other, parse_request(request).note)) as url:
        add_witness(home, "own", own.vkeys[0], url)
        published = record_checkpoint(home)
    own.book.close()
    other.book.close()
    assert told_by(home, published) == (set(), {"own"})
    assert why in published.silent["own"]
    assert published.silent["own"].isprintable()
    with pytest.raises(CertificateError, match="own: "):
        require_witnessed(published)
    fill(home.ledger, 1)  # silence is no reason to stop


def test_a_witness_that_keeps_us_waiting_is_given_up(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it does it: a time-out of each step by itself would go on for ever."""
    monkeypatch.setattr(cosigning, "_SECONDS_TO_ANSWER", 0.3)
    over, own = threading.Event(), create_witness(tmp_path / "own", "own.example")
    own.book.close()

    def drip(head: bytes, some: bytes) -> Iterator[bytes]:
        yield head
        while not over.wait(0.05):
            yield some

    ways = [
        drip(b"", b""),
        drip(b"HTTP/1.1 2", b"0"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ]
    add_witness(home, "own", own.vkeys[0], NOBODY)
    for way in ways:
        with lying(lambda request, way=way: Lie(raw=way)) as url:
            moved(home, "own", url)
            try:
                assert record_checkpoint(home).silent == {"own": "timed out"}
            finally:
                over.set()
        over.clear()


def test_a_handshake_that_never_ends_is_given_up() -> None:
    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB begins
            while True:
                connection.sendall(b"\x02")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        with pytest.raises(LedgerError, match=r"^timed out$"):
            url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
            post(url, b"", "text/plain", timeout=0.3, largest=1)
        thread.join()


def test_addresses_that_are_none_are_told_as_silent(home: Home, one: Served) -> None:
    joined(home, "dpo", one)
    for url in (
        "",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "ftp://h",
        "http://" + "a" * 99,
    ):
        moved(home, "dpo", url)
        published = record_checkpoint(home)
        assert told_by(home, published) == (set(), {"dpo"})


def test_no_record_is_issued_without_the_quorum_and_exactly_one_with_it(
    home: Home, tmp_path: Path
) -> None:
    stock(home)
    witness = create_witness(tmp_path / "w", "w.example")
    witness.book.close()
    add_witness(home, "dpo", witness.vkeys[0], NOBODY)
    with pytest.raises(CertificateError, match=r"too few witnesses .*dpo: .*refused"):
        issue_record(home)
    prefix = case_stream("")
    (case,) = (name.removeprefix(prefix) for name in home.ledger.streams(prefix))
    state = load_case(home, case)
    assert state.prepared is not None and state.issued is None
    assert not home.certificates.exists() or not list(home.certificates.iterdir())
    with serving(tmp_path / "w", home.trust.policy) as served:
        moved(home, "dpo", served.url)
        issue(home, case, load_case(home, case))
        moved(home, "dpo", NOBODY)
        with pytest.raises(CertificateError, match="too few witnesses"):
            publish(home, case)
        assert not list(home.certificates.glob("*.pdf"))
        moved(home, "dpo", served.url)
        document = publish(home, case)
    assert publish(home, case) == document
    sidecar = document.with_name(f"{document.name}.tlog-proof").read_text()
    assert [path.name for path in home.certificates.glob("*.pdf")] == [document.name]
    trust = parse_trust(home.trust_path.read_bytes())
    report = verify_certificate(
        document.read_bytes(), trust, sidecar=sidecar, now=datetime.now(UTC)
    )
    assert report.status is not Status.INVALID


def test_without_a_quorum_to_reach_a_record_is_issued(home: Home, tmp_path: Path) -> None:
    stock(home)
    witness = create_witness(tmp_path / "w", "w.example")
    witness.book.close()
    add_witness(home, "dpo", witness.vkeys[0], NOBODY, "none")
    assert issue_record(home).pdf


def files(home: Home) -> tuple[bytes, bytes]:
    return home.checkpoints_path.read_bytes(), home.trust_path.read_bytes()


def put_back(home: Home, backup: Path) -> Home:
    home.close()
    shutil.rmtree(home.root)
    shutil.copytree(backup, home.root)
    return open_home(home.root)


@pytest.mark.parametrize("grown", [0, 2, 3, 9])
def test_a_whole_home_put_back_is_caught_by_the_witness(
    home: Home, one: Served, tmp_path: Path, grown: int
) -> None:
    """Whether it has become shorter, as long as it was, or longer than what was cosigned."""
    joined(home, "dpo", one)
    record_checkpoint(home)
    home.close()
    shutil.copytree(home.root, tmp_path / "backup")
    fill(home.ledger, 3, "first")
    record_checkpoint(home)
    with_backup = put_back(home, tmp_path / "backup")
    try:
        fill(with_backup.ledger, grown, "second")
        before = files(with_backup)
        with pytest.raises(TamperedError, match="dpo has cosigned 5 entries") as caught:
            record_checkpoint(with_backup)
        assert caught.value.exit_code == 5
        assert files(with_backup) == before
        for opened in (with_backup, open_home(with_backup.root)):
            with pytest.raises(TamperedError, match="read-only"):
                fill(opened.ledger, 1, "third")
            with pytest.raises(TamperedError, match="read-only"):
                record_checkpoint(opened)
            with pytest.raises(TamperedError, match="read-only"):
                remove_witness(opened, "dpo")
            opened.close()
        assert files(with_backup) == before
    finally:
        with_backup.close()


@pytest.mark.parametrize("grown", [1, 4, 9])
def test_a_home_put_back_from_before_its_first_checkpoint_is_caught_too(
    home: Home, one: Served, tmp_path: Path, grown: int
) -> None:
    joined(home, "dpo", one)
    home.close()
    shutil.copytree(home.root, tmp_path / "backup")
    fill(home.ledger, 4, "first")
    record_checkpoint(home)
    with_backup = put_back(home, tmp_path / "backup")
    try:
        fill(with_backup.ledger, grown, "second")
        with pytest.raises(TamperedError, match="dpo has cosigned 6 entries"):
            record_checkpoint(with_backup)
        assert with_backup.read_only
    finally:
        with_backup.close()


def test_a_clone_that_was_cosigned_at_the_same_size_is_caught(
    home: Home, one: Served, tmp_path: Path
) -> None:
    joined(home, "dpo", one)
    home.close()
    clone = open_home(Path(shutil.copytree(home.root, tmp_path / "clone")))
    try:
        for each, stream in ((home, "first"), (clone, "second")):
            fill(each.ledger, 2, stream)
        moved(clone, "dpo", NOBODY)
        record_checkpoint(clone)  # nobody could tell it
        record_checkpoint(home)
        moved(clone, "dpo", one.url)
        with pytest.raises(TamperedError, match="cosigned 4 entries that aren't"):
            record_checkpoint(clone)
        assert list((one.folder / "evidence").iterdir())
    finally:
        clone.close()


@pytest.mark.parametrize("body", [b"999\n", b"9223372036854775807\n"])
def test_a_later_state_that_a_witness_claims_stops_the_ledger(
    home: Home, one: Served, body: bytes
) -> None:
    """Nothing shows whether it lies, so a person has to look."""
    joined(home, "dpo", one)
    record_checkpoint(home)
    with lying(lambda _: Lie(status=409, body=[body], headers={"Content-Type": SIZE_TYPE})) as url:
        moved(home, "dpo", url)
        before = files(home)
        with pytest.raises(TamperedError, match="dpo has cosigned"):
            record_checkpoint(home)
    assert files(home) == before
    assert "dpo" in home.read_only


def test_a_witness_that_finds_no_proof_good_stops_the_ledger_where_it_knew_it(
    home: Home, one: Served
) -> None:
    """Of a witness that knew nothing before it can mean no more than that it is broken."""
    record_checkpoint(home)
    with lying(lambda _: Lie(status=409, body=[b"0\n"])) as url:
        joined(home, "dpo", replace(one, url=url))
        assert record_checkpoint(home).silent["dpo"].endswith("409")
    answers = {"0": Lie(status=422), "1": Lie(status=409, body=[b"0\n"])}
    with lying(lambda request: answers[str(min(parse_request(request).old, 1))]) as url:
        moved(home, "dpo", url)
        assert record_checkpoint(home).silent["dpo"].endswith("422")
    with lying(lambda _: Lie(status=422)) as url:
        moved(home, "dpo", url)
        with pytest.raises(TamperedError, match="dpo has cosigned 2 entries that aren't"):
            record_checkpoint(home)
    assert "dpo" in home.read_only


def resigned(home: Home, moment: int) -> None:
    """The newest checkpoint as if it had been signed at another time."""
    state = parse_checkpoint(home.checkpoints_path.read_text())
    note = sign_checkpoint(state, home.log_signers, moment)
    write_file(home.checkpoints_path, note.encode())
    write_file(home.trust_path, trust_bytes(replace(home.trust, checkpoint=note)))


def test_a_clock_set_back_is_refused(home: Home) -> None:
    record_checkpoint(home)
    for grown in (0, 1):
        fill(home.ledger, grown)
        resigned(home, now() + CLOCK_TOLERANCE + 1_000)
        before = files(home)
        with pytest.raises(HomeError, match=r"signed at .* UTC.*set the clock right"):
            record_checkpoint(home)
        assert files(home) == before


def test_a_clock_that_once_ran_ahead_is_got_past_under_a_new_name(home: Home) -> None:
    record_checkpoint(home)
    resigned(home, now() + CLOCK_TOLERANCE + 10**8)
    with pytest.raises(HomeError, match="--new-origin"):
        record_checkpoint(home)
    done = recover(home, source=None, known=[], new_origin=True)
    assert done.condition is Condition.AHEAD
    assert record_checkpoint(home).found.signed <= now()
    with pytest.raises(MisuseError, match="no new name"):
        recover(home, source=None, known=[], new_origin=True)


def test_within_the_tolerance_the_stated_time_never_goes_back(home: Home) -> None:
    record_checkpoint(home)
    ahead = now() + CLOCK_TOLERANCE - 100
    resigned(home, ahead)
    for _ in range(2):
        fill(home.ledger, 1)
        assert record_checkpoint(home).found.signed == ahead


def consistent(home: Home, notes: list[str]) -> None:
    """Each checkpoint extends every other that is smaller."""
    states = sorted({parse_checkpoint(note) for note in notes}, key=lambda state: state.size)
    for old, new in pairwise(states):
        path = home.ledger.prove_extension(old.size, new.size)
        verify_consistency(old.size, new.size, old.root, new.root, path)


def test_any_state_of_the_two_files_leads_to_a_checkpoint_that_fits(
    home: Home, one: Served
) -> None:
    joined(home, "dpo", one)
    first = record_checkpoint(home).note
    fill(home.ledger, 2)
    second = record_checkpoint(home).note
    bare = second[: second.rindex("— ")]
    assert parse_checkpoint(bare) == parse_checkpoint(second)
    notes = {"missing": "", "first": first, "bare": bare, "second": second}
    for kept in notes.values():
        for trusted in notes.values():
            if second not in (kept, trusted) and bare not in (kept, trusted):
                continue  # what was signed is in neither: a home put back, see above
            home.checkpoints_path.unlink(missing_ok=True)
            if kept:
                home.checkpoints_path.write_text(kept)
            write_file(home.trust_path, trust_bytes(replace(home.trust, checkpoint=trusted)))
            published = record_checkpoint(home)
            assert told_by(home, published) == ({"dpo"}, set())
            assert parse_checkpoint(published.note) == parse_checkpoint(second)
    fill(home.ledger, 1)
    consistent(home, [first, second, record_checkpoint(home).note])


SIGNING = """
import sys
from pathlib import Path
from auditor.proof.checkpoint import parse_checkpoint
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.homes.home import open_home
from tests.ledger.books import fill
home = open_home(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    fill(home.ledger, 1, "killed")
    print(parse_checkpoint(record_checkpoint(home).note).size, flush=True)
"""


def test_a_signer_killed_anywhere_leaves_a_home_that_goes_on(
    home: Home, one: Served, campaign: Campaign
) -> None:
    joined(home, "dpo", one)
    record_checkpoint(home)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["."])}
    notes = []
    for number in range(campaign.rounds(2, of=40)):
        home.close()
        command = [sys.executable, "-c", SIGNING, str(home.root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
            assert run.stdout is not None
            for _ in range(2 + number % 2):
                run.stdout.readline()
            time.sleep(0.003 * number)
            run.send_signal(signal.SIGKILL)
            campaign.count(kills=1)
        notes += [home.checkpoints_path.read_text(), home.trust.checkpoint]
        notes.append(record_checkpoint(home).note)
        assert told_by(home, record_checkpoint(home)) == ({"dpo"}, set())
    consistent(home, notes)


def test_signers_that_race_leave_the_newest_checkpoint(home: Home, one: Served) -> None:
    joined(home, "dpo", one)
    threads, failures = [], []

    def sign(stream: str) -> None:
        opened = open_home(home.root)
        try:
            for _ in range(3):
                fill(opened.ledger, 1, stream)
                record_checkpoint(opened)
        except Exception as error:  # a thread's own would be lost
            failures.append(error)
        finally:
            opened.close()

    for stream in ("a", "b", "c"):
        threads.append(threading.Thread(target=sign, args=(stream,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert failures == []
    published = record_checkpoint(home)
    assert published.found.checkpoint.size == home.ledger.size == 11
    assert told_by(home, published) == ({"dpo"}, set())


def test_a_policy_changed_while_a_checkpoint_is_signed_is_kept(
    home: Home, one: Served, tmp_path: Path
) -> None:
    other = create_witness(tmp_path / "other", "other.example")
    other.book.close()
    asked = threading.Event()
    changed: list[LogPolicy] = []

    def answer(request: str) -> Lie:
        asked.set()
        reply = one.ask(request)
        return Lie(status=reply.status, body=[reply.text.encode()])

    def change() -> None:
        asked.wait()
        opened = open_home(home.root)
        changed.append(add_witness(opened, "late", other.vkeys[0], NOBODY))
        opened.close()

    thread = threading.Thread(target=change)
    with lying(answer) as url:
        add_witness(home, "dpo", one.ed25519, url)
        thread.start()
        record_checkpoint(home)
        thread.join()
    assert [home.trust.policy] == changed
    assert [witness.name for witness in home.trust.policy.witnesses] == ["dpo", "late"]
    assert home.trust.checkpoint == home.checkpoints_path.read_text()


def test_a_home_that_cannot_be_written_says_so(home: Home) -> None:
    (home.root / "checkpoint.lock").mkdir()
    with pytest.raises(HomeError, match="can't lock"):
        record_checkpoint(home)


def test_an_encoded_line_stays_what_it_was() -> None:
    """`_with_another_time` changes the time and nothing else."""
    line = f"— w {b64encode(bytes(4) + bytes(8) + b'signature').decode()}\n"
    assert _with_another_time(line) != line
    assert len(_with_another_time(line)) == len(line)
