"""How the adapter comes to what happens in Slack, and comes back to it after every kind of outage."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import cast

import aiohttp
import pytest

from adapters.slack import watchdog
from adapters.slack.connection import SlackPlatform
from adapters.slack.http_mode import ReplayGuard
from adapters.slack.watchdog import Watch
from bot.errors import DatabaseUnavailable, DeliveryRefused, PlatformUnavailable
from bot.front_desk import FrontDesk
from bot.storage.database import Database
from scripts.servers import any_free_ports
from tests.adapters.slack.faults import rate_limited, unavailable
from tests.adapters.slack.http_events import Forgery, sign
from tests.adapters.slack.office import Office
from tests.adapters.slack.running import Desk, connected, slack_settings, until_connected

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at every second or minute is looked at all the time."""
    monkeypatch.setattr(watchdog, "CHECK_S", 0.02)
    monkeypatch.setattr(watchdog, "PING_S", 0.1)
    monkeypatch.setattr(watchdog, "NEW_ADDRESS_S", 0.3)
    monkeypatch.setattr(watchdog, "ANEW_S", 1.5)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_what_cannot_be_made_safe_is_not_acknowledged_and_comes_again(
    office: Office, database: Database, desk: Desk
) -> None:
    async with connected(office.slack, database, desk):
        desk.refusals = [DatabaseUnavailable("db", "it is away"), PlatformUnavailable("Slack", "it is away")]
        ts = await office.ana.say(office.general, "Hello?")
        await office.slack.until(lambda: not office.slack.deliveries.open)

    assert [message.id for message in desk.messages] == [ts]
    assert len(office.slack.ledger()[office.general, ts].deliveries[0].attempts) == 3


async def test_an_event_waits_for_slack_to_say_who_wrote_it(office: Office, database: Database, desk: Desk) -> None:
    async with connected(office.slack, database, desk):
        office.slack.faults.add(unavailable(), "users.info", times=4)
        ts = await office.ana.say(office.general, "Hello?")
        await office.slack.until(lambda: not office.slack.deliveries.open, within_s=20)

    assert [(message.id, message.author.name) for message in desk.messages] == [(ts, "Ana Alba")]


@pytest.mark.parametrize("fault", ["cut", "disconnect", "deafen"])
async def test_a_connection_that_breaks_is_made_anew(office: Office, database: Database, desk: Desk, fault: str) -> None:
    async with connected(office.slack, database, desk):
        getattr(office.slack.sockets, fault)()
        await office.slack.until(lambda: office.slack.sockets.opened == 2)
        ts = await office.ana.say(office.general, "Hello?")
        await office.slack.until(lambda: not office.slack.deliveries.open)

    assert ts in [message.id for message in desk.messages]


async def test_an_address_that_is_dead_is_given_up(office: Office, database: Database, desk: Desk) -> None:
    """slack_sdk 3.47 asks for no new address when its own is refused, and tries it for ever."""
    async with connected(office.slack, database, desk):
        office.slack.sockets.refuse_next = 3
        office.slack.sockets.cut()
        await office.slack.until(lambda: office.slack.sockets.refused == 3)
        office.slack.sockets.expire_tickets()
        await office.slack.until(lambda: office.slack.sockets.opened == 2)


async def test_an_outage_is_logged_when_it_starts_and_when_it_ends(
    office: Office, database: Database, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "adapters.slack")
    async with connected(office.slack, database, desk) as platform:
        caplog.clear()
        office.slack.sockets.refuse_next = 5
        office.slack.sockets.cut()
        await _until(lambda: not platform.is_connected)
        await _until(lambda: platform.is_connected)
        told = [record.message for record in caplog.records]

    assert told[0] == "Slack is not connected any more"
    assert told[1].startswith("Slack is connected")
    assert len(told) == 2


async def test_nothing_helps_but_a_new_start_when_slack_stays_away(office: Office, database: Database, desk: Desk) -> None:
    platform = SlackPlatform(slack_settings(office.slack), database, cast(FrontDesk, desk))
    running = asyncio.create_task(platform.run())
    await until_connected(platform, running)

    office.slack.sockets.refuse_next = 10_000
    office.slack.sockets.cut()

    with pytest.raises(PlatformUnavailable, match="no connection for"):
        await running
    assert not platform.is_connected


async def test_a_run_that_ended_can_be_started_again(office: Office, database: Database, desk: Desk) -> None:
    platform = SlackPlatform(slack_settings(office.slack), database, cast(FrontDesk, desk))
    for _ in range(2):
        running = asyncio.create_task(platform.run())
        await until_connected(platform, running)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert running.cancelled()
    assert desk.caught_up == 2


async def test_what_was_missed_is_fetched_after_each_outage(office: Office, database: Database, desk: Desk) -> None:
    async with connected(office.slack, database, desk):
        await _until(lambda: desk.caught_up == 1)
        office.slack.sockets.refuse_next = 2
        office.slack.sockets.cut()
        await _until(lambda: desk.caught_up == 2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"app_token": "xapp-wrong"}, "TIMBRE_SLACK__APP_TOKEN"),
        ({"app_token": ""}, "TIMBRE_SLACK__APP_TOKEN"),
        ({"bot_token": "xoxb-wrong"}, "TIMBRE_SLACK__BOT_TOKEN"),
        ({"http_port": 1, "signing_secret": ""}, "TIMBRE_SLACK__SIGNING_SECRET"),
    ],
)
async def test_a_token_that_is_no_good_is_named(
    office: Office, database: Database, desk: Desk, changes: dict[str, object], says: str
) -> None:
    platform = SlackPlatform(slack_settings(office.slack, **changes), database, cast(FrontDesk, desk))

    with pytest.raises(DeliveryRefused, match=says):
        await platform.run()


async def test_a_busy_slack_is_no_bad_token(office: Office, database: Database, desk: Desk) -> None:
    office.slack.faults.add(rate_limited(30), "apps.connections.open")
    platform = SlackPlatform(slack_settings(office.slack), database, cast(FrontDesk, desk))

    with pytest.raises(PlatformUnavailable) as caught:
        await platform.run()
    assert caught.value.retry_after_s == 30


async def test_it_ends_when_the_app_is_removed(office: Office, database: Database, desk: Desk) -> None:
    platform = SlackPlatform(slack_settings(office.slack), database, cast(FrontDesk, desk))
    running = asyncio.create_task(platform.run())
    await until_connected(platform, running)

    office.slack.uninstall()

    with pytest.raises(DeliveryRefused, match="removed"):
        await running


async def test_reactions_are_safe_before_they_are_acknowledged(office: Office, database: Database, desk: Desk) -> None:
    async with connected(office.slack, database, desk):
        ts = await office.ana.say(office.general, "Hello?")
        await office.ben.react(office.general, ts, "thumbsup::skin-tone-2")
        await office.ben.unreact(office.general, ts, "thumbsup::skin-tone-2")
        await office.slack.until(lambda: not office.slack.deliveries.open)

    assert desk.reactions == [("slack:T1:U2", "thumbsup", True), ("slack:T1:U2", "thumbsup", False)]


# -- over HTTP


async def test_events_come_over_http(office: Office, database: Database, desk: Desk) -> None:
    async with connected(office.slack, database, desk, http_port=any_free_ports(1)[0]) as platform:
        carrier = office.slack.deliver_over_http(f"http://127.0.0.1:{platform.http_port}/slack/events")
        is_verified = await carrier.verify_url()
        desk.refusals = [DatabaseUnavailable("db", "it is away")]
        ts = await office.ana.say(office.general, "Hello?")
        await office.slack.until(lambda: not office.slack.deliveries.open)

    assert is_verified
    assert [message.id for message in desk.messages] == [ts]


@pytest.mark.parametrize("forgery", ["wrong_signature", "no_signature", "old", "no_number", "no_timestamp"])
async def test_forged_requests_are_turned_away(office: Office, database: Database, desk: Desk, forgery: Forgery) -> None:
    async with connected(office.slack, database, desk, http_port=any_free_ports(1)[0]) as platform:
        carrier = office.slack.deliver_over_http(f"http://127.0.0.1:{platform.http_port}/slack/events")
        status, _ = await carrier.post(json.dumps({"type": "event_callback"}), "application/json", forgery=forgery)

    assert status == 401


async def test_a_request_is_taken_once(office: Office, database: Database, desk: Desk) -> None:
    async with connected(office.slack, database, desk, http_port=any_free_ports(1)[0]) as platform:
        carrier = office.slack.deliver_over_http(f"http://127.0.0.1:{platform.http_port}/slack/events")
        body = json.dumps({"type": "url_verification", "challenge": "c"})
        headers = carrier.signed_headers(body) | {"Content-Type": "application/json"}
        async with aiohttp.ClientSession() as session:
            statuses = [(await session.post(carrier.url, data=body, headers=headers)).status for _ in range(2)]

    assert statuses == [200, 401]


def test_a_replay_is_known_for_ten_minutes() -> None:
    now = [0.0]
    guard = ReplayGuard("secret", lambda: now[0])
    timestamp = str(int(time.time()))
    signature = sign("secret", timestamp, "{}")

    assert guard.admits(b"{}", timestamp, signature)
    now[0] = 599.0
    assert not guard.admits(b"{}", timestamp, signature)
    now[0] = 601.0
    assert guard.admits(b"{}", timestamp, signature)


async def test_a_port_that_is_taken_is_told(office: Office, database: Database, desk: Desk) -> None:
    async with connected(office.slack, database, desk, http_port=any_free_ports(1)[0]) as platform:
        second = SlackPlatform(slack_settings(office.slack, http_port=platform.http_port), database, cast(FrontDesk, desk))
        with pytest.raises(PlatformUnavailable, match="cannot be used"):
            await second.run()


# -- what the watch decides


def test_the_watch_gives_up_a_dead_address_and_then_everything() -> None:
    watch = Watch(0.0)
    assert watch.look(1.0, True) == ""

    looks = [watch.look(1.0 + tenth / 10, False) for tenth in range(20)]

    assert looks.count("address") >= 3
    assert "anew" in looks


def test_the_watch_changes_a_socket_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "DEAF_S", 10.0)
    watch = Watch(0.0)

    looks = [watch.look(float(second), True) for second in range(25)]
    watch.heard(25.0)

    assert [second for second, look in enumerate(looks) if look == "refresh"] == [10, 20]
    assert watch.look(34.0, True) == ""


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)
