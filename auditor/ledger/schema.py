"""The database's tables: made, brought up to date, and handed to the application's role.

The revisions lie in `auditor.ledger.migrations`. SQLite files are brought up to date by whoever
opens them; on PostgreSQL the tables belong to an owner, and the application's role may only insert
entries and read them (the vault and snapshots, which must be erasable, it owns).
"""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect

from auditor.errors import LedgerError, MisuseError, TamperedError
from auditor.ledger.database import POSTGRESQL, in_our_words, open_database

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0002"
ERASABLE = ("vault_key", "vault_payload", "snapshot")

_FIRST = "0001"
_VERSIONS = "alembic_version"
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_one_at_a_time = Lock()  # Alembic keeps its state in module globals


def ready_database(url: str) -> Engine:
    """An engine for a database whose tables are those of this version.

    Raises:
        LedgerError: see `open_database` and `bring_up_to_date`.
    """
    engine = open_database(url)
    try:
        bring_up_to_date(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def bring_up_to_date(engine: Engine) -> None:
    """See that the tables are those of this version, making or migrating them if they aren't.

    Raises:
        LedgerError: they were made by a newer version, or this role may not change them.
        TamperedError: the entries don't fit the frontier; nothing is changed then.
    """
    with in_our_words(), engine.connect() as connection:
        connection = connection.execution_options(auditor_writes=False)
        found = _revision(connection)
    if found == NEWEST:
        return
    if found is not None and found > NEWEST:
        raise LedgerError(
            "the ledger's tables were made by a newer version of auditor; install that version"
        )
    try:
        _migrate(engine)
    except LedgerError as error:
        if engine.dialect.name == POSTGRESQL and "permission denied" in str(error):
            raise LedgerError(
                "the ledger's tables are missing or older than this version; have their owner "
                "run: auditor ledger migrate --owner ADDRESS --role ROLE"
            ) from None
        raise


def migrate_as_owner(url: str, role: str) -> None:
    """Make or migrate the tables on PostgreSQL, and give the application's role its rights.

    Args:
        url: address under the owner's name.
        role: the application's role; it must exist.

    Raises:
        MisuseError: not PostgreSQL, or no plain role name.
        LedgerError: the owner may not do this, or there is no such role.
    """
    if not _ROLE.fullmatch(role):
        raise MisuseError("a role's name has small letters, digits and underscores")
    if not url.startswith(POSTGRESQL):
        raise MisuseError("only PostgreSQL has roles; a SQLite ledger migrates by itself")
    engine = ready_database(url)
    statements = (
        f"GRANT SELECT, INSERT ON entry TO {role}",
        f"GRANT SELECT ON head, {_VERSIONS} TO {role}",
        f"GRANT EXECUTE ON FUNCTION ledger_advance TO {role}",
        *(f"ALTER TABLE {table} OWNER TO {role}" for table in ERASABLE),
    )
    try:
        with in_our_words(), engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    tables = inspect(connection).get_table_names()
    if _VERSIONS in tables:
        rows = connection.exec_driver_sql(f"SELECT version_num FROM {_VERSIONS}").all()
        if len(rows) == 1:
            return str(rows[0][0])
    return _FIRST if "entry" in tables else None


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.util import CommandError

    with _one_at_a_time, in_our_words(), engine.begin() as connection:
        config = _config(connection)
        if (
            _revision(connection) == _FIRST
            and _VERSIONS not in inspect(connection).get_table_names()
        ):
            command.stamp(config, _FIRST)  # version 0.1 kept no record of its own revision
        try:
            command.upgrade(config, NEWEST)
        except CommandError:
            raise TamperedError(
                "the ledger's tables are of no version there ever was; restore the newest backup"
            ) from None


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "auditor.ledger:migrations")
    config.attributes["connection"] = connection
    return config
