"""Faults on purpose and rate limits, through the real slack_sdk."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncConnectionErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from tests.adapters.slack import faults
from tests.adapters.slack.bolt import a_client, error_of
from tests.adapters.slack.office import Office


async def test_faults_come_as_planned(office: Office, client: AsyncWebClient) -> None:
    slack, channel = office.slack, office.general
    post: Callable[[], Awaitable[Any]] = lambda: client.chat_postMessage(channel=channel, text="Hello")  # noqa: E731
    slack.faults.add(faults.rate_limited(7), "chat.postMessage", after=1)
    slack.faults.add(faults.unavailable(), "chat.postMessage")
    slack.faults.add(faults.rate_limited_with_200(), "chat.postMessage")
    slack.faults.add(faults.refuses("restricted_action"), "chat.postMessage", when=lambda arguments: "channel" in arguments)

    with pytest.raises(SlackApiError) as unavailable:
        await post()
    assert unavailable.value.response.status_code == 503
    with pytest.raises(SlackApiError) as limited:
        await post()
    assert (limited.value.response.status_code, limited.value.response.headers["Retry-After"]) == (429, "7")
    assert [await error_of(post()) for _ in range(2)] == ["ratelimited", "restricted_action"]
    assert (await post())["ok"]
    with pytest.raises(ValueError, match="does not document"):
        slack.faults.add(faults.refuses("hash_conflict"), "chat.postMessage")


async def test_a_lost_reply_leaves_the_message_there(office: Office, client: AsyncWebClient) -> None:
    slack = office.slack
    slack.faults.add(faults.drops_call(), "chat.postMessage")
    slack.faults.add(faults.loses_reply(), "chat.postMessage")

    for posted in (0, 1):
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.chat_postMessage(channel=office.general, text="Hello")
        assert len(slack.world.timeline(office.general)) == posted


@pytest.mark.slow
async def test_slack_sdk_repeats_a_post_whose_reply_was_lost(office: Office) -> None:
    office.slack.faults.add(faults.loses_reply(), "chat.postMessage")
    repeating = a_client(office.slack, AsyncConnectionErrorRetryHandler())

    await repeating.chat_postMessage(channel=office.general, text="Hello")

    assert len(office.slack.world.timeline(office.general)) == 2


async def test_rate_limits_hold_where_they_are_enforced(office: Office, client: AsyncWebClient) -> None:
    slack = office.slack
    slack.enforces_rate_limits = True
    posts = [client.chat_postMessage(channel=office.general, text="Hello") for _ in range(4)]
    for post in posts[:3]:
        await post
    assert await error_of(posts[3]) == "ratelimited"
    await client.chat_postMessage(channel=office.leads, text="Hello")
    slack.clock.advance(1)
    await client.chat_postMessage(channel=office.general, text="Hello")

    listed = [await client.users_list() for _ in range(20)]
    assert len(listed) == 20
    assert await error_of(client.users_list()) == "ratelimited"
