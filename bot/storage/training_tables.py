"""The rows of what training may learn from beside the bot's own exchanges, and of who does not want that."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Text
from sqlmodel import Field, SQLModel


class TrainingOptOutRow(SQLModel, table=True):
    """A person from whom nothing is learned."""

    __tablename__ = "training_opt_out"
    person: str = Field(primary_key=True)
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class ImportedFeedbackRow(SQLModel, table=True):
    """A rated answer that was brought along, with the quotes that were found for its question when it was imported."""

    __tablename__ = "imported_feedback"
    key: str = Field(primary_key=True)  # a hash of question, answer and who rated it
    question: str = Field(sa_column=Column(Text, nullable=False))
    answer: str = Field(sa_column=Column(Text, nullable=False))  # with marks like [1] that point at the quotes
    verdict: str
    reason: str = Field(sa_column=Column(Text, nullable=False))
    correction: str = Field(sa_column=Column(Text, nullable=False))  # with marks too
    rated_by: str = Field(index=True)
    channel: str
    outcome: str
    quotes: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    is_vouched: bool
    imported_by: str
    imported_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
