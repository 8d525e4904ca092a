"""The local Discord as a fixture: whatever a correct bot would not have sent fails the test at its end."""

from collections.abc import AsyncIterator

import pytest

from tests.adapters.discord.server import DiscordServer


@pytest.fixture
async def discord_server() -> AsyncIterator[DiscordServer]:
    """A Discord of the test's own; add guilds, channels and people to it."""
    async with DiscordServer(checks_replies=True) as server:
        yield server
    assert server.problems == []
