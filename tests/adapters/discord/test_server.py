"""The local Discord against the real discord.py: what the library needs of Discord, this server gives."""

import io
from collections.abc import Callable, Coroutine
from typing import Any

import discord
import pytest
from discord.http import Route

from tests.adapters.discord.clients import Bot, Vote, running
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.gateway import Limits
from tests.adapters.discord.server import DiscordServer
from tests.adapters.discord.world import ChannelType


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


async def test_a_first_response_that_is_late_is_unknown_and_the_person_is_told() -> None:
    async with DiscordServer(limits=Limits(first_response_s=0.05)) as server, running(Bot(), server, sync=True) as bot:
        guild = server.add_guild("Acme")
        heard: list[discord.Interaction] = []
        bot.on_interaction = record(heard)  # type: ignore[attr-defined]
        used = server.add_person("Ada", guild).slash(server.add_channel(guild, "general"), "silent")
        await used.outcome()
        with pytest.raises(discord.NotFound) as refused:
            await heard[0].response.send_message("late")

        assert used.has_failed
        assert refused.value.code == 10062


async def test_a_second_first_response_is_refused(acme: Acme) -> None:
    async with running(Bot(), acme.server, sync=True) as bot:
        heard: list[discord.Interaction] = []
        bot.on_interaction = record(heard)  # type: ignore[attr-defined]
        await acme.ada.slash(acme.general, "sources add", name="wiki").outcome()
        again = bot.http.request(
            Route("POST", "/interactions/{i}/{t}/callback", i=heard[0].id, t=heard[0].token), json={"type": 5}
        )  # fmt: skip
        with pytest.raises(discord.HTTPException) as refused:
            await again

        assert refused.value.code == 40060


async def test_a_token_past_its_life_is_refused(acme: Acme) -> None:
    async with running(Bot(), acme.server, sync=True) as bot:
        heard: list[discord.Interaction] = []
        bot.on_interaction = record(heard)  # type: ignore[attr-defined]
        used = await acme.ada.slash(acme.general, "sources add", name="wiki").outcome()
        used.interaction.created_at -= acme.server.service.limits.token_life_s
        with pytest.raises(discord.HTTPException) as refused:
            await heard[0].followup.send("too late")

        assert refused.value.code == 50027


async def test_the_first_response_can_be_read_changed_and_taken_back(acme: Acme) -> None:
    async with running(Bot(), acme.server, sync=True) as bot:
        heard: list[discord.Interaction] = []
        bot.on_interaction = record(heard)  # type: ignore[attr-defined]
        used = await acme.ada.slash(acme.general, "sources add", name="wiki").outcome()

        original = await heard[0].original_response()
        await original.edit(content="changed")
        changed = used.text
        await original.delete()

        assert (original.content, changed, used.messages) == ("added wiki 1", "changed", [])


async def test_a_direct_message_is_answered_in_its_channel(acme: Acme) -> None:
    async def answer(message: discord.Message) -> None:
        await message.channel.send("hello to you")

    async with running(Bot(answer), acme.server):
        acme.ada.dm("hello")
        await acme.server.next_bot_message(acme.server.world.dm_with(acme.ada.id))

        assert [found.content for found in acme.server.ledger().entries[0].answers] == ["hello to you"]


async def test_a_person_who_takes_no_direct_messages_gets_none(acme: Acme) -> None:
    acme.ada.user.accepts_dms = False
    async with running(Bot(), acme.server) as bot:
        user = await bot.fetch_user(int(acme.ada.id))
        with pytest.raises(discord.Forbidden) as refused:
            await user.send("hello")

        assert refused.value.code == 50007


async def test_reactions_edits_and_deletions_of_people_arrive(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        message_id = acme.ada.say(acme.general, "helo")
        acme.ada.edit(message_id, "hello")
        acme.ada.react(message_id, "👍")
        acme.ada.unreact(message_id, "👍")
        acme.ada.delete(message_id)
        acme.ada.say(acme.general, "end")
        await bot.heard_until("end")

        assert bot.events[-6:-1] == [
            "MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE", "MESSAGE_DELETE"
        ]  # fmt: skip


async def test_history_is_read_before_and_after_a_message(acme: Acme) -> None:
    ids = [acme.ada.say(acme.general, str(number)) for number in range(5)]
    async with running(Bot(), acme.server) as bot:
        channel = bot.get_partial_messageable(int(acme.general.id))
        middle = discord.Object(int(ids[2]))

        after = [message.content async for message in channel.history(after=middle)]
        before = [message.content async for message in channel.history(before=middle, limit=1)]

        assert (after, before) == (["3", "4"], ["1"])
        assert [bool(entry.fetched_at) for entry in acme.server.ledger().entries] == [False, True, False, True, True]


async def test_files_are_taken_with_their_message(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        channel = bot.get_partial_messageable(int(acme.general.id))
        await channel.send("the long answer", file=discord.File(io.BytesIO(b"1234"), "answer.txt"))

        [message] = acme.server.bot_messages()
        assert [(found["filename"], found["size"]) for found in message.attachments] == [("answer.txt", 4)]


async def test_a_forum_post_is_a_thread_with_its_first_message(acme: Acme) -> None:
    forum = acme.server.add_channel(acme.guild, "questions", type_=ChannelType.FORUM)
    async with running(Bot(), acme.server) as bot:
        acme.ada.post_in_forum(forum, "Keys", "where are they?")
        found = bot.get_channel(int(forum.id))
        assert isinstance(found, discord.ForumChannel)
        made = await found.create_thread(name="News", content="we moved")

        assert [(message.content, message.channel.id == message.id) for message in bot.heard] == [("where are they?", True)]
        assert made.thread.id == made.message.id


def record(heard: list[discord.Interaction]) -> Callable[[discord.Interaction], Coroutine[Any, Any, None]]:
    async def on_interaction(interaction: discord.Interaction) -> None:
        heard.append(interaction)

    return on_interaction
