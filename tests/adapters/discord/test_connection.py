"""The Discord platform over real sockets: discord.py on our side, the local Discord on the other."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from adapters.discord.setting_up import sync
from bot.errors import DatabaseUnavailable, DeliveryRefused, PlatformUnavailable
from bot.messages import (
    Addressed,
    Button,
    Choice,
    Click,
    Command,
    Control,
    Delivery,
    DeliveryKey,
    FieldErrors,
    Form,
    IncomingMessage,
    Mark,
    MessageRef,
    Notice,
    PersonId,
    Place,
    Reply,
    ReplyKind,
    Response,
    Submission,
    TextInput,
    Viewers,
)
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.desks import QUICK, RecordingDesk, connected, discord_settings, until
from tests.adapters.discord.faults import Dropped, HttpFailure, RateLimited, Refused, Slow
from tests.adapters.discord.gateway import Intent, Limits
from tests.adapters.discord.permissions import Permission
from tests.adapters.discord.server import DiscordServer
from tests.adapters.discord.world import ChannelType


def mention(acme: Acme) -> str:
    return f"<@{acme.server.world.bot.id}>"


def answer(message: IncomingMessage, text: str = "In the handbook.", **values: object) -> Delivery:
    reply = Reply(ReplyKind.ANSWER, text, buttons=[Button(Control.HELPFUL, "e1", "Helpful")])
    delivery = Delivery(DeliveryKey(f"answer:{message.key}"), message.answer_place, reply, answers=message.id)
    return replace(delivery, **values)  # type: ignore[arg-type]


# what people write -----------------------------------------------------------------------------------------------------------


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


# replies ---------------------------------------------------------------------------------------------------------------------


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


# an answer that grows --------------------------------------------------------------------------------------------------------


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


# who sees what ---------------------------------------------------------------------------------------------------------------


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


# buttons, forms, commands ----------------------------------------------------------------------------------------------------

WHY = Form(
    Control.NOT_HELPFUL,
    "e1",
    "Not helpful",
    [Choice("reason", "What is wrong?", [("wrong", "It is wrong"), ("tone", "The tone")]), TextInput("comment", "Comment")],
)


async def posted_answer(acme: Acme, desk: RecordingDesk) -> str:
    """The id of an answer that was posted before a restart."""
    async with connected(acme.server, desk) as platform:
        acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))
        [message_id] = await platform.deliver(answer(desk.messages[0]))
    return message_id


async def test_a_button_from_before_a_restart_works_and_its_answer_is_private(acme: Acme) -> None:
    desk = RecordingDesk()
    message_id = await posted_answer(acme, desk)
    async with connected(acme.server, desk):
        used = await acme.ada.click(message_id, "Helpful").outcome()

    assert (used.text, used.is_ephemeral) == ("clicked", True)
    [click] = desk.clicks
    assert (click.control, click.subject, click.message.id) == (Control.HELPFUL, "e1", message_id)


async def test_a_form_that_was_opened_before_a_restart_can_be_sent_after_it(acme: Acme) -> None:
    desk = RecordingDesk()

    async def open_form(_: Click) -> Response:
        return WHY

    desk.on_click = open_form
    message_id = await posted_answer(acme, desk)
    async with connected(acme.server, desk):
        opened = await acme.ada.click(message_id, "Helpful").outcome()
    async with connected(acme.server, desk):
        used = await acme.ada.submit(opened, reason="tone", comment="rude").outcome()

    assert used.text == "submitted"
    [submission] = desk.submissions
    assert (submission.control, submission.subject) == (Control.NOT_HELPFUL, "e1")
    assert submission.values == {"reason": "tone", "comment": "rude"}


async def test_a_form_that_is_not_accepted_gives_back_what_was_typed(acme: Acme) -> None:
    desk = RecordingDesk()

    async def open_form(_: Click) -> Response:
        return WHY

    async def refuse(_: Submission) -> Response:
        return FieldErrors({"comment": "Say more."})

    desk.on_click, desk.on_submit = open_form, refuse
    message_id = await posted_answer(acme, desk)
    async with connected(acme.server, desk):
        opened = await acme.ada.click(message_id, "Helpful").outcome()
        used = await acme.ada.submit(opened, reason="tone", comment="my long text").outcome()
        await until(lambda: len(used.messages) == 2)
        assert "Say more." in used.text and "my long text" in used.text

        again = await acme.ada.click(used.messages[-1].id, "Try again").outcome()

    assert again.form


async def test_a_slow_answer_to_a_click_is_announced_in_time(acme: Acme) -> None:
    desk = RecordingDesk()
    message_id = await posted_answer(acme, desk)
    is_announced = asyncio.Event()

    async def slow(_: Click) -> Response:
        await is_announced.wait()
        return Notice("done at last")

    desk.on_click = slow
    async with connected(acme.server, desk, replace(QUICK, patience_s=0.01)):
        used = acme.ada.click(message_id, "Helpful")
        await until(lambda: used.is_thinking)
        is_announced.set()
        await used.outcome()

    assert (used.text, used.has_failed) == ("done at last", False)


@pytest.mark.slow
async def test_a_form_that_comes_too_late_is_offered_by_a_button(acme: Acme) -> None:
    desk = RecordingDesk()
    message_id = await posted_answer(acme, desk)
    is_announced = asyncio.Event()

    async def slow(_: Click) -> Response:
        await is_announced.wait()
        return WHY

    desk.on_click = slow
    async with connected(acme.server, desk, replace(QUICK, patience_s=0.01)):
        used = acme.ada.click(message_id, "Helpful")
        await until(lambda: used.is_thinking)
        is_announced.set()
        await used.outcome()
        again = await acme.ada.click(used.messages[0].id, "Open the form").outcome()

    assert again.form


@pytest.mark.slow
async def test_what_comes_after_discord_gave_up_is_sent_as_a_direct_message(discord_server: DiscordServer) -> None:
    guild = discord_server.add_guild("Acme")
    acme = Acme(discord_server, guild, discord_server.add_channel(guild, "general"), discord_server.add_person("Ada", guild))
    desk = RecordingDesk()
    message_id = await posted_answer(acme, desk)
    async with connected(acme.server, desk):
        acme.server.faults.add(Refused(10062), "create_interaction_response")
        acme.ada.click(message_id, "Helpful")
        private = acme.server.world.dm_with(acme.ada.id)
        message = await acme.server.next_bot_message(private)

    assert message.content == "clicked"


@pytest.mark.slow
async def test_commands_are_the_words_of_timbre(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk):
        await until(lambda: bool(acme.server.world.commands))
        assert (await acme.ada.slash(acme.general, "status").outcome()).text == "did status"
        for command, options, words in (
            ("timbre help", {}, "help"),
            ("timbre sources", {}, "sources"),
            ("timbre reindex", {"source": "handbook"}, "reindex handbook"),
            ("timbre add-source", {"place": "/docs", "name": "d", "group": "hr"}, "add source /docs as d for hr"),
            ("timbre forget-source", {"name": "d"}, "forget source d"),
            ("timbre here", {"settings": "answers questions"}, "here answers questions"),
            ("timbre roles", {"action": "grant", "person": acme.ada.id, "role": "admin"},
             f"roles grant discord:{acme.guild.id}:{acme.ada.id} admin"),
            ("timbre groups", {}, "groups list"),
            ("timbre who-am-i", {}, "who-am-i"),
        ):  # fmt: skip
            used = await acme.ada.slash(acme.general, command, **options).outcome()
            assert (desk.commands[-1].words, used.is_ephemeral) == (words, True)


async def test_help_is_the_start_page_with_the_words_of_all_commands(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk):
        await until(lambda: bool(acme.server.world.commands))
        used = acme.ada.slash(acme.general, "help")
        await until(lambda: len(used.messages) == 4)
        asked = await acme.ada.click(used.messages[2].id, "Ask").outcome()

    assert used.text == "### How to ask\n- Mention me.\n### Ask\nHow much?\ndid help"
    assert used.is_ephemeral and asked.text == "clicked"
    assert desk.clicks[0].message.place.channel == acme.server.world.dm_with(acme.ada.id).id  # only there it is private


async def test_words_are_completed_while_they_are_typed(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk):
        await until(lambda: bool(acme.server.world.commands))
        typed = await acme.ada.autocomplete(acme.general, "timbre reindex", "source", "hand").outcome()

    assert (typed.choices, desk.completed) == (["handbook", "hands"], ["reindex hand"])


async def test_a_long_command_tells_how_far_it_is(acme: Acme) -> None:
    desk = RecordingDesk()
    go_on = asyncio.Event()

    async def long(_: Command, say: object) -> Response:
        await say(Notice("half way"))  # type: ignore[operator]
        await go_on.wait()
        return Notice("all done")

    desk.on_command = long
    async with connected(acme.server, desk):
        await until(lambda: bool(acme.server.world.commands))
        used = acme.ada.slash(acme.general, "timbre reindex")
        await until(lambda: used.text == "half way")
        go_on.set()
        await until(lambda: used.text == "all done")

    assert used.is_ephemeral


@pytest.mark.slow
async def test_ask_is_answered_in_place_for_one_person_only(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        await until(lambda: bool(acme.server.world.commands))
        used = acme.ada.slash(acme.general, "ask", text="where are the keys?")
        await until(lambda: bool(desk.messages))
        [message] = desk.messages

        ids = await platform.deliver(answer(message, to=message.author.id, handle=message.handle))
        await used.outcome()

    assert (message.text, message.addressed) == ("where are the keys?", Addressed.COMMAND)
    assert (used.text, used.is_ephemeral, ids) == ("In the handbook.", True, [])
    assert acme.general.message_ids == []


async def test_an_answer_to_ask_that_comes_too_late_is_a_direct_message(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        await until(lambda: bool(acme.server.world.commands))
        acme.ada.slash(acme.general, "ask", text="q")
        await until(lambda: bool(desk.messages))
        [message] = desk.messages
        past = {**message.handle, "until": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}

        await platform.deliver(answer(message, to=message.author.id, handle=past))

    [private] = acme.server.bot_messages(acme.server.world.dm_with(acme.ada.id))
    assert private.content.startswith("In the handbook.")


async def test_entries_of_the_message_menu_flag_and_capture(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk):
        await until(lambda: bool(acme.server.world.commands))
        message_id = acme.ada.say(acme.general, "the keys are in the safe")
        flagged = await acme.ada.menu("Flag answer", message_id).outcome()
        captured = await acme.ada.menu("Use as correction", message_id).outcome()

    assert (flagged.text, captured.text) == ("flagged", "captured")
    assert [ref.id for _, ref in desk.flagged] == [message_id]
    assert [(ref.id, text) for _, ref, text in desk.captured] == [(message_id, "the keys are in the safe")]


@pytest.mark.slow
async def test_commands_are_registered_only_when_they_have_changed(acme: Acme) -> None:
    desk = RecordingDesk()
    settings = discord_settings(acme.server)
    async with connected(acme.server, desk):
        await until(lambda: "commands" in desk.memory)
        again = await sync(settings, desk, force=False)
        forced = await sync(settings, desk, force=True)

    assert (again, forced) == (False, True)
    assert acme.server.calls["bulk_set_application_commands"] == 2


async def test_a_first_direct_message_is_greeted_once(acme: Acme) -> None:
    desk = RecordingDesk()
    private = acme.server.world.dm_with(acme.ada.id)
    async with connected(acme.server, desk):
        acme.ada.dm("hi")
        greeting = await acme.server.next_bot_message(private)
        acme.ada.dm("hi again")
        await until(lambda: len(desk.messages) == 2)
        used = await acme.ada.click(greeting.id, "How much leave do I have?").outcome()

    said = [message for message in acme.server.bot_messages(private) if message.interaction_id is None]
    assert [message.content for message in said] == ["Hello Ada"]
    assert (desk.clicks[0].control, desk.clicks[0].subject) == (Control.ASK, "How much leave do I have?")
    assert used.text == "clicked"


def marks(acme: Acme, message_id: str) -> list[str]:
    return [emoji for emoji, people in acme.server.world.messages[message_id].reactions.items() if people]


async def test_a_mark_stands_on_the_answer_in_place_of_the_one_before(acme: Acme) -> None:
    desk = RecordingDesk()
    message_id = await posted_answer(acme, desk)
    ref = MessageRef(desk.messages[0].answer_place, message_id)
    async with connected(acme.server, desk) as platform:
        await platform.mark(ref, Mark.ESCALATED)
        assert marks(acme, message_id) == ["🙋"]

        await platform.mark(ref, Mark.RESOLVED)
        assert marks(acme, message_id) == ["✅"]
    assert desk.reactions == []


# the connection --------------------------------------------------------------------------------------------------------------


async def test_a_bad_token_says_what_to_do(acme: Acme) -> None:
    with pytest.raises(DeliveryRefused, match="TIMBRE_DISCORD__TOKEN"):
        async with connected(acme.server, RecordingDesk(), token=SecretStr("of another bot")):
            pass


async def test_a_cut_connection_is_resumed_and_nothing_is_lost(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        acme.server.gateway.cut()
        acme.ada.say(acme.general, f"{mention(acme)} meanwhile")
        await until(lambda: bool(desk.messages) and platform.is_connected)

    assert (acme.server.gateway.resumes, len(acme.server.gateway.identifies)) == (1, 1)


@pytest.mark.slow
async def test_an_outage_is_told_once_when_it_starts_and_once_when_it_ends(acme: Acme, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        await until(lambda: desk.connections == ["discord"])
        await acme.server.stop_listening()
        await until(lambda: "is not connected" in caplog.text)
        assert not platform.is_connected
        await acme.server.start_listening()
        await until(lambda: platform.is_connected)
        await until(lambda: desk.connections == ["discord", "discord"])

    assert caplog.text.count("is not connected") == caplog.text.count("is connected again") == 1
    assert "Traceback" not in caplog.text


@pytest.mark.slow
async def test_a_gateway_that_is_not_there_at_first_is_waited_for(acme: Acme) -> None:
    acme.server.gateway.is_refusing = True
    desk = RecordingDesk()

    async def let_in() -> None:
        await until(lambda: acme.server.gateway.refused_handshakes >= 3)
        acme.server.gateway.is_refusing = False

    letting_in = asyncio.create_task(let_in())
    async with connected(acme.server, desk) as platform:
        assert platform.is_connected
    await letting_in


async def test_a_malformed_event_does_not_end_the_connection(acme: Acme, caplog: pytest.LogCaptureFixture) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk):
        acme.server.gateway.emit("MESSAGE_CREATE", {"id": "no message"})
        acme.ada.say(acme.general, f"{mention(acme)} q")
        await until(lambda: bool(desk.messages))

    assert len(acme.server.gateway.identifies) == 1
    assert "malformed" in caplog.text


async def test_no_session_is_started_when_few_are_left() -> None:
    async with DiscordServer(limits=Limits(identifies=50)) as server:
        with pytest.raises(PlatformUnavailable, match="only 50 of its sessions") as refused:
            async with connected(server, RecordingDesk()):
                pass

        assert refused.value.retry_after_s > 0
        assert server.gateway.identifies == []


async def test_our_own_count_of_sessions_outlives_the_process(discord_server: DiscordServer) -> None:
    desk = RecordingDesk()
    desk.memory["session_starts"] = {"since": datetime.now(UTC).isoformat(), "count": 950}
    with pytest.raises(PlatformUnavailable, match="only 50 of its sessions"):
        async with connected(discord_server, desk):
            pass

    assert discord_server.gateway.identifies == []


# what was missed -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_mentions_direct_messages_and_threads_are_fetched(acme: Acme) -> None:
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
    since = datetime.now(UTC) - timedelta(hours=1)
    async with connected(acme.server, desk) as platform:
        found = await platform.missed(Place("discord", acme.guild.id, acme.general.id), first, since)
        direct = await platform.missed(Place("discord", acme.guild.id, private.id), desk.messages[1].id, since)

    assert [message.text for message in found] == ["meanwhile", "and then?"]
    assert [message.addressed for message in found] == [Addressed.MENTION, Addressed.THREAD]
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
