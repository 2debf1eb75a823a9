"""Makes the golden files of ``tests/vectors/proof``: `python -m tests.vectors.make_proof_vectors`.

Written with `tests.proof.plainly` alone, so that the files say what the specifications say and not
what our code does. Everything comes out the same each time but ML-DSA-44 signatures, which are
random: those made once are kept in ``ml-dsa-44.json`` and used again for the same key and message.

``index.json`` tells what to expect of every file. The private keys are SHA-256 of the names in
``keys.txt``: for tests alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature

from tests.proof import plainly

FOLDER = Path(__file__).parent / "proof"
KEPT = "ml-dsa-44.json"
INDEX = "index.json"

NAME = "example.com/ledger"
OTHER = "example.com/other"
WITNESS = "witness.example/w"
NOW = 1_795_000_000  # the verifier's clock, and what cosignatures state

ENTRIES = [f"entry {number}".encode() for number in range(9)]
REWRITTEN = [b"rewritten", *ENTRIES[1:]]

LOG = plainly.ed25519("collision 118496")
FORGER = plainly.ed25519("collision 139614")  # under the log's name it has the log's key id
STRANGER = plainly.ed25519("stranger")
W4 = plainly.ed25519("witness")


class KeptKey:
    """An ML-DSA-44 key that signs a message once and for all."""

    def __init__(self, name: str, before: Mapping[str, str], used: dict[str, str]) -> None:
        self.name = name
        self._key = plainly.ml_dsa_44(name)
        self._before = before
        self._used = used

    def public_key(self) -> Any:
        return self._key.public_key()

    def sign(self, message: bytes) -> bytes:
        place = f"{self.name}: {message.hex()}"
        signature = bytes.fromhex(self._used.get(place) or self._before.get(place, ""))
        try:
            self.public_key().verify(signature, message)
        except InvalidSignature:
            signature = self._key.sign(message)
        self._used[place] = signature.hex()
        return signature


class Vectors:
    """The files, and what to expect of each."""

    def __init__(self, before: Mapping[str, str]) -> None:
        self.used: dict[str, str] = {}
        self.log_pq = KeptKey("log", before, self.used)
        self.w6 = KeptKey("witness", before, self.used)
        self.files: dict[str, str] = {}
        self.index: dict[str, Mapping[str, object]] = {}

    def add(self, name: str, text: str, expect: object, **more: object) -> None:
        self.files[name] = text
        self.index[name] = {"expect": expect, **more}

    # notes

    def lines(self, text: str, time: int = NOW) -> list[str]:
        """Ed25519 and ML-DSA-44 of the log, Ed25519 of the witness."""
        return [
            plainly.note_line(NAME, LOG, text),
            plainly.line_06(NAME, self.log_pq, time, text),
            plainly.line_04(WITNESS, W4, time, text),
        ]

    def note(self, size: int, entries: Sequence[bytes] = ENTRIES) -> str:
        text = text_of(size, entries)
        return noted(text, *self.lines(text))

    def policies(self) -> None:
        log = [plainly.vkey(NAME, 1, LOG), plainly.vkey(NAME, 6, self.log_pq)]
        w4, w6 = plainly.vkey(WITNESS, 4, W4), plainly.vkey(WITNESS, 6, self.w6)
        good = (
            f"# both keys of the log, and its witness\n"
            f"log {log[0]}\nlog {log[1]}\n\nwitness w4 {w4}\nwitness w6 {w6}\n"
            f"group w any w4 w6\nquorum w\n"
        )
        self.add("policy.txt", good, "accepted")
        forged = {
            "cut-off": good.replace("quorum w\n", "quorum w"),
            "no-quorum": good.replace("quorum w\n", ""),
            "two-quorums": good + "quorum none\n",
            "threshold-above-members": good.replace("any", "3"),
            "threshold-zero": good.replace("any", "0"),
            "witness-twice-under-two-names": good.replace("group", f"witness w5 {w4}\ngroup"),
            "log-is-its-own-witness": good.replace(w4, plainly.vkey(WITNESS, 4, LOG)),
            "witness-with-a-plain-note-key": good.replace(w4, plainly.vkey(WITNESS, 1, W4)),
            "log-with-a-cosignature-key": good.replace(log[0], plainly.vkey(NAME, 4, LOG)),
            "member-of-two-groups": good.replace("quorum w", "group v any w4\nquorum w"),
            "group-of-itself": good.replace("any w4", "any w"),
            "colliding-key-ids": good + f"log {plainly.vkey(NAME, 1, FORGER)}\n",
            "carriage-returns": good.replace("\n", "\r\n"),
            "no-break-space": good.replace("quorum ", "quorum\u00a0"),
        }
        for why, text in forged.items():
            self.add(f"policy-forged-{why}.txt", text, "refused")

    def checkpoints(self) -> None:
        for size in (0, 1, 7, 8):
            self.add(f"checkpoint-{size}.txt", self.note(size), "accepted")
        text, eighth = text_of(7), text_of(8)
        ed, pq, w4 = self.lines(text)
        w6 = plainly.line_06(WITNESS, self.w6, NOW, text)
        stranger = plainly.note_line(NAME, STRANGER, text)
        extended = text + "an extension line\n"
        good = {
            "cosigned-with-ml-dsa-44": noted(text, ed, pq, w6),
            "with-a-strangers-lines": noted(text, stranger, ed, stranger, pq, w4),
            "with-an-extension-line": noted(extended, *self.lines(extended)),
            "600-seconds-ahead": noted(text, *self.lines(text, NOW + 600)),
        }
        for what, note in good.items():
            self.add(f"checkpoint-7-{what}.txt", note, "accepted")
        other = plainly.checkpoint_text(OTHER, 7, plainly.tree_hash(ENTRIES[:7]))
        large = plainly.checkpoint_text(NAME, 2**63, plainly.tree_hash(ENTRIES[:7]))
        ids = {
            type_: plainly.key_id(WITNESS, type_, plainly.public(key))
            for type_, key in ((4, W4), (6, self.w6))
        }
        root = plainly.base64(plainly.tree_hash(ENTRIES[:7]))
        forged = {
            "without-ed25519": noted(text, pq, w4),
            "without-ml-dsa-44": noted(text, ed, w4),
            "without-a-witness": noted(text, ed, pq),
            "origin-changed": noted(other, ed, pq, w4),
            "origin-of-another-log": noted(
                other,
                plainly.note_line(OTHER, LOG, other),
                plainly.line_06(OTHER, self.log_pq, NOW, other),
                plainly.line_04(WITNESS, W4, NOW, other),
            ),
            "size-changed": noted(text.replace("\n7\n", "\n8\n"), ed, pq, w4),
            "root-changed": noted(text_of(7, REWRITTEN), ed, pq, w4),
            "extension-line-slipped-in": noted(extended, ed, pq, w4),
            "ed25519-of-8": noted(text, plainly.note_line(NAME, LOG, eighth), pq, w4),
            "ml-dsa-44-of-8": noted(text, ed, plainly.line_06(NAME, self.log_pq, NOW, eighth), w4),
            "cosignature-of-8": noted(text, ed, pq, plainly.line_04(WITNESS, W4, NOW, eighth)),
            "cosignatures-time-changed": noted(text, ed, pq, dated(w4, NOW - 1)),
            "601-seconds-ahead": noted(text, *self.lines(text, NOW + 601)),
            "time-of-2-to-63": noted(text, ed, pq, plainly.line_04(WITNESS, W4, 2**63, text)),
            "ed25519-by-a-colliding-key": noted(
                text, plainly.note_line(NAME, FORGER, text), pq, w4
            ),
            "ed25519-line-twice": noted(text, ed, ed, pq, w4),
            "cosignature-twice": noted(text, ed, pq, w4, w4),
            "04-in-a-06-line": noted(text, ed, pq, plainly.line(WITNESS, ids[6], signed(w4))),
            "06-in-a-04-line": noted(text, ed, pq, plainly.line(WITNESS, ids[4], signed(w6))),
            "size-with-a-leading-zero": resigned(self, text.replace("\n7\n", "\n07\n"), text),
            "size-of-2-to-63": noted(large, *self.lines(large)),
            "root-not-padded": resigned(self, text.replace(root, root.rstrip("=")), text),
            "carriage-returns": noted(text, ed, pq, w4).replace("\n", "\r\n"),
            "name-with-a-no-break-space": noted(text, ed, pq, w4) + "— na\u00a0me AAAAAAA=\n",
            "base64-with-spare-bits": noted(text, ed, pq, w4) + "— name AAAAAAB=\n",
            "cut-off": noted(text, ed, pq, w4)[:-1],
        }
        for why, note in forged.items():
            self.add(f"checkpoint-7-forged-{why}.txt", note, "refused")

    # proofs

    def proofs(self) -> None:
        for index, size in ((0, 1), (0, 7), (3, 7), (6, 7), (7, 8)):
            text = proof(index, plainly.audit_path(index, ENTRIES[:size]), self.note(size))
            self.add(f"{index}-of-{size}.tlog-proof", text, "accepted", entry=f"entry {index}")
        path, note = plainly.audit_path(3, ENTRIES[:7]), self.note(7)
        good = proof(3, path, note, extra=b"entry 3")
        entry = "entry 3"
        self.add("3-of-7-with-extra.tlog-proof", good, "accepted", entry=entry)
        unsigned = noted(text_of(7), *self.lines(text_of(7))[:2])
        forged = {
            "another-index": proof(4, path, note),
            "index-above-size": proof(7, path, note),
            "index-with-a-leading-zero": good.replace("index 3", "index 03"),
            "hash-missing": proof(3, path[:-1], note),
            "hash-added": proof(3, [*path, path[0]], note),
            "hashes-reordered": proof(3, path[::-1], note),
            "hash-of-31-bytes": proof(3, [path[0][:31], *path[1:]], note),
            "path-of-another-size": proof(3, plainly.audit_path(3, ENTRIES[:8]), note),
            "checkpoint-of-another-size": proof(3, path, self.note(8)),
            "checkpoint-not-cosigned": proof(3, path, unsigned),
            "extra-empty": good.replace(good.split("\n")[1], "extra "),
            "extra-twice": good.replace("index 3", "extra AAAA\nindex 3"),
            "no-empty-line": good.replace("\n\n", "\n", 1),
            "another-header": good.replace("@v1", "@v2"),
        }
        for why, text in forged.items():
            self.add(f"3-of-7-forged-{why}.tlog-proof", text, "refused", entry=entry)
        another = proof(3, path, note)
        self.add("3-of-7-forged-another-entry.tlog-proof", another, "refused", entry="entry 4")
        node = (plainly.sha256(b"\0" + one) for one in ENTRIES[2:4])
        inner = proof(1, path[1:], note)  # as if the node over entries 2 and 3 were an entry
        self.add(
            "1-of-7-forged-inner-node-as-an-entry.tlog-proof",
            inner,
            "refused",
            entry_hex=b"".join(node).hex(),
        )

    def consistency(self) -> None:
        for old, new in ((0, 7), (1, 7), (3, 7), (4, 7), (6, 7), (7, 7), (7, 8)):
            self.add(f"consistency-{old}-{new}.txt", growth(old, new), "accepted")
        path = plainly.consistency_proof(3, ENTRIES[:7])
        forged = {
            "hash-missing": growth(3, 7, path=path[:-1]),
            "hash-added": growth(3, 7, path=[*path, path[0]]),
            "hashes-reordered": growth(3, 7, path=path[::-1]),
            "no-hashes": growth(3, 7, path=[]),
            "rewritten": growth(3, 7, entries=REWRITTEN),
            "rewritten-with-the-honest-proof": growth(3, 7, entries=REWRITTEN, path=path),
            "proof-of-4-7": growth(3, 7, path=plainly.consistency_proof(4, ENTRIES[:7])),
        }
        for why, text in forged.items():
            self.add(f"consistency-3-7-forged-{why}.txt", text, "refused")
        self.add("consistency-7-3-forged-shrunk.txt", growth(7, 3, path=path), "refused")

    def requests(self) -> None:
        def ask(what: str, status: int, latest: int, text: str) -> None:
            """``latest``: size of the honest log that the witness has on record."""
            self.add(f"add-checkpoint-{what}.txt", text, status, latest=latest)

        ask("first", 200, 0, request(0, self.note(7)))
        ask("from-3", 200, 3, request(3, self.note(7), 7))
        ask("again", 200, 7, request(7, self.note(7)))
        other = plainly.checkpoint_text(OTHER, 7, plainly.tree_hash(ENTRIES[:7]))
        theirs = noted(other, plainly.note_line(OTHER, LOG, other))
        ask("of-an-unknown-origin", 404, 3, request(3, theirs, 7))
        text = text_of(7)
        ask("unsigned", 403, 3, request(3, noted(text, plainly.note_line(NAME, STRANGER, text)), 7))
        ask("of-one-signature", 403, 3, request(3, noted(text, self.lines(text)[0]), 7))
        ask("with-old-above-new", 400, 8, request(8, self.note(7)))
        ask("with-another-old", 409, 4, request(3, self.note(7), 7))
        ask("of-another-root", 409, 7, request(7, self.note(7, REWRITTEN)))
        rewritten = plainly.consistency_proof(3, REWRITTEN[:7])
        ask("of-a-rewritten-past", 422, 3, request(3, self.note(7, REWRITTEN), path=rewritten))
        ask("without-its-proof", 422, 3, request(3, self.note(7)))
        ask("malformed-old", 400, 3, request(3, self.note(7), 7).replace("old 3", "old 03"))
        ask("malformed-hash", 400, 3, request(3, self.note(7), path=[bytes(31)]))

    def keys(self) -> str:
        rows = [
            ("collision 118496", NAME, 1, LOG),
            ("collision 139614", NAME, 1, FORGER),
            ("log", NAME, 6, self.log_pq),
            ("witness", WITNESS, 4, W4),
            ("witness", WITNESS, 6, self.w6),
        ]
        head = "# the private key is SHA-256 of the name: FOR TESTS ALONE\n"
        lines = (f"{seed}: {plainly.vkey(name, type_, key)}\n" for seed, name, type_, key in rows)
        return head + "".join(lines)


def make(before: Mapping[str, str]) -> dict[str, str]:
    """Every file's name and text.

    Args:
        before: ML-DSA-44 signatures of an earlier run, as ``ml-dsa-44.json`` holds them.
    """
    made = Vectors(before)
    made.policies()
    made.checkpoints()
    made.proofs()
    made.consistency()
    made.requests()
    return {
        **made.files,
        ".gitattributes": "* -text\n",  # line ends are part of what is tested
        "keys.txt": made.keys(),
        KEPT: _json(made.used),
        INDEX: _json({"now": NOW, "files": made.index}),
    }


def kept(folder: Path = FOLDER) -> dict[str, str]:
    """The signatures of the last run."""
    path = folder / KEPT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def text_of(size: int, entries: Sequence[bytes] = ENTRIES) -> str:
    return plainly.checkpoint_text(NAME, size, plainly.tree_hash(entries[:size]))


def noted(text: str, *lines: str) -> str:
    return text + "\n" + "".join(lines)


def signed(line: str) -> bytes:
    """What follows the key id on a signature line."""
    return plainly.raw_of(line)[4:]


def dated(line: str, time: int) -> str:
    """A cosignature with another time written over its own."""
    raw = plainly.raw_of(line)
    return plainly.line(WITNESS, raw[:4], time.to_bytes(8, "big") + raw[12:])


def resigned(vectors: Vectors, changed: str, text: str) -> str:
    """A text in another form, signed by all in that form; ML-DSA-44 signs what it means."""
    pq = plainly.line_06(NAME, vectors.log_pq, NOW, text)
    ed, w4 = plainly.note_line(NAME, LOG, changed), plainly.line_04(WITNESS, W4, NOW, changed)
    return noted(changed, ed, pq, w4)


def proof(index: int, path: Sequence[bytes], note: str, extra: bytes = b"") -> str:
    lines = ["c2sp.org/tlog-proof@v1"]
    lines += [f"extra {plainly.base64(extra)}"] if extra else []
    lines += [f"index {index}", *map(plainly.base64, path), "", note]
    return "\n".join(lines)


def growth(
    old: int, new: int, *, entries: Sequence[bytes] = ENTRIES, path: Sequence[bytes] | None = None
) -> str:
    """``size root`` of the honest old tree and of the new one, then the proof's hashes."""
    roots = (plainly.tree_hash(ENTRIES[:old]), plainly.tree_hash(entries[:new]))
    hashes = plainly.consistency_proof(old, entries[:new]) if path is None else path
    lines = [f"{old} {plainly.base64(roots[0])}", f"{new} {plainly.base64(roots[1])}"]
    return "".join(f"{line}\n" for line in (*lines, *map(plainly.base64, hashes)))


def request(old: int, note: str, new: int = 0, path: Sequence[bytes] = ()) -> str:
    """An add-checkpoint request, with the honest log's proof from ``old`` to ``new``."""
    hashes = path or plainly.consistency_proof(old, ENTRIES[:new])
    return "\n".join([f"old {old}", *map(plainly.base64, hashes), "", note])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write(folder: Path = FOLDER) -> None:
    """Write the files anew, and remove those that are no more."""
    made = make(kept(folder))
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (folder / name).write_bytes(text.encode("utf-8"))


if __name__ == "__main__":
    write()
