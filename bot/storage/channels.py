"""The settings of channels, in SQL."""

from datetime import UTC, datetime, time

from bot.channels import Answers, ChannelSettings
from bot.messages import PersonId, Place
from bot.storage import audit
from bot.storage.chat_tables import ChannelRow
from bot.storage.database import Database


class ChannelStore:
    """Reads and writes how the bot behaves in a channel, whatever thread of it a place names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, place: Place) -> ChannelSettings:
        """The defaults where nobody has said anything."""
        with self._database.reading() as session:
            row = session.get(ChannelRow, (place.platform, place.workspace, place.channel))
            return _settings(row) if row else ChannelSettings()

    def put(self, place: Place, settings: ChannelSettings, by: PersonId) -> None:
        row = ChannelRow(
            platform=place.platform,
            workspace=place.workspace,
            channel=place.channel,
            answers=settings.answers,
            wait_minutes=settings.wait_minutes,
            sources=list(settings.sources),
            is_private=settings.is_private,
            quiet_from=f"{settings.quiet_from:%H:%M}",
            quiet_until=f"{settings.quiet_until:%H:%M}",
            set_by=by,
            set_at=datetime.now(UTC),
        )
        with self._database.writing() as session:
            session.merge(row)
            details = row.model_dump(exclude={"platform", "workspace", "channel", "set_at"})
            audit.record(session, by, "channel", place.channel_key, details)


def _settings(row: ChannelRow) -> ChannelSettings:
    return ChannelSettings(
        answers=Answers(row.answers),
        wait_minutes=row.wait_minutes,
        sources=tuple(row.sources),
        is_private=row.is_private,
        quiet_from=time.fromisoformat(row.quiet_from),
        quiet_until=time.fromisoformat(row.quiet_until),
    )
