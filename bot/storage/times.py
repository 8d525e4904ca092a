"""Times as they come out of the database."""

from datetime import UTC, datetime


def utc(value: datetime) -> datetime:
    """Aware UTC: SQLite gives the UTC that it was given without saying so, Postgres any zone."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
