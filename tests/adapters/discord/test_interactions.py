"""Buttons, forms, menus and commands, over real sockets; those from before a restart too."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapters.discord.interactions import NOT_SAVED, SLOWLY
from adapters.discord.setting_up import sync
from bot.errors import DatabaseUnavailable
from bot.messages import (
    Addressed,
    Choice,
    Click,
    Command,
    Control,
    FieldErrors,
    Form,
    IncomingMessage,
    Mark,
    MessageRef,
    Notice,
    Response,
    Submission,
    TextInput,
)
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.desks import QUICK, RecordingDesk, answer, connected, discord_settings, mention, until
from tests.adapters.discord.faults import Refused, Slow
from tests.adapters.discord.server import DiscordServer

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


async def test_ask_is_stored_before_discord_hears_of_it(acme: Acme) -> None:
    desk = RecordingDesk()
    heard_before = list[int | None]()

    async def store(_: IncomingMessage) -> None:
        heard_before.append(used.interaction.callback_type)

    desk.on_message = store
    async with connected(acme.server, desk, replace(QUICK, patience_s=60)):
        await until(lambda: bool(acme.server.world.commands))
        used = acme.ada.slash(acme.general, "ask", text="q")
        await until(lambda: used.is_thinking)

    assert heard_before == [None]
    assert [message.text for message in desk.messages] == ["q"]


@pytest.mark.slow
async def test_an_answer_to_ask_that_is_quicker_than_the_sign_to_wait_comes_after_it(acme: Acme) -> None:
    desk = RecordingDesk()
    sending = list[asyncio.Task[object]]()

    async def answer_at_once(message: IncomingMessage) -> None:
        delivery = answer(message, to=message.author.id, handle=message.handle)
        sending.append(asyncio.create_task(platform.deliver(delivery)))

    desk.on_message = answer_at_once
    async with connected(acme.server, desk) as platform:
        await until(lambda: bool(acme.server.world.commands))
        acme.server.faults.add(Slow(0.05), "create_interaction_response")
        used = await acme.ada.slash(acme.general, "ask", text="q").outcome()
        await asyncio.gather(*sending)

    assert (used.text, used.is_ephemeral) == ("In the handbook.", True)
    assert acme.server.bot_messages(acme.server.world.dm_with(acme.ada.id)) == []


@pytest.mark.parametrize("patience_s", (60, 0.01))
async def test_who_asks_in_vain_is_told_also_after_waiting(acme: Acme, patience_s: float) -> None:
    desk = RecordingDesk()
    may_fail = asyncio.Event()

    async def fail(_: IncomingMessage) -> None:
        await asyncio.wait_for(may_fail.wait(), 5)
        raise DatabaseUnavailable("the database", "locked")

    desk.on_message = fail
    async with connected(acme.server, desk, replace(QUICK, patience_s=patience_s)):
        await until(lambda: bool(acme.server.world.commands))
        used = acme.ada.slash(acme.general, "ask", text="q")
        if patience_s < 1:
            await until(lambda: used.text == SLOWLY.text)
        may_fail.set()
        await until(lambda: NOT_SAVED.text in used.text)

    assert used.is_ephemeral and len(used.messages) == 1


async def test_what_is_said_while_storing_takes_long_makes_way_for_the_answer(acme: Acme) -> None:
    desk = RecordingDesk()
    may_store = asyncio.Event()

    async def store(_: IncomingMessage) -> None:
        await asyncio.wait_for(may_store.wait(), 5)

    desk.on_message = store
    async with connected(acme.server, desk, replace(QUICK, patience_s=0.01)) as platform:
        await until(lambda: bool(acme.server.world.commands))
        used = acme.ada.slash(acme.general, "ask", text="q")
        await until(lambda: used.text == SLOWLY.text)
        may_store.set()
        await until(lambda: bool(desk.messages))
        [message] = desk.messages
        await platform.deliver(answer(message, to=message.author.id, handle=message.handle))

    assert (used.text, used.is_ephemeral) == ("In the handbook.", True)


async def test_an_answer_to_ask_of_which_discord_never_heard_is_a_direct_message(acme: Acme) -> None:
    desk = RecordingDesk()
    async with connected(acme.server, desk) as platform:
        await until(lambda: bool(acme.server.world.commands))
        acme.server.faults.add(Refused(10062), "create_interaction_response")  # as after a kill between storing and telling
        used = acme.ada.slash(acme.general, "ask", text="q")
        await until(lambda: bool(desk.messages))
        [message] = desk.messages
        await platform.deliver(answer(message, to=message.author.id, handle=message.handle))

    [private] = acme.server.bot_messages(acme.server.world.dm_with(acme.ada.id))
    assert private.content.startswith("In the handbook.")
    assert used.interaction.callback_type is None


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
