"""The witness over real HTTP: its answers; it neither forgets nor cosigns two histories."""

from __future__ import annotations

import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from auditor.errors import HomeError
from auditor.ledger.witness_book import WitnessBook
from auditor.proof.checkpoint import Checkpoint, find_verified, parse_checkpoint
from auditor.proof.equivocation import verify_equivocation
from auditor.proof.log_policy import policy_text
from auditor.proof.witnessing import LARGEST_REQUEST, SIZE_TYPE
from auditor.workflow.log.witness import create_witness, open_witness
from tests.campaigns import Campaign
from tests.witnesses import Log, Reply, Served, make_log, process, serving


@pytest.fixture(scope="module")
def log() -> Log:
    return make_log()


@pytest.fixture
def served(tmp_path: Path, log: Log) -> Iterator[Served]:
    with serving(tmp_path / "w", log.policy) as made:
        yield made


def cosigned(served: Served, note: str, reply: Reply) -> tuple[int, ...]:
    """The times that both keys of a witness state, once their signatures hold."""
    assert reply.status == 200, reply
    assert reply.text.count("\n") == len(served.keys) == 2
    found = [find_verified(note + reply.text, key) for key in served.keys]
    assert all(moment for moment in found)
    return tuple(moment or 0 for moment in found)


def note_of(request: str) -> str:
    return request.partition("\n\n")[2]


def recorded(folder: Path, log: Log) -> Checkpoint | None:
    book = WitnessBook(f"sqlite:///{folder / 'witness.db'}")
    try:
        note = book.latest(log.origin)
        return None if note is None else parse_checkpoint(note)
    finally:
        book.close()


def rewritten(folder: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(folder / "witness.db")
    with connection:
        assert connection.execute(statement, values).rowcount
    connection.close()


def test_both_cosignatures_of_a_checkpoint_and_of_its_extension_hold(
    served: Served, log: Log
) -> None:
    for old, size in ((0, 5), (5, 5), (5, 32), (32, 40)):
        request = log.request(old, size)
        cosigned(served, note_of(request), served.ask(request))
        assert recorded(served.folder, log) == parse_checkpoint(note_of(request))
    assert served.journal[-1].startswith("200 cosigned: 40 entries of log.example/ledger")


def test_its_keys_are_told_to_who_asks(served: Served) -> None:
    reply = served.ask("", "GET", "/")
    assert (reply.status, tuple(reply.text.split())) == (200, served.vkeys)


def test_an_unknown_log_is_not_found_and_not_named_in_the_journal(served: Served) -> None:
    assert served.ask(make_log("stranger").request(0, 3)).status == 404
    assert served.journal == ["404 unknown origin"]


def test_a_checkpoint_that_not_every_key_of_the_log_signed_is_forbidden(
    served: Served, log: Log
) -> None:
    stranger = make_log(log.origin)
    head = log.request(0, 3).partition("\n\n")[0]
    for signers in (log.signers[:1], log.signers[1:], stranger.signers):
        assert served.ask(f"{head}\n\n{log.note(3, signers=signers)}").status == 403
    spoilt = log.request(0, 3).replace("\n3\n", "\n4\n")
    assert served.ask(spoilt).status == 403
    assert recorded(served.folder, log) is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n\n",
        "old 0\n",
        "old 00\n\n",
        "old -1\n\n",
        "old 0\nAA==\n\n",
        "old 0\n\nno note",
        b"\xff",
    ],
)
def test_what_is_no_request_is_a_bad_one(served: Served, log: Log, body: str | bytes) -> None:
    text = body + log.note(3) if isinstance(body, str) and body.endswith("\n\n") else body
    if text != f"old 0\n\n{log.note(3)}":
        assert served.ask(text).status == 400


def test_an_old_size_above_the_new_one_is_a_bad_request(served: Served, log: Log) -> None:
    assert served.ask(f"old 4\n\n{log.note(3)}").status == 400


def test_another_old_size_is_a_conflict_that_tells_the_one_on_record(
    served: Served, log: Log
) -> None:
    def conflict(old: int, size: int, known: int) -> None:
        reply = served.ask(log.request(old, size))
        assert (reply.status, reply.kind, reply.text) == (409, SIZE_TYPE, f"{known}\n")

    conflict(2, 5, 0)
    served.ask(log.request(0, 5))
    for old, size in ((0, 5), (0, 40), (4, 4), (39, 40)):
        conflict(old, size, 5)


def test_another_root_of_the_same_size_is_a_conflict_and_kept_as_evidence(
    served: Served, log: Log
) -> None:
    served.ask(log.request(0, 5))
    fork = log.forked(3)
    for old in (5, 0):
        reply = served.ask(fork.request(old, 5))
        assert (reply.status, reply.kind, reply.text) == (409, SIZE_TYPE, "5\n")
    (kept,) = (served.folder / "evidence").iterdir()
    found = verify_equivocation(kept.read_bytes(), log.policy)
    assert {found.smaller.root, found.larger.root} == {log.root(5), fork.root(5)}
    assert recorded(served.folder, log) == parse_checkpoint(log.note(5))


def test_strangers_leave_no_evidence(served: Served, log: Log) -> None:
    served.ask(log.request(0, 5))
    stranger = make_log(log.origin).forked(0)
    assert served.ask(stranger.request(5, 5)).status == 403
    assert served.ask(log.request(5, 5)).status == 200
    assert not (served.folder / "evidence").exists()


def test_another_history_has_no_proof_that_would_do(served: Served, log: Log) -> None:
    served.ask(log.request(0, 5))
    fork, honest = log.forked(3), log.request(5, 9)
    lines = honest.partition("\n\n")[0].split("\n")
    bad = [
        fork.request(5, 9),
        "\n".join(lines[:-1]) + "\n\n" + log.note(9),
        "\n".join([*lines, lines[-1]]) + "\n\n" + log.note(9),
        honest.partition("\n\n")[0] + "\n\n" + fork.note(9),
        f"old 5\n\n{log.note(9)}",
    ]
    for request in bad:
        assert served.ask(request).status == 422
    assert recorded(served.folder, log) == parse_checkpoint(log.note(5))
    cosigned(served, note_of(honest), served.ask(honest))


def test_other_paths_and_methods_are_refused(served: Served, log: Log) -> None:
    body = log.request(0, 3)
    for method in ("GET", "PUT", "DELETE", "HEAD", "PATCH"):
        assert served.ask(body, method).status == 405
    for path in ("/add-checkpoint/", "/x", "/../add-checkpoint"):
        assert served.ask(body, path=path).status == 404
    assert recorded(served.folder, log) is None


def raw(served: Served, head: str, body: bytes = b"") -> bytes:
    """Whatever comes back on a connection that is then half closed."""
    answer = b""
    request = f"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n{head}\r\n".encode() + body
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=60)
    with connection, suppress(OSError):  # it may hang up on what it won't read
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while some := connection.recv(1 << 16):
            answer += some
    return answer


def test_lengths_that_lie_get_nothing_cosigned(served: Served, log: Log) -> None:
    body = log.request(0, 3).encode()
    assert b" 411 " in raw(served, "")
    assert b" 413 " in raw(served, f"Content-Length: {LARGEST_REQUEST + 1}\r\n")
    assert b" 400 " in raw(served, f"Content-Length: {len(body) - 1}\r\n", body[:-1])
    for lie in ("-1", "1e3", "0x10", "3, 4", "9" * 5_000):
        assert b" 200 " not in raw(served, f"Content-Length: {lie}\r\n", body)
    assert raw(served, f"Content-Length: {len(body) + 1}\r\n", body) == b""  # it never came whole
    assert recorded(served.folder, log) is None
    chunks = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    assert b" 200 " in raw(served, "Transfer-Encoding: chunked\r\n", chunks)


def test_slow_clients_hold_up_nobody(served: Served, log: Log) -> None:
    slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(20)]
    try:
        for connection in slow:
            connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 9\r\n\r\nold")
        request = log.request(0, 5)
        cosigned(served, note_of(request), served.ask(request))
    finally:
        for connection in slow:
            connection.close()


def test_what_was_cosigned_is_on_record_before_the_answer(tmp_path: Path, log: Log) -> None:
    folder, policy = tmp_path / "w", tmp_path / "policy"
    create_witness(folder, "w.example").book.close()
    policy.write_text(policy_text(log.policy))
    for old, size in ((0, 5), (5, 9)):
        with process(folder, policy) as (served, running):
            request = log.request(old, size)
            reply = served.ask(request)
            running.send_signal(signal.SIGKILL)
            cosigned(served, note_of(request), reply)
            assert running.wait() == -signal.SIGKILL
    with serving(folder, log.policy) as served:
        assert served.ask(log.request(5, 9)).text == "9\n"
        assert served.ask(log.forked(5).request(9, 9)).status == 409
        assert served.ask(log.request(9, 9)).status == 200


def race(servers: list[Served], requests: list[str]) -> list[Reply]:
    start = threading.Barrier(len(requests))

    def ask(number: int) -> Reply:
        start.wait()
        return servers[number % len(servers)].ask(requests[number])

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, range(len(requests))))


def test_of_requests_that_race_the_record_never_goes_back(
    tmp_path: Path, log: Log, campaign: Campaign
) -> None:
    """Some extend what is on record, some another history; two processes share one record."""
    rounds = campaign.rounds(3, of=100)
    log = make_log(log.origin, size=500)
    folder, policy = tmp_path / "w", tmp_path / "policy"
    create_witness(folder, "w.example").book.close()
    policy.write_text(policy_text(log.policy))
    fork = log.forked(20)
    with process(folder, policy) as (one, _), process(folder, policy) as (other, _):
        assert one.ask(log.request(0, 20)).status == 200
        known = 20
        for _ in range(rounds):
            sizes = [known + ahead for ahead in (1, 2, 3, 4)]
            requests = [each.request(known, size) for size in sizes for each in (log, fork)]
            replies = race([one, other], requests)
            campaign.count(requests=len(requests))
            won = [i for i, reply in enumerate(replies) if reply.status == 200]
            assert len(won) == 1
            stated = parse_checkpoint(note_of(requests[won[0]]))
            assert recorded(folder, log) == stated
            told = {reply.text for reply in replies if reply.status == 409}
            assert told == {f"{stated.size}\n"}
            assert {reply.status for reply in replies} <= {200, 409, 422}
            if stated.root == fork.root(stated.size):
                log, fork = fork, log
            known = stated.size


def test_a_clock_set_back_never_gives_an_older_time(served: Served, log: Log) -> None:
    first = log.request(0, 5)
    now = max(cosigned(served, note_of(first), served.ask(first)))
    rewritten(served.folder, "UPDATE cosigned SET moment = moment + 500")
    for old, size in ((5, 5), (5, 9), (9, 9)):
        request = log.request(old, size)
        assert cosigned(served, note_of(request), served.ask(request)) == (now + 500,) * 2


def test_a_record_dated_ahead_is_told_and_gives_no_cosignature_that_nobody_takes(
    served: Served, log: Log
) -> None:
    first = log.request(0, 5)
    cosigned(served, note_of(first), served.ask(first))
    rewritten(served.folder, "UPDATE cosigned SET moment = moment + 400 * 86400")
    for old, size in ((5, 5), (5, 9)):
        reply = served.ask(log.request(old, size))
        assert (reply.status, reply.text) == (500, "")
        assert "dated ahead of this clock" in served.journal[-1]
        assert "make a new witness" in served.journal[-1]
    assert recorded(served.folder, log) == parse_checkpoint(note_of(first))
    assert served.ask(log.request(0, 9)).text == "5\n"  # what it knows it tells all the same


@pytest.mark.parametrize(
    "damage", [b"", b"no database at all, but text of some length" * 99, None], ids=str
)
def test_a_damaged_record_is_an_error_and_nothing_is_cosigned(
    tmp_path: Path, log: Log, damage: bytes | None
) -> None:
    with serving(tmp_path / "w", log.policy) as served:
        served.ask(log.request(0, 5))
    database = tmp_path / "w" / "witness.db"
    content = database.read_bytes()
    database.write_bytes(content[:4096] + bytes(len(content) - 4096) if damage is None else damage)
    with serving(tmp_path / "w", log.policy) as served:
        for request in (log.request(0, 5), log.request(5, 9), log.forked(2).request(0, 9)):
            reply = served.ask(request)
            assert (reply.status, reply.text) == (500, "")
        assert all(line.startswith("internal error: ") for line in served.journal)


@pytest.mark.parametrize(
    "value",
    ["", "x", "no note\n\n", 7, b"bytes", None],
    ids=repr,
)
def test_a_record_that_is_no_checkpoint_is_an_error(
    served: Served, log: Log, value: object
) -> None:
    served.ask(log.request(0, 5))
    rewritten(served.folder, "UPDATE cosigned SET note = ifnull(?, x'00')", value)
    assert served.ask(log.request(5, 9)).status == 500
    assert served.ask(log.request(0, 9)).status == 500


def test_a_record_that_the_log_never_signed_is_an_error(served: Served, log: Log) -> None:
    served.ask(log.request(0, 5))
    note = log.note(5)
    for changed in (note.replace("\n5\n", "\n4\n"), make_log(log.origin).note(5), note[:-200]):
        rewritten(served.folder, "UPDATE cosigned SET note = ?", changed)
        assert served.ask(log.request(5, 9)).status == 500
    rewritten(served.folder, "UPDATE cosigned SET note = ?, moment = 'soon'", note)
    assert served.ask(log.request(5, 9)).status == 500
    rewritten(served.folder, "UPDATE cosigned SET moment = 9")
    assert served.ask(log.request(5, 9)).status == 200


def test_a_witness_without_its_record_does_not_start(tmp_path: Path) -> None:
    create_witness(tmp_path / "w", "w.example").book.close()
    (tmp_path / "w" / "witness.db").unlink()
    with pytest.raises(HomeError, match="lost its record"):
        open_witness(tmp_path / "w")
    assert not (tmp_path / "w" / "witness.db").exists()


def test_two_logs_are_witnessed_side_by_side(tmp_path: Path, log: Log) -> None:
    other = make_log("other.example")
    with serving(tmp_path / "w", log.policy, other.policy) as served:
        for each, size in ((log, 5), (other, 3)):
            request = each.request(0, size)
            cosigned(served, note_of(request), served.ask(request))
        assert served.ask(log.request(3, 9)).text == "5\n"
        assert served.ask(other.request(5, 9)).text == "3\n"
