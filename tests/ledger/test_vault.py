from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from auditor.errors import LedgerError, TamperedError
from auditor.ledger.vault import Vault

PAYLOAD = b'{"subjects":["patient-4711"]}'


def vault(path: Path, key: bytes = bytes(32)) -> Vault:
    return Vault(path / "ledger.db", key_encryption_key=key, lookup_key=bytes(range(32)))


def test_a_payload_comes_back_and_its_commitment_tells_nothing(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    first, second = kept.seal("case:1", PAYLOAD), kept.seal("case:1", PAYLOAD)
    assert first != second
    assert first.value != hashlib.sha256(PAYLOAD).hexdigest()
    assert kept.open(first) == kept.open(second) == PAYLOAD
    assert kept.commitments("case:1") == tuple(sorted((first, second), key=lambda d: d.value))
    kept.close()
    assert vault(tmp_path).open(first) == PAYLOAD


def test_forgetting_takes_payload_nonce_and_key_and_leaves_others(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    gone, stays = kept.seal("case:1", PAYLOAD), kept.seal("case:2", PAYLOAD)
    before = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert gone.value.encode() in before
    assert kept.forget("case:1") == 1
    assert kept.forget("case:1") == 0
    with pytest.raises(LedgerError, match="erased"):
        kept.open(gone)
    assert kept.open(stays) == PAYLOAD
    kept.close()
    after = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert gone.value.encode() not in after
    assert stays.value.encode() in after


def test_nothing_readable_lies_on_disk(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    kept.seal("case:1", PAYLOAD)
    kept.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"patient-4711" not in stored
    assert b"case:1" not in stored


def test_another_homes_key_opens_nothing(tmp_path: Path) -> None:
    kept = vault(tmp_path)
    commitment = kept.seal("case:1", PAYLOAD)
    kept.close()
    with pytest.raises(TamperedError):
        vault(tmp_path, key=bytes([1]) * 32).open(commitment)
