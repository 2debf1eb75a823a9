"""A database of its own on the PostgreSQL server named in $AUDITOR_TEST_POSTGRESQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, cast
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from auditor.ledger.schema import migrate_as_owner

VARIABLE = "AUDITOR_TEST_POSTGRESQL"
ROLE = "auditor_application"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database, as its owner and as the application reach it."""

    owner: str
    application: str

    def as_owner(self, *statements: str) -> list[Any]:
        """Run statements with the owner's rights; returns the last one's rows, if any."""
        return run_at(self.owner, *statements)

    def as_application(self, *statements: str) -> list[Any]:
        """Run statements with the application's rights."""
        return run_at(self.application, *statements)


def server() -> str:
    """The server's address; skips where there is none, except in CI, which starts one."""
    address = os.environ.get(VARIABLE)
    if address is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI must name a PostgreSQL server in ${VARIABLE}")
        pytest.skip(f"no ${VARIABLE}; run the tests as: .ci/with-postgresql make test")
    return address


@contextmanager
def database(*, migrated: bool = True) -> Iterator[Database]:
    """A fresh database, dropped in the end."""
    name = f"test_{uuid4().hex}"
    run_at(
        server(),
        f"DO $$ BEGIN CREATE ROLE {ROLE} LOGIN; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",  # or it races
        f"CREATE DATABASE {name}",
    )
    owner = make_url(server()).set(database=name)
    made = Database(
        owner=owner.render_as_string(hide_password=False),
        application=owner.set(username=ROLE).render_as_string(hide_password=False),
    )
    try:
        if migrated:
            migrate_as_owner(made.owner, ROLE)
        yield made
    finally:
        run_at(server(), f"DROP DATABASE {name} WITH (FORCE)")


def run_at(address: str, *statements: str) -> list[Any]:
    """Run statements one by one, each committed by itself."""
    import psycopg

    rows: list[Any] = []
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(cast(LiteralString, statement))
            rows = cursor.fetchall() if cursor.description else []
    return rows
