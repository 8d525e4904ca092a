"""A real discord.py bot for the tests of the server: it answers, asks back and fails in ways that the tests choose."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.adapters.discord.server import DiscordServer

INTENTS = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, guild_reactions=True, message_content=True)
NO_PINGS = discord.AllowedMentions.none()
LABELLED = "What is wrong?"


class Bot(discord.Client):
    """Records what it hears; `on_text` is what it does with a message of others."""

    def __init__(
        self,
        on_text: Callable[[discord.Message], Awaitable[Any]] | None = None,
        intents: discord.Intents = INTENTS,
        allowed_mentions: discord.AllowedMentions = NO_PINGS,
        **options: Any,
    ) -> None:
        super().__init__(intents=intents, allowed_mentions=allowed_mentions, guild_ready_timeout=0.02, **options)
        self.on_text = on_text
        self.heard: list[discord.Message] = []
        self.connection: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()
        self.events: list[str] = []
        self.tree = app_commands.CommandTree(self)
        add_commands(self)

    async def on_message(self, message: discord.Message) -> None:
        if message.author == self.user:
            return
        self.heard.append(message)
        self._heard.set()
        if self.on_text:
            await self.on_text(message)

    async def heard_until(self, text: str, timeout_s: float = 5.0) -> None:
        """Returns once a message with that text has come."""
        async with asyncio.timeout(timeout_s):
            while all(message.content != text for message in self.heard):
                self._heard.clear()
                await self._heard.wait()

    async def ready_or_failed(self) -> None:
        """Returns once the bot is ready; raises what ended its connection before."""
        assert self.connection
        ready = asyncio.create_task(self.wait_until_ready())
        await asyncio.wait({self.connection, ready}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self.connection.done():
            self.connection.result()

    async def on_socket_event_type(self, event: str) -> None:
        self.events.append(event)


class Complaint(discord.ui.Modal, title="Not helpful"):
    comment: discord.ui.Label[Any] = discord.ui.Label(text=LABELLED, component=discord.ui.TextInput(max_length=50))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        assert isinstance(self.comment.component, discord.ui.TextInput)
        await interaction.response.send_message(f"noted: {self.comment.component.value}", ephemeral=True)


class Vote(discord.ui.View):
    @discord.ui.button(label="Helpful", custom_id="vote:up")
    async def up(self, interaction: discord.Interaction, _: Any) -> None:
        await interaction.response.edit_message(content="thanks", view=None)

    @discord.ui.button(label="Not helpful", custom_id="vote:down")
    async def down(self, interaction: discord.Interaction, _: Any) -> None:
        await interaction.response.send_modal(Complaint())


def add_commands(bot: Bot) -> None:
    """/ask (deferred, in private), /late, /silent, /sources add with completion, and "Flag answer" on messages."""
    sources = app_commands.Group(name="sources", description="Where answers come from")

    @bot.tree.command(description="Asks")
    async def ask(interaction: discord.Interaction, question: str) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await interaction.followup.send(f"answer to {question}")
        await interaction.followup.send("and more", ephemeral=True)

    @bot.tree.command(description="Says nothing")
    async def silent(interaction: discord.Interaction) -> None:
        pass

    @sources.command(description="Adds one")
    async def add(interaction: discord.Interaction, name: str, count: int = 1) -> None:
        await interaction.response.send_message(f"added {name} {count}")

    @add.autocomplete("name")
    async def names(_: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        found = [name for name in ("handbook", "wiki") if typed in name]
        return [app_commands.Choice(name=name, value=name) for name in found]

    @bot.tree.context_menu(name="Flag answer")
    async def flag(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(f"flagged {message.content}", ephemeral=True)

    bot.tree.add_command(sources)


@asynccontextmanager
async def running(bot: Bot, server: DiscordServer, *, sync: bool = False, token: str | None = None) -> AsyncIterator[Bot]:
    """The bot, logged in to that server and ready, with its commands registered where asked for; closed at the end."""
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = server.api_url, yarl.URL(server.gateway_url)
    try:
        await bot.login(token or server.token)
        bot.connection = asyncio.create_task(bot.connect())
        await bot.ready_or_failed()
        if sync:
            await bot.tree.sync()
        yield bot
    finally:
        await bot.close()
        await asyncio.gather(*[bot.connection] if bot.connection else [], return_exceptions=True)
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before
