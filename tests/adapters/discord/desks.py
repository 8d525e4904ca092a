"""A front desk that keeps what it is told and answers as a test says, the platform running on it, and what is often sent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from discord.gateway import DiscordWebSocket
from discord.http import Route
from pydantic import SecretStr

from adapters.discord.connection import DiscordPlatform, Pace
from bot.long_work import Say
from bot.messages import (
    Button,
    Click,
    Command,
    Control,
    Delivery,
    DeliveryKey,
    Greeting,
    Home,
    IncomingMessage,
    Item,
    MessageRef,
    Notice,
    Person,
    Reply,
    ReplyKind,
    Response,
    Section,
    Submission,
)
from bot.ports import ChatPlatform
from bot.settings import DiscordSettings
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.server import DiscordServer

QUICK = Pace(ready_s=0.02, edit_s=0.02, patience_s=0.5, reconnect_s=0.01, noticeable_s=0.05, retry_s=0.01)


ASK = Button(Control.ASK, "How much?", "Ask")


class RecordingDesk:
    """`on_...` say what the desk answers; everything it is told stands in the lists."""

    def __init__(self) -> None:
        self.messages: list[IncomingMessage] = []
        self.clicks: list[Click] = []
        self.submissions: list[Submission] = []
        self.commands: list[Command] = []
        self.reactions: list[tuple[Person, MessageRef, str, bool]] = []
        self.flagged: list[tuple[Person, MessageRef]] = []
        self.captured: list[tuple[Person, MessageRef, str]] = []
        self.completed: list[str] = []
        self.connections: list[str] = []
        self.memory: dict[str, dict[str, Any]] = {}
        self.on_message: Callable[[IncomingMessage], Awaitable[None]] | None = None
        self.on_click: Callable[[Click], Awaitable[Response]] | None = None
        self.on_submit: Callable[[Submission], Awaitable[Response]] | None = None
        self.on_command: Callable[[Command, Say], Awaitable[Response]] | None = None

    async def receive(self, message: IncomingMessage) -> None:
        if self.on_message:
            await self.on_message(message)
        self.messages.append(message)

    async def click(self, click: Click, say: Say) -> Response:
        self.clicks.append(click)
        return await self.on_click(click) if self.on_click else Notice("clicked")

    async def submit(self, submission: Submission) -> Response:
        self.submissions.append(submission)
        return await self.on_submit(submission) if self.on_submit else Notice("submitted")

    async def command(self, command: Command, say: Say) -> Response:
        self.commands.append(command)
        return await self.on_command(command, say) if self.on_command else Notice(f"did {command.words}")

    async def react(self, person: Person, message: MessageRef, emoji: str, is_added: bool) -> None:
        self.reactions.append((person, message, emoji, is_added))

    async def flag(self, person: Person, message: MessageRef) -> Response:
        self.flagged.append((person, message))
        return Notice("flagged")

    async def capture(self, person: Person, message: MessageRef, text: str) -> Response:
        self.captured.append((person, message, text))
        return Notice("captured")

    async def home(self, person: Person) -> Home:
        return Home([Section("How to ask", [Item("Mention me.")]), Section("Ask", [Item("How much?", [ASK])])])

    async def greeting(self, person: Person) -> Greeting:
        return Greeting(f"Hello {person.name}", ["How much leave do I have?"])

    async def complete(self, person: Person, words: str) -> Sequence[str]:
        self.completed.append(words)
        return [words + suffix for suffix in ("book", "s")]

    async def catch_up(self, platform: ChatPlatform) -> None:
        self.connections.append(platform.name)

    async def remember(self, platform: str, name: str, value: dict[str, Any]) -> None:
        self.memory[name] = value

    async def recall(self, platform: str, name: str) -> dict[str, Any] | None:
        return self.memory.get(name)


def discord_settings(server: DiscordServer, **values: Any) -> DiscordSettings:
    values = {"token": SecretStr(server.token)} | values
    return DiscordSettings(api_url=server.api_url, gateway_url=server.gateway_url, **values)


@asynccontextmanager
async def connected(server: DiscordServer, desk: Any, pace: Pace = QUICK, **values: Any) -> AsyncIterator[DiscordPlatform]:
    """The platform, connected to the server; closed at the end."""
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    platform = DiscordPlatform(discord_settings(server, **values), desk, pace)
    running = asyncio.create_task(platform.run())
    try:
        await until(lambda: platform.is_connected or running.done())
        if running.done():
            running.result()
        yield platform
    finally:
        await platform.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before


async def until(is_so: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Returns as soon as it is so."""
    async with asyncio.timeout(timeout_s):
        while not is_so():
            await asyncio.sleep(0.002)


def mention(acme: Acme) -> str:
    return f"<@{acme.server.world.bot.id}>"


def answer(message: IncomingMessage, text: str = "In the handbook.", **values: object) -> Delivery:
    reply = Reply(ReplyKind.ANSWER, text, buttons=[Button(Control.HELPFUL, "e1", "Helpful")])
    delivery = Delivery(DeliveryKey(f"answer:{message.key}"), message.answer_place, reply, answers=message.id)
    return replace(delivery, **values)  # type: ignore[arg-type]
