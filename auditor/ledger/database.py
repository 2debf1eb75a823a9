"""How the database is opened: durable, one writer at a time, errors told in our words.

SQLite with a write-ahead log, ``synchronous=FULL`` (a commit has reached the disk) and
``BEGIN IMMEDIATE`` (the write lock is taken before anything is read that the write depends on).
PostgreSQL with an advisory lock held to the end of the transaction, so that entries are committed
in the order of their sequence numbers and a reader never sees a gap that is filled later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from sqlalchemy import ClauseElement, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlmodel import Session

from auditor.errors import LedgerError, TamperedError

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

_SECONDS_TO_WAIT_FOR_THE_LOCK = 60
_WRITERS_LOCK = 0x61756469746F72  # "auditor": the one advisory lock that every writer takes
_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",  # what the vault forgets is overwritten, not only unlinked
    "recursive_triggers=ON",  # else INSERT OR REPLACE deletes past the triggers
    "foreign_keys=ON",
)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_DAMAGE = "the ledger's database is damaged; restore the newest backup"
_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; nothing was written; make room and run it again",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write; check it before going on",
    sqlite3.SQLITE_READONLY: "the file or its folder can't be written; check who owns it",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened; check that its folder is there",
    sqlite3.SQLITE_BUSY: "another process held it for too long; run the command again",
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
    except ArgumentError:
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
def driving(engine: Engine, *, write: bool) -> Iterator[Driver]:
    """One transaction on the driver's own connection, for the ledger's hot paths.

    The object mapper costs several times what SQLite needs for a durable append; here statements
    are composed once by SQLAlchemy and handed to the driver. A writing one holds the write lock
    from its start and commits at the end, or not at all.

    Raises:
        DuplicateError: the database refused a row for one that is there.
    """
    with in_our_words():
        pooled = engine.raw_connection()
        try:
            connection = pooled.driver_connection
            if connection is None:
                raise LedgerError("the ledger's database closed the connection")
            if engine.dialect.name == SQLITE:
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            elif write:
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_WRITERS_LOCK,))
            yield Driver(connection)
            connection.commit()
        except BaseException:
            pooled.rollback()
            raise
        finally:
            pooled.close()


class Driver:
    """The driver's connection inside one transaction."""

    def __init__(self, connection: Any) -> None:
        """Wrap a connection of sqlite3 or psycopg."""
        self._connection = connection

    def rows(self, statement: str, values: Mapping[str, object]) -> Sequence[tuple[Any, ...]]:
        """Run a query."""
        found: Sequence[tuple[Any, ...]] = self._connection.execute(statement, values).fetchall()
        return found

    def run(self, statement: str, values: Sequence[Mapping[str, object]]) -> None:
        """Run a statement once for each set of values."""
        cursor = self._connection.cursor()
        if len(values) == 1:
            cursor.execute(statement, values[0])
        else:
            cursor.executemany(statement, values)
        cursor.close()


def composed(engine: Engine, statement: ClauseElement) -> str:
    """The text of a statement for `Driver`, its values named."""
    return str(statement.compile(dialect=engine.dialect))


def erase_traces(engine: Engine, tables: Sequence[str]) -> None:
    """After rows were deleted: leave no bytes of them in the database's own files.

    SQLite overwrites them on deletion (``secure_delete``); what is left is the write-ahead log,
    which is cut to nothing. PostgreSQL keeps deleted rows until a table is rewritten, which is done
    here, and its own log until its segments are recycled, which only its administrator can hasten:
    hence the key-encryption key, without which a subject's key in that log opens nothing.
    """
    with in_our_words(), closing(engine.raw_connection()) as pooled:
        driver: Any = pooled.driver_connection
        if engine.dialect.name == SQLITE:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        driver.autocommit = True
        try:
            for table in tables:
                driver.execute(f"VACUUM (FULL) {table}")
        finally:
            driver.autocommit = False


@contextmanager
def in_our_words() -> Iterator[None]:
    """Tell what the database says as an error of ours, without its parameters.

    Raises:
        TamperedError: the database's file is damaged.
        LedgerError: anything else it has to say.
    """
    try:
        yield
    except IntegrityError as error:
        raise DuplicateError(_first_line(error.orig)) from None
    except DBAPIError as error:
        raise _ours(error.orig) from None
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger's database: {type(error).__name__}") from None
    except sqlite3.IntegrityError as error:
        raise DuplicateError(_first_line(error)) from None
    except sqlite3.Error as error:
        raise _ours(error) from None
    except UnicodeDecodeError:  # sqlite3 can't even say what is wrong: it names damaged names
        raise TamperedError(_DAMAGE) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "psycopg":
            raise
        if str(getattr(error, "sqlstate", "")).startswith("23"):  # integrity constraint violation
            raise DuplicateError(_first_line(error)) from None
        raise _ours(error) from None


def _ours(error: BaseException | None) -> LedgerError:
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF  # the primary of extended codes
    if code in _DAMAGED:
        return TamperedError(_DAMAGE)
    advice = f"; {_ADVICE[code]}" if code in _ADVICE else ""
    return LedgerError(f"the ledger's database: {_first_line(error)}{advice}")


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _postgresql(address: Any) -> Engine:
    try:
        return create_engine(address, pool_pre_ping=True)
    except ModuleNotFoundError:
        raise LedgerError(
            "PostgreSQL needs its driver; install it: pip install 'auditor[postgresql]'"
        ) from None


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
    if connection.dialect.name == SQLITE:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    elif writes:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")
