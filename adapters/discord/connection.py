"""Discord as a `ChatPlatform`: puts the parts of this package together. Messages come by the gateway and go out by REST.

discord.py keeps the addresses of both for the whole process, so one process talks to one Discord.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import discord

from adapters.discord.answering import PATIENCE_S
from adapters.discord.delivery import Post
from adapters.discord.directory import REMEMBERED_S, Directory
from adapters.discord.gateway import READY_PAUSE_S, Gateway
from adapters.discord.inbound import PLATFORM
from adapters.discord.intake import RETRY_PAUSE_S, Intake, places
from adapters.discord.interactions import Interactions
from adapters.discord.listening import Ears, Work
from adapters.discord.rest import NAME, Rest, point_at, translated
from adapters.discord.setting_up import register_commands
from adapters.discord.streaming import EDIT_PAUSE_S, Typing
from adapters.discord.supervisor import FIRST_PAUSE_S, NOTICEABLE_S, ConnectionState, SessionBudget, keep_connected
from bot.errors import BotError, DeliveryRefused, PlatformUnavailable
from bot.messages import Addressed, Delivery, DeliveryKey, IncomingMessage, Mark, MessageRef, PersonId, Place, Viewers
from bot.ports import ReplyStream
from bot.settings import DiscordSettings

if TYPE_CHECKING:
    from bot.front_desk import FrontDesk

logger = logging.getLogger(__name__)

TYPING = "/channels/{channel_id}/typing"


@dataclass(frozen=True)
class Pace:
    """How long things wait, in seconds; tests make it quick."""

    ready_s: float = READY_PAUSE_S
    edit_s: float = EDIT_PAUSE_S
    patience_s: float = PATIENCE_S
    reconnect_s: float = FIRST_PAUSE_S
    noticeable_s: float = NOTICEABLE_S
    retry_s: float = RETRY_PAUSE_S


class DiscordPlatform:
    """One bot in all of its servers."""

    name = PLATFORM

    def __init__(self, settings: DiscordSettings, front_desk: "FrontDesk", pace: Pace = Pace()) -> None:
        point_at(settings)
        self._settings = settings
        self._front_desk = front_desk
        self._pace = pace
        self._rest = Rest(settings)
        self._directory = Directory(self._rest, self._known_gateway)
        self._post = Post(self._rest, self._directory, settings.support_role, pace.edit_s)
        self._intake = Intake(self._rest, self._directory, self._post, front_desk, pace.retry_s)
        self._interactions = Interactions(self._rest, self._directory, self._post, front_desk, pace.patience_s)
        self._typing = Typing(self._show_typing)
        self._budget = SessionBudget(self._rest, front_desk)
        self._state = ConnectionState(pace.noticeable_s)
        self._gateway: discord.Client | None = None
        self._work = Work()
        self._is_running = False

    @property
    def is_connected(self) -> bool:
        return self._state.is_connected and not self._work.is_over

    async def run(self) -> None:
        self._is_running = True
        try:
            await keep_connected(self._connect, self._state, first_pause_s=self._pace.reconnect_s)
        except asyncio.CancelledError:
            await self._dispose()
            raise
        finally:
            self._is_running = False
            self._state.close()

    async def close(self) -> None:
        """The connection itself ends with `run`, so that what is on its way can still be delivered."""
        await self._work.finish()
        self._typing.stop_all()
        if not self._is_running:
            await self._dispose()

    async def viewers(self, place: Place) -> Viewers:
        return await self._directory.viewers(place)

    async def name_of(self, person: PersonId) -> str:
        return await self._directory.name_of(person)

    async def show_working(self, message: IncomingMessage) -> None:
        """A command shows it by itself."""
        if message.addressed is not Addressed.COMMAND:
            self._typing.start(message.id, self._post.working_in(message))

    async def open_stream(
        self, key: DeliveryKey, message: IncomingMessage, on_posted: Callable[[str], Awaitable[None]]
    ) -> ReplyStream | None:
        if message.addressed is Addressed.COMMAND:
            return None
        try:
            return await self._post.grow(key, message, on_posted)
        except (PlatformUnavailable, DeliveryRefused) as err:
            logger.info("The answer to %s does not grow: %s", message.key, err)
            return None

    async def deliver(self, delivery: Delivery, *, draft: str = "", is_retry: bool = False) -> Sequence[str]:
        try:
            return await self._post.deliver(delivery, draft, is_retry)
        finally:
            self._typing.stop(delivery.answers)

    async def places(self) -> Sequence[Place]:
        return places(self._connected_gateway())

    async def missed(self, place: Place, since: datetime) -> Sequence[IncomingMessage]:
        gateway = self._connected_gateway()
        return await self._intake.missed(place, since, gateway, _own_id(gateway))

    async def is_answered(self, message: IncomingMessage) -> bool:
        return await self._intake.is_answered(message)

    async def mark(self, message: MessageRef, mark: Mark) -> None:
        await self._post.mark(message, mark)

    async def _connect(self, reads_content: bool) -> None:
        """One client of discord.py, until its connection ends."""
        await self._budget.check()
        gateway = Gateway(
            self._settings,
            Ears(self._intake, self._interactions, self._state, self._work, self._connected),
            self._budget.spend,
            reads_content=reads_content,
            ready_pause_s=self._pace.ready_s,
        )
        try:
            await translated(gateway.login(self._settings.token.get_secret_value()))
            await gateway.connect(reconnect=False)
        finally:
            await gateway.close()

    def _connected(self, gateway: discord.Client, is_resumed: bool) -> None:
        self._gateway = gateway
        self._work.start(self._came_up(is_resumed))

    async def _came_up(self, is_resumed: bool) -> None:
        """What is due after each outage, and with each new session."""
        try:
            await self._front_desk.catch_up(self)
            if not is_resumed:
                await register_commands(self._rest, self._front_desk)
        except BotError as err:
            logger.warning("Not all could be done after connecting to Discord: %s", err)

    def _known_gateway(self) -> discord.Client | None:
        """What it knows of servers and channels is good for as long as that of people."""
        return self._gateway if self._state.lost_for_s < REMEMBERED_S else None

    def _connected_gateway(self) -> discord.Client:
        if self._gateway is None or not self._state.is_connected:
            raise PlatformUnavailable(NAME, "there is no connection to its gateway")
        return self._gateway

    async def _show_typing(self, channel: int) -> None:
        await self._rest.call("POST", TYPING, {"channel_id": channel})

    async def _dispose(self) -> None:
        self._typing.stop_all()
        self._work.cancel()
        self._state.close()
        await self._rest.close()


def _own_id(gateway: discord.Client) -> int:
    assert gateway.user
    return gateway.user.id
