"""Replies, long ones, repeated ones and those that grow, over real sockets."""

import asyncio
from dataclasses import replace

import pytest

from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.messages import (
    Delivery,
    DeliveryKey,
    PersonId,
    Place,
    Reply,
    ReplyKind,
)
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.desks import QUICK, RecordingDesk, answer, connected, mention, until
from tests.adapters.discord.faults import Dropped, HttpFailure, RateLimited, Refused
from tests.adapters.discord.permissions import Permission
from tests.adapters.discord.server import DiscordServer


async def test_a_mention_is_answered_in_a_thread_of_its_message(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} where are the keys?")
        await until(lambda: bool(desk.messages))

        ids = await platform.deliver(answer(desk.messages[0]))

    thread = acme.server.thread_of(message_id)
    assert thread and thread.name == "where are the keys?"
    assert [message.content for message in acme.server.bot_messages(thread)] == ["In the handbook."]
    assert ids == [acme.server.bot_messages(thread)[0].id]


async def test_where_threads_may_not_be_started_the_answer_is_a_reply(discord_server: DiscordServer) -> None:
    may = Permission.VIEW_CHANNEL | Permission.SEND_MESSAGES | Permission.READ_MESSAGE_HISTORY
    guild = discord_server.add_guild("Acme", may)
    guild.roles[guild.id].permissions = may
    general = discord_server.add_channel(guild, "general")
    ada = discord_server.add_person("Ada", guild)
    desk = RecordingDesk()
    async with connected(discord_server, desk) as platform:
        message_id = ada.say(general, f"<@{discord_server.world.bot.id}> q")
        await until(lambda: bool(desk.messages))

        await platform.deliver(answer(desk.messages[0]))

    [reply] = discord_server.bot_messages(general)
    assert reply.replied_to == message_id


async def test_a_thread_that_somebody_else_started_is_used(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        thread = acme.ada.start_thread(acme.general, "theirs", from_message=message_id)

        await platform.deliver(answer(desk.messages[0]))

    assert [message.content for message in acme.server.bot_messages(thread)] == ["In the handbook."]


async def test_in_private_and_in_threads_the_answer_stands_in_place(acme: Acme) -> None:
    desk = RecordingDesk()
    thread = acme.ada.start_thread(acme.general, "keys")
    async with connected(acme.server, desk) as platform:
        acme.ada.dm("one")
        acme.ada.say(thread, "two")
        await until(lambda: len(desk.messages) == 2)
        for message in desk.messages:
            await platform.deliver(answer(message, f"to {message.text}"))

    assert [message.content for message in acme.server.bot_messages(thread)] == ["to two"]
    private = acme.server.world.dm_with(acme.ada.id)
    assert "to one" in [message.content for message in acme.server.bot_messages(private)]


async def test_a_long_answer_comes_in_parts_with_its_buttons_under_the_last(acme: Acme) -> None:
    desk = RecordingDesk()
    text = "\n\n".join(f"Paragraph {number}: " + "word " * 60 for number in range(20))
    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))

        ids = await platform.deliver(answer(desk.messages[0], text))

    thread = acme.server.thread_of(message_id)
    assert thread
    posted = acme.server.bot_messages(thread)
    assert [message.id for message in posted] == ids
    assert len(posted) > 2
    assert [bool(message.components) for message in posted] == [False] * (len(posted) - 1) + [True]


async def test_a_delivery_that_is_tried_again_stands_there_once(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        acme.server.faults.add(Dropped(after_doing=True), "create_message")

        with pytest.raises(PlatformUnavailable):
            await platform.deliver(answer(desk.messages[0]))
        acme.server.forget_nonces()
        await platform.deliver(answer(desk.messages[0]), is_retry=True)

    thread = acme.server.thread_of(message_id)
    assert thread and len(acme.server.bot_messages(thread)) == 1


async def test_the_same_nonce_keeps_a_repeated_post_from_showing_twice(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))

        first = await platform.deliver(answer(desk.messages[0]))
        second = await platform.deliver(answer(desk.messages[0]))

    thread = acme.server.thread_of(message_id)
    assert thread and first == second == [message.id for message in acme.server.bot_messages(thread)]


async def test_a_refused_message_arrives_as_its_words(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        acme.server.faults.add(Refused(50035), "create_message")

        await platform.deliver(answer(desk.messages[0], "**In** the handbook."))

    thread = acme.server.thread_of(message_id)
    assert thread and [message.content for message in acme.server.bot_messages(thread)] == ["In the handbook."]


async def test_an_outage_of_the_api_is_told_as_temporary(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        acme.server.faults.add(HttpFailure(503), "create_thread_from_message")

        with pytest.raises(PlatformUnavailable):
            await platform.deliver(answer(desk.messages[0]))


async def test_a_question_that_was_deleted_is_not_answered(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        acme.ada.delete(message_id)

        with pytest.raises(DeliveryRefused):
            await platform.deliver(answer(desk.messages[0]))


async def test_only_a_call_for_support_pings_and_only_its_role(acme: Acme) -> None:
    desk = RecordingDesk()
    role = acme.server.add_role(acme.guild, "Support")
    async with connected(acme.server, desk, support_role=role) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        hostile = f"@everyone <@{acme.ada.id}> <@&{role}> https://evil.example/x [page](https://evil.example)"

        await platform.deliver(answer(desk.messages[0], hostile))
        call = Reply(ReplyKind.NOTICE, hostile, calls_support=True)
        await platform.deliver(answer(desk.messages[0], key=DeliveryKey("call"), reply=call))

    thread = acme.server.thread_of(message_id)
    assert thread
    quiet, loud = acme.server.bot_messages(thread)
    assert not acme.server.pings(quiet)
    assert (acme.server.pings(loud).role_ids, acme.server.pings(loud).user_ids) == ((role,), ())
    assert not acme.server.pings(loud).everyone
    assert acme.server.links(quiet) == acme.server.links(loud) == []
    assert [problem for problem in acme.server.problems if role not in problem] == []
    acme.server.problems.clear()


async def test_what_is_for_one_person_comes_as_a_direct_message_with_a_link(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))

        ids = await platform.deliver(answer(desk.messages[0], to=desk.messages[0].author.id))

    [private] = acme.server.bot_messages(acme.server.world.dm_with(acme.ada.id))
    assert private.content.startswith("In the handbook.")
    assert private.content.endswith(f"https://discord.com/channels/{acme.guild.id}/{acme.general.id}/{message_id}")
    assert (ids, acme.server.bot_messages(acme.general)) == ([], [])


async def test_closed_direct_messages_are_told_as_final(acme: Acme) -> None:
    acme.ada.user.accepts_dms = False
    place = Place("discord", acme.guild.id, "")
    to = PersonId(f"discord:{acme.guild.id}:{acme.ada.id}")
    async with connected(acme.server, RecordingDesk()) as platform:
        with pytest.raises(DeliveryRefused):
            await platform.deliver(Delivery(DeliveryKey("k"), place, Reply(ReplyKind.NOTICE, "hello"), to=to))


async def test_an_answer_grows_and_ends_as_its_delivery(acme: Acme) -> None:
    desk = RecordingDesk()
    posted: list[str] = []

    async def note(message_id: str) -> None:
        posted.append(message_id)

    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        delivery = answer(desk.messages[0], "Whole answer.")
        stream = await platform.open_stream(delivery.key, desk.messages[0], note)
        assert stream
        await stream.append("Whole ")
        thread = acme.server.thread_of(message_id)
        assert thread
        await until(lambda: acme.server.bot_messages(thread)[0].content == "Whole …")
        await stream.append("answer")

        ids = await platform.deliver(delivery, draft=posted[0])

    assert [message.content for message in acme.server.bot_messages(thread)] == ["Whole answer."]
    assert ids == posted


async def test_a_stream_that_broke_off_unnoticed_is_ended_by_the_retry(acme: Acme) -> None:
    desk = RecordingDesk()

    async def note(message_id: str) -> None:
        """The process dies before it is written down."""

    async with connected(acme.server, desk) as platform:
        message_id = acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        delivery = answer(desk.messages[0])
        stream = await platform.open_stream(delivery.key, desk.messages[0], note)
        assert stream
        await stream.append("In the")
        thread = acme.server.thread_of(message_id)
        assert thread
        await until(lambda: acme.server.bot_messages(thread)[0].content == "In the …")
    acme.server.forget_nonces()
    async with connected(acme.server, desk) as platform:
        await platform.deliver(delivery, is_retry=True)

    assert [message.content for message in acme.server.bot_messages(thread)] == ["In the handbook."]


@pytest.mark.slow
async def test_edits_of_a_growing_answer_are_few_and_survive_rate_limits(acme: Acme) -> None:
    desk = RecordingDesk()

    async def note(_: str) -> None: ...

    async with connected(acme.server, desk, replace(QUICK, edit_s=0.05)) as platform:
        acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        acme.server.faults.add(RateLimited(0.05), "update_message")
        stream = await platform.open_stream(DeliveryKey("k"), desk.messages[0], note)
        assert stream
        for number in range(100):
            await stream.append(f"word{number} ")
            await asyncio.sleep(0.001)
        await until(lambda: "word99" in acme.server.bot_messages()[-1].content)

    assert acme.server.calls["update_message"] <= 8


async def test_somebody_sees_that_the_answer_is_being_made(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))

        await platform.show_working(desk.messages[0])
        await until(lambda: acme.server.service.typing == [acme.general.id])
