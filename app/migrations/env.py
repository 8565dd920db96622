"""Alembic's entry: migrations always run on the connection that app.database.migrate hands over."""

from __future__ import annotations

from alembic import context

from app.database import Base
from app.meetings import models as _models  # noqa: F401  registers its tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
