"""Entries, the Merkle frontier and the vault, as version 0.1 made them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "entry",
        sa.Column("sequence", _COUNT, autoincrement=False, nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("version", _COUNT, nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("stream", "version"),
        sa.UniqueConstraint("event_id"),
    )
    op.create_index("ix_entry_stream", "entry", ["stream"])
    op.create_table(
        "head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", _COUNT, nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "vault_key",
        sa.Column("lookup", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("lookup"),
    )
    op.create_table(
        "vault_payload",
        sa.Column("commitment", sa.String(), nullable=False),
        sa.Column("lookup", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("commitment"),
        sa.ForeignKeyConstraint(["lookup"], ["vault_key.lookup"]),
    )
    op.create_index("ix_vault_payload_lookup", "vault_payload", ["lookup"])
