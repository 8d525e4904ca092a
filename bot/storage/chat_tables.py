"""The rows of the chat platforms: what came in, what goes out, who may do what, and what waits for a person."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, ForeignKey, Index, Text
from sqlmodel import Field, SQLModel


class InboxRow(SQLModel, table=True):
    """A message of a person, committed before its platform was told "received". It stays when it is done: its key is known.

    `channel` has its platform and workspace in front, as in `ExchangeRow`.
    """

    __tablename__ = "inbox"
    __table_args__ = (Index("ix_inbox_due", "state", "available_at"),)
    key: str = Field(primary_key=True)
    channel: str = Field(index=True)
    conversation: str = Field(index=True)
    message: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    received_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    state: str  # waiting, done, dead
    available_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    attempts: int = 0
    lease_owner: str = ""
    lease_until: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class OutboxRow(SQLModel, table=True):
    """A reply on its way, or sent. `draft` is the message of the stream that it ends."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_due", "state", "available_at"), {"sqlite_autoincrement": True})
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    delivery: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    state: str  # streaming (no delivery yet), waiting, sent, failed
    available_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    attempts: int = 0
    lease_until: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    draft: str = ""
    problem: str = Field(default="", sa_column=Column(Text, nullable=False))


class PostedMessageRow(SQLModel, table=True):
    """Which exchange a message of ours shows, so that what people do with the message can be led back to it."""

    __tablename__ = "posted_message"
    platform: str = Field(primary_key=True)
    workspace: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    message_id: str = Field(primary_key=True)
    thread: str
    exchange_id: str = Field(sa_column=Column(ForeignKey("exchange.id", ondelete="CASCADE"), nullable=False, index=True))


class PlatformStateRow(SQLModel, table=True):
    """What a platform's connection has to remember between starts, by name."""

    __tablename__ = "platform_state"
    platform: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class RoleRow(SQLModel, table=True):
    """A person who is more than a member of their workspace."""

    __tablename__ = "role"
    person: str = Field(primary_key=True)
    role: str
    granted_by: str
    granted_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class GroupMemberRow(SQLModel, table=True):
    """A person who may read what is for a group."""

    __tablename__ = "group_member"
    person: str = Field(primary_key=True)
    group: str = Field(primary_key=True)
    added_by: str
    added_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class ChannelRow(SQLModel, table=True):
    """How the bot behaves in a channel; a channel without a row has the defaults of `ChannelSettings`."""

    __tablename__ = "channel"
    platform: str = Field(primary_key=True)
    workspace: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    answers: str  # mentions, questions, unanswered
    wait_minutes: int
    sources: list[str] = Field(sa_column=Column(JSON, nullable=False))
    is_private: bool
    quiet_from: str  # HH:MM UTC; no quiet hours where both are equal
    quiet_until: str
    set_by: str
    set_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class CorrectionRow(SQLModel, table=True):
    """What would have been the right answer, as somebody says; approved, it becomes a standard answer."""

    __tablename__ = "correction"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: int | None = Field(default=None, primary_key=True)
    exchange_id: str = Field(sa_column=Column(ForeignKey("exchange.id", ondelete="CASCADE"), nullable=False, index=True))
    text: str = Field(sa_column=Column(Text, nullable=False))
    proposed_by: str
    proposed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    state: str = Field(index=True)  # waiting, approving, approved, rejecting, rejected
    decided_by: str = ""
    decided_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class EscalationRow(SQLModel, table=True):
    """A question that was handed to people."""

    __tablename__ = "escalation"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: int | None = Field(default=None, primary_key=True)
    exchange_id: str = Field(sa_column=Column(ForeignKey("exchange.id", ondelete="CASCADE"), nullable=False, unique=True))
    place: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    asked_by: str
    asked_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    state: str = Field(index=True)  # open, resolved
    resolved_by: str = ""
    resolved_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
