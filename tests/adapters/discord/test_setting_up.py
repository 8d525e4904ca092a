"""The invitation, the findings of `timbre doctor`, and what a supervisor decides."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route
from pydantic import SecretStr

from adapters.discord.setting_up import examine, invitation, invite_url, missing_permissions
from adapters.discord.supervisor import read_starts
from bot.doctor import Finding
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.desks import discord_settings
from tests.adapters.discord.permissions import ORDINARY, Permission
from tests.adapters.discord.server import DiscordServer


@pytest.fixture(autouse=True)
def addresses() -> Iterator[None]:
    """Those of discord.py, which hold for the process, are as before at the end."""
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    yield
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


async def test_the_invitation_asks_for_exactly_what_is_needed(acme: Acme) -> None:
    url = await invitation(discord_settings(acme.server))

    assert url == invite_url(int(acme.server.world.application_id))
    assert url.endswith("&scope=bot+applications.commands&permissions=309237713984")
    needed = (
        Permission.VIEW_CHANNEL | Permission.SEND_MESSAGES | Permission.SEND_MESSAGES_IN_THREADS | Permission.ADD_REACTIONS
        | Permission.CREATE_PUBLIC_THREADS | Permission.READ_MESSAGE_HISTORY
    )  # fmt: skip
    assert int(needed) == 309237713984


async def test_a_set_up_that_is_complete_has_nothing_to_complain_of(acme: Acme) -> None:
    findings = await examine(discord_settings(acme.server, support_role=""))

    assert [finding.name for finding in findings if not finding.is_well] == ["Discord support role"]
    assert "Acme" in by_name(list(findings))["Discord servers"].fact


async def test_a_bad_token_is_all_that_is_told() -> None:
    async with DiscordServer() as server:
        [finding] = await examine(discord_settings(server, token=SecretStr("of another bot")))

    assert not finding.is_well and "TIMBRE_DISCORD__TOKEN" in finding.fact


async def test_what_is_missing_is_named_with_its_remedy() -> None:
    async with DiscordServer(allowed_intents=0) as server:
        guild = server.add_guild("Acme", Permission.VIEW_CHANNEL)
        guild.roles[guild.id].permissions = Permission.VIEW_CHANNEL
        findings = by_name(list(await examine(discord_settings(server, support_role="42"))))

    assert "Server Members Intent" in findings["Discord intents"].remedy
    assert "Message Content Intent" in findings["Discord intents"].remedy
    assert "send messages in threads" in findings["Discord servers"].fact
    assert "permissions=309237713984" in findings["Discord servers"].remedy
    assert "42" in findings["Discord support role"].fact


async def test_a_support_role_that_may_not_be_mentioned_calls_nobody(acme: Acme) -> None:
    role = acme.server.add_role(acme.guild, "Support")

    finding = by_name(list(await examine(discord_settings(acme.server, support_role=role))))["Discord support role"]

    assert not finding.is_well and "may not be mentioned" in finding.fact


def test_permissions_that_are_missing_are_named_in_words() -> None:
    assert missing_permissions(int(ORDINARY)) == []
    assert missing_permissions(int(Permission.ADMINISTRATOR)) == []
    assert missing_permissions(int(ORDINARY & ~Permission.CREATE_PUBLIC_THREADS)) == ["create public threads"]


def test_sessions_are_counted_anew_after_a_day() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    kept = {"since": (now - timedelta(hours=23)).isoformat(), "count": 7}

    assert read_starts(None, now) == (now, 0)
    assert read_starts(kept, now) == (now - timedelta(hours=23), 7)
    assert read_starts(kept, now + timedelta(hours=1)) == (now + timedelta(hours=1), 0)
