"""What an administrator needs: the link that invites the bot, its commands in Discord, and what is wrong with its set-up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import discord

from adapters.discord import commands
from adapters.discord.directory import NO_MEMBERS
from adapters.discord.inbound import PLATFORM
from adapters.discord.rest import Rest, point_at, translated
from adapters.discord.supervisor import NO_CONTENT, SESSIONS_KEPT, Memory
from bot.doctor import DO_AS_TOLD, Finding
from bot.errors import BotError
from bot.settings import DiscordSettings

COMMANDS = "/applications/{application_id}/commands"
REGISTERED = "commands"
SCOPES = ("bot", "applications.commands")
NEEDED = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    create_public_threads=True,
    read_message_history=True,
    add_reactions=True,
)
"""No more than this: to read questions, to answer below them in threads, to see what was written while it was away,
and to mark what waits for a person."""


def invite_url(application_id: int) -> str:
    """Where somebody who manages a server adds the bot to it."""
    return discord.utils.oauth_url(application_id, permissions=NEEDED, scopes=SCOPES)


async def invitation(settings: DiscordSettings) -> str:
    """The link for the bot that the token belongs to. Raises PlatformUnavailable, BadToken among them."""
    async with _opened(settings) as rest:
        return invite_url((await rest.client()).application_id or 0)


async def sync(settings: DiscordSettings, memory: Memory, force: bool) -> bool:
    """Registers the commands where they have changed, or in any case; whether it did. Raises PlatformUnavailable, Refused."""
    async with _opened(settings) as rest:
        return await register_commands(rest, memory, force)


async def register_commands(rest: Rest, memory: Memory, force: bool = False) -> bool:
    """As `sync`: Discord counts registrations, and shows people nothing for a moment."""
    wanted = {"hash": commands.payload_hash()}
    if not force and await memory.recall(PLATFORM, REGISTERED) == wanted:
        return False
    client = await rest.client()
    await rest.call("PUT", COMMANDS, {"application_id": client.application_id}, commands.payload())
    await memory.remember(PLATFORM, REGISTERED, wanted)
    return True


@asynccontextmanager
async def _opened(settings: DiscordSettings) -> AsyncIterator[Rest]:
    point_at(settings)
    rest = Rest(settings)
    try:
        yield rest
    finally:
        await rest.close()


def check(settings: DiscordSettings) -> Sequence[Finding]:
    """Token, intents, sessions, permissions and the support role; only the first where the token is no good."""
    return asyncio.run(examine(settings))


async def examine(settings: DiscordSettings) -> Sequence[Finding]:
    async with _opened(settings) as rest:
        return await _examined(rest, settings)


async def _examined(rest: Rest, settings: DiscordSettings) -> Sequence[Finding]:
    try:
        client = await rest.client()
        checks: tuple[Callable[[Rest, discord.Client, DiscordSettings], Awaitable[Finding]], ...] = (
            _intents, _sessions, _servers, _support_role,
        )  # fmt: skip
        return [
            Finding("Discord token", True, f"{client.user} of application {client.application_id}"),
            *[await each(rest, client, settings) for each in checks],
        ]
    except BotError as err:
        return [Finding("Discord token", False, str(err), DO_AS_TOLD)]


async def _intents(rest: Rest, client: discord.Client, settings: DiscordSettings) -> Finding:
    flags = client.application_flags
    missing = {
        NO_MEMBERS: not (flags.gateway_guild_members or flags.gateway_guild_members_limited),
        NO_CONTENT: not (flags.gateway_message_content or flags.gateway_message_content_limited),
    }
    remedies = [remedy for remedy, is_missing in missing.items() if is_missing]
    fact = "members and message content may be read" if not remedies else "not all that Timbre can use is switched on"
    return Finding("Discord intents", not remedies, fact, " ".join(remedies))


async def _sessions(rest: Rest, client: discord.Client, settings: DiscordSettings) -> Finding:
    limit = (await rest.call("GET", "/gateway/bot", {}))["session_start_limit"]
    is_well = limit["remaining"] > SESSIONS_KEPT
    remedy = (
        "" if is_well else f"Find out what connects so often; there are new ones in {limit['reset_after'] / 3_600_000:.1f} h."
    )
    return Finding("Discord sessions", is_well, f"{limit['remaining']} of {limit['total']} are left today", remedy)


async def _servers(rest: Rest, client: discord.Client, settings: DiscordSettings) -> Finding:
    servers = await rest.call("GET", "/users/@me/guilds", {})
    invite = f"Invite it: {invite_url(client.application_id or 0)}"
    if not servers:
        return Finding("Discord servers", False, "the bot is in none", invite)
    lacking = {server["name"]: names for server in servers if (names := missing_permissions(int(server["permissions"])))}
    if lacking:
        fact = "; ".join(f"{name}: it may not {', '.join(names)}" for name, names in lacking.items())
        return Finding("Discord servers", False, fact, invite)
    return Finding("Discord servers", True, ", ".join(server["name"] for server in servers))


async def _support_role(rest: Rest, client: discord.Client, settings: DiscordSettings) -> Finding:
    name = "Discord support role"
    if not settings.support_role:
        remedy = 'Set TIMBRE_DISCORD__SUPPORT_ROLE to the id of the role that "Ask a person" shall call.'
        return Finding(name, False, "nobody is called", remedy)
    servers = [server async for server in client.fetch_guilds()]
    roles = [role for server in servers for role in await translated(server.fetch_roles())]
    found = next((role for role in roles if str(role.id) == settings.support_role), None)
    if found is None:
        return Finding(name, False, f"no server has the role {settings.support_role}", "Correct TIMBRE_DISCORD__SUPPORT_ROLE.")
    if not found.mentionable:
        remedy = 'Switch on "Allow anyone to @mention this role" in its settings; without that a mention calls nobody.'
        return Finding(name, False, f"{found.name} may not be mentioned", remedy)
    return Finding(name, True, found.name)


def missing_permissions(granted: int) -> list[str]:
    """What of NEEDED is not granted, in words (pure)."""
    permissions = discord.Permissions(granted)
    if permissions.administrator:
        return []
    names: Mapping[str, bool] = dict(NEEDED)
    return [name.replace("_", " ") for name, is_needed in names.items() if is_needed and not getattr(permissions, name)]
