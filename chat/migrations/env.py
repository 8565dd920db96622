"""Alembic's entry: migrations always run on the connection that common.database.migrate hands over."""

from __future__ import annotations

from alembic import context

from chat.conversations import models as _conversations  # noqa: F401  registers its tables
from chat.database import VERSION_TABLE, Base
from chat.keys import models as _keys  # noqa: F401  as above
from chat.openai.stored import models as _stored  # noqa: F401  as above

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
