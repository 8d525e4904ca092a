"""Events over HTTP: slack-bolt's own server takes what is signed rightly and refuses the rest."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.adapters.slack.bolt import an_app
from tests.adapters.slack.http_events import Forgery, HttpCarrier
from tests.adapters.slack.office import Office
from tests.adapters.slack.state import Json

EVENT = {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": {"type": "message", "channel": "C1"}}


@pytest.fixture
async def seen(office: Office) -> list[Json]:
    return []


@pytest.fixture
async def carrier(office: Office, seen: list[Json]) -> AsyncIterator[HttpCarrier]:
    """The way to a bolt app that listens on a port of its own; its first answers to events can be forced (`statuses`)."""
    app = an_app(office.slack)

    async def note(body: Json, request: Any) -> None:
        seen.append(body)

    async def acknowledge(ack: Any, body: Json) -> None:
        seen.append(body)
        await ack("Well.")

    app.event("message")(note)
    app.event("app_mention")(note)
    app.command("/ask")(acknowledge)
    runner = web.AppRunner(app.web_app("/slack/events"))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield office.slack.deliver_over_http(f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events")
    await runner.cleanup()


async def test_events_and_commands_are_acknowledged(office: Office, carrier: HttpCarrier, seen: list[Json]) -> None:
    assert await carrier.verify_url()
    ts = await office.ana.say(office.general, f"{office.slack.mention} Hello")
    entry = office.slack.ledger()[office.general, ts]
    await office.slack.until(lambda: not office.slack.deliveries.open)
    answer = await office.ana.slash("/ask", "How?", office.general)

    assert entry.acked_at is not None
    assert answer == {"text": "Well."}
    assert [body.get("command") for body in seen] == [None, None, "/ask"]


@pytest.mark.parametrize("forgery", ["wrong_signature", "no_signature", "old", "no_number", "no_timestamp"])
async def test_a_forged_request_is_not_taken(carrier: HttpCarrier, seen: list[Json], forgery: Forgery) -> None:
    right, _ = await carrier.post(json.dumps(EVENT), "application/json")
    wrong, _ = await carrier.post(json.dumps(EVENT), "application/json", forgery=forgery)

    assert (right, len(seen)) == (200, 1)
    assert wrong == (500 if forgery == "no_number" else 401)  # slack_sdk 3.47 raises ValueError on a timestamp that is no number


async def test_a_request_can_be_replayed(carrier: HttpCarrier, seen: list[Json]) -> None:
    for attempt in (0, 1):
        await carrier.post(json.dumps(EVENT), "application/json", headers={"X-Slack-Retry-Num": str(attempt)})

    assert len(seen) == 2


async def test_an_event_is_repeated_after_an_error_and_not_where_the_app_says_so(office: Office) -> None:
    slack, retries = office.slack, list[tuple[str | None, str | None]]()
    replies = [web.Response(status=500), web.Response(), web.Response(status=500, headers={"X-Slack-No-Retry": "1"})]

    async def reply(request: web.Request) -> web.Response:
        retries.append((request.headers.get("X-Slack-Retry-Num"), request.headers.get("X-Slack-Retry-Reason")))
        return replies.pop(0)

    listener = web.Application()
    listener.router.add_post("/", reply)
    runner = web.AppRunner(listener)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.deliver_over_http(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    for text in ("One", "Two"):
        await office.ana.say(office.general, text)
        await slack.until(lambda: not slack.deliveries.open)
    await runner.cleanup()

    assert retries == [(None, None), ("1", "http_error"), (None, None)]
    assert [delivery.acked_at is not None for delivery in slack.deliveries.all] == [True, False]
