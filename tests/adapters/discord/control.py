"""Drives a server from another process: `POST /control/ACTION` with a JSON object, people and channels by name.

    curl -d '{"person": "Ada", "channel": "general", "text": "Hello"}' URL/control/say    -> {"result": "1234..."}

Actions are those in `ACTIONS`; a mistake is answered by 400 with its reason. A message is named by its id.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.adapters.discord.commands import Impossible
from tests.adapters.discord.people import Person, Used
from tests.adapters.discord.permissions import Permission
from tests.adapters.discord.world import Channel, Json

if TYPE_CHECKING:
    from tests.adapters.discord.server import DiscordServer

MANAGERS = Permission.MANAGE_GUILD


def populate(server: "DiscordServer") -> None:
    """A small company: the guild Acme with #general, #support and the private #leads; Ada leads, Ben and Cleo do not."""
    acme = server.add_guild("Acme")
    leads = server.add_role(acme, "Leads", MANAGERS)
    bot_role = acme.members[server.world.bot.id].role_ids[0]
    for name in ("general", "support"):
        server.add_channel(acme, name)
    server.add_channel(acme, "leads", only_for=[leads, bot_role])
    server.add_person("Ada", acme, role_ids=[leads])
    server.add_person("Ben", acme)
    server.add_person("Cleo", acme)


def introduction(server: "DiscordServer") -> list[str]:
    """What to set for a bot that shall use this server."""
    return [
        f"TIMBRE_DISCORD__TOKEN={server.token}",
        f"TIMBRE_DISCORD__API_URL={server.api_url}",
        f"TIMBRE_DISCORD__GATEWAY_URL={server.gateway_url}",
        f"CONTROL_URL={server.url}/control",
    ]


def add_to(app: web.Application, server: "DiscordServer") -> None:
    """Adds the routes of the control interface."""

    async def act(request: web.Request) -> web.Response:
        text = await request.text()
        try:
            arguments = json.loads(text) if text else {}
            result = await ACTIONS[request.match_info["action"]](server, **arguments)
        except (Impossible, KeyError, TypeError, ValueError, TimeoutError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
        return web.json_response({"result": result})

    app.router.add_post("/control/{action}", act)


def _channel(server: "DiscordServer", name_or_id: str) -> Channel:
    named = [channel for channel in server.world.channels.values() if name_or_id in (channel.id, channel.name)]
    if not named:
        raise Impossible(f"no channel {name_or_id!r}")
    return named[0]


def _shown(used: Used) -> Json:
    return {
        "text": used.text,
        "message_ids": [message.id for message in used.messages],
        "is_ephemeral": used.is_ephemeral,
        "form": used.form,
        "choices": used.choices,
        "has_failed": used.has_failed,
        "interaction": used.interaction.id,
    }


def _used(server: "DiscordServer", person: Person, interaction_id: str) -> Used:
    interaction = server.world.interactions[interaction_id]
    if interaction.user_id != person.id:
        raise Impossible(f"{person.user.name} did not do that")
    return Used(interaction, server.service)


async def _say(server: "DiscordServer", person: str, channel: str, text: str) -> str:
    return server.person(person).say(_channel(server, channel), text)


async def _reply(server: "DiscordServer", person: str, message_id: str, text: str) -> str:
    return server.person(person).reply(message_id, text)


async def _dm(server: "DiscordServer", person: str, text: str) -> str:
    return server.person(person).dm(text)


async def _react(server: "DiscordServer", person: str, message_id: str, emoji: str) -> None:
    server.person(person).react(message_id, emoji)


async def _edit(server: "DiscordServer", person: str, message_id: str, text: str) -> None:
    server.person(person).edit(message_id, text)


async def _delete(server: "DiscordServer", person: str, message_id: str) -> None:
    server.person(person).delete(message_id)


async def _slash(server: "DiscordServer", person: str, channel: str, command: str, options: Json | None = None) -> Json:
    return _shown(await server.person(person).slash(_channel(server, channel), command, **(options or {})).outcome())


async def _menu(server: "DiscordServer", person: str, command: str, message_id: str) -> Json:
    return _shown(await server.person(person).menu(command, message_id).outcome())


async def _click(server: "DiscordServer", person: str, message_id: str, label: str) -> Json:
    return _shown(await server.person(person).click(message_id, label).outcome())


async def _submit(server: "DiscordServer", person: str, interaction: str, values: Json) -> Json:
    someone = server.person(person)
    return _shown(await someone.submit(_used(server, someone, interaction), **values).outcome())


async def _answer(server: "DiscordServer", message_id: str, timeout_s: float = 60.0) -> list[Json]:
    """The bot's answers to that message, once there is one."""
    await server.wait_until(lambda: _answers_to(server, message_id) != [], timeout_s, f"an answer to {message_id}")
    return _answers_to(server, message_id)


def _answers_to(server: "DiscordServer", message_id: str) -> list[Json]:
    entry = server.service.ledger.entry(message_id)
    return [asdict(answer) for answer in entry.answers] if entry else []


async def _wait_for_bot(server: "DiscordServer", timeout_s: float = 60.0) -> None:
    await server.wait_for_bot(timeout_s)


async def _transcript(server: "DiscordServer", person: str | None = None) -> str:
    return server.transcript(server.person(person) if person else None)


async def _ledger(server: "DiscordServer") -> list[Json]:
    return [asdict(entry) for entry in server.ledger().entries]


async def _problems(server: "DiscordServer") -> list[str]:
    return server.problems


ACTIONS: dict[str, Callable[..., Any]] = {
    "say": _say,
    "reply": _reply,
    "dm": _dm,
    "react": _react,
    "edit": _edit,
    "delete": _delete,
    "slash": _slash,
    "menu": _menu,
    "click": _click,
    "submit": _submit,
    "answer": _answer,
    "wait_for_bot": _wait_for_bot,
    "transcript": _transcript,
    "ledger": _ledger,
    "problems": _problems,
}
