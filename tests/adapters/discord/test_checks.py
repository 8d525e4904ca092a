"""The judges of calls: each refuses what it is there for, and says so in `problems`."""

from typing import Any

import discord
import pytest
from discord.http import Route

from tests.adapters.discord.clients import Bot, running
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.openapi import openapi
from tests.adapters.discord.rest import ROUTES
from tests.adapters.discord.server import DiscordServer
from tests.adapters.discord.world import Json
from tests.services import require

PINGS_NOBODY: Json = {"allowed_mentions": {"parse": []}}


def button(**changes: Any) -> Json:
    return {"type": 2, "style": 1, "label": "Yes", "custom_id": "yes"} | changes


def row(*buttons: Json) -> Json:
    return {"components": [{"type": 1, "components": list(buttons)}]}


BY_RULE = {  # what Discord refuses and its OpenAPI document does not say
    "content of 2,001 characters": {"content": "x" * 2001},
    "two buttons with one id": row(button(), button()),
    "a button with neither id nor url": row(button(custom_id=None)),
    "a link with an id": row(button(style=5, url="https://a.example")),
    "a button without a label": row(button(label=None)),
    "embeds of 6,001 characters": {"embeds": [{"description": "x" * 3001}, {"description": "x" * 3000}]},
    "a text display without its flag": {"components": [{"type": 10, "content": "hello"}]},
    "content beside components v2": {"content": "hello", "flags": 1 << 15},
    "six rows": {"components": [row(button(custom_id=str(n)))["components"][0] for n in range(6)]},
    "nothing at all": {},
}
BY_DOCUMENT = {
    "a custom id of 101 characters": row(button(custom_id="x" * 101)),
    "a label of 81 characters": row(button(label="x" * 81)),
    "six buttons in a row": row(*(button(custom_id=str(n)) for n in range(6))),
    "a row without buttons": row(),
    "an unknown field": {"content": "x", "contents": "y"},
    "an unknown field of a button": row(button(colour="red")),
    "an unknown kind of component": {"components": [{"type": 99}]},
    "content that is a number": {"content": 5},
    "an unknown kind of mention": {"content": "x", "allowed_mentions": {"parse": ["all"]}},
    "eleven embeds": {"embeds": [{"title": "x"}] * 11},
    "a nonce of 26 characters": {"content": "x", "nonce": "n" * 26},
}


async def refused(bot: Bot, method: str, path: str, **options: Any) -> int:
    """The code of Discord's refusal."""
    with pytest.raises(discord.HTTPException) as error:
        await bot.http.request(Route(method, path), **options)
    return error.value.code


@pytest.mark.parametrize("case", [*BY_RULE, *BY_DOCUMENT])
async def test_a_message_that_discord_refuses_is_refused(case: str, acme: Acme) -> None:
    require(case in BY_RULE or openapi() is not None, "Discord's OpenAPI document")
    async with running(Bot(), acme.server) as bot:
        body = PINGS_NOBODY | (BY_RULE | BY_DOCUMENT)[case]
        code = await refused(bot, "POST", f"/channels/{acme.general.id}/messages", json=body)

        assert code == (50006 if case == "nothing at all" else 50035)
        assert acme.server.bot_messages() == []
        assert len(acme.server.problems) == (0 if case == "nothing at all" else 1)
        acme.server.problems.clear()


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/channels/{channel}/messages?limit=101", {}),
        ("GET", "/channels/{channel}/messages?until=5", {}),
        ("POST", "/channels/{channel}/messages/{message}/threads", {"json": {"name": "x" * 101}}),
        ("POST", "/channels/{channel}/messages/{message}/threads", {"json": {}}),
        ("PATCH", "/channels/{channel}/messages/{message}", {"json": {"text": "x"}}),
        ("PUT", "/applications/{application}/commands", {"json": [{"name": "x" * 33, "description": "d"}]}),
        ("PUT", "/applications/{application}/commands", {"json": [{"name": "x", "description": "d" * 101}]}),
        ("POST", "/users/@me/channels", {"json": {"recipient": "5"}}),
    ],
)
async def test_a_call_against_the_document_is_refused(method: str, path: str, options: Json, acme: Acme) -> None:
    require(openapi() is not None, "Discord's OpenAPI document")
    async with running(Bot(), acme.server) as bot:
        ids = {"channel": acme.general.id, "application": acme.server.world.application_id}
        ids["message"] = acme.ada.say(acme.general, "q")

        assert await refused(bot, method, path.format(**ids), **options) == 50035
        assert len(acme.server.problems) == 1
        acme.server.problems.clear()


@pytest.mark.parametrize(
    "mentions",
    [
        None,
        discord.AllowedMentions(everyone=False),
        discord.AllowedMentions(users=[discord.Object(5)], everyone=False, roles=False),
    ],
)
async def test_text_that_may_ping_is_taken_but_is_a_problem(mentions: discord.AllowedMentions | None, acme: Acme) -> None:
    async with running(Bot(allowed_mentions=mentions), acme.server) as bot:  # type: ignore[arg-type]
        await bot.get_partial_messageable(int(acme.general.id)).send("@everyone")

        assert len(acme.server.bot_messages()) == len(acme.server.problems) == 1
        acme.server.problems.clear()


async def test_a_reply_that_pings_its_author_is_a_problem(acme: Acme) -> None:
    async with running(Bot(lambda message: message.reply("here", mention_author=True)), acme.server):
        acme.ada.say(acme.general, "where?")
        reply = await acme.server.next_bot_message(acme.general)

        assert acme.server.pings(reply).user_ids == (acme.ada.id,)
        assert "may ping" in acme.server.problems.pop()


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/nowhere", "no such route"), ("/sticker-packs", "does not offer")],
)
async def test_a_route_that_is_not_there_is_a_problem(path: str, reason: str, acme: Acme) -> None:
    require(openapi() is not None, "Discord's OpenAPI document")
    async with running(Bot(), acme.server) as bot:
        assert await refused(bot, "GET", path) == 0
        assert reason in acme.server.problems.pop()


async def test_a_call_with_another_token_is_refused(acme: Acme) -> None:
    async with running(Bot(), acme.server) as bot:
        acme.server.gateway.token = "new"

        with pytest.raises(discord.HTTPException) as error:
            await bot.fetch_user(int(acme.ada.id))
        assert error.value.status == 401


def test_every_route_has_the_operation_that_the_document_gives_it() -> None:
    document = openapi()
    require(document is not None, "Discord's OpenAPI document")
    assert document

    wrong = [(method, path) for method, path, name, _ in ROUTES if document.operation(method, path)["operationId"] != name]
    assert wrong == []


def test_the_shapes_of_what_the_gateway_sends_are_the_documents(acme_shapes: dict[str, tuple[str, Json]]) -> None:
    document = openapi()
    require(document is not None, "Discord's OpenAPI document")
    assert document

    assert {name: document.shape_mistakes(schema, value) for name, (schema, value) in acme_shapes.items()} == {
        name: [] for name in acme_shapes
    }


async def test_a_fixture_fails_the_test_whose_bot_erred() -> None:
    async with DiscordServer() as server:
        channel = server.add_channel(server.add_guild("Acme"), "general")
        async with running(Bot(), server) as bot:
            await refused(bot, "POST", f"/channels/{channel.id}/messages", json={"content": "x" * 2001, **PINGS_NOBODY})

        assert server.problems == ["create_message is wrong at content: Must be 2000 or fewer in length."]
