"""What every store of the ledger must do, and a naive twin that says what that is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelDeployed
from auditor.errors import ConcurrencyError, LedgerError, MisuseError, ProofError
from auditor.ledger.ledger import Ledger
from auditor.ledger.memory import MemoryEventStore
from auditor.ledger.sql import SqlEventStore
from auditor.ledger.store import LARGEST_ENTRY, Draft, EventStore
from auditor.proof.merkle import leaf_hash, root_of, verify_inclusion

WEIGHTS = Digest.of(b"weights")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    made: EventStore
    if request.param == "memory":
        made = MemoryEventStore()
    else:
        made = SqlEventStore(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield made
    made.close()


def deployed(version: int) -> ModelDeployed:
    return ModelDeployed(model="detector", version=version, weights=WEIGHTS)


def ledger_of(store: EventStore) -> Ledger:
    return Ledger(store, lambda: datetime(2026, 11, 24, tzinfo=UTC))


def test_what_was_appended_is_replayed(store: EventStore) -> None:
    ledger = ledger_of(store)
    assert ledger.size == 0
    for version in range(3):
        ledger.append("a", [deployed(version)], expected_version=version, event_ids=[uuid4()])
    ledger.append("b", [deployed(7)], expected_version=0, event_ids=[uuid4()])
    assert [item.event for item in ledger.replay("a")] == [deployed(v) for v in range(3)]
    assert [item.sequence for item in ledger.read()] == [0, 1, 2, 3]
    assert ledger.streams("") == ("a", "b")
    assert ledger.replay("c") == ()
    with pytest.raises(MisuseError):
        ledger.entry(4)


def test_a_writer_behind_is_refused_and_nothing_is_written(store: EventStore) -> None:
    ledger = ledger_of(store)
    ledger.append("a", [deployed(0)], expected_version=0, event_ids=[uuid4()])
    for expected in (0, 2):
        with pytest.raises(ConcurrencyError):
            ledger.append(
                "a",
                [deployed(1), deployed(2)],
                expected_version=expected,
                event_ids=[uuid4(), uuid4()],
            )
    assert ledger.size == 1


def test_appending_the_same_twice_changes_nothing(store: EventStore) -> None:
    ledger, ids = ledger_of(store), [uuid4(), uuid4()]
    events = [deployed(0), deployed(1)]
    first = ledger.append("a", events, expected_version=0, event_ids=ids)
    assert ledger.append("a", events, expected_version=0, event_ids=ids) == first
    assert ledger.append("a", events, expected_version=2, event_ids=ids) == first
    with pytest.raises(LedgerError):
        ledger.append("b", events, expected_version=0, event_ids=ids)
    with pytest.raises(LedgerError):
        ledger.append("a", events, expected_version=2, event_ids=[ids[0], uuid4()])
    assert ledger.size == 2


def test_an_entry_too_long_for_a_bundle_is_refused() -> None:
    with pytest.raises(LedgerError):
        Draft(event_id=uuid4(), entry=bytes(LARGEST_ENTRY + 1))


def test_every_entry_is_proved_under_every_later_root(store: EventStore) -> None:
    ledger = ledger_of(store)
    for version in range(6):
        ledger.append("a", [deployed(version)], expected_version=version, event_ids=[uuid4()])
        for sequence in range(version + 1):
            verify_inclusion(
                leaf_hash(ledger.entry(sequence)),
                sequence,
                version + 1,
                ledger.prove(sequence, version + 1),
                ledger.root(),
            )
    audited = ledger.audit()
    assert (audited.entries, audited.root) == (6, ledger.root())
    assert ledger.root(3) != ledger.root()
    with pytest.raises(LedgerError):
        ledger.root(7)
    with pytest.raises(ProofError):
        ledger.prove(6, 6)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.booleans()), max_size=12))
def test_both_stores_do_what_a_list_does(steps: list[tuple[str, int, bool]]) -> None:
    folder = TemporaryDirectory()
    twins = [MemoryEventStore(), SqlEventStore(f"sqlite:///{folder.name}/ledger.db")]
    streams: dict[str, int] = {}
    entries: list[bytes] = []
    for number, (stream, count, stale) in enumerate(steps):
        drafts = [
            Draft(event_id=UUID(int=number * 10 + k), entry=f"{stream}{number}{k}".encode())
            for k in range(count)
        ]
        expected = streams.get(stream, 0)
        for store in twins:
            if stale:
                with pytest.raises(ConcurrencyError):
                    store.append(stream, drafts, expected + 1)
            else:
                store.append(stream, drafts, expected)
        if not stale:
            streams[stream] = expected + count
            entries += [draft.entry for draft in drafts]
    for store in twins:
        assert [row.entry for row in store.rows()] == entries
        assert store.frontier().root() == root_of([leaf_hash(entry) for entry in entries])
        store.close()
    folder.cleanup()
