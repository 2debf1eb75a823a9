"""The golden files of ``tests/vectors/proof``: each does what its index says, and can be remade."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path

import pytest

from auditor.errors import ProofError
from auditor.proof.checkpoint import Checkpoint
from auditor.proof.log_policy import parse_policy, verify_cosigned
from auditor.proof.merkle import verify_consistency
from auditor.proof.note import parse_vkey
from auditor.proof.strict_json import as_base64
from auditor.proof.tlog_proof import verify_tlog_proof
from auditor.proof.witnessing import format_request, judge, parse_request
from tests.proof import plainly
from tests.vectors import make_proof_vectors as maker

FOLDER = maker.FOLDER
INDEX = json.loads((FOLDER / maker.INDEX).read_text(encoding="utf-8"))
FILES = INDEX["files"]
NOW = INDEX["now"]


def text(name: str) -> str:
    return (FOLDER / name).read_bytes().decode("utf-8")


POLICY = parse_policy(text("policy.txt"))


def check_policy(name: str) -> None:
    assert parse_policy(text(name)) == POLICY


def check_checkpoint(name: str) -> None:
    found = verify_cosigned(text(name), POLICY, NOW)
    size = int(name.removesuffix(".txt").split("-")[1])
    root = plainly.tree_hash(maker.ENTRIES[:size])
    assert found.checkpoint == Checkpoint(origin=maker.NAME, size=size, root=root)


def check_proof(name: str) -> None:
    told = FILES[name]
    entry = told["entry"].encode() if "entry" in told else bytes.fromhex(told["entry_hex"])
    index, found = verify_tlog_proof(text(name), entry, POLICY, NOW)
    assert name.startswith(f"{index}-of-{found.checkpoint.size}")


def check_consistency(name: str) -> None:
    (old, old_root), (new, new_root), *path = (line.split(" ") for line in text(name).splitlines())
    verify_consistency(
        int(old),
        int(new),
        as_base64(old_root, "a root"),
        as_base64(new_root, "a root"),
        [as_base64(value, "a hash") for (value,) in path],
    )


CHECKS = {
    "policy": check_policy,
    "checkpoint": check_checkpoint,
    "consistency": check_consistency,
    "tlog-proof": check_proof,
}


def kind(name: str) -> str:
    return "tlog-proof" if name.endswith(".tlog-proof") else name.split(".")[0].split("-")[0]


JUDGED = [name for name in FILES if kind(name) == "add"]
VERIFIED = [name for name in FILES if name not in JUDGED]


@pytest.mark.parametrize("name", VERIFIED)
def test_a_golden_file_is_accepted_or_refused_as_its_index_says(name: str) -> None:
    assert ("forged" in name) == (FILES[name]["expect"] == "refused")
    if FILES[name]["expect"] == "accepted":
        CHECKS[kind(name)](name)
    else:
        with pytest.raises(ProofError):
            CHECKS[kind(name)](name)


@pytest.mark.parametrize("name", JUDGED)
def test_a_golden_request_gets_the_answer_its_index_says(name: str) -> None:
    size = FILES[name]["latest"]
    root = plainly.tree_hash(maker.ENTRIES[:size])
    latest = Checkpoint(origin=maker.NAME, size=size, root=root) if size else None
    try:
        request = parse_request(text(name))
    except ProofError:
        status = HTTPStatus.BAD_REQUEST
        assert "malformed" in name
    else:
        assert format_request(request) == text(name)
        status = judge(request, {maker.NAME: POLICY.keys_of(maker.NAME)}, latest).status
        assert "malformed" not in name
    assert status == FILES[name]["expect"]


def test_every_kind_is_there_good_and_forged() -> None:
    for each in CHECKS:
        verdicts = {FILES[name]["expect"] for name in VERIFIED if kind(name) == each}
        assert verdicts == {"accepted", "refused"}
    assert {FILES[name]["expect"] for name in JUDGED} == {200, 400, 403, 404, 409, 422}


def test_the_generator_still_makes_every_file_to_the_byte() -> None:
    made = maker.make(maker.kept())
    assert set(made) == {path.name for path in FOLDER.iterdir()}
    assert set(FILES) == set(made) - {".gitattributes", maker.INDEX, maker.KEPT, "keys.txt"}
    for name, content in made.items():
        assert content.encode("utf-8") == (FOLDER / name).read_bytes(), name


def test_the_kept_signatures_are_of_the_specifications_messages_and_hold() -> None:
    kept = maker.kept()
    assert len(kept) == len(set(kept.values()))
    for place, signature in kept.items():
        name, message = place.split(": ")
        key = plainly.ml_dsa_44(name).public_key()
        key.verify(bytes.fromhex(signature), bytes.fromhex(message))
        assert bytes.fromhex(message).startswith(b"subtree/v1\n\0")


def test_without_kept_signatures_the_generator_makes_new_ones_and_nothing_else_new() -> None:
    fresh, made = maker.make({}), maker.make(maker.kept())
    assert set(fresh) == set(made)
    differing = {name for name in made if fresh[name] != made[name]}
    assert maker.KEPT in differing
    assert maker.INDEX not in differing
    assert "keys.txt" not in differing
    assert set(json.loads(fresh[maker.KEPT])) == set(maker.kept())
    for name in ("checkpoint-7.txt", "checkpoint-8.txt"):
        verify_cosigned(fresh[name], POLICY, NOW)


def test_a_bent_kept_signature_is_made_anew() -> None:
    bent = {place: "00" + signature[2:] for place, signature in maker.kept().items()}
    verify_cosigned(maker.make(bent)["checkpoint-7.txt"], POLICY, NOW)


def test_the_keys_are_the_ones_that_signed() -> None:
    lines = text("keys.txt").splitlines()[1:]
    keys = [parse_vkey(line.partition(": ")[2]) for line in lines]
    assert len(keys) == len(lines) == 5
    assert {*POLICY.keys_of(maker.NAME), *(w.key for w in POLICY.witnesses)} < {*keys}


def test_the_folder_is_written_as_made(tmp_path: Path) -> None:
    (tmp_path / maker.KEPT).write_bytes((FOLDER / maker.KEPT).read_bytes())
    (tmp_path / "left-over.txt").write_text("of an earlier run", encoding="utf-8")
    maker.write(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in FOLDER.iterdir()}
