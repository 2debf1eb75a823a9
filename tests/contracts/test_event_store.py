"""What every store of the ledger must do, and a naive twin that says what that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.domain.artefact import Digest
from auditor.domain.event import ModelDeployed
from auditor.errors import ConcurrencyError, LedgerError, MisuseError, ProofError, TamperedError
from auditor.ledger.ledger import Append, Ledger
from auditor.ledger.memory import MemoryEventStore
from auditor.ledger.sql import SqlEventStore
from auditor.ledger.store import LARGEST_ENTRY, Draft, EventStore, Indexed, Row, Write
from auditor.proof.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from tests.postgresql import database

WEIGHTS = Digest.of(b"weights")
BACKENDS = ("memory", "sqlite", "postgresql")

Maker = Callable[[Path], EventStore]


@contextmanager
def opened(backend: str, folder: Path) -> Iterator[EventStore]:
    """A fresh store."""
    with ExitStack() as stack:
        made: EventStore
        if backend == "memory":
            made = MemoryEventStore()
        elif backend == "sqlite":
            made = SqlEventStore(f"sqlite:///{folder / uuid4().hex}.db")
        else:
            made = SqlEventStore(stack.enter_context(database()).application)
        yield made
        made.close()


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    with opened(request.param, tmp_path) as made:
        yield made


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
    assert [item.sequence for item in ledger.read(2)] == [2, 3]
    assert [leaf_hash(entry) for entry in ledger.entries()] == [row.leaf for row in store.rows()]
    assert ledger.streams("") == ("a", "b")
    assert (ledger.version("a"), ledger.version("c")) == (3, 0)
    assert ledger.replay("c") == ()
    with pytest.raises(MisuseError):
        ledger.entry(4)


def test_what_append_returns_is_what_replay_reads(store: EventStore) -> None:
    ledger = ledger_of(store)
    told = ledger.append(
        "a", [deployed(0), deployed(1)], expected_version=0, event_ids=[uuid4(), uuid4()]
    )
    assert told == ledger.replay("a") == tuple(ledger.read())


def test_a_stream_name_is_taken_as_it_is(store: EventStore) -> None:
    ledger = ledger_of(store)
    for name in ("a%", "a_", "ab", "a'; DROP TABLE entry; --"):
        ledger.append(name, [deployed(0)], expected_version=0, event_ids=[uuid4()])
    assert ledger.streams("a%") == ("a%",)
    assert ledger.streams("a_") == ("a_",)
    assert len(ledger.streams("a")) == 4


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
    with pytest.raises(LedgerError):
        ledger.append("c", events, expected_version=0, event_ids=[UUID(int=1), UUID(int=1)])
    assert ledger.size == 2


def one(stream: str, version: int, event_id: UUID | None = None) -> Append:
    return Append(
        stream=stream,
        events=(deployed(version),),
        expected_version=version,
        event_ids=(event_id or uuid4(),),
    )


def test_a_group_is_written_whole_or_not_at_all(store: EventStore) -> None:
    ledger = ledger_of(store)
    written = ledger.append_all([one("a", 0), one("b", 0), one("a", 1)])
    assert [(item.stream, item.version, item.sequence) for item in written] == [
        ("a", 0, 0),
        ("b", 0, 1),
        ("a", 1, 2),
    ]
    with pytest.raises(ConcurrencyError):
        ledger.append_all([one("a", 2), one("b", 5)])
    assert ledger.size == 3
    assert ledger.append_all([]) == ()
    assert ledger.append("a", [], expected_version=2, event_ids=[]) == ()
    assert ledger.audit().entries == 3


def test_a_group_may_hold_what_is_there_already(store: EventStore) -> None:
    ledger, known = ledger_of(store), uuid4()
    (first,) = ledger.append_all([one("a", 0, known)])
    again = ledger.append_all([one("b", 0), one("a", 0, known), one("a", 1)])
    assert again[1] == first
    assert [item.sequence for item in again] == [1, 0, 2]
    assert ledger.audit().entries == 3


def test_an_entry_too_long_for_a_bundle_is_refused() -> None:
    with pytest.raises(LedgerError):
        Draft(event_id=uuid4(), entry=bytes(LARGEST_ENTRY + 1))


def test_every_entry_and_all_growth_is_proved_under_every_later_root(store: EventStore) -> None:
    ledger = ledger_of(store)
    for version in range(9):
        ledger.append("a", [deployed(version)], expected_version=version, event_ids=[uuid4()])
        size = version + 1
        for sequence in range(size):
            verify_inclusion(
                leaf_hash(ledger.entry(sequence)),
                sequence,
                size,
                ledger.prove(sequence, size),
                ledger.root(),
            )
            path = ledger.prove_extension(sequence, size)
            verify_consistency(sequence, size, ledger.root(sequence), ledger.root(size), path)
    told: list[tuple[int, int]] = []
    audited = ledger.audit(lambda done, of: told.append((done, of)))
    assert (audited.entries, audited.root) == (9, ledger.root())
    assert told == [(9, 9)]
    assert ledger.root(3) != ledger.root()
    for beyond in (
        lambda: ledger.root(10),
        lambda: ledger.prove(3, 10),
        lambda: ledger.prove(9, 9),
        lambda: ledger.prove_extension(9, 10),
        lambda: ledger.prove_extension(5, 4),
    ):
        with pytest.raises((LedgerError, ProofError)):
            beyond()


def test_look_ups_show_what_the_audit_walks_over(store: EventStore) -> None:
    ledger = ledger_of(store)
    ledger.append_all([one("a", 0), one("b", 0), one("a", 1)])
    for size, streams in ((0, {}), (2, {"a": 1, "b": 1}), (3, {"a": 2, "b": 1})):
        assert store.indexed(size) == (streams, size)


class Hiding:
    """A store that a look-up by stream shows less of than there is."""

    def __init__(self, store: EventStore, hidden: set[int]) -> None:
        self._store, self._hidden = store, hidden

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def stream(self, name: str) -> Iterator[Row]:
        return (row for row in self._store.stream(name) if row.sequence not in self._hidden)

    def indexed(self, size: int) -> Indexed:
        whole = self._store.indexed(size)
        lost = Counter(self._store_stream(sequence) for sequence in self._hidden)
        return whole._replace(streams={k: n - lost[k] for k, n in whole.streams.items()})

    def _store_stream(self, sequence: int) -> str:
        row = self._store.row(sequence)
        assert row is not None
        return row.stream


@pytest.mark.parametrize(("hidden", "named"), [(0, 2), (2, 3), (3, None)])
def test_an_entry_that_a_stream_no_longer_shows_is_missed(
    store: EventStore, hidden: int, named: int | None
) -> None:
    ledger_of(store).append_all([one("a", 0), one("b", 0), one("a", 1), one("a", 2)])
    ledger = ledger_of(cast(EventStore, Hiding(store, {hidden})))
    with pytest.raises(TamperedError, match=f"entry {hidden} isn't found"):
        ledger.audit()
    if named is None:  # the newest: an audit alone can tell
        assert len(ledger.replay("a")) == 2
    else:
        with pytest.raises(TamperedError, match=f"entry {named} is out of order"):
            ledger.replay("a")


Step = tuple[str, int, bool]


@pytest.mark.parametrize("backends", [("memory", "sqlite"), ("memory", "postgresql")])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.booleans()), max_size=12))
def test_all_stores_do_what_a_list_does(
    tmp_path: Path, backends: tuple[str, ...], steps: list[Step]
) -> None:
    with ExitStack() as stack:
        twins = [stack.enter_context(opened(backend, tmp_path)) for backend in backends]
        streams: dict[str, int] = {}
        entries: list[bytes] = []
        for number, (stream, count, stale) in enumerate(steps):
            expected = streams.get(stream, 0)
            write = Write(
                stream=stream,
                expected_version=expected + stale,
                drafts=tuple(
                    Draft(event_id=UUID(int=number * 10 + k), entry=f"{stream}{number}{k}".encode())
                    for k in range(count)
                ),
            )
            for store in twins:
                if stale:
                    with pytest.raises(ConcurrencyError):
                        store.append([write])
                else:
                    store.append([write])
            if not stale:
                streams[stream] = expected + count
                entries += [draft.entry for draft in write.drafts]
        first, *others = [(tuple(store.rows()), store.frontier()) for store in twins]
        assert all(other == first for other in others)
        assert [row.entry for row in first[0]] == entries
        assert first[1].root() == root_of([leaf_hash(entry) for entry in entries])
