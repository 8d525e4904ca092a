"""One REST call on its way to a handler, and the questions that many handlers ask: is it there, may the bot."""

from dataclasses import dataclass, field

from tests.adapters.discord.api_errors import refusal
from tests.adapters.discord.permissions import Permission
from tests.adapters.discord.service import Service
from tests.adapters.discord.world import Channel, ChannelType, Guild, Json, Message


@dataclass(frozen=True)
class Upload:
    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Call:
    """`operation` is the OpenAPI document's operationId, `path` the parameters in the route."""

    service: Service
    operation: str
    path: dict[str, str]
    query: dict[str, str]
    body: Json
    files: list[Upload] = field(default_factory=list)

    def channel(self) -> Channel:
        """The channel of the route; raises 10003 or, where the bot does not see it, 50001."""
        channel = self.service.world.channels.get(self.path["channel_id"])
        if not channel:
            raise refusal(10003)
        if not self.service.world.sees(self.service.world.bot.id, channel):
            raise refusal(50001)
        return channel

    def text_channel(self) -> Channel:
        """A channel that holds messages itself."""
        channel = self.channel()
        if channel.type is ChannelType.FORUM:
            raise refusal(50008)
        return channel

    def message(self, channel: Channel) -> Message:
        message = self.service.world.message_in(channel, self.path["message_id"])
        if not message:
            raise refusal(10008)
        return message

    def guild(self) -> Guild:
        guild = self.service.world.guilds.get(self.path["guild_id"])
        if not guild:
            raise refusal(10004)
        return guild

    def require(self, channel: Channel, *permissions: Permission) -> None:
        """Raises 50013 unless the bot has them all there."""
        if not all(self.service.may(self.service.world.bot.id, channel, permission) for permission in permissions):
            raise refusal(50013)


@dataclass(frozen=True)
class Answered:
    """A reply with its status; `body` None is an empty one."""

    status: int
    body: Json | list[Json] | None
