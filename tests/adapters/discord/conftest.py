"""The local Discord as a fixture: whatever a correct bot would not have sent fails the test at its end."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.adapters.discord import message_payloads, payloads
from tests.adapters.discord.people import Person
from tests.adapters.discord.server import DiscordServer
from tests.adapters.discord.world import Channel, Guild, Json


@pytest.fixture
async def discord_server() -> AsyncIterator[DiscordServer]:
    """A Discord of the test's own; add guilds, channels and people to it."""
    async with DiscordServer(checks_replies=True) as server:
        yield server
    assert server.problems == []


@dataclass(frozen=True)
class Acme:
    """A Discord with one guild, one channel and one person."""

    server: DiscordServer
    guild: Guild
    general: Channel
    ada: Person


@pytest.fixture
def acme(discord_server: DiscordServer) -> Acme:
    guild = discord_server.add_guild("Acme")
    general = discord_server.add_channel(guild, "general")
    return Acme(discord_server, guild, general, discord_server.add_person("Ada", guild))


@pytest.fixture
def acme_shapes(acme: Acme) -> dict[str, tuple[str, Json]]:
    """What the gateway sends of it, by the document's name for its shape."""
    world = acme.server.world
    thread = acme.ada.start_thread(acme.general, "t")
    message_id = acme.ada.reply(acme.ada.say(acme.general, "q"), "a")
    acme.ada.react(message_id, "👍")
    guild = payloads.guild_create(world, acme.guild, with_members=True)
    shapes = [
        ("GuildWithCountsResponse", guild),
        ("MessageResponse", message_payloads.message(world, world.messages[message_id])),
        ("ThreadResponse", payloads.thread(thread)),
        ("PrivateChannelResponse", payloads.channel(world, world.dm_with(acme.ada.id))),
        *(("GuildChannelResponse", channel) for channel in guild["channels"]),
        *(("GuildMemberResponse", member) for member in guild["members"]),
    ]
    return {f"{schema} {number}": (schema, value) for number, (schema, value) in enumerate(shapes)}
