"""A real slack-bolt app, connected to a pretended Slack over real sockets: the client of this package's own tests."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from tests.adapters.slack.server import SlackServer


def a_client(slack: SlackServer, *retry_handlers: AsyncRetryHandler, token: str | None = None) -> AsyncWebClient:
    """A client of the Web API that repeats nothing unless told to."""
    return AsyncWebClient(token=token or slack.bot_token, base_url=slack.api_url, retry_handlers=list(retry_handlers))


async def error_of(call: Awaitable[Any]) -> str:
    """The error that Slack refuses a call with. AssertionError where it does not."""
    try:
        await call
    except SlackApiError as refused:
        return str(refused.response["error"])
    raise AssertionError("The call was not refused.")


def an_app(slack: SlackServer) -> AsyncApp:
    return AsyncApp(client=a_client(slack), signing_secret=slack.signing_secret)


@asynccontextmanager
async def connected(slack: SlackServer, app: AsyncApp, sockets: int = 1) -> AsyncIterator[list[AsyncSocketModeHandler]]:
    """The app with that many sockets open."""
    handlers = [AsyncSocketModeHandler(app, slack.app_token, ping_interval=0.2) for _ in range(sockets)]
    try:
        for handler in handlers:
            await handler.connect_async()  # type: ignore[no-untyped-call]
        await slack.until(lambda: len(slack.sockets.ready) == sockets)
        yield handlers
    finally:
        for handler in handlers:
            await handler.close_async()  # type: ignore[no-untyped-call]
