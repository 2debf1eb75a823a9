"""RFC 6962 and the C2SP specifications once more, as plainly as can be, for tests to compare with.

Nothing here comes from `auditor.proof` but the signer that carries a key into it: what the tests
expect is written from the specifications' own words.
"""

from __future__ import annotations

import hashlib
import struct
from base64 import b64decode, b64encode
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auditor.proof.signing import Signer, load_signer

PrivateKey = Ed25519PrivateKey | MLDSA44PrivateKey


# RFC 6962 section 2.1: D is the list of entries


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def largest_power_below(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def tree_hash(D: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not D:
        return sha256(b"")
    if len(D) == 1:
        return sha256(b"\x00" + D[0])
    k = largest_power_below(len(D))
    return sha256(b"\x01" + tree_hash(D[:k]) + tree_hash(D[k:]))


def audit_path(m: int, D: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(D) == 1:
        return []
    k = largest_power_below(len(D))
    if m < k:
        return [*audit_path(m, D[:k]), tree_hash(D[k:])]
    return [*audit_path(m - k, D[k:]), tree_hash(D[:k])]


def consistency_proof(m: int, D: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n]) for 0 < m < n, else nothing."""
    return subproof(m, D, whole=True) if 0 < m < len(D) else []


def subproof(m: int, D: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if m == len(D):
        return [] if whole else [tree_hash(D)]
    k = largest_power_below(len(D))
    if m <= k:
        return [*subproof(m, D[:k], whole=whole), tree_hash(D[k:])]
    return [*subproof(m - k, D[k:], whole=False), tree_hash(D[:k])]


# keys, from seeds made of their names: for tests alone


def ed25519(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))


def ml_dsa_44(name: str) -> MLDSA44PrivateKey:
    return MLDSA44PrivateKey.from_seed_bytes(sha256(name.encode()))


def signer(key: PrivateKey) -> Signer:
    """The key as the proof room takes it."""
    return load_signer(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def public(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


# signed-note


def base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def key_id(name: str, type_: int, raw: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([type_]) + raw)[:4]


def vkey(name: str, type_: int, key: PrivateKey) -> str:
    raw = public(key)
    return f"{name}+{key_id(name, type_, raw).hex()}+{base64(bytes([type_]) + raw)}"


def line(name: str, id_: bytes, signature: bytes) -> str:
    return f"— {name} {base64(id_ + signature)}\n"


def note_line(name: str, key: Ed25519PrivateKey, text: str) -> str:
    """Type 0x01."""
    return line(name, key_id(name, 0x01, public(key)), key.sign(text.encode()))


# tlog-checkpoint and tlog-cosignature


def checkpoint_text(origin: str, size: int, root: bytes, *extensions: str) -> str:
    return "".join(f"{each}\n" for each in (origin, size, base64(root), *extensions))


def message_04(time: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def message_06(name: str, time: int, origin: str, start: int, end: int, hash_: bytes) -> bytes:
    cosigner, log = name.encode(), origin.encode()
    return struct.pack(
        f">12s B{len(cosigner)}s Q B{len(log)}s Q Q 32s",
        b"subtree/v1\n\0",
        len(cosigner),
        cosigner,
        time,
        len(log),
        log,
        start,
        end,
        hash_,
    )


def line_04(name: str, key: Ed25519PrivateKey, time: int, text: str) -> str:
    signature = struct.pack(">Q", time) + key.sign(message_04(time, text))
    return line(name, key_id(name, 0x04, public(key)), signature)


def line_06(name: str, key: MLDSA44PrivateKey, time: int, text: str) -> str:
    origin, size, root = read_checkpoint(text)
    message = message_06(name, time, origin, 0, size, root)
    signature = struct.pack(">Q", time) + key.sign(message)
    return line(name, key_id(name, 0x06, public(key)), signature)


def read_checkpoint(text: str) -> tuple[str, int, bytes]:
    origin, size, root = text.split("\n")[:3]
    return origin, int(size), b64decode(root)


def raw_of(signature_line: str) -> bytes:
    """Key id and signature of a line."""
    return b64decode(signature_line.split(" ")[2])
