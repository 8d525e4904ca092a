"""Alembic's entry: runs on the connection that `Database` hands over, never on one of its own."""

from alembic import context
from sqlmodel import SQLModel

import bot.storage.chat_tables
import bot.storage.tables
import bot.storage.training_tables  # noqa: F401
import knowledge.tables  # noqa: F401  # all four fill SQLModel.metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
