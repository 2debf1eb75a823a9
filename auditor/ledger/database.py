"""How the database is opened: durable, one writer at a time, errors told in our words.

SQLite with a write-ahead log, ``synchronous=FULL`` (a commit has reached the disk) and
``BEGIN IMMEDIATE`` (the write lock is taken before anything is read that the write depends on).
PostgreSQL with an advisory lock held to the end of the transaction, so that entries are committed
in the order of their sequence numbers and a reader never sees a gap that is filled later. On both
who waits for a lock gives up after a minute.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import ClauseElement, Engine, PoolProxiedConnection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlmodel import Session

from auditor.errors import LedgerError, TamperedError

T = TypeVar("T")

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

_SECONDS_TO_WAIT_FOR_THE_LOCK = 60
_WRITERS_LOCK = 0x61756469746F72  # "auditor": the one advisory lock that every writer takes
_LOCKING = {
    SQLITE: "BEGIN IMMEDIATE",
    POSTGRESQL: f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})",
}
_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",  # what the vault forgets is overwritten, not only unlinked
    "recursive_triggers=ON",  # else INSERT OR REPLACE deletes past the triggers
    "foreign_keys=ON",
)
_INTEGRITY = "23"  # the class of SQLSTATEs: integrity constraint violation
_LOCK_NOT_AVAILABLE = "55P03"
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_DAMAGE = "the ledger's database is damaged; restore the newest backup"
_ADVICE: Mapping[int | str, str] = {
    sqlite3.SQLITE_FULL: "the disk is full; nothing was written; make room and run it again",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write; check it before going on",
    sqlite3.SQLITE_READONLY: "the file or its folder can't be written; check who owns it",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened; check that its folder is there",
    sqlite3.SQLITE_BUSY: "another process held it for too long; run the command again",
    _LOCK_NOT_AVAILABLE: "another session held it for too long, reading or idle in a transaction; "
    "nothing was written; end that one, then run the command again",
}


class DuplicateError(LedgerError):
    """A row was there already, or a guard rail refused it; never leaves the ledger's stores."""


def open_database(url: str) -> Engine:
    """An engine for a ledger's database; connections are made when first needed.

    Args:
        url: ``sqlite:///path`` or ``postgresql://user@host/database``.

    Raises:
        LedgerError: another kind of address, or the driver isn't installed.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # of a port that is no number
        raise LedgerError("the ledger's database address can't be read") from None
    driver = _DRIVERS.get(address.get_backend_name())
    if driver is None:
        raise LedgerError("the ledger's database must be a sqlite:/// or postgresql:// address")
    address = address.set(drivername=driver)
    if driver == _DRIVERS[SQLITE]:
        engine = create_engine(
            address, paramstyle="named", connect_args={"timeout": _SECONDS_TO_WAIT_FOR_THE_LOCK}
        )
        event.listen(engine, "connect", _prepare_sqlite)
    else:
        engine = _postgresql(address)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that sees one state of the database and writes nothing."""
    with in_our_words(), Session(engine) as session:
        options: dict[str, Any] = {"auditor_writes": False}
        if engine.dialect.name == POSTGRESQL:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        session.connection(execution_options=options)
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that holds the write lock from its start; commits at the end, or not at all."""
    with in_our_words(), Session(engine) as session:
        session.connection(execution_options={"auditor_writes": True})
        yield session
        session.commit()


@contextmanager
def driving(engine: Engine) -> Iterator[Driver]:
    """A transaction on the driver's own connection that only reads, for the ledger's hot paths.

    The object mapper costs several times what the database needs for a durable append or a row;
    here statements are composed once by SQLAlchemy and handed to the driver.
    """
    with in_our_words(), closing(engine.raw_connection()) as pooled:
        driver = Driver(pooled.driver_connection)
        if engine.dialect.name == SQLITE:
            driver.begin("BEGIN")
        yield driver


class Pen:
    """The connection that entries are written through, kept from one transaction to the next.

    To take one out of the pool and hand it back takes longer than to insert a row. On PostgreSQL it
    is done all the same: the pool sees whether the server was started anew.
    """

    def __init__(self, engine: Engine) -> None:
        """Connects when first needed."""
        self._engine = engine
        self._begin = _LOCKING[engine.dialect.name]
        self._keep = engine.dialect.name == SQLITE
        self._lock = Lock()
        self._pooled: PoolProxiedConnection | None = None

    def write(self, work: Callable[[Driver], T]) -> T:
        """Do some work in one transaction that holds the write lock from its start.

        Returns:
            What the work did, once it is durable; if it or the commit fails, nothing is written.

        Raises:
            DuplicateError: the database refused a row for one that is there.
        """
        with self._lock:
            try:
                if self._pooled is None:
                    self._pooled = self._engine.raw_connection()
                driver = Driver(self._pooled.driver_connection)
                driver.begin(self._begin)
                done = work(driver)
                driver.commit()
            except BaseException:
                with in_our_words():
                    self._let_go()
                    raise
            if not self._keep:
                self._let_go()
            return done

    def close(self) -> None:
        """Let go of the connection; the next transaction takes another."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._pooled is not None:
            self._pooled.close()  # the pool rolls back what wasn't committed
            self._pooled = None


class Driver:
    """The driver's connection inside one transaction."""

    def __init__(self, connection: Any) -> None:
        """Wrap a connection of sqlite3 or psycopg."""
        self._connection = connection

    def begin(self, statement: str) -> None:
        """Run the statement that a transaction begins with."""
        self._connection.execute(statement)

    def rows(self, statement: str, values: Mapping[str, object]) -> Sequence[tuple[Any, ...]]:
        """Run a query."""
        found: Sequence[tuple[Any, ...]] = self._connection.execute(statement, values).fetchall()
        return found

    def run(self, statement: str, values: Sequence[Mapping[str, object]]) -> None:
        """Run a statement once for each set of values."""
        if len(values) == 1:
            self._connection.execute(statement, values[0])
        else:
            self._connection.cursor().executemany(statement, values)

    def commit(self) -> None:
        """Make all that was run durable."""
        self._connection.commit()


def composed(engine: Engine, statement: ClauseElement) -> str:
    """The text of a statement for `Driver`, its values named."""
    return str(statement.compile(dialect=engine.dialect))


@contextmanager
def in_our_words() -> Iterator[None]:
    """Tell what the database says as an error of ours, without its parameters.

    Raises:
        TamperedError: the database's file is damaged.
        LedgerError: anything else it has to say.
    """
    try:
        yield
    except Exception as error:  # every driver has a tree of its own; what isn't theirs goes on
        ours = _ours(error)
        if ours is error:
            raise
        raise ours from None


def _ours(error: Exception) -> Exception:
    """What the database says, as an error of ours; an error of somebody else's as it is."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, Exception):
        return _ours(error.orig)
    if isinstance(error, SQLAlchemyError):
        return LedgerError(f"the ledger's database: {type(error).__name__}")
    if isinstance(error, UnicodeDecodeError):
        return TamperedError(_DAMAGE)  # sqlite3 can't say what is wrong: a name in it is damaged
    psycopgs = type(error).__module__.partition(".")[0] == "psycopg"
    if not psycopgs and not isinstance(error, sqlite3.Error):
        return error
    state = str(getattr(error, "sqlstate", ""))
    if isinstance(error, sqlite3.IntegrityError) or state.startswith(_INTEGRITY):
        return DuplicateError(_first_line(error))
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF  # the primary of extended codes
    if code in _DAMAGED:
        return TamperedError(_DAMAGE)
    advice = "".join(f"; {_ADVICE[told]}" for told in (code, state) if told in _ADVICE)
    return LedgerError(f"the ledger's database: {_first_line(error)}{advice}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _postgresql(address: Any) -> Engine:
    try:
        engine = create_engine(address, pool_pre_ping=True)
    except ModuleNotFoundError:
        raise LedgerError(
            "PostgreSQL needs its driver; install it: pip install 'auditor[postgresql]'"
        ) from None
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    connection.execute(f"SET lock_timeout = '{int(_SECONDS_TO_WAIT_FOR_THE_LOCK * 1_000)}ms'")
    connection.commit()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; `_begin` does
    # damaged text is read as text that no writer wrote, so that its entry can be named
    connection.text_factory = partial(str, encoding="utf-8", errors="backslashreplace")
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    # What a crash left in the write-ahead log may lie in the system's cache alone, where a sync had
    # failed before it; what is appended behind it would be lost with it. So it is written anew. A
    # full disk can still be read; one that fails is told.
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR:
            raise


def _begin(connection: Any) -> None:
    writes = connection.get_execution_options().get("auditor_writes", True)
    if writes:
        connection.exec_driver_sql(_LOCKING[connection.dialect.name])
    elif connection.dialect.name == SQLITE:
        connection.exec_driver_sql("BEGIN")
