"""Log policies: the format's every rule with a violating twin, and quorums held to a naive twin."""

from __future__ import annotations

import unicodedata
from collections.abc import Set

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ProofError
from auditor.proof.log_policy import (
    LARGEST_POLICY,
    Group,
    LogPolicy,
    Witness,
    examine_checkpoint,
    parse_policy,
    policy_text,
    verify_cosigned,
)
from auditor.proof.note import parse_vkey
from tests.proof import plainly

NAME = "example.com/ledger"
NOW = 1_795_000_000
LOG = plainly.ed25519("log")
LOG_PQ = plainly.ml_dsa_44("log")
V_LOG = plainly.vkey(NAME, 0x01, LOG)
V_LOG_PQ = plainly.vkey(NAME, 0x06, LOG_PQ)
TEXT = plainly.checkpoint_text(NAME, 1, plainly.tree_hash([b"entry"]))
NOTE = TEXT + "\n" + plainly.note_line(NAME, LOG, TEXT)


def witness_key(name: str, type_: int = 0x04) -> str:
    key = plainly.ed25519(name) if type_ != 0x06 else plainly.ml_dsa_44(name)
    return plainly.vkey(f"{name}.example", type_, key)


def cosigned(*names: str) -> str:
    lines = (plainly.line_04(f"{n}.example", plainly.ed25519(n), NOW, TEXT) for n in names)
    return NOTE + "".join(lines)


# tlog-policy, "example policy", with keys put in
EXAMPLE = f"""\
log {V_LOG}

witness X1 {witness_key("X1")}
witness X2 {witness_key("X2")}
witness X3 {witness_key("X3")}
group X-witnesses 2 X1 X2 X3

witness Y1 {witness_key("Y1")}
witness Y2 {witness_key("Y2")}
witness Y3 {witness_key("Y3")}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
W = [f"witness w{n} {witness_key(f'w{n}')}\n" for n in range(4)]


@pytest.mark.parametrize(
    "names",
    [("X1", "X2", "Y1"), ("X3", "X1", "Y3"), ("X1", "X2", "X3", "Y1", "Y2", "Y3")],
)
def test_the_specifications_example_is_satisfied_by_two_of_x_and_one_of_y(
    names: tuple[str, ...],
) -> None:
    found = verify_cosigned(cosigned(*names), parse_policy(EXAMPLE), NOW)
    assert set(found.witnesses) == set(names)


@pytest.mark.parametrize("names", [(), ("X1", "Y1"), ("X1", "X2", "X3"), ("Y1", "Y2", "Y3")])
def test_the_specifications_example_is_not_satisfied_by_less(names: tuple[str, ...]) -> None:
    note, policy = cosigned(*names), parse_policy(EXAMPLE)
    assert not examine_checkpoint(note, policy, NOW).quorum
    with pytest.raises(ProofError, match="too few witnesses") as caught:
        verify_cosigned(note, policy, NOW)
    for name in {"X1", "X2", "X3", "Y1", "Y2", "Y3"} - set(names):
        assert name in str(caught.value)


def test_quorum_none_asks_for_no_witness_and_still_checks_those_it_knows() -> None:
    alone = f"log {V_LOG}\nquorum none\n"
    assert verify_cosigned(NOTE, parse_policy(alone), NOW).witnesses == {}
    policy = parse_policy(W[0] + alone)
    assert verify_cosigned(cosigned("w0"), policy, NOW).witnesses == {"w0": NOW}
    lifted = plainly.line_04("w0.example", plainly.ed25519("w0"), NOW, "another text\n")
    with pytest.raises(ProofError, match="doesn't hold"):
        verify_cosigned(NOTE + lifted, policy, NOW)


def test_a_quorum_may_be_a_single_witness() -> None:
    policy = parse_policy(f"log {V_LOG}\n{W[0]}{W[1]}quorum w1\n")
    verify_cosigned(cosigned("w1"), policy, NOW)
    with pytest.raises(ProofError):
        verify_cosigned(cosigned("w0"), policy, NOW)


def test_a_policy_without_a_log_reads_and_accepts_no_checkpoint() -> None:
    policy = parse_policy("quorum none\n")
    with pytest.raises(ProofError, match="another log's"):
        verify_cosigned(NOTE, policy, NOW)


def test_checkpoints_of_every_log_listed_are_accepted_each_by_its_own_keys() -> None:
    other = plainly.ed25519("another log")
    policy = parse_policy(
        f"log {V_LOG}\nlog {plainly.vkey('example.com/before', 1, other)}\nquorum none\n"
    )
    verify_cosigned(NOTE, policy, NOW)
    before = TEXT.replace(NAME, "example.com/before")
    note = before + "\n" + plainly.note_line("example.com/before", other, before)
    verify_cosigned(note, policy, NOW)
    by_the_other = TEXT + "\n" + plainly.note_line(NAME, other, TEXT)
    with pytest.raises(ProofError, match="lacks"):
        verify_cosigned(by_the_other, policy, NOW)


def test_every_key_listed_for_an_origin_must_have_signed_where_the_format_asks_for_any_one() -> (
    None
):
    both = parse_policy(f"log {V_LOG}\nlog {V_LOG_PQ}\nquorum none\n")
    with pytest.raises(ProofError, match="lacks the log's ml-dsa-44"):
        verify_cosigned(NOTE, both, NOW)
    verify_cosigned(NOTE + plainly.line_06(NAME, LOG_PQ, NOW, TEXT), both, NOW)


def test_an_old_but_good_checkpoint_is_accepted_freshness_being_the_trust_files_to_check() -> None:
    """The history check of `auditor.certificates.verify` compares with a newer checkpoint."""
    policy = parse_policy(f"log {V_LOG}\n{W[0]}quorum w0\n")
    century = 100 * 365 * 86_400
    assert verify_cosigned(cosigned("w0"), policy, NOW + century).witnesses == {"w0": NOW}


# the format, rule by rule

GOOD = f"log {V_LOG}\n{''.join(W)}group g 2 w0 w1 w2\nquorum g\n"


@pytest.mark.parametrize(
    "same",
    [
        GOOD,
        "\n \t \n" + GOOD,
        GOOD.replace("log ", "  \t log \t "),
        GOOD.replace("\n", " \t\n"),
        "# a comment\n\t # and another: log witness group quorum \u00e9\u2028\x85\n" + GOOD,
        GOOD.replace(f"log {V_LOG}\n", "") + f"log {V_LOG}\n",
        GOOD.replace(V_LOG, f"{V_LOG} https://log.example/ledger"),
    ],
    ids=["plain", "empty lines", "leading", "trailing", "comments", "log last", "url"],
)
def test_blanks_comments_order_and_urls_change_nothing(same: str) -> None:
    assert parse_policy(same) == parse_policy(GOOD)


def test_a_witness_keeps_its_url() -> None:
    told = GOOD.replace(W[0], W[0].replace("\n", " https://w0.example/submit\n"))
    assert parse_policy(told).witnesses[0].url == "https://w0.example/submit"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "newline"),
        ("\n", "no quorum"),
        (GOOD.replace("quorum g\n", ""), "no quorum"),
        (GOOD + "quorum g\n", "second quorum"),
        (GOOD + "quorum none\n", "second quorum"),
        (GOOD[:-1], "cut off"),
        (GOOD.replace("quorum g", "quorum"), "expected"),
        (GOOD.replace("quorum g", "quorum g g"), "expected"),
        (GOOD.replace("quorum g", "quorum h"), "defines"),
        (f"log {V_LOG}\nquorum w0\n{W[0]}", "defines"),
        (GOOD.replace("quorum g", "Quorum g"), "expected"),
        (GOOD + "policy none\n", "expected"),
        (GOOD + "quorum # g\n", "expected"),
        (GOOD + "log\n", "expected"),
        (GOOD + f"log {V_LOG_PQ} https://a.example more\n", "expected"),
        (GOOD + f"witness w9 {witness_key('w9')} https://a.example more\n", "expected"),
        (GOOD + f"log {V_LOG}\n", "same key"),
        (GOOD + f"log {plainly.vkey('another.example', 1, LOG)}\n", "same key"),
        (GOOD + f"log {plainly.vkey(NAME, 4, plainly.ed25519('x'))}\n", "a log signs"),
        (GOOD + f"log {V_LOG[:-1]}\n", "base64|verifier key"),
        (GOOD + "log name\n", "verifier key"),
        (GOOD + "witness w9\n", "expected"),
        (GOOD + f"witness w9 {witness_key('w9', 0x01)}\n", "a witness cosigns"),
        (GOOD + f"witness w9 {witness_key('w0')}\n", "same key"),
        (GOOD + f"witness w9 {plainly.vkey('w9', 4, LOG)}\n", "same key"),
        (GOOD + f"witness w9 {plainly.vkey('w9', 4, plainly.ed25519('w0'))}\n", "same key"),
        (GOOD + f"witness w0 {witness_key('w9')}\n", "taken"),
        (GOOD + f"witness g {witness_key('w9')}\n", "taken"),
        (GOOD + f"witness none {witness_key('w9')}\n", "taken"),
        (GOOD + "group g any w3\n", "taken"),
        (GOOD + "group w3 any w3\n", "taken"),
        (GOOD + "group none any w3\n", "taken"),
        (GOOD + "group h any\n", "needs members"),
        (GOOD + "group h\n", "expected"),
        (GOOD + "group h any none\n", "defines"),
        (GOOD + "group h any h\n", "defines"),
        (GOOD + f"group h any w9\nwitness w9 {witness_key('w9')}\n", "defines"),
        (GOOD + "group h any w0\n", "two groups"),
        (GOOD + "group h all w3 w3\n", "two groups"),
        (GOOD + "group h any w3\ngroup i any w3\n", "two groups"),
        (GOOD.replace("g 2", "g 0"), "threshold"),
        (GOOD.replace("g 2", "g 4"), "threshold"),
        (GOOD.replace("g 2", "g -1"), "threshold"),
        (GOOD.replace("g 2", "g +2"), "threshold"),
        (GOOD.replace("g 2", "g 02"), "threshold"),
        (GOOD.replace("g 2", "g 0x2"), "threshold"),
        (GOOD.replace("g 2", "g 2.0"), "threshold"),
        (GOOD.replace("g 2", "g ٢"), "threshold"),
        (GOOD.replace("g 2", "g ALL"), "threshold"),
        (GOOD.replace("g 2", f"g {'9' * 5_000}"), "threshold"),
        (GOOD.replace("\n", "\r\n"), "control"),
        (GOOD + "# \x00\n", "control"),
        (GOOD + "# \x0b\n", "control"),
        (GOOD + "# \x0c\n", "control"),
        (GOOD + "# \x1b\n", "control"),
        (GOOD + "# \x7f\n", "control"),
        (GOOD + "# \ud800\n", "UTF-8"),
        (GOOD + "#" * (LARGEST_POLICY - len(GOOD)) + "\n", "large"),
        (GOOD + "#" + "é" * (LARGEST_POLICY // 2) + "\n", "large"),
        ("\ufeff" + GOOD, "expected"),
        (GOOD.replace("log ", "log\u00a0"), "expected"),
        (GOOD.replace("g 2", "g\u20032"), "threshold|defines"),
    ],
)
def test_a_policy_that_breaks_a_rule_is_refused(text: str, why: str) -> None:
    assert text != GOOD
    with pytest.raises(ProofError, match=why) as caught:
        parse_policy(text)
    assert "\n" not in str(caught.value)


def test_a_policy_may_be_as_large_as_the_limit() -> None:
    filled = GOOD + "#" * (LARGEST_POLICY - len(GOOD) - 1) + "\n"
    assert parse_policy(filled) == parse_policy(GOOD)


def test_the_line_that_breaks_a_rule_is_named() -> None:
    with pytest.raises(ProofError, match="line 8 of the log policy"):
        parse_policy(GOOD + "group h any w0\n")


def test_names_are_octets_so_that_look_alikes_are_different() -> None:
    composed, kelvin = "é", "\u212a"
    apart = unicodedata.normalize("NFD", composed)
    assert unicodedata.normalize("NFC", kelvin) == "K"
    for one, other in ((composed, apart), ("K", kelvin), ("a", "A"), ("a\u00a0b", "a\u2003b")):
        both = f"witness {one} {witness_key('w0')}\nwitness {other} {witness_key('w1')}\n"
        policy = parse_policy(f"log {V_LOG}\n{both}quorum {other}\n")
        assert policy.reached({other: NOW})
        assert not policy.reached({one: NOW})
        with pytest.raises(ProofError, match="defines"):
            parse_policy(f"witness {one} {witness_key('w0')}\nquorum {other}\n")


def test_words_of_the_format_and_numbers_may_be_names() -> None:
    names = ["all", "any", "2", "quorum", "#name"]
    lines = "".join(f"witness {name} {witness_key(name)}\n" for name in names)
    policy = parse_policy(f"{lines}group log 2 {' '.join(names)}\nquorum log\n")
    assert policy.groups["log"] == Group(threshold=2, members=tuple(names))
    assert policy.reached({"all": 1, "2": 1})
    assert not policy.reached({"all": 1})


def many(count: int) -> str:
    return "".join(f"witness m{n} {witness_key(f'm{n}')}\n" for n in range(count))


def test_64_witnesses_may_all_be_asked_for_and_all_fit_under_a_note() -> None:
    names = [f"m{n}" for n in range(64)]
    policy = parse_policy(f"log {V_LOG}\n{many(64)}group g all {' '.join(names)}\nquorum g\n")
    assert len(verify_cosigned(cosigned(*names), policy, NOW).witnesses) == 64
    with pytest.raises(ProofError, match="missing m63"):
        verify_cosigned(cosigned(*names[:-1]), policy, NOW)
    with pytest.raises(ProofError, match="more than 64"):
        parse_policy(f"{many(65)}quorum none\n")


def test_64_witnesses_of_ml_dsa_44_fit_into_a_policy_and_under_a_note() -> None:
    names = [f"p{n}" for n in range(64)]
    lines = "".join(f"witness {name} {witness_key(name, 0x06)}\n" for name in names)
    policy = parse_policy(f"log {V_LOG}\n{lines}group g all {' '.join(names)}\nquorum g\n")
    note = NOTE + "".join(
        plainly.line_06(f"{name}.example", plainly.ml_dsa_44(name), NOW, TEXT) for name in names
    )
    assert verify_cosigned(note, policy, NOW).quorum


def test_groups_may_be_nested_64_deep() -> None:
    chain = "".join(f"group g{n} all {f'g{n - 1}' if n else 'w0'}\n" for n in range(64))
    policy = parse_policy(f"{W[0]}{chain}quorum g63\n")
    assert policy.reached({"w0": NOW})
    assert not policy.reached({})
    with pytest.raises(ProofError, match="more than 64"):
        parse_policy(f"{W[0]}{chain}group g64 all g63\nquorum g64\n")


def test_one_witness_with_two_keys_counts_once_where_the_policy_groups_them() -> None:
    """The format can't see that two keys are one operator's; who writes it says ``all``."""
    lines = f"witness w0 {witness_key('w0')}\nwitness w0-pq {witness_key('w0', 0x06)}\n{W[1]}"
    policy = parse_policy(f"{lines}group W0 all w0 w0-pq\ngroup g 2 W0 w1\nquorum g\n")
    assert not policy.reached({"w0": NOW, "w0-pq": NOW})
    assert policy.reached({"w0": NOW, "w0-pq": NOW, "w1": NOW})


# quorums against a naive twin: a tree of nested lists

Tree = str | tuple[int, list["Tree"]]


@st.composite
def trees(draw: st.DrawFn) -> tuple[Tree, str]:
    """A quorum as nested lists, and as lines of a policy."""
    trees: list[tuple[str, Tree]] = [(f"w{n}", f"w{n}") for n in range(draw(st.integers(1, 7)))]
    lines = "".join(f"witness {name} {WITNESS_KEYS[name]}\n" for name, _ in trees)
    for number in range(draw(st.integers(0, 5))):
        chosen = draw(st.lists(st.sampled_from(trees), min_size=1, unique_by=lambda t: t[0]))
        threshold = draw(st.integers(1, len(chosen)))
        words = [str(threshold)]
        words += ["any"] * (threshold == 1) + ["all"] * (threshold == len(chosen))
        members = " ".join(name for name, _ in chosen)
        lines += f"group g{number} {draw(st.sampled_from(words))} {members}\n"
        trees = [each for each in trees if each not in chosen]
        trees.append((f"g{number}", (threshold, [tree for _, tree in chosen])))
    name, tree = draw(st.sampled_from(trees))
    return tree, f"{lines}quorum {name}\n"


WITNESS_KEYS = {f"w{n}": witness_key(f"w{n}") for n in range(7)}


def holds(tree: Tree, present: Set[str]) -> bool:
    if isinstance(tree, str):
        return tree in present
    threshold, members = tree
    return len([member for member in members if holds(member, present)]) >= threshold


@given(trees(), st.sets(st.sampled_from(sorted(WITNESS_KEYS))))
def test_nested_quorums_are_reached_when_a_naive_reading_says_so(
    drawn: tuple[Tree, str], present: set[str]
) -> None:
    tree, text = drawn
    policy = parse_policy(text)
    assert policy.reached(dict.fromkeys(present, NOW)) == holds(tree, present)
    assert parse_policy(policy_text(policy)) == policy


def test_a_policy_is_written_as_it_is_read() -> None:
    for text in (GOOD, EXAMPLE, f"log {V_LOG}\nlog {V_LOG_PQ}\nquorum none\n"):
        policy = parse_policy(text)
        assert parse_policy(policy_text(policy)) == policy
        assert policy_text(parse_policy(policy_text(policy))) == policy_text(policy)
    built = LogPolicy(
        logs=(parse_vkey(V_LOG),),
        witnesses=(
            Witness(name="w0", key=parse_vkey(witness_key("w0")), url="https://w0.example"),
        ),
        groups={"g": Group(threshold=1, members=("w0",))},
        quorum="g",
    )
    assert parse_policy(policy_text(built)) == built


# fuzz

WORDS = st.sampled_from(
    [
        *("log", "witness", "group", "quorum", "none", "any", "all", "1", "2", "w0", "g", "#"),
        *("\t", "", "\u2003", "é", V_LOG, witness_key("w0"), witness_key("w1")),
    ]
)
LINES = st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=8).map("\n".join)


@given(LINES | st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_policy_that_reads_back_or_is_refused_in_one_line(text: str) -> None:
    for each in (text, f"{text}\n", f"{text}\nquorum none\n"):
        try:
            policy = parse_policy(each)
        except ProofError as error:
            assert "\n" not in str(error)
        else:
            assert parse_policy(policy_text(policy)) == policy
            policy_text(policy).encode("utf-8")
