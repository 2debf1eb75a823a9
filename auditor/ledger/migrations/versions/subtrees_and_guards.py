"""Stored subtree roots, so that proofs need O(log n) reads; guard rails; rebuildable snapshots.

The stored entries are read, never rewritten: leaves, and with them every proof and checkpoint made
before, stay what they were.
"""

import sqlalchemy as sa
from alembic import op

from auditor.errors import TamperedError
from auditor.proof.merkle import Frontier

revision = "0002"
down_revision = "0001"

_ROWS_AT_ONCE = 10_000
_REFUSED = "the ledger is append-only"

_SQLITE_GUARDS = (
    ("entry_no_update", "UPDATE ON entry"),
    ("entry_no_delete", "DELETE ON entry"),
    # INSERT OR REPLACE deletes silently where recursive_triggers is off
    (
        "entry_no_replace",
        "INSERT ON entry WHEN EXISTS (SELECT 1 FROM entry WHERE sequence = NEW.sequence "
        "OR event_id = NEW.event_id OR (stream = NEW.stream AND version = NEW.version))",
    ),
    ("head_no_shrinking", "UPDATE ON head WHEN NEW.id <> OLD.id OR NEW.size <= OLD.size"),
    ("head_no_delete", "DELETE ON head"),
    ("head_no_replace", "INSERT ON head WHEN EXISTS (SELECT 1 FROM head)"),
)

# The application's role may insert entries and nothing else; the head it advances by a function
# that runs with its owner's rights and lets it only grow.
_POSTGRESQL_GUARDS = (
    f"""
    CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'restrict_violation'; END $$
    """,
    "CREATE TRIGGER entry_no_change BEFORE UPDATE OR DELETE ON entry "
    "FOR EACH ROW EXECUTE FUNCTION ledger_refuse()",
    "CREATE TRIGGER entry_no_truncate BEFORE TRUNCATE ON entry EXECUTE FUNCTION ledger_refuse()",
    "CREATE TRIGGER head_no_delete BEFORE DELETE ON head "
    "FOR EACH ROW EXECUTE FUNCTION ledger_refuse()",
    "CREATE TRIGGER head_no_shrinking BEFORE UPDATE ON head FOR EACH ROW "
    "WHEN (NEW.id <> OLD.id OR NEW.size <= OLD.size) EXECUTE FUNCTION ledger_refuse()",
    """
    CREATE FUNCTION ledger_advance(new_size bigint, new_peaks bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT
    AS $$ UPDATE head SET size = new_size, peaks = new_peaks WHERE id = 0 $$
    """,
    "REVOKE ALL ON FUNCTION ledger_advance FROM PUBLIC",
    # the planner's samples of these would outlive what the vault forgets
    "ALTER TABLE vault_key ALTER wrapped SET STATISTICS 0",
    "ALTER TABLE vault_payload ALTER sealed SET STATISTICS 0",
)


def upgrade() -> None:
    """Add what version 0.2 needs, in the one transaction it all happens in."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:
        for name in ("entry_no_update", "entry_no_delete", "entry_no_replace"):
            op.execute(f"DROP TRIGGER IF EXISTS {name}")
    op.drop_index("ix_entry_stream", "entry")  # the unique pair (stream, version) serves
    op.add_column("entry", sa.Column("subtrees", sa.LargeBinary(), nullable=True))
    _fill()
    with op.batch_alter_table("entry") as batch:
        batch.alter_column("subtrees", existing_type=sa.LargeBinary(), nullable=False)
    op.add_column(
        "vault_key",
        sa.Column("wrapped_by", sa.String(), nullable=False, server_default=""),
    )
    op.create_table(
        "snapshot",
        sa.Column("projection", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("projection", "key"),
    )
    guards = (
        [
            f"CREATE TRIGGER {name} BEFORE {what} BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
            for name, what in _SQLITE_GUARDS
        ]
        if sqlite
        else _POSTGRESQL_GUARDS
    )
    for guard in guards:
        op.execute(guard)


def _fill() -> None:
    """Work out the subtree roots from the stored leaves, and see that they lead to the head."""
    bind, frontier = op.get_bind(), Frontier()
    page = sa.text("SELECT leaf FROM entry WHERE sequence >= :start ORDER BY sequence LIMIT :count")
    update = sa.text("UPDATE entry SET subtrees = :subtrees WHERE sequence = :sequence")
    while leaves := bind.execute(page, {"start": frontier.size, "count": _ROWS_AT_ONCE}).all():
        values = []
        for (leaf,) in leaves:
            sequence = frontier.size
            frontier, completed = frontier.grow(leaf)
            values.append({"sequence": sequence, "subtrees": b"".join(completed)})
        bind.execute(update, values)
    head = [tuple(row) for row in bind.execute(sa.text("SELECT size, peaks FROM head"))]
    if not head:
        head = [(0, b"")]
        bind.execute(sa.text("INSERT INTO head (id, size, peaks) VALUES (0, 0, :no)"), {"no": b""})
    if head != [(frontier.size, frontier.to_bytes())]:
        raise TamperedError(
            "the ledger's entries don't lead to its Merkle frontier; it was changed before this "
            "version opened it, and stays as it is: restore the newest backup"
        )
