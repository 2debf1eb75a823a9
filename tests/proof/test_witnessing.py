"""What a witness answers: each status of tlog-witness, in the specification's order."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ProofError
from auditor.proof.checkpoint import Checkpoint
from auditor.proof.note import LARGEST_NOTE, NoteKey, parse_vkey
from auditor.proof.witnessing import (
    LARGEST_REQUEST,
    AddCheckpoint,
    Judged,
    format_request,
    judge,
    parse_request,
    parse_size,
)
from tests.proof import plainly

NAME = "example.com/ledger"
OTHER = "example.com/other"
NOW = 1_795_000_000
LOG = plainly.ed25519("log")
LOG_PQ = plainly.ml_dsa_44("log")
STRANGER = plainly.ed25519("stranger")
LOGS: Mapping[str, tuple[NoteKey, ...]] = {
    NAME: (
        parse_vkey(plainly.vkey(NAME, 0x01, LOG)),
        parse_vkey(plainly.vkey(NAME, 0x06, LOG_PQ)),
    )
}
ENTRIES = [f"entry {number}".encode() for number in range(20)]
REWRITTEN = [b"rewritten", *ENTRIES[1:]]


def state(size: int, entries: list[bytes] = ENTRIES, origin: str = NAME) -> Checkpoint:
    return Checkpoint(origin=origin, size=size, root=plainly.tree_hash(entries[:size]))


def unsigned(checkpoint: Checkpoint) -> str:
    return plainly.checkpoint_text(checkpoint.origin, checkpoint.size, checkpoint.root)


@cache  # ML-DSA signatures are random: the same note for the same state
def signed(checkpoint: Checkpoint) -> str:
    text = unsigned(checkpoint)
    name = checkpoint.origin
    lines = plainly.note_line(name, LOG, text) + plainly.line_06(name, LOG_PQ, NOW, text)
    return f"{text}\n{lines}"


def asked(
    old: int,
    new: int,
    *,
    entries: list[bytes] = ENTRIES,
    note: str = "",
    path: list[bytes] | None = None,
) -> AddCheckpoint:
    proof = plainly.consistency_proof(old, entries[:new]) if path is None else path
    return AddCheckpoint(old=old, path=tuple(proof), note=note or signed(state(new, entries)))


def status(request: AddCheckpoint, latest: Checkpoint | None) -> HTTPStatus:
    judged = judge(request, LOGS, latest)
    assert (judged.checkpoint is not None) == (judged.status is HTTPStatus.OK)
    assert (judged.size is not None) == (judged.status is HTTPStatus.CONFLICT)
    assert "\n" not in judged.why
    return judged.status


# 200


@pytest.mark.parametrize("new", [0, 1, 2, 7, 8, 20])
def test_a_logs_first_checkpoint_is_cosigned(new: int) -> None:
    judged = judge(asked(0, new), LOGS, None)
    assert judged == Judged(status=HTTPStatus.OK, checkpoint=state(new))


@pytest.mark.parametrize(("old", "new"), [(0, 5), (1, 2), (3, 7), (8, 16), (7, 20), (19, 20)])
def test_growth_is_cosigned(old: int, new: int) -> None:
    assert status(asked(old, new), state(old)) == 200


def test_the_same_checkpoint_again_is_cosigned_again() -> None:
    assert status(asked(7, 7), state(7)) == 200
    assert status(asked(0, 0), state(0)) == 200


def test_lines_of_strangers_are_ignored() -> None:
    note = signed(state(7))
    stranger = plainly.note_line(NAME, STRANGER, unsigned(state(7)))
    assert status(asked(3, 7, note=note + stranger), state(3)) == 200


# 404, 403


def test_an_unknown_origin_is_not_found() -> None:
    note = signed(state(7, origin=OTHER))
    assert status(asked(3, 7, note=note), state(3)) == 404
    assert judge(asked(3, 7), {}, state(3)).status == 404
    assert judge(asked(3, 7), {NAME: ()}, state(3)).status == 404


def test_a_checkpoint_that_a_key_of_the_log_hasnt_signed_is_forbidden() -> None:
    text = unsigned(state(7))
    first = plainly.note_line(NAME, LOG, text)
    second = plainly.line_06(NAME, LOG_PQ, NOW, text)
    elsewhere = plainly.note_line(NAME, LOG, unsigned(state(8)))
    for lines in (
        first,
        second,
        plainly.note_line(NAME, STRANGER, text),
        plainly.note_line(NAME, STRANGER, text) + second,
        elsewhere + second,
        first + plainly.line_06(NAME, LOG_PQ, NOW, unsigned(state(8))),
        first + second + elsewhere,
        first + first + second,
    ):
        assert status(asked(3, 7, note=f"{text}\n{lines}"), state(3)) == 403
    assert status(asked(3, 7, note=f"{text}\n{first}{second}"), state(3)) == 200


# 400, 409, 422


def test_an_old_size_above_the_new_one_is_a_bad_request() -> None:
    assert status(asked(8, 7, path=[]), state(8)) == 400
    assert status(asked(2**63 - 1, 7, path=[]), state(3)) == 400


@pytest.mark.parametrize(("old", "known"), [(0, 5), (4, 5), (6, 5), (7, 5), (3, 0)])
def test_another_old_size_than_the_one_on_record_conflicts_and_is_told(
    old: int, known: int
) -> None:
    judged = judge(asked(old, 7), LOGS, state(known))
    assert (judged.status, judged.size) == (409, known)


def test_an_old_size_above_zero_conflicts_where_nothing_is_on_record() -> None:
    judged = judge(asked(3, 7), LOGS, None)
    assert (judged.status, judged.size) == (409, 0)


def test_a_log_that_shrinks_conflicts() -> None:
    assert status(asked(7, 7), state(20)) == 409
    assert status(asked(20, 7, path=[]), state(20)) == 400


def test_two_roots_for_one_size_conflict_whatever_the_proof() -> None:
    for path in ([], plainly.consistency_proof(3, ENTRIES[:7])):
        judged = judge(asked(7, 7, entries=REWRITTEN, path=path), LOGS, state(7))
        assert (judged.status, judged.size) == (409, 7)


def test_a_rewritten_past_is_unprocessable() -> None:
    assert status(asked(3, 7, entries=REWRITTEN), state(3)) == 422
    honest = plainly.consistency_proof(3, ENTRIES[:7])
    assert status(asked(3, 7, entries=REWRITTEN, path=honest), state(3)) == 422


def test_a_proof_too_short_too_long_or_of_others_is_unprocessable() -> None:
    path = plainly.consistency_proof(3, ENTRIES[:7])
    for forged in ([], path[:-1], [*path, path[0]], path[::-1], [plainly.sha256(b"x"), *path[1:]]):
        assert status(asked(3, 7, path=forged), state(3)) == 422
    assert status(asked(7, 7, path=path), state(7)) == 422
    assert status(asked(0, 7, path=path), None) == 422  # "MUST be empty if the old size is zero"
    assert status(asked(0, 7, path=path), state(0)) == 422


def test_a_tree_of_nothing_has_the_empty_root() -> None:
    bogus = Checkpoint(origin=NAME, size=0, root=plainly.sha256(b"x"))
    assert status(asked(0, 0, note=signed(bogus)), None) == 422
    assert status(asked(0, 0, note=signed(bogus)), state(0)) == 409


# the order


def test_the_first_rule_broken_in_the_specifications_order_is_the_answer() -> None:
    """A request that breaks every rule; put right from the first on, it earns the next status."""
    stranger = unsigned(state(2, REWRITTEN, OTHER)) + "\n"
    stranger += plainly.note_line(OTHER, STRANGER, unsigned(state(2, REWRITTEN, OTHER)))
    broken = asked(3, 2, note=stranger, path=[b"x" * 32])
    assert status(broken, state(5)) == 404
    text = unsigned(state(2, REWRITTEN))
    broken = asked(
        3, 2, note=f"{text}\n{plainly.note_line(NAME, STRANGER, text)}", path=[b"x" * 32]
    )
    assert status(broken, state(5)) == 403
    assert status(asked(3, 2, entries=REWRITTEN, path=[b"x" * 32]), state(5)) == 400
    assert status(asked(3, 7, entries=REWRITTEN, path=[b"x" * 32]), state(5)) == 409
    assert status(asked(5, 5, entries=REWRITTEN, path=[b"x" * 32]), state(5)) == 409
    assert status(asked(5, 7, entries=REWRITTEN, path=[b"x" * 32]), state(5)) == 422
    assert status(asked(5, 7), state(5)) == 200


@given(st.integers(0, 20), st.integers(0, 20), st.none() | st.integers(0, 20), st.booleans())
def test_a_state_is_recorded_only_if_it_extends_the_one_on_record(
    old: int, new: int, known: int | None, honest: bool
) -> None:
    entries = ENTRIES if honest else REWRITTEN
    latest = None if known is None else state(known)
    path = plainly.consistency_proof(old, entries[:new])
    judged = judge(asked(old, new, entries=entries, path=path), LOGS, latest)
    extends = old == (known or 0) and old <= new and (honest or not known)
    if not honest and new == 0:
        extends = old == (known or 0) == 0  # the empty tree has no past to rewrite
    assert (judged.status == 200) == extends
    if judged.checkpoint is not None:
        assert judged.checkpoint == state(new, entries)


# requests as text


def test_a_request_is_written_as_the_specification_says() -> None:
    path = plainly.consistency_proof(3, ENTRIES[:7])
    note = signed(state(7))
    text = "old 3\n" + "".join(f"{plainly.base64(value)}\n" for value in path) + "\n" + note
    assert format_request(asked(3, 7)) == text
    assert parse_request(text) == asked(3, 7)
    assert format_request(asked(0, 7)) == f"old 0\n\n{note}"


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_request_is_read_as_it_was_written(old: int, path: list[bytes]) -> None:
    request = AddCheckpoint(old=old, path=tuple(path), note=NOTE)
    assert parse_request(format_request(request)) == request


NOTE = signed(state(7))
GOOD = format_request(asked(3, 7))
HASH = GOOD.split("\n")[1]


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "\n\n",
        GOOD.replace("old 3", "old"),
        GOOD.replace("old 3", "old "),
        GOOD.replace("old 3", "old 03"),
        GOOD.replace("old 3", "old +3"),
        GOOD.replace("old 3", "old -3"),
        GOOD.replace("old 3", "old 3 "),
        GOOD.replace("old 3", "old  3"),
        GOOD.replace("old 3", "old\t3"),
        GOOD.replace("old 3", "old ٣"),
        GOOD.replace("old 3", "new 3"),
        GOOD.replace("old 3", "3"),
        GOOD.replace("old 3", f"old {2**63}"),
        GOOD.replace("old 3", f"old {'9' * 5_000}"),
        GOOD.replace("old 3\n", ""),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(HASH, HASH[:-1]),
        GOOD.replace(HASH, HASH + " "),
        GOOD.replace(HASH, plainly.base64(bytes(31))),
        GOOD.replace(HASH, plainly.base64(bytes(33))),
        GOOD.replace(HASH, ""),
        GOOD.replace(HASH, "\n".join([HASH] * 62)),  # 64 with those that follow
        GOOD.replace("\n\n", "\n", 1),
        GOOD.replace("\n\n", "\n\n\n", 1),
        GOOD.partition("\n\n")[0],
        GOOD.partition("\n\n")[0] + "\n\n",
        GOOD[:-1],
        GOOD.replace("\n7\n", "\n07\n"),
        GOOD.replace(HASH, HASH + "A" * LARGEST_REQUEST),
        "\ud800" + GOOD,
        GOOD.replace("old 3", "old 3\ud800"),
    ],
)
def test_what_is_no_request_is_refused(forged: str) -> None:
    assert parse_request(GOOD).old == 3
    with pytest.raises(ProofError) as caught:
        parse_request(forged)
    assert "\n" not in str(caught.value)


def test_the_largest_request_there_can_be_is_known_beforehand() -> None:
    note = NOTE + plainly.line("stranger.example", bytes(4), bytes(3 * 64_000))
    fits = note.replace("stranger.example", "s" * (LARGEST_NOTE - len(note.encode()) + 16))
    assert len(fits.encode()) == LARGEST_NOTE
    request = AddCheckpoint(old=2**63 - 1, path=(bytes(32),) * 63, note=fits)
    assert parse_request(format_request(request)) == request
    assert len(format_request(request).encode()) <= LARGEST_REQUEST
    with pytest.raises(ProofError, match="too large"):
        parse_request(format_request(request).replace("— s", "— ss"))


def test_a_request_has_at_most_63_hashes() -> None:
    head, _, note = GOOD.partition("\n\n")
    old = head.split("\n")[0]
    assert len(parse_request("\n".join([old, *[HASH] * 63]) + "\n\n" + note).path) == 63
    with pytest.raises(ProofError, match="at most 63"):
        parse_request("\n".join([old, *[HASH] * 64]) + "\n\n" + note)


@given(
    st.text(max_size=200)
    | st.tuples(st.integers(0, len(GOOD)), st.text(max_size=20)).map(
        lambda change: GOOD[: change[0]] + change[1] + GOOD[change[0] :]
    )
)
def test_any_text_is_a_request_that_is_judged_or_no_request(text: str) -> None:
    try:
        request = parse_request(text)
    except ProofError as error:
        assert "\n" not in str(error)
        return
    assert parse_request(format_request(request)) == request
    assert status(request, state(3)) in (200, 400, 403, 404, 409, 422)


@pytest.mark.parametrize("size", [0, 1, 20, 2**63 - 1])
def test_the_size_in_a_conflicts_answer_is_read(size: int) -> None:
    assert parse_size(f"{size}\n") == size


@pytest.mark.parametrize(
    "forged",
    ["", "\n", "3", "33", "3\n\n", "03\n", "-3\n", "3 \n", "٣\n", "3\r\n", f"{2**63}\n", "x\n"],
)
def test_another_answer_to_a_conflict_is_refused(forged: str) -> None:
    with pytest.raises(ProofError):
        parse_size(forged)
