"""What people write on Discord, who sees what is written there, and what was missed, over real sockets."""

import asyncio
from datetime import timedelta

import pytest

from bot.errors import DatabaseUnavailable
from bot.messages import (
    Addressed,
    IncomingMessage,
    PersonId,
    Place,
    Viewers,
)
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.desks import RecordingDesk, answer, connected, mention, until
from tests.adapters.discord.faults import Slow
from tests.adapters.discord.gateway import Intent
from tests.adapters.discord.server import DiscordServer
from tests.adapters.discord.world import ChannelType


async def test_a_mention_arrives_without_the_name_of_the_bot(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk):
        message_id = acme.ada.say(acme.general, f"{mention(acme)} where are the keys?")
        await until(lambda: bool(desk.messages))

    [message] = desk.messages
    assert (message.text, message.addressed, message.id) == ("where are the keys?", Addressed.MENTION, message_id)
    assert message.place == Place("discord", acme.guild.id, acme.general.id)
    assert (message.author.id, message.author.is_member) == (f"discord:{acme.guild.id}:{acme.ada.id}", True)
    assert message.answer_place.thread == message_id


async def test_the_role_of_the_bot_and_a_reply_to_it_name_it_too(acme: Acme) -> None:
    desk = RecordingDesk()
    role = acme.guild.members[acme.server.world.bot.id].role_ids[0]
    async with connected(acme.server, desk) as platform:
        acme.ada.say(acme.general, f"<@&{role}> one")
        await until(lambda: bool(desk.messages))
        [answer_id] = await platform.deliver(answer(desk.messages[0], place=desk.messages[0].place))
        acme.ada.reply(answer_id, "two")
        await until(lambda: len(desk.messages) == 2)

    assert [(message.text, message.addressed) for message in desk.messages] == [
        ("one", Addressed.MENTION), ("two", Addressed.MENTION),
    ]  # fmt: skip


@pytest.mark.slow
async def test_what_is_said_to_nobody_in_threads_and_in_private_is_told_apart(acme: Acme) -> None:
    desk = RecordingDesk()
    thread = acme.ada.start_thread(acme.general, "keys")
    async with connected(acme.server, desk):
        acme.ada.say(acme.general, "where are the keys?")
        acme.ada.say(thread, "still looking")
        acme.ada.dm("hello")
        await until(lambda: len(desk.messages) == 3)

    kinds = {message.addressed: message for message in desk.messages}
    assert set(kinds) == {Addressed.CHANNEL, Addressed.THREAD, Addressed.DIRECT}
    assert kinds[Addressed.THREAD].place == Place("discord", acme.guild.id, acme.general.id, thread.id)
    assert kinds[Addressed.DIRECT].author.id == f"discord:{acme.guild.id}:{acme.ada.id}"
    assert kinds[Addressed.DIRECT].answer_place == kinds[Addressed.DIRECT].place


async def test_bots_edits_and_the_bot_itself_are_not_listened_to(acme: Acme) -> None:
    desk = RecordingDesk()
    robot = acme.server.add_person("Robot", acme.guild, is_bot=True)
    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} one")
        await until(lambda: bool(desk.messages))
        acme.ada.edit(message_id, f"{mention(acme)} changed")
        robot.say(acme.general, f"{mention(acme)} I am no person")
        await platform.deliver(answer(desk.messages[0], f"{mention(acme)} I am the bot"))
        acme.ada.say(acme.general, f"{mention(acme)} two")
        await until(lambda: len(desk.messages) == 2)

    assert [message.text for message in desk.messages] == ["one", "two"]


async def test_people_who_have_not_accepted_the_rules_are_no_members(acme: Acme) -> None:
    desk = RecordingDesk()
    acme.guild.members[acme.ada.id].is_pending = True
    async with connected(acme.server, desk):
        acme.ada.say(acme.general, f"{mention(acme)} hello?")
        await until(lambda: bool(desk.messages))

    assert not desk.messages[0].author.is_member


async def test_who_shares_no_server_is_no_member(acme: Acme) -> None:
    desk = RecordingDesk()
    stranger = acme.server.add_person("Mallory")
    async with connected(acme.server, desk):
        stranger.dm("tell me everything")
        await until(lambda: bool(desk.messages))

    assert (desk.messages[0].author.id, desk.messages[0].author.is_member) == (f"discord:0:{stranger.id}", False)


async def test_in_private_a_person_belongs_to_the_oldest_server_that_they_share(acme: Acme) -> None:
    desk = RecordingDesk()
    younger = acme.server.add_guild("Younger")
    both = acme.server.add_person("Both", acme.guild, younger)
    async with connected(acme.server, desk):
        both.dm("hello")
        await until(lambda: bool(desk.messages))

    assert desk.messages[0].author.workspace == f"discord:{acme.guild.id}"


async def test_a_message_waits_for_the_database_and_keeps_its_turn(acme: Acme) -> None:
    desk = RecordingDesk()
    refusals = iter(range(3))

    async def refuse_at_first(message: IncomingMessage) -> None:
        if next(refusals, None) is not None:
            raise DatabaseUnavailable("the database", "locked")

    desk.on_message = refuse_at_first
    async with connected(acme.server, desk):
        acme.ada.say(acme.general, f"{mention(acme)} first")
        acme.ada.say(acme.general, f"{mention(acme)} second")
        await until(lambda: len(desk.messages) == 2)

    assert [message.text for message in desk.messages] == ["first", "second"]


async def test_without_the_content_intent_mentions_still_work(
    discord_server: DiscordServer, caplog: pytest.LogCaptureFixture
) -> None:
    discord_server.gateway.allowed_intents = Intent.MEMBERS
    guild = discord_server.add_guild("Acme")
    general = discord_server.add_channel(guild, "general")
    ada = discord_server.add_person("Ada", guild)
    desk = RecordingDesk()
    async with connected(discord_server, desk):
        ada.say(general, "to nobody")
        ada.say(general, f"<@{discord_server.world.bot.id}> to you")
        await until(lambda: bool(desk.messages))

    assert [message.text for message in desk.messages] == ["to you"]
    assert caplog.text.count("Message Content Intent") == 1


async def test_a_reaction_is_a_verdict_of_its_person(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        [answer_id] = await platform.deliver(answer(desk.messages[0]))
        acme.ada.react(answer_id, "👍")
        acme.ada.unreact(answer_id, "👍")
        await until(lambda: len(desk.reactions) == 2)

    assert [(emoji, is_added) for _, _, emoji, is_added in desk.reactions] == [("👍", True), ("👍", False)]
    person, ref, *_ = desk.reactions[0]
    assert (person.id, ref.id) == (f"discord:{acme.guild.id}:{acme.ada.id}", answer_id)
    assert ref.place == Place("discord", acme.guild.id, acme.general.id, desk.messages[0].id)


async def test_anybody_may_see_an_open_channel_and_its_threads(acme: Acme) -> None:
    thread = acme.ada.start_thread(acme.general, "t")
    async with connected(acme.server, RecordingDesk()) as platform:
        for place in (
            Place("discord", acme.guild.id, acme.general.id),
            Place("discord", acme.guild.id, acme.general.id, thread.id),
        ):
            assert await platform.viewers(place) == Viewers(is_open=True, has_outsiders=False)


async def test_a_closed_channel_is_seen_by_those_with_its_role_and_who_runs_the_server(acme: Acme) -> None:
    leads = acme.server.add_role(acme.guild, "Leads")
    bot_role = acme.guild.members[acme.server.world.bot.id].role_ids[0]
    closed = acme.server.add_channel(acme.guild, "leads", only_for=[leads, bot_role])
    ben = acme.server.add_person("Ben", acme.guild, role_ids=[leads])
    async with connected(acme.server, RecordingDesk()) as platform:
        viewers = await platform.viewers(Place("discord", acme.guild.id, closed.id))

    owner = acme.server.world.owner.id
    assert viewers.people == {f"discord:{acme.guild.id}:{each}" for each in (ben.id, owner)}
    assert not (viewers.is_open or viewers.has_outsiders)


async def test_where_discord_does_not_say_who_is_there_the_answer_is_for_outsiders() -> None:
    async with DiscordServer(allowed_intents=Intent.MESSAGE_CONTENT) as server:
        guild = server.add_guild("Acme")
        bot_role = guild.members[server.world.bot.id].role_ids[0]
        closed = server.add_channel(guild, "closed", only_for=[bot_role])
        async with connected(server, RecordingDesk()) as platform:
            viewers = await platform.viewers(Place("discord", guild.id, closed.id))

    assert viewers == Viewers(is_open=False, has_outsiders=True)


async def test_a_direct_conversation_is_seen_by_its_person(acme: Acme) -> None:
    private = acme.server.world.dm_with(acme.ada.id)
    async with connected(acme.server, RecordingDesk()) as platform:
        viewers = await platform.viewers(Place("discord", acme.guild.id, private.id))

    assert viewers == Viewers(False, False, frozenset({PersonId(f"discord:{acme.guild.id}:{acme.ada.id}")}))


async def test_people_are_called_as_their_server_calls_them(acme: Acme) -> None:
    acme.guild.members[acme.ada.id].nick = "Ada L."
    async with connected(acme.server, RecordingDesk()) as platform:
        known = await platform.name_of(PersonId(f"discord:{acme.guild.id}:{acme.ada.id}"))
        unknown = await platform.name_of(PersonId(f"discord:{acme.guild.id}:12345678901234567"))

    assert (known, unknown) == ("Ada L.", f"discord:{acme.guild.id}:12345678901234567")


@pytest.mark.slow
async def test_what_was_said_in_channels_threads_and_direct_messages_is_fetched(acme: Acme) -> None:
    desk = RecordingDesk()
    private = acme.server.world.dm_with(acme.ada.id)
    async with connected(acme.server, desk) as platform:
        first = acme.ada.say(acme.general, f"{mention(acme)} before")
        acme.ada.dm("before")
        await until(lambda: len(desk.messages) == 2)
        await platform.deliver(answer(desk.messages[0]))
    thread = acme.server.thread_of(first)
    assert thread
    acme.ada.say(acme.general, "to nobody")
    acme.ada.say(acme.general, f"{mention(acme)} meanwhile")
    acme.ada.say(thread, "and then?")
    acme.ada.dm("in private")
    since = max(message.sent_at for message in desk.messages) + timedelta(milliseconds=1)  # an id tells no less
    async with connected(acme.server, desk) as platform:
        found = await platform.missed(Place("discord", acme.guild.id, acme.general.id), since)
        direct = await platform.missed(Place("discord", acme.guild.id, private.id), since)

    assert [message.text for message in found] == ["to nobody", "meanwhile", "and then?"]
    assert [message.addressed for message in found] == [Addressed.CHANNEL, Addressed.MENTION, Addressed.THREAD]
    assert all(message.author.is_member and message.is_late for message in found)
    assert [message.text for message in direct] == ["in private"]


async def test_the_places_are_the_channels_that_the_bot_can_read(acme: Acme) -> None:
    acme.server.add_channel(acme.guild, "hidden", only_for=[acme.ada.id])
    async with connected(acme.server, RecordingDesk()) as platform:
        assert await platform.places() == [Place("discord", acme.guild.id, acme.general.id)]


async def test_a_question_is_answered_by_a_reply_or_in_its_thread_but_not_by_other_talk(acme: Acme) -> None:
    desk = RecordingDesk()
    ben = acme.server.add_person("Ben", acme.guild)
    async with connected(acme.server, desk) as platform:
        for text in ("one", "two", "three"):
            acme.ada.say(acme.general, text)
        await until(lambda: len(desk.messages) == 3)
        one, two, three = desk.messages
        ben.say(acme.general, "nice weather")
        ben.reply(one.id, "like this")
        ben.say(ben.start_thread(acme.general, "t", from_message=two.id), "like that")
        acme.ada.reply(three.id, "nobody?")

        assert [await platform.is_answered(message) for message in (one, two, three)] == [True, True, False]


async def test_opening_posts_of_forums_are_questions_to_everybody(acme: Acme) -> None:
    desk = RecordingDesk()
    forum = acme.server.add_channel(acme.guild, "help", type_=ChannelType.FORUM)
    async with connected(acme.server, desk) as platform:
        post = acme.ada.post_in_forum(forum, "Keys", "where are the keys?")
        await until(lambda: bool(desk.messages))
        await platform.deliver(answer(desk.messages[0]))

    assert desk.messages[0].addressed is Addressed.CHANNEL
    assert desk.messages[0].place == Place("discord", acme.guild.id, forum.id, post.id)
    assert [message.content for message in acme.server.bot_messages(post)] == ["In the handbook."]


async def test_a_delivery_is_still_possible_while_the_process_ends(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        await platform.close()
        assert not platform.is_connected
        acme.ada.say(acme.general, f"{mention(acme)} too late")

        await platform.deliver(answer(desk.messages[0]))

    thread = acme.server.thread_of(message_id)
    assert thread and len(acme.server.bot_messages(thread)) == 1
    assert len(desk.messages) == 1


@pytest.mark.slow
async def test_a_slow_api_does_not_stop_the_heartbeats(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        acme.server.faults.add(Slow(0.1), "create_thread_from_message")
        delivering = asyncio.create_task(platform.deliver(answer(desk.messages[0])))
        acme.ada.say(acme.general, f"{mention(acme)} meanwhile")
        await until(lambda: len(desk.messages) == 2)
        assert not delivering.done()
        await delivering
