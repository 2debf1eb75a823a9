"""The ledger's two tables. The migrations in `auditor.ledger.migrations` lead to just these."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

# SQLite's row numbers are INTEGER; PostgreSQL's INTEGER would end at 2^31.
Count = BigInteger().with_variant(Integer(), "sqlite")


class EntryRow(SQLModel, table=True):
    """One entry. The columns beside ``entry`` are for finding it and for proving it."""

    __tablename__ = "entry"
    __table_args__ = (UniqueConstraint("stream", "version"),)

    sequence: int = Field(
        sa_type=Count, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    stream: str
    version: int = Field(sa_type=Count)
    event_id: str = Field(unique=True)
    entry: bytes
    leaf: bytes
    subtrees: bytes


class HeadRow(SQLModel, table=True):
    """The Merkle frontier over all entries; one row."""

    __tablename__ = "head"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    size: int = Field(sa_type=Count)
    peaks: bytes
