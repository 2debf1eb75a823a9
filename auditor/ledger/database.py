"""How the database is opened: durable, one writer at a time, errors told in our words.

SQLite with a write-ahead log, ``synchronous=FULL`` (a commit has reached the disk) and
``BEGIN IMMEDIATE`` (the write lock is taken before anything is read that the write depends on).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlmodel import Session

from auditor.errors import LedgerError, TamperedError

_SECONDS_TO_WAIT_FOR_THE_LOCK = 60
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",  # what the vault forgets is overwritten, not only unlinked
    "recursive_triggers=ON",  # else INSERT OR REPLACE deletes past the triggers
)


def open_database(url: str) -> Engine:
    """An engine for a ledger's database; connections are made when first needed.

    Raises:
        LedgerError: not a SQLite address.
    """
    if not url.startswith("sqlite:///"):
        raise LedgerError("the ledger's database must be a sqlite:/// address")
    engine = create_engine(url, connect_args={"timeout": _SECONDS_TO_WAIT_FOR_THE_LOCK})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that sees one state of the database and writes nothing."""
    with _in_our_words(), Session(engine) as session:
        session.connection(execution_options={"auditor_begin": "BEGIN"})
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that holds the write lock from its start; commits at the end, or not at all."""
    with _in_our_words(), Session(engine) as session:
        session.connection(execution_options={"auditor_begin": "BEGIN IMMEDIATE"})
        yield session
        session.commit()


def empty_write_ahead_log(engine: Engine) -> None:
    """Carry the write-ahead log over and cut it to nothing, so that no deleted page stays in it."""
    with _in_our_words(), closing(engine.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; `_begin` does
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Any) -> None:
    how = connection.get_execution_options().get("auditor_begin", "BEGIN IMMEDIATE")
    connection.exec_driver_sql(how)


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise LedgerError(f"the ledger's database: {error.orig}") from None
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", None) in _DAMAGED:
            raise TamperedError(
                "the ledger's database is damaged; restore the newest backup"
            ) from None
        raise LedgerError(f"the ledger's database refused: {error.orig}") from None
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger's database: {type(error).__name__}") from None
