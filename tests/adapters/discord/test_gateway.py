"""The gateway and its faults, against the real discord.py."""

import asyncio

import aiohttp
import discord
import pytest
from discord.gateway import DiscordWebSocket

from tests.adapters.discord.clients import INTENTS, Bot, running
from tests.adapters.discord.commands import Impossible
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.faults import Dropped, HttpFailure, RateLimited, Refused
from tests.adapters.discord.gateway import Intent, Limits
from tests.adapters.discord.server import DiscordServer


async def hears(acme: Acme, bot: Bot, text: str) -> list[str]:
    """What the bot has heard, once it has heard that."""
    await bot.heard_until(text)
    return [message.content for message in bot.heard]


async def test_a_cut_connection_is_resumed_and_what_was_missed_is_replayed(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        acme.ada.say(acme.general, "before")
        await hears(acme, bot, "before")
        acme.server.gateway.cut()
        await acme.server.wait_until(lambda: not acme.server.gateway.connected)
        acme.ada.say(acme.general, "meanwhile")

        assert await hears(acme, bot, "meanwhile") == ["before", "meanwhile"]
        assert (acme.server.gateway.resumes, len(acme.server.gateway.identifies)) == (1, 1)


async def test_a_request_to_reconnect_is_followed_by_a_resume(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        acme.server.gateway.ask_to_reconnect()
        await acme.server.wait_until(lambda: acme.server.gateway.resumes == 1)
        acme.ada.say(acme.general, "still there?")

        assert await hears(acme, bot, "still there?") == ["still there?"]


async def test_an_invalid_session_that_is_resumable_is_resumed(acme: Acme) -> None:
    async with running(Bot(), acme.server):
        acme.server.gateway.invalidate(resumable=True)
        await acme.server.wait_until(lambda: acme.server.gateway.resumes == 1)


@pytest.mark.slow  # discord.py waits five seconds before it identifies again
async def test_what_happens_between_two_identifies_is_lost(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        acme.server.gateway.invalidate(resumable=False)
        acme.ada.say(acme.general, "lost")
        await acme.server.wait_until(lambda: len(acme.server.gateway.identifies) == 2, timeout_s=15)
        acme.ada.say(acme.general, "here again")

        assert await hears(acme, bot, "here again") == ["here again"]
        assert acme.server.ledger().entries[0].delivered_at == []


@pytest.mark.slow  # the smallest patience that discord.py can be given
async def test_a_silent_connection_is_given_up_and_resumed(acme: Acme) -> None:
    async with running(Bot(heartbeat_timeout=0.5), acme.server) as bot:
        acme.server.gateway.freeze()
        acme.ada.say(acme.general, "anybody?")

        assert await hears(acme, bot, "anybody?") == ["anybody?"]
        assert acme.server.gateway.resumes == 1


@pytest.mark.slow  # discord.py waits before it dies
async def test_a_refused_handshake_kills_a_client_that_never_was_connected(acme: Acme) -> None:
    acme.server.gateway.is_refusing = True

    with pytest.raises(AttributeError, match="sequence"):  # a bug of discord.py 2.7.1 that Timbre's supervisor must survive
        async with running(Bot(), acme.server):
            pass
    assert acme.server.gateway.refused_handshakes == 1


async def test_a_malformed_event_ends_the_connection_of_the_library(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        assert bot.connection
        acme.server.gateway.send_malformed_event()

        with pytest.raises((KeyError, ValueError)):
            await asyncio.wait_for(bot.connection, timeout=5)


async def test_intents_that_the_owner_has_not_switched_on_are_refused() -> None:
    async with DiscordServer(allowed_intents=0) as server:
        with pytest.raises(discord.PrivilegedIntentsRequired):
            async with running(Bot(), server):
                pass


async def test_a_wrong_token_is_refused(acme: Acme) -> None:
    acme.server.gateway.token = "another"
    with pytest.raises(discord.LoginFailure):
        async with running(Bot(), acme.server, token="stale"):
            pass
    assert acme.server.invalid_calls == 1


async def test_identifying_too_often_resets_the_token() -> None:
    async with DiscordServer(limits=Limits(identifies=0)) as server:
        with pytest.raises(discord.ConnectionClosed) as closed:
            async with running(Bot(), server):
                pass
        assert closed.value.code == 4004


async def test_without_the_content_intent_only_mentions_and_direct_messages_have_content(acme: Acme) -> None:
    intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
    async with running(Bot(intents=intents), acme.server) as bot:
        acme.ada.say(acme.general, "among us")
        mention = f"<@{acme.server.world.bot.id}> hello"
        acme.ada.say(acme.general, mention)
        acme.ada.dm("hi")

        assert await hears(acme, bot, "hi") == ["", mention, "hi"]


async def test_a_guild_that_adds_the_bot_and_a_channel_it_may_not_see(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        other = acme.server.add_guild("Other")
        hidden = acme.server.add_channel(other, "leads", only_for=[])
        hall = acme.server.add_channel(other, "hall")
        owner = acme.server.add_person("Olga", other)
        with pytest.raises(Impossible, match="Olga lacks SEND_MESSAGES"):
            owner.say(hidden, "secret")
        owner.say(hall, "welcome")

        assert await hears(acme, bot, "welcome") == ["welcome"]
        with pytest.raises(discord.Forbidden) as refused:
            await bot.get_partial_messageable(int(hidden.id)).send("hello")
        assert refused.value.code == 50001


async def test_a_repeated_delivery_is_delivered_again(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        message = acme.server.world.messages[acme.ada.say(acme.general, "twice")]
        acme.server.service.redeliver(message)
        acme.ada.say(acme.general, "end")

        assert await hears(acme, bot, "end") == ["twice", "twice", "end"]


async def test_a_rate_limit_is_waited_for_but_cloudflares_is_not(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        channel = bot.get_partial_messageable(int(acme.general.id))
        acme.server.faults.add(RateLimited(0.01), "create_message")
        await channel.send("first")
        acme.server.faults.add(RateLimited(0.01, via=False), "create_message")
        with pytest.raises(discord.HTTPException) as refused:
            await channel.send("second")

        assert [message.content for message in acme.server.bot_messages()] == ["first"]
        assert (refused.value.status, acme.server.calls["create_message"]) == (429, 3)


async def test_a_lost_reply_leaves_the_message_there(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        channel = bot.get_partial_messageable(int(acme.general.id))
        acme.server.faults.add(Dropped(after_doing=True), "create_message")
        with pytest.raises(aiohttp.ClientError):
            await channel.send("once", nonce="n")
        await channel.send("once", nonce="n")
        acme.server.faults.add(Dropped(), "create_message")
        with pytest.raises(aiohttp.ClientError):
            await channel.send("never")

        assert [message.content for message in acme.server.bot_messages()] == ["once"]


@pytest.mark.parametrize("fault", [HttpFailure(503), Refused(50013)])
async def test_a_scripted_failure_meets_the_chosen_call_once(acme: Acme, fault: HttpFailure | Refused) -> None:
    async with running(Bot(), acme.server) as bot:
        channel = bot.get_partial_messageable(int(acme.general.id))
        acme.server.faults.add(fault, "create_message", when=lambda call: call.body.get("content") == "chosen")
        await channel.send("other")
        with pytest.raises(discord.HTTPException):
            await channel.send("chosen")
        await channel.send("chosen")

        assert [message.content for message in acme.server.bot_messages()] == ["other", "chosen"]


@pytest.mark.slow  # discord.py's own patience
async def test_an_outage_refuses_everything_until_it_ends(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        await acme.server.stop_listening()
        with pytest.raises(OSError):
            await bot.fetch_user(int(acme.ada.id))
        await acme.server.start_listening()

        assert (await bot.fetch_user(int(acme.ada.id))).name == "ada"


async def test_members_are_sent_on_request_where_their_intent_is_on(acme: Acme) -> None:
    intents = discord.Intents(INTENTS.value | Intent.MEMBERS)
    async with running(Bot(intents=intents), acme.server) as bot:
        guild = bot.get_guild(int(acme.guild.id))
        assert guild

        assert {member.name for member in guild.members} == {"timbre", "owner", "ada"}


async def test_two_servers_stand_side_by_side(acme: Acme) -> None:
    async with DiscordServer() as other, running(Bot(), acme.server):
        assert other.url != acme.server.url
        assert other.gateway.connected == [] and len(acme.server.gateway.connected) == 1
        await asyncio.wait_for(acme.server.wait_for_bot(), 1)
        assert str(DiscordWebSocket.DEFAULT_GATEWAY) == acme.server.gateway_url
