"""`auditor ledger compare`: one history, or evidence of two that a stranger can check."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from auditor.proof.checkpoint import parse_checkpoint
from auditor.proof.log_policy import policy_text
from auditor.workflow.homes.home import Home, create_home, open_home
from tests.certificates.conftest import issue_record
from tests.cli.conftest import Auditor, Ran, stock
from tests.ledger.books import fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A home and its clone; both went on after ``common`` and signed with the same keys."""

    folder: Path
    common: Path
    one: Home
    other: Home


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with nothing in it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def signed(auditor: Auditor, home: Home, grown: int, stream: str) -> None:
    fill(home.ledger, grown, stream)
    home.close()
    assert auditor("ledger", "checkpoint", "--home", home.root).code == 0


@pytest.fixture
def cloned(
    auditor: Auditor, home: Home, tmp_path: Path, elsewhere: Path
) -> Iterator[Callable[[int, int], Pair]]:
    """Forks a home after five entries, to grow by so many on either side."""
    opened = [home]

    def fork(one: int, other: int) -> Pair:
        signed(auditor, home, 4, "common")
        common = Path(shutil.copy(home.checkpoints_path, tmp_path / "common.txt"))
        clone = open_home(Path(shutil.copytree(home.root, tmp_path / "clone")))
        opened.append(clone)
        signed(auditor, home, one, "one")
        signed(auditor, clone, other, "other")
        return Pair(folder=elsewhere, common=common, one=home, other=clone)

    yield fork
    for each in opened:
        each.close()


def exported(auditor: Auditor, home: Home, folder: Path) -> Path:
    assert auditor("ledger", "export", folder, "--home", home.root).code == 0
    return folder


def require_one_history(ran: Ran, *sizes: int) -> None:
    assert (ran.code, ran.json["verdict"], ran.json["evidence"]) == (0, "one history", "")
    if sizes:
        assert (ran.json["smaller"], ran.json["larger"]) == sizes


def require_two_histories(auditor: Auditor, ran: Ran, trust: Path, *sizes: int) -> None:
    """Told by verdict and exit code, and by evidence that needs the trust file alone."""
    assert (ran.code, ran.json["verdict"]) == (5, "two histories")
    assert (ran.json["smaller"], ran.json["larger"]) == sizes
    evidence = Path(ran.json["evidence"])
    alone = auditor("ledger", "compare", evidence, "--trust", trust, "--json")
    assert (alone.code, alone.json) == (5, ran.json)


def require_refused(ran: Ran, *codes: int, why: str = "") -> None:
    assert ran.code in codes
    assert ran.out == ""
    assert ran.err.startswith("auditor: ") and ran.err.count("\n") == 1
    assert why in ran.err


def test_whatever_carries_a_checkpoint_of_one_ledger_is_one_history(
    auditor: Auditor, home: Home, tmp_path: Path, elsewhere: Path
) -> None:
    stock(home)
    signed(auditor, home, 1, "first")
    carriers = {tmp_path / "first.txt": 5, tmp_path / "trust-then.json": 5}
    shutil.copy(home.checkpoints_path, tmp_path / "first.txt")
    shutil.copy(home.trust_path, tmp_path / "trust-then.json")
    proof = tmp_path / "entry.tlog-proof"
    assert auditor("ledger", "prove", 2, "--to", proof, "--home", home.root).code == 0
    carriers[proof] = 5
    issued = issue_record(home)
    home.close()
    pdf = home.certificates / f"{issued.case}.pdf"
    carriers |= {pdf: 8, pdf.with_name(f"{pdf.name}.tlog-proof"): 9}
    signed(auditor, home, 1, "second")
    carriers |= {home.checkpoints_path: 10, home.trust_path: 10}
    carriers[exported(auditor, home, tmp_path / "tiles")] = 10
    for one, size in carriers.items():
        for other, larger in carriers.items():
            sizes = sorted((size, larger))
            ran = auditor("ledger", "compare", one, other, "--home", home.root, "--json")
            require_one_history(ran, *sizes)
    words = ("--trust", home.trust_path, "--log", tmp_path / "tiles", "--json")
    for pair in ((pdf, proof), (proof, pdf), (pdf, home.trust_path)):
        require_one_history(auditor("ledger", "compare", *pair, *words))
    words = ("--trust", home.trust_path, "--json")
    require_one_history(auditor("ledger", "compare", proof, tmp_path / "tiles", *words), 5, 10)
    require_one_history(auditor("ledger", "compare", proof, tmp_path / "first.txt", *words), 5, 5)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(("one", "other"), [(3, 3), (1, 6), (6, 1)])
def test_a_forked_clone_is_found_from_either_side(
    auditor: Auditor, cloned: Callable[[int, int], Pair], one: int, other: int
) -> None:
    pair = cloned(one, other)
    sizes = sorted((5 + one, 5 + other))
    notes = [pair.one.checkpoints_path, pair.other.checkpoints_path]
    larger = pair.one if one > other else pair.other
    for each in (notes, notes[::-1]):
        ran = auditor("ledger", "compare", *each, "--home", larger.root, "--json")
        require_two_histories(auditor, ran, pair.one.trust_path, *sizes)
    evidence = pair.folder / "told.json"
    assert not evidence.exists()
    ran = auditor(
        "ledger", "compare", *notes, "--home", larger.root, "--evidence", evidence, "--json"
    )
    assert ran.json["evidence"] == str(evidence)
    nowhere = evidence / "below.json"
    ran = auditor("ledger", "compare", *notes, "--home", larger.root, "--evidence", nowhere)
    assert (ran.code, ran.out) == (5, "")
    assert "two histories" in ran.err
    assert "--evidence" in ran.err
    for home in (pair.one, pair.other):
        ran = auditor("ledger", "compare", pair.common, home.checkpoints_path, "--home", home.root,
                      "--json")  # fmt: skip
        require_one_history(ran, 5, parse_checkpoint(home.checkpoints_path.read_text()).size)


def test_tiles_of_either_side_do(auditor: Auditor, cloned: Callable[[int, int], Pair]) -> None:
    pair = cloned(2, 6)
    trust, folder = pair.one.trust_path, pair.folder
    small = exported(auditor, pair.one, folder / "small")
    large = exported(auditor, pair.other, folder / "large")
    notes = (pair.one.checkpoints_path, pair.other.checkpoints_path)
    found = [
        auditor("ledger", "compare", *views, "--trust", trust, "--json")
        for views in (
            (small, large), (large, small), (notes[0], large), (large, notes[0]),
            (*notes, "--log", large), (*notes, "--log", small, "--log", large),
        )
    ]  # fmt: skip
    for ran in found:
        require_two_histories(auditor, ran, trust, 7, 11)
    require_refused(auditor("ledger", "compare", small, notes[1], "--trust", trust), 1, why="--log")


def test_the_logs_own_newer_checkpoint_gives_evidence_against_an_older_one(
    auditor: Auditor, cloned: Callable[[int, int], Pair]
) -> None:
    """The larger of the two is in no tree at hand, but the log has since signed past it."""
    pair = cloned(2, 6)
    notes = [Path(shutil.copy(home.checkpoints_path, pair.folder / f"{number}.txt"))
             for number, home in enumerate((pair.one, pair.other))]  # fmt: skip
    ran = auditor("ledger", "compare", *notes, "--home", pair.one.root)
    require_refused(ran, 1, why="no tree at hand that leads to the checkpoint of 11 entries")
    signed(auditor, pair.one, 9, "later")
    ran = auditor("ledger", "compare", *notes, "--home", pair.one.root, "--json")
    require_two_histories(auditor, ran, pair.one.trust_path, 11, 16)
    later = exported(auditor, pair.one, pair.folder / "later")
    ran = auditor("ledger", "compare", *notes, "--trust", pair.one.trust_path, "--log", later,
                  "--json")  # fmt: skip
    require_two_histories(auditor, ran, pair.one.trust_path, 11, 16)


def test_damaged_tiles_are_no_second_history(
    auditor: Auditor, cloned: Callable[[int, int], Pair]
) -> None:
    pair = cloned(2, 6)
    tiles = exported(auditor, pair.one, pair.folder / "tiles")
    words = ("ledger", "compare", pair.common, tiles, "--trust", pair.one.trust_path)
    assert auditor(*words).code == 0
    (tile,) = (path for path in (tiles / "tile" / "0").rglob("*") if path.is_file())
    content = tile.read_bytes()
    for damaged in (content[:-1], bytes(len(content)), content[::-1], None):
        tile.unlink()
        if damaged is not None:
            tile.write_bytes(damaged)
        require_refused(auditor(*words), 1)
        if damaged is None:
            tile.touch()
    (tiles / "checkpoint").write_bytes(b"\xff")
    require_refused(auditor(*words), 2)
    (tiles / "checkpoint").unlink()
    require_refused(auditor(*words), 1, why="holds no checkpoint")


def test_an_export_is_read_whole_even_where_its_checkpoint_is_all_that_is_compared(
    auditor: Auditor, home: Home, tmp_path: Path, elsewhere: Path
) -> None:
    signed(auditor, home, 3, "entries")
    tiles = exported(auditor, home, tmp_path / "tiles")
    words = ("ledger", "compare", tiles, home.checkpoints_path, "--home", home.root)
    assert auditor(*words).code == 0
    (bundle,) = (tiles / "tile" / "entries").rglob("*.p/*")
    content = bundle.read_bytes()
    bundle.write_bytes(content.replace(b"model-deployed", b"model-employed", 1))
    assert bundle.read_bytes() != content
    require_refused(auditor(*words), 1, why=f"{tiles} isn't what its checkpoint speaks of: entry ")
    assert list(elsewhere.iterdir()) == []


def test_another_logs_checkpoint_is_told(
    auditor: Auditor, home: Home, tmp_path: Path, elsewhere: Path
) -> None:
    signed(auditor, home, 1, "m")
    other = create_home(tmp_path / "other", controller="St. Other", dpo="DPO office")
    signed(auditor, other, 1, "m")
    for pair in (
        (home.checkpoints_path, other.checkpoints_path),
        (other.checkpoints_path, home.checkpoints_path),
        (other.trust_path, other.trust_path),
    ):
        require_refused(auditor("ledger", "compare", *pair, "--home", home.root), 1, why="another")
    ran = auditor("ledger", "compare", home.checkpoints_path, home.checkpoints_path,
                  "--trust", other.trust_path)  # fmt: skip
    require_refused(ran, 1, why="another")


GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "text": b"hello\n",
    "zeroes": bytes(4_096),
    "bytes": bytes(range(256)) * 16,
    "no UTF-8": b"\xff\xfe{}",
    "an object": b"{}",
    "a number for a note": b'{"checkpoint": 7}',
    "null for a note": b'{"checkpoint": null}',
    "half an object": b'{"checkpoint": "',
    "deep": b"{" + b'"a":{' * 50_000,
    "deeper": b'{"a":' + b"[" * 100_000,
    "a PDF": b"%PDF-1.7\n%garbage\n",
    "an empty PDF": b"%PDF-",
    "a cut PDF": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\nxref\n0 1\ntrailer<<>>\nstartxref\n9\n%%EOF",
    "a proof's first line": b"c2sp.org/tlog-proof@v1\n",
    "a proof of nothing": b"c2sp.org/tlog-proof@v1\nindex 0\n\nno note",
    "no signature": b"origin\n1\nAAAA\n",
    "an escape": b"\x1b[2J\n1\n\n\xe2\x80\x94 a b\n",
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_told_in_one_line(
    auditor: Auditor, home: Home, tmp_path: Path, elsewhere: Path, garbage: str
) -> None:
    signed(auditor, home, 1, "m")
    bad, good = tmp_path / "garbage", home.checkpoints_path
    bad.write_bytes(GARBAGE[garbage])
    home_words, trust_words = ("--home", home.root), ("--trust", home.trust_path)
    for words in (
        (bad, good, *home_words), (good, bad, *trust_words), (bad, bad, *home_words),
        (bad, *trust_words), (good, good, "--trust", bad), (bad, "--trust", bad),
        (good, good, "--log", bad, *trust_words),
    ):  # fmt: skip
        ran = auditor("ledger", "compare", *words)
        require_refused(ran, 1, 2)
        assert "\x1b" not in ran.err
    assert list(elsewhere.iterdir()) == []


def test_what_cannot_be_read_is_told(
    auditor: Auditor, home: Home, tmp_path: Path, elsewhere: Path
) -> None:
    signed(auditor, home, 1, "m")
    good, missing, empty = home.checkpoints_path, tmp_path / "missing", tmp_path / "empty"
    empty.mkdir()
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 30)  # sparse
    trust = ("--trust", home.trust_path)
    require_refused(auditor("ledger", "compare", good, missing, *trust), 2, why="can't read")
    require_refused(auditor("ledger", "compare", missing, *trust), 2, why="can't read")
    require_refused(
        auditor("ledger", "compare", good, large, *trust), 2, why="is larger than 64 MiB"
    )
    require_refused(auditor("ledger", "compare", good, empty, *trust), 1, why="no checkpoint")
    require_refused(auditor("ledger", "compare", empty, *trust), 2, why="can't read")
    require_refused(
        auditor("ledger", "compare", good, good, "--trust", missing), 2, why="can't read"
    )
    require_refused(auditor("ledger", "compare", good, good, "--home", missing), 1, why="no home")


def test_evidence_is_not_believed_under_other_keys_or_once_it_was_changed(
    auditor: Auditor, cloned: Callable[[int, int], Pair], tmp_path: Path
) -> None:
    pair = cloned(3, 3)
    ran = auditor("ledger", "compare", pair.one.checkpoints_path, pair.other.checkpoints_path,
                  "--home", pair.one.root, "--json")  # fmt: skip
    evidence, trust = Path(ran.json["evidence"]), pair.one.trust_path
    policy = tmp_path / "policy"
    policy.write_text(policy_text(pair.one.trust.policy))
    assert auditor("ledger", "compare", evidence, "--trust", policy).code == 5
    other = create_home(tmp_path / "other", controller="St. Other", dpo="DPO office")
    other.close()
    require_refused(auditor("ledger", "compare", evidence, "--trust", other.trust_path), 1)
    value = json.loads(evidence.read_bytes())
    value["larger"] = value["smaller"]
    evidence.write_text(json.dumps(value))
    ran = auditor("ledger", "compare", evidence, "--trust", trust)
    require_refused(ran, 1, why="no contradiction")
