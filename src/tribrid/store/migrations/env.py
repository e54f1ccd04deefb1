"""Alembic's entry: runs the migrations on the connection, and in the transaction, that Database.migrate holds."""

from alembic import context

from tribrid.store.tables import metadata

connection = context.config.attributes["connection"]
# Batch mode: SQLite changes a table by copying it.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
