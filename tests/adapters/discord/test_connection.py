"""The connection to Discord: outages, sessions, events that cannot be read; over real sockets."""

import asyncio
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bot.errors import DeliveryRefused, PlatformUnavailable
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.desks import RecordingDesk, connected, mention, until
from tests.adapters.discord.gateway import Limits
from tests.adapters.discord.server import DiscordServer


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
