"""Proofs in one file (tlog-proof): what is carried, in which form, and how much of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ProofError
from auditor.proof.log_policy import parse_policy
from auditor.proof.tlog_proof import (
    LARGEST_PROOF,
    carried_entry,
    carried_note,
    format_proof,
    verify_tlog_proof,
)
from tests.proof import plainly

NAME = "example.com/ledger"
NOW = 1_795_000_000
LOG = plainly.ed25519("log")
WITNESSES = [f"w{number}" for number in range(64)]
ALONE = parse_policy(f"log {plainly.vkey(NAME, 1, LOG)}\nquorum none\n")
ENTRIES = [f"entry {number}".encode() for number in range(7)]


def note_of(entries: list[bytes]) -> str:
    text = plainly.checkpoint_text(NAME, len(entries), plainly.tree_hash(entries))
    return text + "\n" + plainly.note_line(NAME, LOG, text)


NOTE = note_of(ENTRIES)
PATH = plainly.audit_path(3, ENTRIES)
GOOD = format_proof(3, PATH, NOTE, extra=b"entry 3")
HASH = plainly.base64(PATH[0])


def test_a_proof_is_written_as_the_specification_says() -> None:
    hashes = "".join(f"{plainly.base64(value)}\n" for value in PATH)
    plain = f"c2sp.org/tlog-proof@v1\nindex 3\n{hashes}\n{NOTE}"
    assert format_proof(3, PATH, NOTE) == plain
    assert plain.replace("index", "extra ZW50cnkgMw==\nindex") == GOOD
    for text in (plain, GOOD):
        index, found = verify_tlog_proof(text, ENTRIES[3], ALONE, NOW)
        assert (index, found.checkpoint.size) == (3, 7)
        assert carried_note(text) == NOTE


def test_what_is_carried_is_told_and_believed_by_nobody() -> None:
    assert carried_entry(GOOD) == ENTRIES[3]
    lying = format_proof(3, PATH, NOTE, extra=b"entry 4")
    assert carried_entry(lying) == b"entry 4"
    assert verify_tlog_proof(lying, ENTRIES[3], ALONE, NOW)[0] == 3  # the extra isn't looked at
    with pytest.raises(ProofError, match="another root"):
        verify_tlog_proof(lying, carried_entry(lying), ALONE, NOW)
    with pytest.raises(ProofError, match="carries no entry"):
        carried_entry(format_proof(3, PATH, NOTE))


@pytest.mark.parametrize(
    "forged",
    [
        "",
        GOOD.replace("@v1", "@v2"),
        GOOD.replace("c2sp", " c2sp", 1),
        GOOD.replace("@v1", "@v1 "),
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("extra ", "extra"),
        GOOD.replace("extra ", "extra  "),
        GOOD.replace("extra ZW50cnkgMw==", "extra "),
        GOOD.replace("ZW50cnkgMw==", "ZW50cnkgMw"),
        GOOD.replace("ZW50cnkgMw==", "ZW50cnkgMx=="),
        GOOD.replace("extra", "Extra"),
        GOOD.replace("index 3", "extra AAAA\nindex 3"),
        GOOD.replace("index 3\n", ""),
        GOOD.replace("index 3", "index"),
        GOOD.replace("index 3", "index 03"),
        GOOD.replace("index 3", "index -3"),
        GOOD.replace("index 3", "index ٣"),
        GOOD.replace("index 3", "index 3 "),
        GOOD.replace("index 3", "index 2"),
        GOOD.replace("index 3", "3"),
        GOOD.replace("index 3", "index 7"),
        GOOD.replace("index 3", f"index {2**63}"),
        GOOD.replace("index 3", f"index {'9' * 5_000}"),
        GOOD.replace("index 3", "index 3\nindex 3"),
        GOOD.replace(f"{HASH}\n", ""),
        GOOD.replace(HASH, f"{HASH}\n{HASH}"),
        GOOD.replace(HASH, "\n".join([HASH] * 62)),  # 64 with those that follow
        GOOD.replace(HASH, plainly.base64(PATH[0][:31])),
        GOOD.replace(HASH, plainly.base64(PATH[0] + b"\0")),
        GOOD.replace(HASH, f" {HASH}"),
        GOOD.replace(HASH, f"{HASH}\n"),
        GOOD.replace("\n\n", "\n", 1),
        GOOD.replace("\n\n", "\n\n\n", 1),
        f"c2sp.org/tlog-proof@v1\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v1\nextra AAAA\n\n{NOTE}",
        GOOD.partition("\n\n")[0],
        GOOD.partition("\n\n")[0] + "\n\n",
        GOOD[:-1],
        GOOD.replace("ZW50cnkgMw==", "A" * LARGEST_PROOF),
        GOOD.replace("extra", "extra\ud800"),
    ],
)
def test_a_proof_in_any_other_form_is_refused(forged: str) -> None:
    assert forged != GOOD
    with pytest.raises(ProofError) as caught:
        verify_tlog_proof(forged, ENTRIES[3], ALONE, NOW)
    assert "\n" not in str(caught.value)


def test_the_largest_entry_with_64_cosignatures_of_ml_dsa_44_fits_into_a_proof() -> None:
    entry = b"x" * 65_535  # tlog-tiles: the largest there can be
    entries = [*ENTRIES, entry]
    text = plainly.checkpoint_text(NAME, 8, plainly.tree_hash(entries))
    keys = {name: plainly.ml_dsa_44(name) for name in WITNESSES}
    note = text + "\n" + plainly.note_line(NAME, LOG, text)
    note += "".join(plainly.line_06(name, key, NOW, text) for name, key in keys.items())
    policy = parse_policy(
        f"log {plainly.vkey(NAME, 1, LOG)}\n"
        + "".join(f"witness {n} {plainly.vkey(n, 6, key)}\n" for n, key in keys.items())
        + f"group all-of-them all {' '.join(keys)}\nquorum all-of-them\n"
    )
    proof = format_proof(7, plainly.audit_path(7, entries), note, extra=entry)
    index, found = verify_tlog_proof(proof, carried_entry(proof), policy, NOW)
    assert (index, len(found.witnesses)) == (7, 64)


def test_the_last_of_2_to_63_entries_can_be_proved_and_none_after_it() -> None:
    size = 2**63 - 1
    value, path = plainly.sha256(b"\0last"), [plainly.sha256(b"%d" % n) for n in range(62)]
    for sibling in path:
        value = plainly.sha256(b"\1" + sibling + value)
    text = plainly.checkpoint_text(NAME, size, value)
    note = text + "\n" + plainly.note_line(NAME, LOG, text)
    assert verify_tlog_proof(format_proof(size - 1, path, note), b"last", ALONE, NOW)[0] == size - 1
    with pytest.raises(ProofError):
        verify_tlog_proof(format_proof(size, path, note), b"last", ALONE, NOW)


@given(st.integers(0, 6), st.binary(max_size=100))
def test_whatever_is_carried_is_read_as_it_was_written(index: int, extra: bytes) -> None:
    proof = format_proof(index, plainly.audit_path(index, ENTRIES), NOTE, extra=extra)
    assert verify_tlog_proof(proof, ENTRIES[index], ALONE, NOW)[0] == index
    if extra:
        assert carried_entry(proof) == extra


@given(st.text(max_size=200))
def test_any_text_after_the_header_is_read_or_refused(text: str) -> None:
    for each in (text, f"c2sp.org/tlog-proof@v1\n{text}", f"{GOOD.partition(HASH)[0]}{text}"):
        for read in (carried_note, carried_entry):
            try:
                read(each)
            except ProofError as error:
                assert "\n" not in str(error)
