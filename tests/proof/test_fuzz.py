"""A campaign: golden files changed at random are refused, or mean what they meant."""

from __future__ import annotations

import random

from auditor.errors import ProofError
from auditor.proof.checkpoint import Checkpoint
from auditor.proof.log_policy import parse_policy, policy_text, verify_cosigned
from auditor.proof.note import parse_vkey
from auditor.proof.tlog_proof import verify_tlog_proof
from auditor.proof.witnessing import judge, parse_request
from tests.campaigns import Campaign
from tests.proof import plainly
from tests.vectors import make_proof_vectors as maker

ROOT = plainly.tree_hash(maker.ENTRIES[:7])
STATE = Checkpoint(origin=maker.NAME, size=7, root=ROOT)
OLD = Checkpoint(origin=maker.NAME, size=3, root=plainly.tree_hash(maker.ENTRIES[:3]))
GOOD = (
    "policy.txt",
    "checkpoint-7.txt",
    "checkpoint-7-cosigned-with-ml-dsa-44.txt",
    "3-of-7-with-extra.tlog-proof",
    "add-checkpoint-from-3.txt",
    "keys.txt",
)
TEXTS = {path.name: path.read_bytes() for path in maker.FOLDER.iterdir()}
POLICY = parse_policy(TEXTS["policy.txt"].decode())
TOKENS = [b"\n", b"\n\n", b" ", b"\t", b"\0", b"\r", b"+", b"=", b"A", b"0", b"\xc2\xa0", b"\xff"]
TOKENS += ["— ".encode(), b"quorum none\n", b"log ", b"extra AAAA\n", b"index 3\n", b"old 0\n"]


def changed(data: bytes, chance: random.Random) -> bytes:
    """One to three random changes: bits, cuts, doublings, tokens, and parts of other files."""
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice([1, 1, 4, 44, 100]))
        part = data[start:end]
        match chance.randrange(6):
            case 0 if part:
                part = bytes([part[0] ^ 1 << chance.randrange(8)]) + part[1:]
            case 1:
                part = b""
            case 2:
                part = part * 2
            case 3:
                part = chance.choice(TOKENS) + part
            case 4:
                lines = data.split(b"\n")
                chance.shuffle(lines)
                data = b"\n".join(lines) if chance.random() < 0.1 else data
            case _:
                other = TEXTS[chance.choice(sorted(TEXTS))]
                place = chance.randrange(len(other) + 1)
                part = other[place : place + chance.choice([4, 44, 500])]
        data = data[:start] + part + data[end:]
    return data


def require_the_same(name: str, text: str) -> None:
    """Read the text as what its name says it was; ProofError, or the meaning it had."""
    if name == "policy.txt":
        policy = parse_policy(text)
        assert parse_policy(policy_text(policy)) == policy
    elif name == "keys.txt":
        for line in text.split("\n")[1:-1]:
            vkey = line.rpartition(": ")[2]
            assert parse_vkey(vkey).vkey == vkey
    elif name.startswith("checkpoint"):
        assert verify_cosigned(text, POLICY, maker.NOW).checkpoint == STATE
    elif name.startswith("add"):
        request = parse_request(text)
        judged = judge(request, {maker.NAME: POLICY.keys_of(maker.NAME)}, OLD)
        assert judged.checkpoint in (None, STATE)
    else:
        index, found = verify_tlog_proof(text, maker.ENTRIES[3], POLICY, maker.NOW)
        assert (index, found.checkpoint) == (3, STATE)


def test_a_golden_file_changed_at_random_is_refused_or_means_the_same(campaign: Campaign) -> None:
    for seed in range(campaign.rounds(600, of=150_000)):
        chance = random.Random(seed)
        name = chance.choice(GOOD)
        data = changed(TEXTS[name], chance)
        text = data.decode("utf-8", chance.choice(["surrogateescape", "replace", "ignore"]))
        try:
            require_the_same(name, text)
        except ProofError as error:
            assert "\n" not in str(error)
            campaign.count(refused=1)
        else:
            campaign.count(read=1)
