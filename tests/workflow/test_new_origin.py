"""A ledger that can't go on under its name goes on under another, linked and signed by both."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from auditor.domain.artefact import Digest
from auditor.domain.event import OriginOpened, TrustChanged
from auditor.errors import HomeError, MisuseError, ProofError, TamperedError
from auditor.proof.checkpoint import parse_checkpoint
from auditor.proof.dsse import verify_envelope
from auditor.proof.signing import ED25519, ML_DSA_44
from auditor.proof.tlog_proof import verify_tlog_proof
from auditor.proof.trust import TrustFile, trust_bytes
from auditor.workflow.homes.home import Home, create_home, open_home
from auditor.workflow.log.book import audit_ledger, prove_entry
from auditor.workflow.log.checkpoints import record_checkpoint
from auditor.workflow.log.recovery import Condition, Recovered, recover
from auditor.workflow.log.renaming import LINK_TYPE
from tests.ledger.books import fill
from tests.workflow.killing import killed_before
from tests.workflow.restores import BEFORE, SIGNED, Restored, put, restored

NOW = 2**40
BOTH = {ED25519, ML_DSA_44}


@pytest.fixture
def forked(tmp_path: Path, life: Path) -> Iterator[Restored]:
    made = restored(life, tmp_path)
    made.write_on()
    yield made
    made.home.close()


def go_on(home: Home, *known: Path) -> Recovered:
    return recover(home, source=None, known=known, new_origin=True)


def log_keys(home: Home) -> set[str]:
    return {path.name for path in home.keyring.folder.glob("auditor-ledger-*")}


def keys_of(home: Home, origin: str) -> set[str]:
    """Names of the key files under one name of the ledger."""
    return {name for name in log_keys(home) if origin.rpartition("/")[2] in name}


def require_linked(home: Home, old: TrustFile, link: Path) -> OriginOpened:
    """The link is on the books, and holds under the keys of both names, all four of them."""
    trust = home.trust
    new_keys = trust.policy.keys_of(trust.log_origin)
    old_keys = trust.policy.keys_of(old.log_origin)
    assert {key.verifier.algorithm for key in new_keys} == BOTH
    assert set(old_keys) == set(old.policy.keys_of(old.log_origin))
    opened = verify_envelope(link.read_bytes(), [key.verifier for key in (*old_keys, *new_keys)])
    assert opened.payload_type == LINK_TYPE
    (recorded,) = (
        item
        for item in home.ledger.read()
        if isinstance(item.event, OriginOpened) and item.event.origin == trust.log_origin
    )
    assert opened.payload == home.ledger.entry(recorded.sequence)
    assert isinstance(recorded.event, OriginOpened)
    return recorded.event


def require_good(home: Home, old: TrustFile) -> None:
    """It goes on under the new name, and nothing can be signed under the old one."""
    assert home.trust.log_origin != old.log_origin
    assert home.read_only == ""
    assert keys_of(home, old.log_origin) == set()
    assert len(keys_of(home, home.trust.log_origin)) == 2
    for note in (home.trust.checkpoint, home.checkpoints_path.read_text(encoding="utf-8")):
        assert parse_checkpoint(note).origin == home.trust.log_origin
        assert parse_checkpoint(note).size == home.ledger.size
    fill(home.ledger, 1, "afterwards")
    record_checkpoint(home)
    audit_ledger(home)
    home.close()


def test_a_fork_goes_on_under_a_name_that_is_linked_to_the_old(forked: Restored) -> None:
    home, old, kept = forked.home, forked.home.trust, forked.home.ledger.root()
    done = go_on(home)
    assert done.condition is Condition.BEHIND  # three entries were written past the guard
    assert done.origin == home.trust.log_origin
    assert done.link is not None
    event = require_linked(home, old, done.link)
    assert (event.previous, event.signed, event.kept) == (old.log_origin, SIGNED, BEFORE + 3)
    signed = parse_checkpoint(old.checkpoint)
    assert (event.signed_root.value, event.kept_root.value) == (signed.root.hex(), kept.hex())
    require_good(home, old)


def test_the_books_commit_to_the_trust_file_that_names_the_new_keys(forked: Restored) -> None:
    go_on(forked.home)
    trust = TrustFile(**{**_fields(forked.home.trust), "checkpoint": ""})  # type: ignore[arg-type]  # by name
    *_, last = forked.home.ledger.replay("home")
    assert last.event == TrustChanged(trust=Digest.of(trust_bytes(trust)))


def _fields(trust: TrustFile) -> dict[str, object]:
    return {name: getattr(trust, name) for name in TrustFile.__dataclass_fields__}


def test_a_link_with_any_signature_missing_or_another_entry_is_none(forked: Restored) -> None:
    old = forked.home.trust
    link = go_on(forked.home).link
    assert link is not None
    whole = link.read_bytes()
    envelope = json.loads(whole)
    assert len(envelope["signatures"]) == 4
    for number in range(4):
        left = [each for place, each in enumerate(envelope["signatures"]) if place != number]
        link.write_text(json.dumps({**envelope, "signatures": left}), encoding="utf-8")
        with pytest.raises(ProofError, match="no good"):
            require_linked(forked.home, old, link)
    payload = base64.b64decode(envelope["payload"]).replace(b'"kept":14', b'"kept":13')
    link.write_text(
        json.dumps({**envelope, "payload": base64.b64encode(payload).decode()}), encoding="utf-8"
    )
    with pytest.raises(ProofError, match="no good"):
        require_linked(forked.home, old, link)


def test_what_was_proved_under_the_old_name_verifies_with_the_new_trust_file(
    forked: Restored,
) -> None:
    newer = open_home(forked.newer)
    entry, proof = prove_entry(newer, 20)
    newer.close()
    go_on(forked.home)
    policy = forked.home.trust.policy
    assert verify_tlog_proof(proof, entry, policy, NOW)[1].checkpoint.size == SIGNED
    entry, proof = prove_entry(forked.home, 3)
    _, found = verify_tlog_proof(proof, entry, policy, NOW)
    assert found.checkpoint.origin == forked.home.trust.log_origin
    with pytest.raises(ProofError):
        verify_tlog_proof(proof, entry + b" ", policy, NOW)


def test_a_proof_of_the_old_name_beside_a_document_is_no_reason_to_stop(forked: Restored) -> None:
    newer = open_home(forked.newer)
    sidecar = forked.home.certificates / "0123456789abcdef.pdf.tlog-proof"
    sidecar.write_text(prove_entry(newer, 20)[1], encoding="utf-8")
    newer.close()
    old = forked.home.trust
    go_on(forked.home)
    require_good(forked.home, old)
    assert recover(forked.home, source=None, known=[], new_origin=False).link is None
    with pytest.raises(MisuseError, match="before the ledger took the name"):
        recover(forked.home, source=None, known=[sidecar], new_origin=False)


def test_a_second_fork_opens_a_third_name(forked: Restored) -> None:
    home = forked.home
    first = home.trust
    go_on(home)
    home.close()
    older = (home.root / "ledger.db").read_bytes()
    fill(home.ledger, 9, "once-more")
    record_checkpoint(home)
    home.close()
    (home.root / "ledger.db").write_bytes(older)
    forked.write_on(2)
    second = home.trust
    done = go_on(home)
    assert done.link is not None
    require_linked(home, second, done.link)
    assert len(list((home.root / "origins").iterdir())) == 2
    assert {key.name for key in home.trust.policy.logs} == {
        first.log_origin,
        second.log_origin,
        home.trust.log_origin,
    }
    require_good(home, second)


def test_a_sound_ledger_keeps_its_name(forked: Restored, tmp_path: Path) -> None:
    put(forked.newer, forked.home.root)
    fresh = create_home(tmp_path / "fresh", controller="St. Example", dpo="DPO office")
    for sound in (forked.home, fresh):
        before = (log_keys(sound), sound.trust_path.read_bytes(), sound.ledger.size)
        with pytest.raises(MisuseError, match="needs no new name"):
            go_on(sound)
        assert before == (log_keys(sound), sound.trust_path.read_bytes(), sound.ledger.size)
        sound.close()


def test_another_ledgers_checkpoint_opens_no_new_name(forked: Restored, tmp_path: Path) -> None:
    other = create_home(tmp_path / "other", controller="St. Other", dpo="DPO office")
    fill(other.ledger, 99)
    record_checkpoint(other)
    other.close()
    put(forked.newer, forked.home.root)
    with pytest.raises(ProofError, match="another log's"):
        go_on(forked.home, other.checkpoints_path)


def test_without_the_passphrase_no_new_key_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_PASSPHRASE", "correct horse")
    home = create_home(tmp_path / "home", controller="St. Example", dpo="DPO office")
    home.close()
    older = (home.root / "ledger.db").read_bytes()
    fill(home.ledger, 5)
    record_checkpoint(home)
    home.close()
    (home.root / "ledger.db").write_bytes(older)
    keys = log_keys(home)
    monkeypatch.delenv("AUDITOR_PASSPHRASE")
    with pytest.raises(HomeError, match="under a passphrase"):
        go_on(open_home(home.root))
    assert (log_keys(home), home.ledger.size) == (keys, 1)
    monkeypatch.setenv("AUDITOR_PASSPHRASE", "correct horse")
    old = home.trust
    go_on(home)
    assert all(b"PRIVATE" not in path.read_bytes() for path in home.keyring.folder.iterdir())
    require_good(home, old)


STEPS = frozenset(
    {
        "generate_private_key",
        "write_file",
        "append_all",
        "sign_envelope",
        "destroy_file",
        "open_for_writing",
        "record_checkpoint",
    }
)


def again(root: Path) -> None:
    """Go on under a new name, or find that the last try had come to its end."""
    opened = open_home(root)
    try:
        go_on(opened)
    except MisuseError:
        recover(opened, source=None, known=[], new_origin=False)
    finally:
        opened.close()


def test_killed_at_any_step_it_is_done_again(tmp_path: Path, life: Path) -> None:
    step = 0
    came_so_far = True
    while came_so_far:
        step += 1
        made = restored(life, tmp_path / str(step))
        made.write_on()
        home, old = made.home, made.home.trust
        came_so_far = killed_before(step, STEPS, lambda at=home.root: go_on(open_home(at)))
        opened = open_home(home.root)
        now = opened.trust.log_origin
        # whatever name the trust file gives, its keys are here
        assert len(keys_of(opened, now)) == 2
        if came_so_far:
            with pytest.raises(TamperedError) if now == old.log_origin else nullcontext():
                fill(opened.ledger, 1, "while-it-is-open")
            killed_before(step, STEPS, lambda at=home.root: again(at))  # and once more, further on
            again(home.root)
        events = [item.event for item in opened.ledger.replay("home")]
        assert sum(isinstance(event, OriginOpened) for event in events) == 1
        (link,) = (home.root / "origins").iterdir()
        require_linked(opened, old, link)
        require_good(opened, old)
        home.close()
    assert step > len(STEPS)
