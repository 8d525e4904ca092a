"""The pretended Slack in a process of its own, driven over HTTP: it outlives a bot that is killed."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

ROOT = Path(__file__).parents[3]
BOT = """
import asyncio, sys
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

bot_token, app_token, secret, api_url = sys.argv[1:]
app = AsyncApp(client=AsyncWebClient(token=bot_token, base_url=api_url), signing_secret=secret)

@app.event("app_mention")
async def answer(event, say):
    await say(text="Noted.", thread_ts=event["ts"])

@app.event("message")
async def ignore():
    pass

async def main():
    await AsyncSocketModeHandler(app, app_token).start_async()

asyncio.run(main())
"""

Control = Callable[..., Awaitable[Any]]


@pytest.fixture
async def settings() -> AsyncIterator[dict[str, str]]:
    """What a server of its own process prints."""
    command = [sys.executable, "-m", "tests.adapters.slack.server", "--ack-within", "0.3"]
    server = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert server.stdout
    found = {}
    while "CONTROL" not in found:
        name, _, value = (await server.stdout.readline()).decode().strip().partition("=")
        found[name] = value
    yield found
    server.terminate()
    await server.wait()


@pytest.fixture
async def control(settings: dict[str, str]) -> AsyncIterator[Control]:
    """control("say", user=..) acts, control("ledger") looks."""
    async with aiohttp.ClientSession(settings["CONTROL"]) as session:

        async def call(path: str, **body: Any) -> Any:
            request = session.post(path, json=body) if body else session.get(path)
            async with request as response:
                text = await response.text()
                return json.loads(text) if text[:1] in "[{" else text

        yield call


async def start_bot(settings: dict[str, str]) -> asyncio.subprocess.Process:
    names = ("BOT_TOKEN", "APP_TOKEN", "SIGNING_SECRET", "API_URL")
    values = [settings[f"TIMBRE_SLACK__{name}"] for name in names]
    return await asyncio.create_subprocess_exec(sys.executable, "-c", BOT, *values, cwd=ROOT)


@pytest.mark.slow
async def test_what_is_said_while_the_bot_is_dead_reaches_the_next_one(settings: dict[str, str], control: Control) -> None:
    mention = {"user": "U1", "channel": "C1", "text": "<@U0TIMBRE1> Hello"}
    first = await start_bot(settings)
    await control("say", **mention)
    await control("wait", answered=1)
    first.send_signal(signal.SIGKILL)
    await first.wait()
    await control("say", **mention)
    second = await start_bot(settings)
    await control("wait", answered=2)
    ledger = await control("ledger")
    second.kill()
    await second.wait()

    assert [len(entry["answers"]) for entry in ledger] == [1, 1]
    assert (await control("transcript?channel=C1")).count("Noted.") == 2
    assert (await control("sockets"))["opened"] == 2
    assert await control("problems") == []


@pytest.mark.slow
async def test_the_scene_is_changed_and_impossible_acts_are_explained(control: Control) -> None:
    dora = (await control("person", real_name="Dora"))["result"]
    channel = (await control("channel", name="kitchen", members=[dora]))["result"]
    ts = (await control("say", user=dora, channel=channel, text="Hello"))["result"]
    refused = await control("say", user="U1", channel=channel, text="Hello")
    await control("fault", kind="rate_limited", method="chat.postMessage", times=2, **{"with": {"retry_after_s": 3}})
    await control("edit", user=dora, channel=channel, ts=ts, text="Hello all")

    assert refused["error"] == "Impossible: Ana Alba is not in kitchen."
    assert await control(f"transcript?channel={channel}") == "== #kitchen ==\nDora (edited): Hello all"
