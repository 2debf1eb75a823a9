"""What the vault deletes leaves no bytes in the database's own files.

SQLite overwrites a row on deletion (``secure_delete``); what is left is the write-ahead log, which
is cut to nothing.

PostgreSQL keeps a deleted row in its table's file while anybody holds a snapshot from before,
whatever they read in it, and VACUUM FULL copies it along without a word. So the transaction that
deletes also writes the tables anew: what stays goes into new files, and the old ones are removed
with the commit. Its log keeps such rows until its segments are recycled, which only its
administrator can hasten: hence the key-encryption key, without which a subject's key in that log
opens nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from auditor.errors import LedgerError
from auditor.ledger.database import POSTGRESQL, SQLITE, in_our_words, writing

_SECRETS = {"vault_key": "wrapped", "vault_payload": "sealed"}  # in the order readers lock them
_CUT_THE_LOG = "PRAGMA wal_checkpoint(TRUNCATE)"


@contextmanager
def erasing(engine: Engine) -> Iterator[Session]:
    """A session that writes; what it deletes or changes in the vault leaves no bytes of before.

    Raises:
        LedgerError: on PostgreSQL somebody kept the vault's tables locked, and nothing was done; on
            SQLite somebody read all the while, and it is done but for the traces.
    """
    with writing(engine) as session:
        yield session
        if engine.dialect.name == POSTGRESQL:
            session.flush()
            _write_anew(session.connection().connection.driver_connection)
    if engine.dialect.name == SQLITE:
        erase_traces(engine)


def erase_traces(engine: Engine) -> None:
    """Cut SQLite's write-ahead log, after rows were deleted.

    Raises:
        LedgerError: somebody else reads the database all the while, so that it can't be cut.
    """
    with in_our_words(), closing(engine.raw_connection()) as pooled:
        driver: Any = pooled.driver_connection
        (busy, *_) = driver.execute(_CUT_THE_LOG).fetchone()
    if busy:
        raise LedgerError(
            "it is forgotten, but its bytes still lie in the database's write-ahead log, "
            "which another process reads; run the command again when that has ended"
        )


def erase_left_traces(engine: Engine) -> None:
    """Cut what `erase_traces` had to leave, if nobody reads now; it waits for no one."""
    if engine.dialect.name != SQLITE:
        return
    with in_our_words(), closing(engine.raw_connection()) as pooled:
        driver: Any = pooled.driver_connection
        (milliseconds,) = driver.execute("PRAGMA busy_timeout").fetchone()
        driver.execute("PRAGMA busy_timeout=0")
        try:
            driver.execute(_CUT_THE_LOG)
        except sqlite3.OperationalError:
            pass  # whoever can't write here can still read
        finally:
            driver.execute(f"PRAGMA busy_timeout={milliseconds}")


def _write_anew(connection: Any) -> None:
    """Give PostgreSQL's tables of the vault new files that hold what this transaction sees.

    Frozen rows are seen by every snapshot: a ``pg_dump`` that took its own before would otherwise
    find the vault empty. Statistics for the planner are samples of a column's values: of secrets
    there must be none.
    """
    cursor, kept = connection.cursor(), dict[str, list[bytes]]()
    for table in _SECRETS:
        with cursor.copy(f"COPY {table} TO STDOUT (FORMAT binary)") as rows:
            kept[table] = [bytes(block) for block in rows]
    cursor.execute(f"TRUNCATE {', '.join(_SECRETS)}")
    for table, secret in _SECRETS.items():
        cursor.execute(
            f"ALTER TABLE {table} ALTER {secret} TYPE bytea, ALTER {secret} SET STATISTICS 0"
        )
        with cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary, FREEZE)") as rows:
            for block in kept[table]:
                rows.write(block)
