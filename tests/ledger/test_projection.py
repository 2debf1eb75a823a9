"""Read models can be dropped and rebuilt, and lie outside trust."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.domain.entry import Recorded
from auditor.ledger.ledger import Ledger
from auditor.ledger.projection import Projection, SqlSnapshots, State, project, rebuild
from tests.ledger.books import fill, open_ledger
from tests.postgresql import database


def count(state: State | None, recorded: Recorded) -> State:
    return {"events": str(int((state or {"events": "0"})["events"]) + 1)}


def key(recorded: Recorded) -> str | None:
    return None if recorded.stream == "ignored" else recorded.stream


COUNTS = Projection(name="counts/v1", key=key, fold=count)


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Ledger, SqlSnapshots]]:
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path / 'ledger.db'}"
        made = open_ledger(address), SqlSnapshots(address)
        yield made
    else:
        with database() as server:
            made = open_ledger(server.application), SqlSnapshots(server.application)
            yield made
            for one in made:
                one.close()
    for one in made:
        one.close()


def test_live_dropped_and_rebuilt_are_the_same(kept: tuple[Ledger, SqlSnapshots]) -> None:
    ledger, snapshots = kept
    assert project(ledger, COUNTS, snapshots) == {}
    for round_ in range(3):
        fill(ledger, 2, "a")
        fill(ledger, 1, "b")
        fill(ledger, 1, "ignored")
        live = project(ledger, COUNTS, snapshots)
        assert live == {"a": {"events": str(2 + 2 * round_)}, "b": {"events": str(1 + round_)}}
        assert live == rebuild(ledger, COUNTS)
    snapshots.drop(COUNTS.name)
    assert snapshots.load(COUNTS.name) == {}
    assert project(ledger, COUNTS, snapshots) == live


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=8))
def test_however_often_it_is_read_it_is_what_a_rebuild_gives(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, bool]]
) -> None:
    address = f"sqlite:///{tmp_path_factory.mktemp('book') / 'ledger.db'}"
    ledger, snapshots = open_ledger(address), SqlSnapshots(address)
    for stream, events, read in steps:
        fill(ledger, events, stream)
        if read:
            project(ledger, COUNTS, snapshots)
    assert project(ledger, COUNTS, snapshots) == rebuild(ledger, COUNTS)
    ledger.close()
    snapshots.close()


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger, snapshots = open_ledger(address), SqlSnapshots(address)
    seen: list[int] = []

    def watched(state: State | None, recorded: Recorded) -> State:
        seen.append(recorded.sequence)
        return count(state, recorded)

    watching = Projection(name="watched/v1", key=key, fold=watched)
    fill(ledger, 4, "a")
    project(ledger, watching, snapshots)
    fill(ledger, 2, "a")
    project(ledger, watching, snapshots)
    assert seen == [0, 1, 2, 3, 4, 5]
    ledger.close()
    snapshots.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE snapshot SET state = '{\"events\":\"9\"}' WHERE key = 'a'",  # text, not bytes
        "UPDATE snapshot SET state = x'00' WHERE key = 'a'",
        "UPDATE snapshot SET state = x'5b5d'",
        "DELETE FROM snapshot WHERE key = ''",
        "UPDATE snapshot SET state = CAST(replace(state, 'size\":\"3', 'size\":\"2') AS BLOB) "
        "WHERE key = ''",
        "UPDATE snapshot SET state = CAST(replace(state, 'size\":\"3', 'size\":\"7') AS BLOB) "
        "WHERE key = ''",
    ],
)
def test_a_snapshot_that_does_not_fit_is_folded_again(tmp_path: Path, statement: str) -> None:
    address = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger, snapshots = open_ledger(address), SqlSnapshots(address)
    fill(ledger, 3, "a")
    project(ledger, COUNTS, snapshots)
    connection = sqlite3.connect(tmp_path / "ledger.db")
    assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()
    fill(ledger, 1, "a")
    assert project(ledger, COUNTS, snapshots) == {"a": {"events": "4"}}
    ledger.close()
    snapshots.close()


def test_a_snapshot_of_another_ledger_is_not_believed(tmp_path: Path) -> None:
    ledgers = [open_ledger(tmp_path / name) for name in ("one.db", "two.db")]
    snapshots = SqlSnapshots(f"sqlite:///{tmp_path / 'one.db'}")
    fill(ledgers[0], 3, "a")
    fill(ledgers[1], 3, "b")
    project(ledgers[0], COUNTS, snapshots)
    assert project(ledgers[1], COUNTS, snapshots) == {"b": {"events": "3"}}
    for one in (*ledgers, snapshots):
        one.close()
