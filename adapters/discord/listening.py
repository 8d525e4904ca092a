"""Turns what a connection tells into work beside it, so that heartbeats never wait, and keeps count of that work."""

from collections.abc import Callable, Coroutine
from typing import Any

import discord

from adapters.discord.intake import Intake, myself
from adapters.discord.interactions import Interactions
from adapters.discord.supervisor import ConnectionState
from adapters.tasks import Tasks


class Work:
    """What is under way. What is started after `finish` is not done."""

    def __init__(self) -> None:
        self._tasks = Tasks()
        self.is_over = False

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        if self.is_over:
            work.close()
        else:
            self._tasks.start(work)

    async def finish(self) -> None:
        """Returns when all of it is done."""
        self.is_over = True
        await self._tasks.drain()

    def cancel(self) -> None:
        self._tasks.cancel()


class Ears:
    """A `gateway.Listener`."""

    def __init__(
        self,
        intake: Intake,
        interactions: Interactions,
        state: ConnectionState,
        work: Work,
        on_connected: Callable[[discord.Client, bool], None],
    ) -> None:
        self._intake = intake
        self._interactions = interactions
        self._state = state
        self._work = work
        self._on_connected = on_connected

    def message(self, message: discord.Message, own_id: int) -> None:
        self._work.start(self._intake.message(message, myself(own_id, message.guild)))

    def reaction(self, payload: discord.RawReactionActionEvent, is_added: bool, own_id: int) -> None:
        self._work.start(self._intake.reaction(payload, is_added, own_id))

    def interaction(self, interaction: discord.Interaction) -> None:
        self._work.start(self._interactions.handle(interaction))

    def joined(self, guild: discord.Guild) -> None:
        self._work.start(self._intake.joined(guild))

    def connected(self, gateway: discord.Client, is_resumed: bool) -> None:
        self._state.connected()
        self._on_connected(gateway, is_resumed)

    def disconnected(self) -> None:
        self._state.disconnected()
