"""Checkpoints as notes: what the log and witnesses sign, and every forged twin refused.

Expected bytes are written from the specifications in `tests.proof.plainly`.
"""

from __future__ import annotations

import struct
from base64 import b64decode

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ProofError
from auditor.proof.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    find_verified,
    key_of,
    parse_checkpoint,
    sign_checkpoint,
)
from auditor.proof.log_policy import (
    CLOCK_TOLERANCE,
    LogPolicy,
    Witnessed,
    examine_checkpoint,
    parse_policy,
    verify_cosigned,
)
from auditor.proof.note import MOST_SIGNATURES, note_key, parse_vkey, split_note
from tests.proof import plainly

NAME = "example.com/ledger"
OTHER = "example.com/other"
WITNESS = "witness.example/w"
NOW = 1_795_000_000

LOG = plainly.ed25519("log")
LOG_PQ = plainly.ml_dsa_44("log")
STRANGER = plainly.ed25519("stranger")
W4 = plainly.ed25519("witness")
W6 = plainly.ml_dsa_44("witness")

ROOT = plainly.tree_hash([b"a", b"b", b"c"])
STATE = Checkpoint(origin=NAME, size=3, root=ROOT)
TEXT = plainly.checkpoint_text(NAME, 3, ROOT)
LINE_01 = plainly.note_line(NAME, LOG, TEXT)
LINE_06 = plainly.line_06(NAME, LOG_PQ, NOW, TEXT)
COSIGNED_04 = plainly.line_04(WITNESS, W4, NOW, TEXT)
COSIGNED_06 = plainly.line_06(WITNESS, W6, NOW, TEXT)
NOTE = TEXT + "\n" + LINE_01 + LINE_06
COSIGNED = NOTE + COSIGNED_04 + COSIGNED_06

POLICY_TEXT = f"""\
log {plainly.vkey(NAME, 0x01, LOG)}
log {plainly.vkey(NAME, 0x06, LOG_PQ)}
witness w4 {plainly.vkey(WITNESS, 0x04, W4)}
witness w6 {plainly.vkey(WITNESS, 0x06, W6)}
group both all w4 w6
quorum both
"""
POLICY = parse_policy(POLICY_TEXT)
ALONE = parse_policy(POLICY_TEXT.replace("quorum both", "quorum none"))


def key(name: str, type_: int, private: plainly.PrivateKey) -> str:
    return plainly.vkey(name, type_, private)


def accepted(text: str, policy: LogPolicy = POLICY, now: int = NOW) -> Witnessed:
    return verify_cosigned(text, policy, now)


def refused(text: str, policy: LogPolicy = POLICY, now: int = NOW, why: str | None = None) -> None:
    with pytest.raises(ProofError, match=why) as caught:
        verify_cosigned(text, policy, now)
    assert "\n" not in str(caught.value)


def test_a_note_by_the_specifications_alone_is_accepted() -> None:
    found = accepted(COSIGNED)
    assert (found.checkpoint, found.signed, found.quorum) == (STATE, NOW, True)
    assert found.witnesses == {"w4": NOW, "w6": NOW}


# what we make, held against the specifications


def test_the_log_signs_the_text_with_ed25519_and_the_struct_with_ml_dsa_44() -> None:
    note = sign_checkpoint(STATE, [plainly.signer(LOG), plainly.signer(LOG_PQ)], NOW)
    head, lines = split_note(note)
    assert head == TEXT
    (name_1, first), (name_6, second) = lines
    assert (name_1, name_6) == (NAME, NAME)
    assert plainly.line(NAME, first[:4], first[4:]) == LINE_01
    assert second[:4] == plainly.key_id(NAME, 0x06, plainly.public(LOG_PQ))
    assert len(second) == 4 + 8 + 2420
    assert struct.unpack(">Q", second[4:12]) == (NOW,)
    message = plainly.message_06(NAME, NOW, NAME, 0, 3, ROOT)
    LOG_PQ.public_key().verify(second[12:], message)
    with pytest.raises(InvalidSignature):
        LOG_PQ.public_key().verify(second[12:], message[:-1] + bytes([message[-1] ^ 1]))


def test_a_witness_cosigns_with_ed25519_and_with_ml_dsa_44() -> None:
    cosigned = cosign_checkpoint(NOTE, [plainly.signer(W4), plainly.signer(W6)], WITNESS, NOW)
    four, six = cosigned.splitlines(keepends=True)
    assert four == COSIGNED_04
    raw = b64decode(six.split(" ")[2])
    assert raw[:4] == plainly.key_id(WITNESS, 0x06, plainly.public(W6))
    message = plainly.message_06(WITNESS, NOW, NAME, 0, 3, ROOT)
    W6.public_key().verify(raw[12:], message)
    accepted(NOTE + cosigned)


@given(
    st.text("abc/.-é", min_size=1, max_size=20),
    st.integers(0, 2**63 - 1),
    st.integers(1, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_whatever_name_size_time_and_root_both_cosignatures_are_the_specifications(
    name: str, size: int, moment: int, root: bytes
) -> None:
    text = plainly.checkpoint_text(name, size, root)
    note = text + "\n" + plainly.note_line(name, LOG, text)
    ours = cosign_checkpoint(note, [plainly.signer(W4), plainly.signer(W6)], name, moment)
    for line, type_, private in zip(ours.splitlines(keepends=True), (4, 6), (W4, W6), strict=True):
        found = note_key(name, type_, plainly.public(private))
        assert find_verified(text + "\n" + line, found) == moment
    theirs = plainly.line_04(name, W4, moment, text) + plainly.line_06(name, W6, moment, text)
    assert theirs.splitlines()[0] == ours.splitlines()[0]
    for type_, private in ((4, W4), (6, W6)):
        assert find_verified(text + "\n" + theirs, note_key(name, type_, plainly.public(private)))


@pytest.mark.parametrize(("type_", "private"), [(1, LOG), (4, W4), (6, W6)])
def test_a_verifier_key_is_the_specifications_and_reads_back(
    type_: int, private: plainly.PrivateKey
) -> None:
    ours = key_of(plainly.signer(private), WITNESS, witness=type_ != 1)
    assert ours.vkey == plainly.vkey(WITNESS, type_, private)
    assert parse_vkey(ours.vkey) == ours
    assert ours.key_id == plainly.key_id(WITNESS, type_, plainly.public(private))


def vkey_of(name: str, type_: int, raw: bytes) -> str:
    id_ = plainly.key_id(name, type_, raw).hex()
    return f"{name}+{id_}+{plainly.base64(bytes([type_]) + raw)}"


@pytest.mark.parametrize(
    "forged",
    [
        vkey_of("n", 0x02, plainly.public(LOG)),
        vkey_of("n", 0x05, plainly.public(LOG)),
        vkey_of("n", 0xFF, plainly.public(LOG)),
        vkey_of("n", 0x01, plainly.public(LOG)[:-1]),
        vkey_of("n", 0x04, plainly.public(LOG) + b"\0"),
        vkey_of("n", 0x06, plainly.public(LOG)),
        vkey_of("n", 0x01, plainly.public(LOG_PQ)),
        vkey_of("n", 0x01, bytes(32)),  # a point of order 4: anybody signs for it
        vkey_of("n", 0x01, b"\1" + bytes(31)),  # the neutral one
        vkey_of("n", 0x01, b"\xff" * 32),  # not reduced
        vkey_of("a b", 0x01, plainly.public(LOG)),
        vkey_of("a\u00a0b", 0x01, plainly.public(LOG)),
        vkey_of("a\u2003b", 0x01, plainly.public(LOG)),
        vkey_of("a\x1fb", 0x01, plainly.public(LOG)),
        vkey_of("a\nb", 0x01, plainly.public(LOG)),
        vkey_of("", 0x01, plainly.public(LOG)),
        "n+00000000+" + plainly.vkey("n", 1, LOG).split("+", 2)[2],
        plainly.vkey("n", 1, LOG).replace("n+", "m+"),
        plainly.vkey("n", 6, LOG_PQ).rstrip("="),
        plainly.vkey("n", 1, LOG) + "\n",
        "n+" + plainly.vkey("n", 1, LOG)[2:10].upper() + plainly.vkey("n", 1, LOG)[10:],
        "\ud800+" + plainly.vkey("n", 1, LOG)[2:],
        "n+00000000+",
        "n++",
        "",
    ],
)
def test_what_is_no_verifier_key_is_refused(forged: str) -> None:
    parse_vkey(plainly.vkey("n", 1, LOG))
    with pytest.raises(ProofError):
        parse_vkey(forged)


# signatures dropped, added, doubled


def test_a_dropped_signature_of_the_log_is_noticed_whichever_algorithm_it_is_of() -> None:
    accepted(NOTE, ALONE)
    refused(NOTE.replace(LINE_06, ""), ALONE, why="lacks the log's ml-dsa-44")
    refused(NOTE.replace(LINE_01, ""), ALONE, why="lacks the log's ed25519")


def test_a_dropped_cosignature_is_noticed_by_the_quorum() -> None:
    refused(COSIGNED.replace(COSIGNED_04, ""), why="missing w4")
    refused(COSIGNED.replace(COSIGNED_06, ""), why="missing w6")


def test_lines_of_strangers_are_ignored_and_decide_nothing() -> None:
    strangers = [
        plainly.note_line(NAME, STRANGER, TEXT),  # the log's name, another id
        plainly.line(OTHER, plainly.key_id(NAME, 1, plainly.public(LOG)), bytes(64)),  # its id
        plainly.line("unknown.example", b"\0\0\0\0", b"\0"),
        plainly.line(WITNESS, plainly.key_id(WITNESS, 1, plainly.public(W4)), bytes(72)),
    ]
    accepted(COSIGNED + "".join(strangers))
    accepted(COSIGNED + strangers[0] * 2)
    refused(TEXT + "\n" + "".join(strangers), ALONE, why="lacks")


@pytest.mark.parametrize("line", [LINE_01, LINE_06, COSIGNED_04, COSIGNED_06])
def test_a_second_line_of_a_known_key_is_refused(line: str) -> None:
    refused(COSIGNED + line, why="two signatures")
    name, raw = line.split(" ")[1], b64decode(line.split(" ")[2])
    refused(COSIGNED + plainly.line(name, raw[:4], bytes(len(raw) - 4)), why="two signatures")


# Two real keys whose name and key id are the same, found in 140,000 tries.
TWINS = [plainly.ed25519(f"collision {number}") for number in (118496, 139614)]


def test_a_key_that_collides_with_the_logs_name_and_id_spoils_a_note_and_passes_for_none() -> None:
    honest, forger = TWINS
    assert key(NAME, 1, honest).split("+")[1] == key(NAME, 1, forger).split("+")[1]
    trusted = parse_policy(f"log {key(NAME, 1, honest)}\nquorum none\n")
    good = TEXT + "\n" + plainly.note_line(NAME, honest, TEXT)
    forged = plainly.note_line(NAME, forger, TEXT)
    accepted(good, trusted)
    refused(TEXT + "\n" + forged, trusted, why="doesn't hold")
    refused(good + forged, trusted, why="two signatures")
    with pytest.raises(ProofError, match="same name and key id"):
        parse_policy(f"log {key(NAME, 1, honest)}\nlog {key(NAME, 1, forger)}\nquorum none\n")


# signatures bent, or lifted from elsewhere


@pytest.mark.parametrize("line", [LINE_01, LINE_06, COSIGNED_04, COSIGNED_06])
@pytest.mark.parametrize("place", [4, 11, 12, 40, -1])
def test_a_bit_changed_in_any_part_of_a_signature_spoils_the_note(line: str, place: int) -> None:
    name, raw = line.split(" ")[1], bytearray(b64decode(line.split(" ")[2]))
    raw[place] ^= 1
    refused(COSIGNED.replace(line, plainly.line(name, raw[:4], raw[4:])))


@pytest.mark.parametrize("line", [LINE_01, LINE_06, COSIGNED_04, COSIGNED_06])
@pytest.mark.parametrize("length", [5, 11, 12, 13, -1])
def test_a_signature_cut_short_or_grown_spoils_the_note(line: str, length: int) -> None:
    name, raw = line.split(" ")[1], b64decode(line.split(" ")[2])
    refused(COSIGNED.replace(line, plainly.line(name, raw[:4], raw[4:length])))
    refused(COSIGNED.replace(line, plainly.line(name, raw[:4], raw[4:] + b"\0")))


def test_a_cosignatures_time_cant_be_altered() -> None:
    for line in (LINE_06, COSIGNED_04, COSIGNED_06):
        name, raw = line.split(" ")[1], b64decode(line.split(" ")[2])
        for moment in (0, NOW - 1, NOW + 1, 2**63 - 1, 2**63, 2**64 - 1):
            altered = plainly.line(name, raw[:4], struct.pack(">Q", moment) + raw[12:])
            refused(COSIGNED.replace(line, altered))


@pytest.mark.parametrize(("type_", "private"), [(4, W4), (6, W6)])
def test_a_time_of_2_to_63_is_refused_even_where_it_is_signed(
    type_: int, private: plainly.PrivateKey
) -> None:
    sign = plainly.line_04 if type_ == 4 else plainly.line_06
    witness = note_key(WITNESS, type_, plainly.public(private))
    latest = 2**63 - 1
    assert find_verified(f"{TEXT}\n{sign(WITNESS, private, latest, TEXT)}", witness) == latest
    for moment in (2**63, 2**64 - 1):
        with pytest.raises(ProofError, match="impossible time"):
            find_verified(f"{TEXT}\n{sign(WITNESS, private, moment, TEXT)}", witness)


@pytest.mark.parametrize("ahead", [0, 1, CLOCK_TOLERANCE])
def test_a_cosignature_a_little_ahead_of_the_clock_is_accepted(ahead: int) -> None:
    accepted(COSIGNED, now=NOW - ahead)


@pytest.mark.parametrize("late", ["log", "w4", "w6"])
def test_a_cosignature_from_the_future_is_refused_whosever_it_is(late: str) -> None:
    moment = NOW + CLOCK_TOLERANCE + 1
    times = dict.fromkeys(("log", "w4", "w6"), NOW) | {late: moment}
    note = (
        f"{TEXT}\n{LINE_01}"
        + plainly.line_06(NAME, LOG_PQ, times["log"], TEXT)
        + plainly.line_04(WITNESS, W4, times["w4"], TEXT)
        + plainly.line_06(WITNESS, W6, times["w6"], TEXT)
    )
    refused(note, why="from the future")
    accepted(note, now=NOW + 1)


def test_a_cosignature_without_a_time_counts_for_the_history_and_states_no_time() -> None:
    note = NOTE + plainly.line_06(WITNESS, W6, 0, TEXT) + COSIGNED_04
    assert accepted(note).witnesses == {"w4": NOW, "w6": 0}
    with pytest.raises(ProofError, match="states the time"):  # tlog-witness: ours always does
        cosign_checkpoint(NOTE, [plainly.signer(W6)], WITNESS, 0)


def test_a_checkpoint_of_one_origin_is_refused_where_another_is_trusted() -> None:
    theirs = plainly.checkpoint_text(OTHER, 3, ROOT)
    note = theirs + "\n" + plainly.note_line(OTHER, LOG, theirs)
    note += plainly.line_06(OTHER, LOG_PQ, NOW, theirs)
    refused(note, ALONE, why="another log's")
    renamed = note.replace(OTHER, NAME)  # same keys, but ids and messages name the origin
    refused(renamed, ALONE, why="lacks")
    for text in (theirs, theirs.replace(OTHER, NAME)):
        lifted = plainly.line(
            NAME,
            plainly.key_id(NAME, 1, plainly.public(LOG)),
            LOG.sign(theirs.encode()),
        )
        refused(text + "\n" + lifted + LINE_06, ALONE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        plainly.checkpoint_text(OTHER, 3, ROOT),
        plainly.checkpoint_text(NAME, 4, ROOT),
        plainly.checkpoint_text(NAME, 3, plainly.sha256(ROOT)),
    ],
    ids=["origin", "size", "root"],
)
def test_a_signature_or_cosignature_lifted_from_another_state_is_refused(elsewhere: str) -> None:
    lifted = {
        LINE_01: plainly.note_line(NAME, LOG, elsewhere),
        LINE_06: plainly.line_06(NAME, LOG_PQ, NOW, elsewhere),
        COSIGNED_04: plainly.line_04(WITNESS, W4, NOW, elsewhere),
        COSIGNED_06: plainly.line_06(WITNESS, W6, NOW, elsewhere),
    }
    for ours, theirs in lifted.items():
        refused(COSIGNED.replace(ours, theirs), why="doesn't hold")


def test_an_ml_dsa_cosignature_doesnt_pass_under_another_cosigners_name() -> None:
    logs = b64decode(LINE_06.split(" ")[2])[4:]  # by the log, about itself
    shared = f"witness w {key(WITNESS, 0x06, LOG_PQ)}\nquorum w\n"
    policy = parse_policy(f"log {key(NAME, 0x01, LOG)}\n{shared}")
    id_ = plainly.key_id(WITNESS, 0x06, plainly.public(LOG_PQ))
    refused(f"{TEXT}\n{LINE_01}{plainly.line(WITNESS, id_, logs)}", policy, why="doesn't hold")
    honest = plainly.line_06(WITNESS, LOG_PQ, NOW, TEXT)
    accepted(f"{TEXT}\n{LINE_01}{honest}", policy)


def test_a_subtree_that_begins_elsewhere_doesnt_pass_for_a_checkpoint() -> None:
    id_ = plainly.key_id(WITNESS, 0x06, plainly.public(W6))
    for start, end, accepted_ in ((0, 3, True), (2, 3, False), (0, 4, False)):
        message = plainly.message_06(WITNESS, 0, NAME, start, end, ROOT)
        line = plainly.line(WITNESS, id_, bytes(8) + W6.sign(message))
        note = NOTE + COSIGNED_04 + line
        if accepted_:
            accepted(note)
        else:
            refused(note, why="doesn't hold")


def test_a_signature_of_one_type_doesnt_pass_in_a_line_of_another() -> None:
    four, six = (b64decode(line.split(" ")[2])[4:] for line in (COSIGNED_04, COSIGNED_06))
    id_4, id_6 = (
        plainly.key_id(WITNESS, type_, plainly.public(private))
        for type_, private in ((4, W4), (6, W6))
    )
    refused(NOTE + plainly.line(WITNESS, id_6, four) + COSIGNED_04, why="ml-dsa-44")
    refused(NOTE + plainly.line(WITNESS, id_4, six) + COSIGNED_06, why="ed25519")
    # the same Ed25519 key, as a log (01) and as a witness (04): nothing signed as one is the other
    as_log = find_verified(TEXT + "\n" + LINE_01, note_key(NAME, 1, plainly.public(LOG)))
    assert as_log == 0
    raw = b64decode(LINE_01.split(" ")[2])[4:]
    id_ = plainly.key_id(NAME, 4, plainly.public(LOG))
    for signature in (raw, struct.pack(">Q", NOW) + raw):
        with pytest.raises(ProofError):
            find_verified(
                TEXT + "\n" + plainly.line(NAME, id_, signature),
                note_key(NAME, 4, plainly.public(LOG)),
            )
    cosigned = b64decode(plainly.line_04(NAME, LOG, NOW, TEXT).split(" ")[2])[4:]
    with pytest.raises(ProofError):
        find_verified(
            TEXT
            + "\n"
            + plainly.line(NAME, plainly.key_id(NAME, 1, plainly.public(LOG)), cosigned),
            note_key(NAME, 1, plainly.public(LOG)),
        )


# extension lines


def test_an_extension_line_is_what_ed25519_signs_and_ml_dsa_doesnt() -> None:
    extended = plainly.checkpoint_text(NAME, 3, ROOT, "an extension", "— looks like a signature")
    note = (
        extended
        + "\n"
        + plainly.note_line(NAME, LOG, extended)
        + plainly.line_06(NAME, LOG_PQ, NOW, extended)
        + plainly.line_04(WITNESS, W4, NOW, extended)
        + plainly.line_06(WITNESS, W6, NOW, extended)
    )
    assert accepted(note).checkpoint == STATE
    ours = cosign_checkpoint(note, [plainly.signer(W4)], WITNESS, NOW)
    assert ours == plainly.line_04(WITNESS, W4, NOW, extended)
    refused(note.replace(extended, TEXT), why="ed25519")
    refused(note.replace("an extension", "another"), why="ed25519")
    refused(COSIGNED.replace(TEXT, extended), why="ed25519")
    only_pq = parse_policy(f"log {key(NAME, 6, LOG_PQ)}\nquorum none\n")
    assert accepted(COSIGNED.replace(TEXT, extended), only_pq).checkpoint == STATE


def test_lines_that_look_like_signatures_in_the_text_are_text() -> None:
    extended = TEXT + LINE_01
    note = extended + "\n" + plainly.line_06(NAME, LOG_PQ, NOW, extended)
    refused(note, ALONE, why="lacks the log's ed25519")
    head, lines = split_note(note)
    assert (head, len(lines)) == (extended, 1)


def test_the_last_empty_line_parts_text_and_signatures() -> None:
    assert split_note(f"a\n\nb\n\n{LINE_01}")[0] == "a\n\nb\n"
    assert split_note(f"a\n\n\n{LINE_01}")[0] == "a\n\n"
    with pytest.raises(ProofError):
        parse_checkpoint(f"{TEXT}\n\n{LINE_01}")  # an empty line is no extension line


# form


@pytest.mark.parametrize(
    "forged",
    [
        COSIGNED.replace("\n", "\r\n"),
        COSIGNED.replace("\n", "\r\n", 1),
        COSIGNED.replace("— ", "—\t", 1),
        COSIGNED.replace("— ", "—  ", 1),
        COSIGNED.replace("— ", "-- ", 1),
        COSIGNED.replace("— ", "– ", 1),
        COSIGNED.replace("— ", " — ", 1),
        COSIGNED.replace(LINE_01, LINE_01.replace("\n", " \n")),
        COSIGNED.replace(LINE_01, LINE_01.replace("\n", "\0\n")),
        COSIGNED.replace(NAME, NAME + "\0", 1),
        COSIGNED.replace(NAME, NAME + "\t", 1),
        COSIGNED.replace(NAME, "\ud800", 1),
        "\ufeff" + COSIGNED,
        COSIGNED + "\n",
        COSIGNED + "trailing\n",
        COSIGNED[:-1],
        COSIGNED[:-1] + " ",
        COSIGNED[:-1] + "A",
        COSIGNED + "— \n",
        COSIGNED + "—  AAAAAAA=\n",
        COSIGNED + "— name \n",
        COSIGNED + "— name AAAAAA==\n",  # a key id and nothing after it
        COSIGNED + "— na+me AAAAAAA=\n",
        COSIGNED + "— na\u00a0me AAAAAAA=\n",
        COSIGNED + "— name AAAAAAB=\n",  # spare bits set
        COSIGNED + "— name AAAAAAA\n",
        COSIGNED + "— name AAAA-AA=\n",
        COSIGNED.replace("\n3\n", "\n03\n"),
        COSIGNED.replace("\n3\n", "\n+3\n"),
        COSIGNED.replace("\n3\n", "\n 3\n"),
        COSIGNED.replace("\n3\n", "\n-3\n"),
        COSIGNED.replace("\n3\n", "\n3.0\n"),
        COSIGNED.replace("\n3\n", "\n٣\n"),
        COSIGNED.replace("\n3\n", "\n\n"),
        COSIGNED.replace("\n3\n", "\n0\n"),
        COSIGNED.replace(plainly.base64(ROOT), plainly.base64(ROOT[:31])),
        COSIGNED.replace(plainly.base64(ROOT), plainly.base64(ROOT + b"\0")),
        COSIGNED.replace(plainly.base64(ROOT), plainly.base64(ROOT).rstrip("=")),
        COSIGNED.replace(TEXT, "\n".join(TEXT.split("\n")[:2]) + "\n"),
        COSIGNED.replace(TEXT, ""),
        COSIGNED.partition("\n\n")[0] + "\n\n",
        COSIGNED.partition("\n\n")[0] + "\n",
        "",
        "\n",
        "\n\n",
        "\n\n\n",
    ],
)
def test_a_note_in_any_other_form_is_refused(forged: str) -> None:
    assert forged != COSIGNED
    refused(forged)


def signed(size: int, root: bytes = ROOT) -> str:
    text = plainly.checkpoint_text(NAME, size, root)
    note = text + "\n" + plainly.note_line(NAME, LOG, text)
    return note + plainly.line_06(NAME, LOG_PQ, NOW, text)


@pytest.mark.parametrize("size", [0, 1, 2**32, 2**53 + 1, 2**63 - 1])
def test_sizes_below_2_to_63_are_accepted(size: int) -> None:
    assert accepted(signed(size), ALONE).checkpoint.size == size


@pytest.mark.parametrize("size", [2**63, 2**63 + 1, 10**19 - 1, 10**19, 2**64 - 1])
def test_sizes_of_2_to_63_and_above_are_refused_though_signed(size: int) -> None:
    refused(signed(size), ALONE, why=r"2\^63")
    with pytest.raises(ProofError):
        Checkpoint(origin=NAME, size=size, root=ROOT)


def test_a_note_has_a_largest_number_of_signatures_and_a_largest_size() -> None:
    line = plainly.line("stranger.example", bytes(4), bytes(64))
    accepted(NOTE + line * (MOST_SIGNATURES - 2), ALONE)
    refused(NOTE + line * (MOST_SIGNATURES - 1), ALONE, why="signatures")
    refused(NOTE + plainly.line("stranger.example", bytes(4), bytes(1 << 18)), ALONE, why="large")
    refused(NOTE + f"— {'é' * (1 << 17)} AAAAAAA=\n", ALONE, why="large")  # octets count


def test_sixteen_signatures_of_5_kb_are_accepted() -> None:
    strangers = (plainly.line(f"stranger.example/{n}", bytes(4), bytes(4_900)) for n in range(14))
    accepted(NOTE + "".join(strangers), ALONE)


# what can't be signed


def test_what_is_no_checkpoint_of_ours_isnt_signed() -> None:
    log = [plainly.signer(LOG), plainly.signer(LOG_PQ)]
    for moment in (0, 2**63 - 1):
        note = sign_checkpoint(STATE, log, moment)
        assert verify_cosigned(note, ALONE, moment).signed == moment
    longest = f"{'n' * 251}/é/"  # 255 octets
    cosigned = cosign_checkpoint(NOTE, [plainly.signer(W6)], longest, NOW)
    assert find_verified(NOTE + cosigned, key_of(plainly.signer(W6), longest, witness=True)) == NOW
    for moment in (-1, 2**63, 2**64):
        with pytest.raises(ProofError):
            sign_checkpoint(STATE, log, moment)
        with pytest.raises(ProofError):
            cosign_checkpoint(NOTE, [plainly.signer(W6)], WITNESS, moment)
    for name in ("", "a b", "a+b", "a\u3000b", "n" * 256, longest + "n", "\ud800"):
        with pytest.raises(ProofError):
            cosign_checkpoint(NOTE, [plainly.signer(W6)], name, NOW)
        with pytest.raises(ProofError):
            sign_checkpoint(Checkpoint(origin=name, size=3, root=ROOT), log, NOW)
    for origin in ("", "a\nb", "a\0", "\ud800"):
        with pytest.raises(ProofError):
            Checkpoint(origin=origin, size=3, root=ROOT)
    for root in (b"", ROOT[:31], ROOT + b"\0"):
        with pytest.raises(ProofError):
            Checkpoint(origin=NAME, size=3, root=root)
    with pytest.raises(ProofError):
        sign_checkpoint(STATE, [], NOW)


# fuzz: whatever comes in, nothing but a verdict or a ProofError comes out


@given(st.text(max_size=60), st.text(max_size=20), st.integers(0, len(COSIGNED)))
def test_whatever_is_put_into_a_note_it_is_read_the_same_or_refused(
    inserted: str, replaced: str, place: int
) -> None:
    for text in (
        COSIGNED[:place] + inserted + COSIGNED[place:],
        COSIGNED[:place] + replaced + COSIGNED[place + len(replaced) :],
        COSIGNED[:place] + COSIGNED[place + len(inserted) :],
    ):
        try:
            found = examine_checkpoint(text, POLICY, NOW)
        except ProofError:
            continue
        assert found.checkpoint == STATE


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    for read in (split_note, parse_checkpoint, parse_vkey):
        try:
            read(text)
        except ProofError as error:
            assert "\n" not in str(error)
