"""Keys that are added, rotated and revoked, and the list of them that the ledger vouches for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from auditor.certificates.asked import asked_otherwise
from auditor.certificates.key_list import verify_key_list
from auditor.certificates.verify import Status
from auditor.domain.event import TrustChanged
from auditor.errors import AuditorError, HomeError, InvalidCertificateError, MisuseError, ProofError
from auditor.proof.checkpoint import key_of
from auditor.proof.signing import ED25519, generate_private_key, load_signer
from auditor.proof.trust import TrustFile, parse_trust
from auditor.workflow.documents.key_publishing import publish_keys
from auditor.workflow.documents.notary import issue, prepare_statement
from auditor.workflow.homes.founding import STATEMENT_KEYS
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.homes.keyring import PASSPHRASE_VARIABLE
from auditor.workflow.homes.record import load_case
from auditor.workflow.log import statement_keys
from auditor.workflow.log.book import prove_entry
from auditor.workflow.log.statement_keys import (
    PAIR_VARIABLE,
    add_pair,
    make_pair,
    read_pair,
    revoke_key,
    rotate_statement_keys,
)
from auditor.workflow.log.witness import create_witness
from auditor.workflow.log.witnesses import add_witness, change_trust, remove_witness
from tests.certificates.conftest import issue_record, refused_case
from tests.cli.conftest import stock


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Home]:
    with closing(create_home(tmp_path / "home", controller="St. Example", dpo="DPO")) as home:
        stock(home)
        yield home


def roles(trust: TrustFile) -> list[tuple[str, bool, bool]]:
    return [(key.role, bool(key.valid_until), bool(key.revoked_at)) for key in trust.statement_keys]


def test_an_approvers_keys_are_theirs_alone(
    office: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PAIR_VARIABLE, "correct horse")
    private = tmp_path / "approver.key"
    public = make_pair(private)
    assert private.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in private.read_bytes() + public.read_bytes()
    with pytest.raises(MisuseError, match="is there already"):
        make_pair(private)
    added = add_pair(office, public.read_bytes())
    assert [key.key_id for key in added] == [key.key_id for key in read_pair(private)]
    assert roles(office.trust)[2:] == [("approval", False, False)] * 2
    with pytest.raises(MisuseError, match="twice"):
        add_pair(office, public.read_bytes())
    monkeypatch.setenv(PAIR_VARIABLE, "wrong")
    with pytest.raises(HomeError, match=PAIR_VARIABLE):
        read_pair(private)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format": "auditor-public-keys/v1", "keys": []}',
        b'{"format": "auditor-public-keys/v2", "keys": []}',
        b'{"format": "auditor-public-keys/v1", "keys": [{"algorithm": "x", "public": "AA=="}]}',
    ],
)
def test_a_file_that_holds_no_public_keys_is_refused(office: Home, content: bytes) -> None:
    before = office.trust
    with pytest.raises(MisuseError):
        add_pair(office, content)
    assert office.trust == before


def test_documents_of_before_a_rotation_stay_good(office: Home) -> None:
    old = issue_record(office)
    waiting = refused_case(office)
    prepare_statement(office, waiting, load_case(office, waiting))  # signed by the keys of before
    before = [signer.key_id for signer in office.statement_signers]
    new = rotate_statement_keys(office)
    assert [signer.key_id for signer in office.statement_signers] == [key.key_id for key in new]
    assert not set(before) & {key.key_id for key in new}
    assert (
        roles(office.trust) == [("statement", True, False)] * 2 + [("statement", False, False)] * 2
    )
    assert not list((office.root / "keys").glob("next-*"))
    trust = office.trust_path.read_bytes()
    issue(office, waiting, load_case(office, waiting))
    for document in (old, issue_record(office)):
        assert replace(document, trust=trust).verify().status is Status.VALID_STATUS_UNKNOWN
    for key in before:
        revoke_key(office, key)
    revoked = replace(old, trust=office.trust_path.read_bytes()).verify()
    assert revoked.status is Status.INVALID and "revoked" in revoked.reason


def test_a_rotation_leaves_an_approvers_keys_in_force(office: Home, tmp_path: Path) -> None:
    add_pair(office, make_pair(tmp_path / "approver.key").read_bytes())
    rotate_statement_keys(office)
    listed = roles(office.trust)
    assert [item for item in listed if item[0] == "approval"] == [("approval", False, False)] * 2
    assert listed.count(("statement", True, False)) == 2


@pytest.mark.parametrize("stop", ["before the trust file", "before the swap", "within the swap"])
def test_a_rotation_that_was_stopped_is_taken_to_its_end(
    office: Home, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    def fail(*_: object) -> None:
        raise HomeError("power cut")

    with monkeypatch.context() as broken:
        if stop == "before the trust file":
            broken.setattr(statement_keys, "_change", fail)
        elif stop == "before the swap":
            broken.setattr(type(office.keyring), "destroy", fail)
        else:
            written: list[str] = []
            write = type(office.keyring).write

            def once(self: object, name: str, secret: bytes) -> None:
                if not name.startswith("next-") and written:
                    fail()
                written.extend([] if name.startswith("next-") else [name])
                write(self, name, secret)  # type: ignore[arg-type]  # as it is called

            broken.setattr(type(office.keyring), "write", once)
        with pytest.raises(HomeError, match="power cut"):
            rotate_statement_keys(office)
    with closing(open_home(office.root)) as again:
        if stop != "before the trust file":
            with pytest.raises(HomeError):
                _ = again.statement_signers
        new = rotate_statement_keys(again)
        assert {signer.key_id for signer in again.statement_signers} == {k.key_id for k in new}
        assert roles(again.trust).count(("statement", False, False)) == 2
        assert len(again.trust.statement_keys) == 4


@pytest.mark.parametrize("passphrase", [None, "another"])
def test_a_rotation_needs_the_passphrase_of_the_keys_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str | None
) -> None:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "correct horse")
    create_home(tmp_path / "home", controller="St. Example", dpo="DPO").close()
    before = {path.name: path.read_bytes() for path in (tmp_path / "home" / "keys").iterdir()}
    if passphrase is None:
        monkeypatch.delenv(PASSPHRASE_VARIABLE)
    else:
        monkeypatch.setenv(PASSPHRASE_VARIABLE, passphrase)
    with closing(open_home(tmp_path / "home")) as opened:
        trust, size = opened.trust, opened.ledger.size
        with pytest.raises(HomeError, match=PASSPHRASE_VARIABLE):
            rotate_statement_keys(opened)
        assert (opened.trust, opened.ledger.size) == (trust, size)
    after = {path.name: path.read_bytes() for path in (tmp_path / "home" / "keys").iterdir()}
    assert after == before
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "correct horse")
    with closing(open_home(tmp_path / "home")) as opened:
        rotate_statement_keys(opened)
    for name in STATEMENT_KEYS.values():
        assert b"PRIVATE" not in (tmp_path / "home" / "keys" / name).read_bytes()


def test_a_key_whose_file_was_lost_is_rotated_like_any_other(office: Home) -> None:
    (office.root / "keys" / next(iter(STATEMENT_KEYS.values()))).unlink()
    new = rotate_statement_keys(office)
    assert [signer.key_id for signer in office.statement_signers] == [key.key_id for key in new]


def test_a_revoked_key_signs_nothing_more(office: Home) -> None:
    key = office.statement_signers[0].key_id
    revoke_key(office, key)
    with pytest.raises(HomeError, match="rotate statement"):
        _ = office.statement_signers
    with pytest.raises(MisuseError, match="was revoked at"):
        revoke_key(office, key)
    with pytest.raises(MisuseError, match="no statement key"):
        revoke_key(office, "0" * 32)
    rotate_statement_keys(office)
    assert len(office.statement_signers) == 2
    changes = [
        item.event for item in office.ledger.replay("home") if isinstance(item.event, TrustChanged)
    ]
    assert len(changes) == 2


def listed(home: Home) -> tuple[TrustFile, str]:
    published = publish_keys(home)
    assert published.unproved == ""
    return parse_trust(published.trust), published.proof


def test_a_newer_list_follows_from_the_one_at_hand(office: Home) -> None:
    now = datetime.now(UTC)
    first, proof = listed(office)
    same = verify_key_list(first, first, proof, now)
    assert (same.entry, same.added, same.ended, same.revoked) == (0, (), (), ())
    before = tuple(key.key_id for key in first.statement_keys)
    added = rotate_statement_keys(office)
    second, second_proof = listed(office)
    revoke_key(office, before[0])
    third, third_proof = listed(office)
    changes = verify_key_list(first, third, third_proof, now)
    assert changes.added == tuple(key.key_id for key in added)
    assert (changes.ended, changes.revoked) == (before, before[:1])
    assert verify_key_list(second, third, third_proof, now).revoked == before[:1]

    with pytest.raises(InvalidCertificateError, match="another trust file"):
        verify_key_list(first, third, second_proof, now)
    with pytest.raises(InvalidCertificateError, match="takes back"):
        verify_key_list(third, second, second_proof, now)  # an older list, put back
    with pytest.raises(InvalidCertificateError, match="takes back"):
        verify_key_list(second, first, proof, now)
    forged = replace(third, statement_keys=third.statement_keys[1:])
    with pytest.raises(InvalidCertificateError, match="another trust file"):
        verify_key_list(first, forged, third_proof, now)
    for nonsense in ("", "x", third_proof[:-9]):
        with pytest.raises(AuditorError):
            verify_key_list(first, third, nonsense, now)


def test_an_end_or_a_revocation_is_not_taken_back(office: Home) -> None:
    """Not even by a list that the ledger vouches for."""
    rotate_statement_keys(office)
    revoke_key(office, office.trust.statement_keys[0].key_id)
    held, _ = listed(office)
    for name in ("valid_until", "revoked_at"):
        keys = tuple(replace(key, **{name: ""}) for key in held.statement_keys)
        change_trust(office, replace(office.trust, statement_keys=keys))
        offered, proof = listed(office)
        with pytest.raises(InvalidCertificateError, match="takes back"):
            verify_key_list(held, offered, proof, datetime.now(UTC))
        change_trust(office, replace(office.trust, statement_keys=held.statement_keys))


def test_a_list_needs_the_witnesses_that_the_one_at_hand_asks_for(office: Home) -> None:
    held, proof = listed(office)
    witness = key_of(load_signer(generate_private_key(ED25519)), "w.example", witness=True)
    policy = f"{held.log_policy.removesuffix('quorum none' + chr(10))}witness w {witness.vkey}\n"
    strict = replace(held, log_policy=f"{policy}quorum w\n")
    with pytest.raises(ProofError, match="too few witnesses"):
        verify_key_list(strict, held, proof, datetime.now(UTC))


def test_a_list_of_another_ledger_follows_from_nothing(office: Home, tmp_path: Path) -> None:
    with closing(create_home(tmp_path / "other", controller="St. Else", dpo="DPO")) as other:
        theirs, proof = listed(other)
    ours, _ = listed(office)
    now = datetime.now(UTC) + timedelta(seconds=1)
    with pytest.raises(ProofError):
        verify_key_list(ours, theirs, proof, now)
    mixed = replace(ours, statement_keys=(*ours.statement_keys, *theirs.statement_keys))
    with pytest.raises(ProofError):
        verify_key_list(ours, mixed, proof, now)


def test_keys_that_the_ledger_does_not_know_are_published_without_proof(office: Home) -> None:
    from auditor.proof.trust import trust_bytes

    changed = replace(office.trust, minimum_seal_level="B-T")
    office.trust_path.write_bytes(trust_bytes(changed))
    published = publish_keys(office)
    assert published.proof == "" and "says nothing of these keys" in published.unproved


def test_an_older_file_with_a_fresh_proof_is_no_newer_one(office: Home, tmp_path: Path) -> None:
    """It has the same statement keys, and asks for no witness."""
    first, _ = listed(office)
    vkey = create_witness(tmp_path / "w", "example.org/w").vkeys[0]
    add_witness(office, "w", vkey, "http://127.0.0.1:9/", "none")
    held, held_proof = listed(office)
    now, (_, proof) = datetime.now(UTC), prove_entry(office, 0)
    with pytest.raises(InvalidCertificateError, match="isn't newer than yours"):
        verify_key_list(held, first, proof, now)
    name = "+".join(vkey.split("+")[:2])
    assert verify_key_list(first, held, held_proof, now).asked == (f"witness new: {name}",)
    assert verify_key_list(held, held, held_proof, now).asked == ()
    remove_witness(office, "w")  # the first file's keys and witnesses again, and rightly so
    later, later_proof = listed(office)
    assert later == replace(first, checkpoint=later.checkpoint)
    assert verify_key_list(held, later, later_proof, now).asked == (f"witness gone: {name}",)


def test_whatever_is_asked_otherwise_is_told(office: Home, tmp_path: Path) -> None:
    vkeys = [create_witness(tmp_path / n, f"example.org/{n}").vkeys[0] for n in ("a", "b")]
    (a, b), trust = ("+".join(vkey.split("+")[:2]) for vkey in vkeys), office.trust
    lines, logs = f"witness a {vkeys[0]}\nwitness b {vkeys[1]}\n", trust.policy.logs
    text = trust.log_policy.replace("quorum none\n", "")
    held = replace(
        trust,
        log_policy=f"{text}{lines}group both 2 a b\nquorum both\n",
        minimum_seal_level="B-LT",
    )
    lowered = replace(
        trust,
        log_policy=f"{text.splitlines()[0]}\n{lines}quorum a\n",
        seal_roots=(),
        checkpoint="",
    )
    root = x509.load_pem_x509_certificate(trust.seal_roots[0].encode()).fingerprint(SHA256()).hex()
    assert asked_otherwise(held, lowered) == (
        f"log key gone: {logs[1].name}+{logs[1].key_id.hex()}",
        f"quorum: was 2 of ({', '.join(sorted([a, b]))}), is {a}",
        f"seal root gone: {root}",
        "least seal level: was B-LT, is B-B",
    )
    assert asked_otherwise(trust, trust) == ()
