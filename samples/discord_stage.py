"""The stage of the demo on the local server that speaks Discord."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from adapters.discord.rendering import PLACEHOLDER
from bot.messages import PersonId
from tests.adapters.discord.mentions import visible_text
from tests.adapters.discord.people import Used
from tests.adapters.discord.server import DiscordServer
from tests.adapters.discord.transcript import names_of, with_names
from tests.adapters.discord.world import Channel, Message

WITHIN_S = 20.0
CONNECTED_WITHIN_S = 60.0
SMALL_PRINT = re.compile(r"^( *)-# ", re.MULTILINE)
BOLD = re.compile(r"\*\*([^*\n]+)\*\*")


class DiscordStage:
    """See samples/chat_demo.py. Everybody is a person of the local server, and acts as in Discord's own client."""

    platform = "Discord"
    channel = "#helpdesk"

    def __init__(self, server: DiscordServer) -> None:
        self._server = server
        guild = server.add_guild("Tarnwick Instruments")
        self._role = server.add_role(guild, "Support")
        server.allow_ping(self._role)
        self._channel = server.add_channel(guild, "helpdesk")
        roles = {"Ana": [], "Ben": [], "Carla": [self._role]}
        self._people = {name: server.add_person(name, guild, role_ids=role_ids) for name, role_ids in roles.items()}
        self.support = PersonId(f"discord:{guild.id}:{self._people['Carla'].id}")

    def environment(self) -> Mapping[str, str]:
        return {
            "TIMBRE_DISCORD__TOKEN": self._server.token,
            "TIMBRE_DISCORD__API_URL": self._server.api_url,
            "TIMBRE_DISCORD__GATEWAY_URL": self._server.gateway_url,
            "TIMBRE_DISCORD__SUPPORT_ROLE": self._role,
        }

    async def bot_arrived(self) -> None:
        await self._server.wait_for_bot(CONNECTED_WITHIN_S)
        await self._server.wait_until(lambda: bool(self._server.world.commands), CONNECTED_WITHIN_S, "the bot's commands")

    async def ask(self, person: str, text: str) -> Message:
        question = self._people[person].say(self._channel, f"<@{self._server.world.bot.id}> {text}")
        await self._server.wait_until(lambda: self._server.thread_of(question) is not None, WITHIN_S, "a thread")
        return await self._next(self._server.world.channels[question], 0)

    async def follow_up(self, person: str, answer: Message, text: str) -> Message:
        thread = self._thread(answer)
        known = len(self._said(thread))
        self._people[person].say(thread, text)
        return await self._next(thread, known)

    async def ask_privately(self, person: str, text: str) -> Message:
        return await self._shown(self._people[person].slash(self._channel, "ask", text=text))

    async def ask_a_person(self, person: str, answer: Message) -> Message:
        thread = self._thread(answer)
        known = len(self._said(thread))
        await self._shown(self._people[person].click(answer.id, "Ask a person"))
        return await self._next(thread, known)

    async def say(self, person: str, answer: Message, text: str) -> None:
        """Support staff are asked in private whether that was the answer."""
        direct = self._server.world.dm_with(self._people[person].id)
        known = len(self._said(direct))
        self._people[person].say(self._thread(answer), text)
        await self._next(direct, known)

    async def resolve(self, person: str, call: Message) -> None:
        await self._shown(self._people[person].click(call.id, "Resolved"))

    async def not_helpful(self, person: str, answer: Message, reason: str, right: str = "") -> Message:
        who = self._people[person]
        opened = await who.click(answer.id, "Not helpful").outcome(WITHIN_S)
        return await self._shown(who.submit(opened, reason=reason, **({"correction": right} if right else {})))

    async def receipt(self, person: str) -> Message:
        direct = self._server.world.dm_with(self._people[person].id)
        await self._next(direct, 0)
        return self._said(direct)[-1]

    def read(self, said: Message) -> str:
        return as_shown(with_names(visible_text(said), names_of(self._server.world)))

    def transcript(self) -> str:
        return as_shown(self._server.transcript())

    def _thread(self, message: Message) -> Channel:
        return self._server.world.channels[message.channel_id]

    def _said(self, channel: Channel) -> list[Message]:
        """What all who are there see of it."""
        found = [message for message in self._server.bot_messages(channel) if message.interaction_id is None]
        return [message for message in found if not message.content.endswith(PLACEHOLDER)]

    async def _next(self, channel: Channel, known: int) -> Message:
        """What the bot says there after `known` messages, once it is whole."""
        await self._server.wait_until(lambda: len(self._said(channel)) > known, WITHIN_S, f"the bot's word in {channel.name}")
        return self._said(channel)[known]

    async def _shown(self, used: Used) -> Message:
        """What they alone see in the end."""
        await self._server.wait_until(lambda: bool(used.messages), WITHIN_S, f"what came of {used.interaction.data}")
        return used.messages[-1]


def as_shown(text: str) -> str:
    """Small print and bold type as the words alone (pure)."""
    return BOLD.sub(r"\1", SMALL_PRINT.sub(r"\1", text))


@asynccontextmanager
async def open_stage() -> AsyncIterator[DiscordStage]:
    """AssertionError at the end where the bot sent what Discord, or our own rules, would not have."""
    async with DiscordServer() as server:
        yield DiscordStage(server)
    assert not server.problems, "; ".join(server.problems)
