"""What Alembic runs: the migrations, on the connection that `migrate` hands over, in its transaction."""

from alembic import context

from tocsin.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
