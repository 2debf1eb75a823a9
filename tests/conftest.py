"""What several rooms' tests share: a fresh home, and one demo run for all end-to-end tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.campaigns import Campaign, running

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from auditor.ledger.sql import SqlEventStore
    from auditor.workflow.homes.home import Home

# The same examples everywhere, and no deadline: shared machines stall.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

_DEMO_VARIABLE = "AUDITOR_DEMO_DIR"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "campaign: tries something many times; `make test-long`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "campaign" in getattr(item, "fixturenames", ()):
            item.add_marker("campaign")


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> Iterator[Campaign]:
    """How many rounds to go through, and a count of what was tried; see `tests.campaigns`."""
    with running(request) as made:
        yield made


@pytest.fixture(autouse=True)
def _no_home_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the home of whoever runs the tests."""
    monkeypatch.delenv("AUDITOR_HOME", raising=False)
    monkeypatch.delenv("AUDITOR_PASSPHRASE", raising=False)


@pytest.fixture(autouse=True)
def _nothing_left_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test's commands left open, as the end of their process would have done.

    From Python 3.13 on a connection that is collected unclosed is a warning, and so an error here.
    """
    sql, database = (sys.modules.get(f"auditor.ledger.{name}") for name in ("sql", "database"))
    if sql is None or database is None:  # the bench's tests load no SQL
        yield
        return
    stores: list[SqlEventStore] = []
    engines: list[Engine] = []
    begin, create = sql.SqlEventStore.__init__, database.create_engine

    def begun(self: SqlEventStore, url: str) -> None:
        begin(self, url)
        stores.append(self)

    def created(*args: object, **options: object) -> Engine:
        engines.append(create(*args, **options))
        return engines[-1]

    monkeypatch.setattr(sql.SqlEventStore, "__init__", begun)
    monkeypatch.setattr(database, "create_engine", created)
    yield
    for store in stores:
        store.close()
    for engine in engines:
        engine.dispose()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A fresh home with nothing but its first event."""
    from auditor.workflow.homes.home import create_home  # so that the bench's tests load no SQL

    made = create_home(tmp_path / "home", controller="St. Example", dpo="DPO office")
    yield made
    made.close()


MakeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> MakeOnce:
    """Have a folder made by the first of all test processes that asks; the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    common = base if worker_id == "master" else base.parent

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = common / name, common / f"{name}.done"
        with FileLock(common / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of one who failed
                make(folder)
                done.touch()
        return folder

    return once


@pytest.fixture(scope="session")
def demo(make_once: MakeOnce) -> Path:
    """What `auditor demo` leaves behind; never written to by a test.

    Taken from the folder in $AUDITOR_DEMO_DIR where one was made already, else made here once.
    """
    if ready := os.environ.get(_DEMO_VARIABLE):
        return Path(ready).resolve()

    def walk(out: Path) -> None:
        command = [sys.executable, "-m", "auditor.cli.main", "demo", "--out", str(out)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    return make_once("demo", walk)


@pytest.fixture
def demo_copy(demo: Path, tmp_path: Path) -> Path:
    """A copy of the demo that a test may write to."""
    return Path(shutil.copytree(demo, tmp_path / "demo"))
