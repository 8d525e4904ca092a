"""A local server that speaks Discord, REST v10 and gateway, for tests, benchmarks and the demo.

`async with DiscordServer() as server:` listens on 127.0.0.1; `server.api_url`, `server.gateway_url` and `server.token` are what
the bot under test needs. `python -m tests.adapters.discord.server` runs one by itself, driven over HTTP (see `control.py`).
"""

import argparse
import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.adapters.discord import control
from tests.adapters.discord.faults import Faults
from tests.adapters.discord.gateway import Gateway, Intent, Limits
from tests.adapters.discord.ledger import Report
from tests.adapters.discord.mentions import Link, Pings, allowed, links
from tests.adapters.discord.people import Person
from tests.adapters.discord.permissions import ORDINARY, Overwrite, Permission
from tests.adapters.discord.rest import BASE, Rest
from tests.adapters.discord.service import Service
from tests.adapters.discord.transcript import transcript
from tests.adapters.discord.world import Channel, ChannelType, Guild, Message, World

TOKEN = "local-bot-token"
GATEWAY_PATH = "/gw/"


class DiscordServer:
    """One Discord with one bot. `allowed_intents`: the privileged ones that the bot's owner has switched on."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        allowed_intents: int = Intent.MESSAGE_CONTENT | Intent.MEMBERS,
        checks_replies: bool = False,
        port: int = 0,
        token: str = TOKEN,
    ) -> None:
        self.service = Service(limits or Limits(), token, allowed_intents)
        self._rest = Rest(self.service, checks_replies)
        self._port = port
        self._runner: web.AppRunner | None = None
        self._people: dict[str, Person] = {}

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_get(GATEWAY_PATH, self.service.gateway.serve)
        self._rest.add_to(app)
        control.add_to(app, self)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self.start_listening()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.service.gateway.cut()
        assert self._runner
        await self._runner.cleanup()

    async def start_listening(self) -> None:
        """Listens, after `stop_listening` on the same port again."""
        assert self._runner
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.service.gateway.url = self.gateway_url

    async def stop_listening(self) -> None:
        """An outage: open connections of the gateway end, new ones, REST too, are refused."""
        assert self._runner
        for site in list(self._runner.sites):
            await site.stop()
        self.service.gateway.cut()

    # what the bot needs ------------------------------------------------------------------------------------------------------

    @property
    def token(self) -> str:
        return self.service.gateway.token

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        return self.url + BASE

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}{GATEWAY_PATH}"

    # the world ---------------------------------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        return self.service.world

    @property
    def gateway(self) -> Gateway:
        return self.service.gateway

    @property
    def faults(self) -> Faults:
        return self._rest.faults

    @property
    def problems(self) -> list[str]:
        """What a correct bot would never have sent; a test may clear it once it has looked."""
        return self._rest.problems

    def allow_ping(self, role_id: str) -> None:
        """The one role that a correct bot may ping."""
        self._rest.may_ping.add(role_id)

    @property
    def calls(self) -> dict[str, int]:
        """How often each operation was called."""
        return dict(self._rest.calls)

    @property
    def invalid_calls(self) -> int:
        """Calls answered by 401, 403 or 429: 10,000 in ten minutes are a ban."""
        return self._rest.invalid_calls

    def add_guild(self, name: str, bot_permissions: Permission = ORDINARY, system_channel: str = "") -> Guild:
        """A guild that the bot is added to, by GUILD_CREATE where it is connected; with a channel that welcomes newcomers."""
        return self.service.add_guild(name, bot_permissions, system_channel)

    def add_channel(
        self, guild: Guild, name: str, *, only_for: list[str] | None = None, type_: ChannelType = ChannelType.TEXT
    ) -> Channel:  # fmt: skip
        """A channel; with `only_for`, ids of roles or users, one that only these see."""
        overwrites = []
        if only_for is not None:
            overwrites.append(Overwrite(guild.id, True, deny=Permission.VIEW_CHANNEL))
            overwrites += [Overwrite(each, each in guild.roles, allow=Permission.VIEW_CHANNEL) for each in only_for]
        return self.service.add_channel(guild, name, type_, overwrites)

    def add_role(self, guild: Guild, name: str, permissions: Permission = ORDINARY) -> str:
        """The id of a new role."""
        return self.service.add_role(guild, name, permissions).id

    def add_person(self, name: str, *guilds: Guild, role_ids: list[str] | None = None, is_bot: bool = False) -> Person:
        """A person, or another bot, in these guilds; the roles are those of the first."""
        person = Person(self.world.add_user(name, is_bot=is_bot), self.service)
        for number, guild in enumerate(guilds):
            self.service.join_guild(guild, person.user, (role_ids or []) if number == 0 else [])
        self._people[name] = person
        return person

    def person(self, name: str) -> Person:
        return self._people[name]

    # looking -----------------------------------------------------------------------------------------------------------------

    async def wait_until(self, is_so: Callable[[], bool], timeout_s: float = 5.0, what: str = "the awaited change") -> None:
        """Returns as soon as it is so; asked anew at each change of the world."""
        await self.service.wait_until(is_so, timeout_s, what)

    async def wait_for_bot(self, timeout_s: float = 5.0) -> None:
        """Returns once the bot is identified on the gateway."""
        await self.wait_until(lambda: bool(self.gateway.connected), timeout_s, "the bot on the gateway")

    def bot_messages(self, channel: Channel | None = None) -> list[Message]:
        """What the bot has written, there or anywhere, ephemeral messages too, without what it deleted."""
        return [
            message
            for message in self.world.messages_of_bot
            if not message.is_deleted and (channel is None or message.channel_id == channel.id)
        ]

    async def next_bot_message(self, channel: Channel, known: int = 0, timeout_s: float = 5.0) -> Message:
        """The bot's message number `known` (from 0) in that channel, once it is there."""
        await self.wait_until(lambda: len(self.bot_messages(channel)) > known, timeout_s, f"a message in {channel.name}")
        return self.bot_messages(channel)[known]

    def thread_of(self, message_id: str) -> Channel | None:
        """The thread that was started from that message."""
        return self.world.channels.get(message_id)

    def pings(self, message: Message) -> Pings:
        return allowed(message, self.world)

    def links(self, message: Message) -> list[Link]:
        return links(message)

    def forget_nonces(self) -> None:
        """As Discord does after some minutes."""
        self.service.forget_nonces()

    def ledger(self) -> Report:
        return self.service.ledger.report()

    def transcript(self, viewer: Person | None = None) -> str:
        """All channels as that person sees them; without one, everything with notes on who sees what."""
        return "\n".join(transcript(self.world, viewer.id if viewer else None))


async def run(port: int) -> None:
    """A server with a small company on it, until interrupted."""
    async with DiscordServer(port=port) as server:
        control.populate(server)
        for line in control.introduction(server):
            print(line, flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A local Discord")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(run(parser.parse_args().port))
