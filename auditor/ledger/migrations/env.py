"""Alembic's way in: runs the revisions on the connection that `auditor.ledger.schema` holds."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
