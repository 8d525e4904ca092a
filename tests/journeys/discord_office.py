"""A company on the local Discord with the whole bot at work in it, put together as `timbre serve` does it.

People act through the local Discord alone; what came of it is read from what they see and from the database.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from discord.gateway import DiscordWebSocket
from discord.http import Route
from pydantic import SecretStr
from sqlmodel import SQLModel, select

from adapters.discord.connection import DiscordPlatform, Pace
from adapters.discord.rendering import PLACEHOLDER
from bot.main import OpenPlatforms, build, build_server
from bot.messages import PersonId
from bot.people import Role, RoleBook
from bot.ports import LanguageModel
from bot.settings import ChatSettings, DiscordSettings, Settings
from bot.sources import Sources
from bot.storage.database import Database, sqlite_url
from bot.storage.intake import IntakeStore
from bot.storage.people import PeopleStore
from bot.storage.tables import AuditRow, FeedbackRow
from knowledge.ports import Embedder
from tests.adapters.discord.mentions import walk
from tests.adapters.discord.people import Person, Used
from tests.adapters.discord.server import DiscordServer
from tests.adapters.discord.world import Channel, Guild, Message
from tests.conftest import silent
from tests.fakes import HashingEmbedder

WITHIN_S = 20.0
QUICK = Pace(ready_s=0.02, edit_s=0.02, patience_s=0.5, reconnect_s=0.01, noticeable_s=0.05, retry_s=0.01)
BUTTON = 2
Row = TypeVar("Row", bound=SQLModel)

LEAVE = "How many days of annual leave do full-time employees get?"
BICYCLE = "Where can I park my bicycle?"
PAY = "What is the pay band of engineers?"
NEARLY = "Where do bicycles park in summer?"
NEVER_HEARD = "Who feeds the office elephant on the moon?"


@dataclass
class Company:
    """A guild whose channel #general everybody may read; Sue is support, Dora the first admin, Ada and Ben are neither."""

    server: DiscordServer
    guild: Guild
    general: Channel
    support_role: str
    settings: Settings
    embedder: Embedder | None = field(default_factory=HashingEmbedder)
    language_model: LanguageModel | None = None

    def __post_init__(self) -> None:
        self.ada, self.ben, self.sue, self.dora = map(self.server.person, ("Ada", "Ben", "Sue", "Dora"))
        self.database = Database(sqlite_url(self.settings.home / "timbre.db"))
        self.roles = RoleBook(PeopleStore(self.database), self.settings.chat.first_admin)
        self.roles.grant(self.id_of(self.sue), Role.SUPPORT, "test")

    @asynccontextmanager
    async def open(self, *, pace: Pace | None = QUICK) -> AsyncIterator[None]:
        """The bot serving, from its start to its orderly end; each time a new one. Without `pace` all is as settings say."""
        before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
        wording = "model" if self.language_model else None
        timbre = build(self.settings, silent, embedder=self.embedder, language_model=self.language_model, wording=wording)
        server = build_server(timbre, silent, at(pace) if pace else None)
        running = asyncio.create_task(server.run())
        try:
            await eventually(lambda: server.platforms["discord"].is_connected or running.done())
            await eventually(lambda: bool(self.server.world.commands))
            yield
        finally:
            if not running.done():
                os.kill(os.getpid(), signal.SIGTERM)
            await running
            await timbre.close()
            Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before

    def read(self, folder: Path) -> None:
        """Reads more documents, for everybody, before the bot is opened."""
        timbre = build(self.settings, silent, embedder=self.embedder)
        sources = Sources(timbre.knowledge)
        sources.ingest(sources.describe(str(folder), None, None), lambda *_: None)
        timbre.knowledge.index.close()
        timbre.database.close()

    # people ------------------------------------------------------------------------------------------------------------------

    def id_of(self, person: Person) -> PersonId:
        return PersonId(f"discord:{self.guild.id}:{person.id}")

    def mention(self, text: str) -> str:
        return f"<@{self.server.world.bot.id}> {text}"

    async def ask(self, text: str = LEAVE, person: Person | None = None) -> tuple[Channel, Message]:
        """Somebody, by default Ada, mentions the bot in #general: the thread below, and the answer in it."""
        message_id = (person or self.ada).say(self.general, self.mention(text))
        thread = await self.thread_of(message_id)
        return thread, await self.answer_in(thread)

    async def thread_of(self, message_id: str) -> Channel:
        await self.server.wait_until(lambda: self.server.thread_of(message_id) is not None, WITHIN_S, "a thread")
        return self.server.world.channels[message_id]

    async def answer_in(self, channel: Channel, known: int = 0) -> Message:
        """What the bot said there after `known` messages, once nothing is on its way any more."""
        await self.server.wait_until(lambda: len(self.said(channel)) > known, WITHIN_S, f"an answer in {channel.name}")
        await self.settled()
        return self.said(channel)[known]

    async def told(self, person: Person, known: int = 0) -> Message:
        """What the bot wrote to the person directly after `known` messages."""
        return await self.answer_in(self.direct(person), known)

    async def use(self, used: Used) -> Used:
        """What the person sees of it in the end."""
        await used.outcome(WITHIN_S)
        await self.server.wait_until(lambda: not used.is_thinking, WITHIN_S, "more than thinking")
        return used

    async def settled(self) -> None:
        """Once everything that came in is done, and everything that was to go out is out."""
        counts = IntakeStore(self.database).counts
        await eventually(lambda: not any(count for state, count in counts().items() if state.endswith("waiting")))

    # what people see, and what is kept ---------------------------------------------------------------------------------------

    def said(self, channel: Channel) -> list[Message]:
        """The bot's messages there that all see who see the channel, without those that are about to grow."""
        found = [message for message in self.server.bot_messages(channel) if message.interaction_id is None]
        return [message for message in found if not message.content.endswith(PLACEHOLDER)]

    def direct(self, person: Person) -> Channel:
        return self.server.world.dm_with(person.id)

    def rows(self, kind: type[Row]) -> Sequence[Row]:
        with self.database.reading() as session:
            return session.exec(select(kind)).all()

    def verdicts(self) -> dict[str, tuple[str, str, str]]:
        """By the person's name: verdict, reason, comment."""
        names, rows = self.server.world.users, self.rows(FeedbackRow)
        return {names[row.given_by.rpartition(":")[2]].name: (row.verdict, row.reason, row.comment) for row in rows}

    def tries(self, person: Person) -> list[tuple[str, bool]]:
        """What the person tried that takes a role, and whether they were let."""
        rows = [row for row in self.rows(AuditRow) if row.actor == self.id_of(person) and "allowed" in row.details]
        return [(row.action, row.details["allowed"]) for row in rows]


def at(pace: Pace) -> OpenPlatforms:
    """The platform that the settings name, with less waiting."""
    return lambda settings, _, front_desk: {"discord": DiscordPlatform(settings.discord, front_desk, pace)}


def labels(message: Message) -> list[str]:
    """The words on its buttons, in order."""
    return [part["label"] for part in walk(message.components) if part["type"] == BUTTON]


async def eventually(holds: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Returns as soon as it is so. For what the local Discord cannot tell, such as rows."""
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.01)


@asynccontextmanager
async def company_of(database: Path, home: Path) -> AsyncIterator[Company]:
    """A company of one's own; AssertionError at the end where the bot sent what a correct one would not."""
    home.mkdir()
    shutil.copyfile(database, home / "timbre.db")
    async with DiscordServer(checks_replies=True) as server:
        guild = server.add_guild("Acme")
        general = server.add_channel(guild, "general")
        support = server.add_role(guild, "Support")
        server.allow_ping(support)
        ids = {name: server.add_person(name, guild).id for name in ("Ada", "Ben", "Sue", "Dora")}
        settings = Settings(
            home=home,
            chat=ChatSettings(first_admin=f"discord:{guild.id}:{ids['Dora']}"),
            discord=DiscordSettings(
                token=SecretStr(server.token),
                api_url=server.api_url,
                gateway_url=server.gateway_url,
                support_role=support,
            ),
        )
        company = Company(server, guild, general, support, settings)
        try:
            yield company
        finally:
            company.database.close()
    assert server.problems == []
