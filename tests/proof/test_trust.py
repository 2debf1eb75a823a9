"""Trust files: read back as written, and every bent one refused."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ProofError
from auditor.proof.checkpoint import Checkpoint, key_of, sign_checkpoint
from auditor.proof.signing import ED25519, ML_DSA_44, ML_DSA_65, generate_private_key, load_signer
from auditor.proof.trust import StatementKey, TrustFile, fingerprint, parse_trust, trust_bytes

ORIGIN = "example.com/ledger"
LOG = [load_signer(generate_private_key(algorithm)) for algorithm in (ED25519, ML_DSA_44)]
STATEMENT = load_signer(generate_private_key(ML_DSA_65))
NOTE = sign_checkpoint(Checkpoint(origin=ORIGIN, size=3, root=bytes(32)), LOG, 2**40)
TRUST = TrustFile(
    log_origin=ORIGIN,
    log_policy="".join(f"log {key_of(s, ORIGIN, witness=False).vkey}\n" for s in LOG)
    + "quorum none\n",
    statement_keys=(
        StatementKey(
            key_id=STATEMENT.key_id,
            algorithm=STATEMENT.algorithm,
            public=b64encode(STATEMENT.public_bytes()).decode(),
            role="statement",
            valid_from="2026-11-24T00:00:00Z",
        ),
    ),
    seal_roots=(),
    checkpoint=NOTE,
)

Change = Callable[[dict[str, Any]], object]


def changed(change: Change) -> bytes:
    document = json.loads(trust_bytes(TRUST))
    change(document)
    return json.dumps(document).encode()


def test_what_is_written_is_read_back() -> None:
    assert parse_trust(trust_bytes(TRUST)) == TRUST


def test_the_fingerprint_stays_when_the_checkpoint_moves_and_changes_with_anything_else() -> None:
    told = fingerprint(trust_bytes(TRUST))
    assert fingerprint(changed(lambda d: d.update(checkpoint=""))) == told
    assert fingerprint(changed(lambda d: d.update(minimum_seal_level="B-T"))) != told
    assert fingerprint(changed(lambda d: d["statement_keys"].clear())) != told
    policy = TRUST.log_policy.replace("quorum", "# a comment\nquorum")
    assert fingerprint(changed(lambda d: d.update(log_policy=policy))) != told


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format="auditor-trust/v1"),
        lambda d: d.update(extra=""),
        lambda d: d.pop("checkpoint"),
        lambda d: d.update(log_origin="example.com/other"),
        lambda d: d.update(log_policy="quorum none\n"),
        lambda d: d.update(log_policy=7),
        lambda d: d.update(minimum_seal_level="B-X"),
        lambda d: d.update(seal_roots=["no certificate"]),
        lambda d: d.update(checkpoint=NOTE.replace("\n3\n", "\n4\n")),
        lambda d: d.update(checkpoint="".join(NOTE.splitlines(keepends=True)[:-1])),  # downgrade
        lambda d: d["statement_keys"].append(d["statement_keys"][0]),
        lambda d: d["statement_keys"][0].update(key_id="0" * 32),
        lambda d: d["statement_keys"][0].update(algorithm="ed25519"),
        lambda d: d["statement_keys"][0].update(valid_from="2026-02-30T00:00:00Z"),
        lambda d: d["statement_keys"][0].update(valid_from=""),
        lambda d: d["statement_keys"][0].update(role=""),
        lambda d: d["statement_keys"][0].update(role="\ud800"),
    ],
)
def test_a_bent_trust_file_is_refused(change: Change) -> None:
    for read in (parse_trust, fingerprint):
        with pytest.raises(ProofError):
            read(changed(change))


@given(st.binary(max_size=300))
def test_no_bytes_are_mistaken_for_a_trust_file(data: bytes) -> None:
    with pytest.raises(ProofError):
        parse_trust(data)
