"""Alembic's entry: runs the versions on the connection, and in the transaction, of `boatyard.store.migrate`."""

from alembic import context

from boatyard.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
