"""The rows of conversations. Converted to and from values only by the stores beside this file."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, ForeignKey, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


class ExchangeRow(SQLModel, table=True):
    """One question and its answer. The JSON columns hold copies, so that they outlive the documents they came from."""

    __tablename__ = "exchange"
    id: str = Field(primary_key=True)
    asked_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, index=True))
    asked_by: str
    channel: str
    question: str = Field(sa_column=Column(Text, nullable=False))
    history: list[list[str]] = Field(sa_column=Column(JSON, nullable=False))
    audience: list[str] = Field(sa_column=Column(JSON, nullable=False))
    query: str = Field(sa_column=Column(Text, nullable=False))
    outcome: str = Field(index=True)
    text: str = Field(sa_column=Column(Text, nullable=False))
    wording: str = Field(sa_column=Column(Text, nullable=False))
    signal: float
    release: str
    model: str
    is_small_talk: bool
    dropped_sentences: int
    is_reduced: bool = False
    conversation: str = Field(default="", index=True)
    is_private: bool = False
    messages: list[dict[str, str]] = Field(sa_column=Column(JSON, nullable=False))
    passages: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    quotes: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    timings_s: dict[str, float] = Field(sa_column=Column(JSON, nullable=False))


class FeedbackRow(SQLModel, table=True):
    """The latest verdict of one person on one exchange."""

    __tablename__ = "feedback"
    __table_args__ = (UniqueConstraint("exchange_id", "given_by"),)
    id: int | None = Field(default=None, primary_key=True)
    exchange_id: str = Field(sa_column=Column(ForeignKey("exchange.id", ondelete="CASCADE"), nullable=False))
    given_by: str
    given_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    verdict: str
    reason: str
    comment: str = Field(sa_column=Column(Text, nullable=False))
    correction: str = Field(sa_column=Column(Text, nullable=False))


class StandardAnswerRow(SQLModel, table=True):
    """An approved correction; `exchange_id` is the exchange that it corrects."""

    __tablename__ = "standard_answer"
    key: str = Field(primary_key=True)
    exchange_id: str = Field(sa_column=Column(ForeignKey("exchange.id"), nullable=False, index=True))
    question: str = Field(sa_column=Column(Text, nullable=False))
    answer: str = Field(sa_column=Column(Text, nullable=False))
    audience: list[str] = Field(sa_column=Column(JSON, nullable=False))
    approved_by: str
    approved_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class AuditRow(SQLModel, table=True):
    """Who did what, in order; every verdict is here, also those that a later one replaced."""

    __tablename__ = "audit"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    actor: str
    action: str
    subject: str
    details: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class WordingEvaluationRow(SQLModel, table=True):
    """What `timbre eval` measured of a model's wording: it decides whether `auto` lets the model word answers."""

    __tablename__ = "wording_evaluation"
    release: str = Field(primary_key=True)
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    questions: int
    worded: int
    right_share: float
    kept_share: float
