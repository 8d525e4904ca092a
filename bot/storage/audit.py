"""The audit: who did what, in order. Written in the transaction of the deed, or in one of its own before it."""

from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from bot.storage.tables import AuditRow


def record(session: Session, actor: str, action: str, subject: str, details: dict[str, Any]) -> None:
    """Adds a row that is committed with the session's other work."""
    session.add(AuditRow(at=datetime.now(UTC), actor=actor, action=action, subject=subject, details=details))
