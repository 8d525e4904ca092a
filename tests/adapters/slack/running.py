"""The real bot with the real slack-bolt, connected to a pretended Slack over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from adapters.slack.connection import SlackPlatform
from bot.conversation import ExchangeId
from bot.front_desk import FrontDesk
from bot.main import Timbre, build_server
from bot.messages import IncomingMessage, MessageRef, Person, Place
from bot.ports import ChatPlatform
from bot.serving import Server
from bot.settings import Settings, SlackSettings
from bot.storage.database import Database
from bot.storage.intake import IntakeStore
from tests.adapters.slack.blocks import elements
from tests.adapters.slack.office import Office
from tests.adapters.slack.persons import Person as Human
from tests.adapters.slack.server import SlackServer
from tests.adapters.slack.state import Message, View


def slack_settings(slack: SlackServer, **changes: object) -> SlackSettings:
    """Those for a bot in the first workspace, over Socket Mode."""
    values = {"bot_token": slack.bot_token, "app_token": slack.app_token, "api_url": slack.api_url}
    return SlackSettings.model_validate({**values, "signing_secret": slack.signing_secret, "support_group": "S1", **changes})


@dataclass
class Bot:
    """A bot at work; `platform` is its connection to `slack`."""

    slack: SlackServer
    timbre: Timbre
    server: Server
    platform: SlackPlatform
    desk: FrontDesk

    async def exchange_of(self, channel: str, ts: str) -> ExchangeId:
        """The exchange that a message of the bot shows, when that is known."""
        ref = MessageRef(Place("slack", "T1", channel), ts)
        async with asyncio.timeout(5):
            while (found := IntakeStore(self.timbre.database).exchange_at(ref)) is None:
                await asyncio.sleep(0.01)
        return found

    async def acknowledged(self) -> None:
        """When everything that Slack has sent was taken in."""
        await self.slack.until(lambda: not self.slack.deliveries.open)


@asynccontextmanager
async def bot_at_work(timbre: Timbre, slack: SlackServer, **changes: object) -> AsyncIterator[Bot]:
    """Everything that `timbre serve` runs, but for the handlers of signals."""
    settings = slack_settings(slack, **changes)
    made: list[tuple[SlackPlatform, FrontDesk]] = []

    def open_platforms(_: Settings, database: Database, desk: FrontDesk) -> Mapping[str, ChatPlatform]:
        made.append((SlackPlatform(settings, database, desk), desk))
        return {"slack": made[0][0]}

    server = build_server(timbre, lambda _: None, open_platforms)
    platform, desk = made[0]
    tasks = [asyncio.create_task(work) for work in (platform.run(), server.inbox.run(), server.outbox.run())]
    try:
        await until_connected(platform, tasks[0])
        yield Bot(slack, timbre, server, platform, desk)
        await platform.close()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Desk:
    """Stands for the bot: keeps what it is given. `refusals` are raised by `receive` first, in order."""

    def __init__(self) -> None:
        self.messages: list[IncomingMessage] = []
        self.reactions: list[tuple[str, str, bool]] = []
        self.caught_up = 0
        self.refusals: list[Exception] = []

    async def receive(self, message: IncomingMessage) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.messages.append(message)

    async def react(self, person: Person, message: MessageRef, emoji: str, is_added: bool) -> None:
        self.reactions.append((person.id, emoji, is_added))

    async def catch_up(self, platform: ChatPlatform) -> None:
        self.caught_up += 1


@asynccontextmanager
async def connected(
    slack: SlackServer, database: Database, desk: Desk | None = None, **changes: object
) -> AsyncIterator[SlackPlatform]:
    """The adapter alone, connected."""
    platform = SlackPlatform(slack_settings(slack, **changes), database, cast(FrontDesk, desk or Desk()))
    running = asyncio.create_task(platform.run())
    try:
        await until_connected(platform, running)
        yield platform
        await platform.close()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until_connected(platform: SlackPlatform, running: "asyncio.Task[None]", within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not platform.is_connected:
            if running.done():
                await running
            await asyncio.sleep(0.01)


def action(where: Message | View, word: str) -> str:
    """The action id of the button with that word in it."""
    blocks = where.body["blocks"] if isinstance(where, View) else where.blocks
    return next(str(element["action_id"]) for _, element in elements(blocks) if word in element["action_id"])


async def press(person: Human, where: Message | View, word: str) -> None:
    await person.click(where, action(where, word))


async def rate(person: Human, answer: Message, verdict: str) -> None:
    rating = action(answer, "rating")
    await person.click(answer, rating, rating.replace("rating", verdict))


async def private(office: Office, person: Human, count: int = 1) -> Message:
    """The last of the messages that only that person sees, when there are so many."""
    return (await office.slack.until(lambda: person.ephemerals()[count - 1 :]))[-1]
