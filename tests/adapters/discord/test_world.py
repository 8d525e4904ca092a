"""Who may do and see what, what a message pings, what a person's client allows, and what is written down of it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import discord
import pytest

from tests.adapters.discord.clients import Bot, running
from tests.adapters.discord.commands import Impossible
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.mentions import Link, Pings, allowed, links
from tests.adapters.discord.permissions import ALL, NONE, ORDINARY, Overwrite, Permission, channel_permissions, guild_permissions
from tests.adapters.discord.world import Json, Message, MessageType, World

VIEW, SEND = Permission.VIEW_CHANNEL, Permission.SEND_MESSAGES
CAN_SEND = VIEW | SEND


@pytest.mark.parametrize(
    ("overwrites", "expected"),
    [
        ([], CAN_SEND),
        ([Overwrite("everyone", True, deny=SEND)], VIEW),
        ([Overwrite("everyone", True, deny=SEND), Overwrite("role", True, allow=SEND)], CAN_SEND),
        ([Overwrite("role", True, deny=SEND), Overwrite("other", True, allow=SEND)], CAN_SEND),
        ([Overwrite("role", True, allow=SEND), Overwrite("me", False, deny=SEND)], VIEW),
        ([Overwrite("everyone", True, deny=VIEW)], NONE),
        ([Overwrite("stranger", False, deny=VIEW)], CAN_SEND),
    ],
)
def test_overwrites_combine_in_the_order_of_discord(overwrites: list[Overwrite], expected: Permission) -> None:
    assert channel_permissions(CAN_SEND, overwrites, "everyone", ["role", "other"], "me") == expected


def test_owners_and_administrators_may_all() -> None:
    assert guild_permissions([VIEW], is_owner=True) == ALL
    assert guild_permissions([VIEW, Permission.ADMINISTRATOR], is_owner=False) == ALL
    assert channel_permissions(ALL, [Overwrite("everyone", True, deny=VIEW)], "everyone", [], "me") == ALL


@pytest.mark.parametrize(
    ("text", "rules", "expected"),
    [
        ("<@{ada}> and <@!{ada}>", None, Pings(("{ada}",))),
        ("<@{ada}>", {"parse": []}, Pings()),
        ("<@{ada}>", {"parse": ["users"]}, Pings(("{ada}",))),
        ("<@{ada}>", {"parse": [], "users": ["{ada}"]}, Pings(("{ada}",))),
        ("<@5>", None, Pings()),
        ("`<@{ada}>` ```\n@everyone\n```", None, Pings()),
        ("<@&77>", {"parse": ["roles"]}, Pings(role_ids=("77",))),
        ("hello @here", None, Pings(everyone=True)),
        ("me@everyones.example", None, Pings()),
    ],
)
def test_a_ping_needs_a_mention_that_is_let_through(text: str, rules: Json | None, expected: Pings) -> None:
    world = World()
    ada = world.add_user("Ada").id
    message = Message("1", "2", world.bot.id, text.replace("{ada}", ada), 0.0)
    message.allowed_mentions = json.loads(json.dumps(rules).replace("{ada}", ada))

    assert allowed(message, world) == Pings(
        tuple(each.replace("{ada}", ada) for each in expected.user_ids), expected.role_ids, expected.everyone
    )


def test_links_are_found_wherever_a_reader_can_follow_them() -> None:
    message = Message("1", "2", "3", "[Handbook](<https://a.example/x>) https://b.example `https://code.example`", 0.0)
    message.embeds = [{"title": "T", "url": "https://c.example", "description": "[d](https://d.example)"}]
    message.components = [{"type": 1, "components": [{"type": 2, "style": 5, "label": "Open", "url": "https://e.example"}]}]

    assert links(message) == [
        Link("Handbook", "https://a.example/x"),
        Link("https://b.example", "https://b.example"),
        Link("T", "https://c.example"),
        Link("d", "https://d.example"),
        Link("Open", "https://e.example"),
    ]


async def test_a_private_channel_is_hidden_from_the_bot_until_it_is_let_in(acme: Acme) -> None:
    leads = acme.server.add_role(acme.guild, "Leads")
    lea = acme.server.add_person("Lea", acme.guild, role_ids=[leads])
    private = acme.server.add_channel(acme.guild, "leads", only_for=[leads])
    async with running(Bot(), acme.server) as bot:
        lea.say(private, "secret")
        acme.server.service.set_overwrite(private, Overwrite(acme.server.world.bot.id, False, allow=VIEW))
        lea.say(private, "for the bot")
        await bot.heard_until("for the bot")

        assert [message.content for message in bot.heard] == ["for the bot"]
        with pytest.raises(Impossible):
            acme.ada.say(private, "let me in")


@pytest.mark.parametrize(
    ("missing", "act"),
    [
        (Permission.SEND_MESSAGES, "send"),
        (Permission.CREATE_PUBLIC_THREADS, "thread"),
        (Permission.ADD_REACTIONS, "react"),
        (Permission.SEND_MESSAGES_IN_THREADS, "send in thread"),
    ],
)
async def test_a_permission_that_the_bot_lacks_is_missed(missing: Permission, act: str, acme: Acme) -> None:
    message_id = acme.ada.say(acme.general, "q")
    thread = acme.ada.start_thread(acme.general, "t")
    acme.server.service.set_overwrite(acme.general, Overwrite(acme.server.world.bot.id, False, deny=missing))
    async with running(Bot(), acme.server) as bot:
        channel = bot.get_partial_messageable(int(acme.general.id), guild_id=int(acme.guild.id))
        message = await channel.fetch_message(int(message_id))
        with pytest.raises(discord.Forbidden) as refused:
            match act:
                case "send":
                    await channel.send("x")
                case "thread":
                    await message.create_thread(name="x")
                case "react":
                    await message.add_reaction("👍")
                case _:
                    await bot.get_partial_messageable(int(thread.id)).send("x")

        assert refused.value.code == 50013


async def test_an_archived_thread_opens_with_a_message_but_takes_no_edits(acme: Acme) -> None:
    thread = acme.ada.start_thread(acme.general, "t")
    async with running(Bot(), acme.server) as bot:
        channel = bot.get_partial_messageable(int(thread.id))
        message = await channel.send("first")
        acme.server.service.update_thread(thread, is_archived=True, is_locked=False)
        with pytest.raises(discord.HTTPException) as refused:
            await message.edit(content="second")
        await channel.send("third")

        assert refused.value.code == 50083
        assert not thread.is_archived


async def test_a_private_thread_is_seen_by_its_members_only(acme: Acme) -> None:
    ben = acme.server.add_person("Ben", acme.guild)
    thread = acme.ada.start_thread(acme.general, "t", is_private=True)
    async with running(Bot(), acme.server) as bot:
        acme.ada.say(thread, "among us")
        acme.ada.add_to_thread(thread, acme.server.world.bot.id)
        acme.ada.say(thread, "and the bot")
        await bot.heard_until("and the bot")

        assert [message.content for message in bot.heard] == ["and the bot"]
        assert ben.sees(thread) == []


async def test_a_command_is_offered_to_those_with_its_permission_only(acme: Acme) -> None:
    bot = Bot()
    bot.tree.get_command("silent").default_permissions = discord.Permissions(manage_guild=True)  # type: ignore[union-attr]
    managers = acme.server.add_role(acme.guild, "Managers", ORDINARY | Permission.MANAGE_GUILD)
    max_ = acme.server.add_person("Max", acme.guild, role_ids=[managers])
    async with running(bot, acme.server, sync=True):
        max_.slash(acme.general, "silent")
        with pytest.raises(Impossible, match="not offered"):
            acme.ada.slash(acme.general, "silent")
        with pytest.raises(Impossible, match="needs"):
            acme.ada.slash(acme.general, "ask")
        with pytest.raises(Impossible, match="no command"):
            acme.ada.slash(acme.general, "unknown")


async def test_the_ledger_tells_what_is_unanswered_and_what_was_answered_twice(acme: Acme) -> None:
    async def answer(message: discord.Message) -> None:
        for _ in range(int(message.content)):
            await message.reply("yes")

    async with running(Bot(answer), acme.server):
        for times in "012":
            acme.ada.say(acme.general, times)
        await acme.server.next_bot_message(acme.general, known=2)

        report = acme.server.ledger()
        assert [entry.content for entry in report.unanswered] == ["0"]
        assert [entry.content for entry in report.doubled] == ["2"]


async def test_a_transcript_shows_what_a_person_sees(acme: Acme) -> None:
    ben = acme.server.add_person("Ben", acme.guild)

    async def answer(message: discord.Message) -> None:
        thread = await message.create_thread(name="keys")
        view = discord.ui.View()
        view.add_item(discord.ui.Button(label="Helpful", custom_id="v"))
        await thread.send(f"Ask <@{ben.id}>.\nOr not.", view=view)

    async with running(Bot(answer), acme.server, sync=True):
        message_id = acme.ada.say(acme.general, "where are the keys?")
        await acme.server.wait_until(lambda: len(acme.server.bot_messages()) == 1)
        await acme.ada.menu("Flag answer", message_id).outcome()

        seen_by_all = [
            "#general",
            "Ada: where are the keys?",
            "    -- keys",
            "    Timbre [bot]: Ask @Ben.",
            "        Or not.",
            "        [Helpful]",
        ]
        flagged = ["Timbre [bot] (only Ada sees this): flagged where are the keys?"]
        assert acme.server.transcript(ben).split("\n") == seen_by_all
        assert acme.server.transcript(acme.ada).split("\n") == seen_by_all + flagged


def test_a_thread_starter_pings_nobody() -> None:
    world = World()

    assert not allowed(Message("1", "2", world.bot.id, "@everyone", 0.0, MessageType.THREAD_STARTER), world)


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, str]]]:
    """A server of its own process, and the settings that it prints."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.adapters.discord.server", *arguments, stdout=asyncio.subprocess.PIPE
    )  # fmt: skip
    assert program.stdout
    try:
        lines = [(await program.stdout.readline()).decode().strip() for _ in range(4)]
        yield program, dict(line.split("=", 1) for line in lines)
    finally:
        if program.returncode is None:
            program.send_signal(signal.SIGKILL)
        await program.communicate()


@pytest.mark.slow
async def test_another_process_drives_it_over_http() -> None:
    async with process() as (_, settings), aiohttp.ClientSession() as http:

        async def control(action: str, **arguments: object) -> Json:
            async with http.post(f"{settings['CONTROL_URL']}/{action}", json=arguments) as reply:
                found: Json = await reply.json()
                return found

        said = await control("say", person="Ada", channel="general", text="hello")
        lines = (await control("transcript"))["result"].split("\n")
        failed = await control("say", person="Nobody", channel="general", text="hello")

        assert set(settings) == {"TIMBRE_DISCORD__TOKEN", "TIMBRE_DISCORD__API_URL", "TIMBRE_DISCORD__GATEWAY_URL", "CONTROL_URL"}
        assert lines == ["#general", "Ada: hello"]
        assert [entry["message_id"] for entry in (await control("ledger"))["result"]] == [said["result"]]
        assert failed == {"error": "KeyError: 'Nobody'"}


BOT_PROGRAM = """
import asyncio, sys
from types import SimpleNamespace
from tests.adapters.discord.clients import Bot, running

async def main():
    async def answer(message):
        await message.reply("yes")
    async with running(Bot(answer), SimpleNamespace(api_url=sys.argv[1], gateway_url=sys.argv[2], token=sys.argv[3])):
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_bot_killed_at_once_leaves_a_server_that_takes_the_next_one(acme: Acme) -> None:
    arguments = (acme.server.api_url, acme.server.gateway_url, acme.server.token)
    for question in ("first", "second"):
        bot = await asyncio.create_subprocess_exec(sys.executable, "-W", "ignore", "-c", BOT_PROGRAM, *arguments)
        await acme.server.wait_for_bot(timeout_s=30)
        acme.ada.say(acme.general, question)
        await acme.server.next_bot_message(acme.general, known=0 if question == "first" else 1)
        bot.kill()
        await bot.wait()
        await acme.server.wait_until(lambda: not acme.server.gateway.connected)
        acme.ada.say(acme.general, f"after the {question}")

    entries = acme.server.ledger().entries
    assert [(entry.content, len(entry.answers), len(entry.delivered_at)) for entry in entries] == [
        ("first", 1, 1),
        ("after the first", 0, 0),
        ("second", 1, 1),
        ("after the second", 0, 0),
    ]


async def test_another_bot_speaks_and_commands_work_in_direct_messages(acme: Acme) -> None:
    other = acme.server.add_person("Robot", acme.guild, is_bot=True)
    async with running(Bot(), acme.server, sync=True) as bot:
        other.say(acme.general, "beep")
        acme.ada.dm("hello")
        await bot.heard_until("hello")
        used = await acme.ada.slash(acme.server.world.dm_with(acme.ada.id), "ask", question="why").outcome()

        assert [(message.content, message.author.bot) for message in bot.heard] == [("beep", True), ("hello", False)]
        assert used.messages[0].content == "answer to why"
