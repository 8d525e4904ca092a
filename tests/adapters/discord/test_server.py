"""The local Discord against the real discord.py: what the library needs of Discord, this server gives."""

from dataclasses import dataclass

import discord
import pytest

from tests.adapters.discord.clients import Bot, Vote, running
from tests.adapters.discord.people import Person
from tests.adapters.discord.server import DiscordServer
from tests.adapters.discord.world import Channel, Guild


@dataclass(frozen=True)
class Acme:
    server: DiscordServer
    guild: Guild
    general: Channel
    ada: Person


@pytest.fixture
def acme(discord_server: DiscordServer) -> Acme:
    guild = discord_server.add_guild("Acme")
    general = discord_server.add_channel(guild, "general")
    return Acme(discord_server, guild, general, discord_server.add_person("Ada", guild))


async def test_a_bot_logs_in_and_sees_its_guilds(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        guild = bot.get_guild(int(acme.guild.id))

        assert bot.user and str(bot.user.id) == acme.server.world.bot.id
        assert guild and [channel.name for channel in guild.channels] == ["general"]
        assert (await bot.application_info()).flags.gateway_message_content_limited


async def test_a_message_is_delivered_and_its_reply_is_booked_as_the_answer(acme: Acme) -> None:
    async def answer(message: discord.Message) -> None:
        await message.reply("in the handbook", mention_author=False)

    async with running(Bot(answer), acme.server) as bot:
        acme.ada.say(acme.general, "where are the keys?")
        await acme.server.next_bot_message(acme.general)

        [entry] = acme.server.ledger().entries
        assert [message.content for message in bot.heard] == ["where are the keys?"]
        assert len(entry.delivered_at) == 1
        assert [found.content for found in entry.answers] == ["in the handbook"]


async def test_a_repeated_nonce_gives_the_earlier_message(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        channel = bot.get_partial_messageable(int(acme.general.id))

        first = await channel.send("once", nonce="n1")
        second = await channel.send("once", nonce="n1")

        assert first.id == second.id
        assert [message.content for message in acme.server.bot_messages(acme.general)] == ["once"]


async def test_a_second_thread_of_a_message_is_refused_with_the_id_of_the_message_as_the_first(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        message_id = acme.ada.say(acme.general, "q")
        message = await bot.get_partial_messageable(int(acme.general.id), guild_id=int(acme.guild.id)).fetch_message(
            int(message_id)
        )

        thread = await message.create_thread(name="q")
        await thread.send("answer")
        with pytest.raises(discord.HTTPException) as refused:
            await message.create_thread(name="q")

        assert (str(thread.id), refused.value.code) == (message_id, 160004)
        assert [found.content for found in acme.server.ledger().entries[0].answers] == ["answer"]


async def test_a_slash_command_may_be_deferred_and_followed_up_in_private(acme: Acme) -> None:
    async with running(Bot(), acme.server, sync=True):
        used = acme.ada.slash(acme.general, "ask", question="why")
        await acme.server.wait_until(lambda: len(used.messages) == 2)

        assert (used.text, used.is_ephemeral) == ("answer to why\nand more", True)
        assert acme.general.message_ids == []


async def test_subcommands_complete_their_options(acme: Acme) -> None:
    async with running(Bot(), acme.server, sync=True):
        typed = await acme.ada.autocomplete(acme.general, "sources add", "name", "wi").outcome()
        used = await acme.ada.slash(acme.general, "sources add", name="wiki", count=3).outcome()

        assert typed.choices == ["wiki"]
        assert (used.text, used.is_ephemeral) == ("added wiki 3", False)


async def test_a_message_menu_carries_the_message(acme: Acme) -> None:
    async with running(Bot(), acme.server, sync=True):
        used = await acme.ada.menu("Flag answer", acme.ada.say(acme.general, "nonsense")).outcome()

        assert (used.text, used.is_ephemeral) == ("flagged nonsense", True)


async def test_a_button_opens_a_form_and_another_changes_its_message(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        message = await bot.get_partial_messageable(int(acme.general.id)).send("answer", view=Vote())

        opened = await acme.ada.click(str(message.id), "Not helpful").outcome()
        submitted = await acme.ada.submit(opened, **{"What is wrong?": "too old"}).outcome()
        await acme.ada.click(str(message.id), "Helpful").outcome()

        assert (submitted.text, submitted.is_ephemeral) == ("noted: too old", True)
        assert [each.content for each in acme.ada.sees(acme.general)] == ["thanks", "noted: too old"]
