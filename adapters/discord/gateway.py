"""discord.py's client: one connection to the gateway, which hands what happens on to a listener."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import discord

from adapters.proxies import proxy_for
from bot.settings import DiscordSettings

logger = logging.getLogger(__name__)

READY_PAUSE_S = 2.0  # how long after the last server discord.py waits for another one


class Listener(Protocol):
    """What a connection tells. No method raises, and none waits."""

    def message(self, message: discord.Message, own_id: int) -> None: ...

    def reaction(self, payload: discord.RawReactionActionEvent, is_added: bool, own_id: int) -> None: ...

    def interaction(self, interaction: discord.Interaction) -> None: ...

    def joined(self, guild: discord.Guild) -> None: ...

    def connected(self, gateway: discord.Client, is_resumed: bool) -> None: ...

    def disconnected(self) -> None: ...


class Gateway(discord.Client):
    """Neither caches messages nor asks for members. `before_identify` may refuse a new session by raising."""

    def __init__(
        self,
        settings: DiscordSettings,
        listener: Listener,
        before_identify: Callable[[], Awaitable[None]],
        *,
        reads_content: bool,
        ready_pause_s: float = READY_PAUSE_S,
    ) -> None:
        super().__init__(
            intents=intents(reads_content),
            proxy=proxy_for(settings.gateway_url),
            allowed_mentions=discord.AllowedMentions.none(),
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            guild_ready_timeout=ready_pause_s,
        )
        self._listener = listener
        self._before_identify = before_identify
        self._guard_parsers()

    def _guard_parsers(self) -> None:
        """One event that discord.py cannot read would end the connection; here it is logged and left out."""
        parsers = self._connection.parsers
        for event, parse in list(parsers.items()):
            parsers[event] = _guarded(event, parse)

    @property
    def _own_id(self) -> int:
        assert self.user  # known since the login
        return self.user.id

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        await self._before_identify()
        await super().before_identify_hook(shard_id, initial=initial)

    async def on_ready(self) -> None:
        self._listener.connected(self, is_resumed=False)

    async def on_resumed(self) -> None:
        self._listener.connected(self, is_resumed=True)

    async def on_disconnect(self) -> None:
        self._listener.disconnected()

    async def on_message(self, message: discord.Message) -> None:
        self._listener.message(message, self._own_id)

    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        self._listener.reaction(payload, True, self._own_id)

    async def on_raw_reaction_remove(self, payload: discord.RawReactionActionEvent) -> None:
        self._listener.reaction(payload, False, self._own_id)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self._listener.interaction(interaction)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        self._listener.joined(guild)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        logger.exception("An event of Discord could not be handled: %s", event_method)


def intents(reads_content: bool) -> discord.Intents:
    """Without `reads_content`, what does not name the bot arrives without its text."""
    return discord.Intents(
        guilds=True, guild_messages=True, dm_messages=True, guild_reactions=True, dm_reactions=True, message_content=reads_content
    )


def _guarded(event: str, parse: Callable[[Any], None]) -> Callable[[Any], None]:
    def parsed(data: Any) -> None:
        try:
            parse(data)
        except Exception:
            logger.exception("An event of Discord is malformed and left out: %s", event)

    return parsed
