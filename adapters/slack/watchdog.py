"""Slack's Socket Mode, watched: slack_sdk asks for no new address when its own is dead, and trusts a socket that is deaf.

What it cannot mend it raises, so that whoever supervises the platform starts it anew.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient

from adapters.proxies import proxy_for
from adapters.slack.web import SlackRefused, SlackWeb, library_logger
from bot.errors import DeliveryRefused, PlatformUnavailable

logger = logging.getLogger(__name__)

CHECK_S = 0.2
PING_S = 5.0
NEW_ADDRESS_S = 5.0
"""Unconnected for so long, the address is given up and a new one asked for, which Slack grants about once in a minute."""
ANEW_S = 40.0
"""Unconnected for so long, everything is built anew."""
DEAF_S = 900.0
"""Without any event for so long, the socket is changed for a new one: it may answer pings and deliver nothing."""


class Watch:
    """Decides what to do about a connection, from looks at it (pure). Times are seconds of one clock."""

    def __init__(self, now: float) -> None:
        self._up_at = now
        self._heard_at = now
        self._address_at = now
        self.is_up = False

    def heard(self, now: float) -> None:
        self._heard_at = now

    def look(self, now: float, is_connected: bool) -> str:
        """What to do now: nothing (""), ask for a new "address", "refresh" a socket that says nothing, or begin "anew"."""
        self._tell(now, is_connected)
        if not is_connected:
            if now - self._up_at >= ANEW_S:
                return "anew"
            if now - max(self._up_at, self._address_at) >= NEW_ADDRESS_S:
                self._address_at = now
                return "address"
            return ""
        if now - self._heard_at >= DEAF_S:
            self._heard_at = now
            return "refresh"
        return ""

    def _tell(self, now: float, is_connected: bool) -> None:
        if is_connected and not self.is_up:
            logger.info("Slack is connected, after %.0f s", now - self._up_at)
            self._heard_at = now
        elif self.is_up and not is_connected:
            logger.warning("Slack is not connected any more")
            self._up_at = now
        if is_connected:
            self._up_at = now
        self.is_up = is_connected


class Socket:
    """One connection of the app; `run` keeps it until it is cancelled. `on_connected` is called each time it has come up."""

    def __init__(
        self,
        web: SlackWeb,
        app: AsyncApp,
        app_token: str,
        on_connected: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_connected = on_connected
        self._web = web
        self._app = app
        self._app_token = app_token
        self._clock = clock
        self._watch = Watch(clock())
        self._handler: AsyncSocketModeHandler | None = None
        self._connecting: set[asyncio.Task[None]] = set()

    @property
    def is_up(self) -> bool:
        return self._watch.is_up

    def heard(self) -> None:
        """Something came in."""
        self._watch.heard(self._clock())

    async def run(self) -> None:
        """Raises DeliveryRefused where the app's token is no good, PlatformUnavailable when nothing helps but a new start."""
        address = await self._address()
        handler = AsyncSocketModeHandler(
            self._app, self._app_token, logger=library_logger, web_client=self._web.client(), ping_interval=PING_S
        )
        handler.client.proxy = proxy_for(address)
        handler.client.wss_uri = address
        self._handler = handler
        self._watch = Watch(self._clock())
        self._connect(handler.connect_async())  # type: ignore[no-untyped-call]
        try:
            await self._supervise(handler.client)
        finally:
            await self.close()

    async def close(self) -> None:
        """Nothing comes in any more."""
        handler, self._handler = self._handler, None
        self._watch.is_up = False
        for connecting in self._connecting:
            connecting.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        if handler:
            await handler.close_async()  # type: ignore[no-untyped-call]

    def _connect(self, connecting: Coroutine[Any, Any, None]) -> None:
        """Lets it go on by itself: in vain, it tries for ever."""
        task = asyncio.create_task(connecting)
        self._connecting.add(task)
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        if not task.cancelled() and (err := task.exception()):
            logger.debug("A connection could not be made: %s", err)

    async def _address(self) -> str:
        try:
            opened = await self._web.call("", lambda client: client.apps_connections_open(app_token=self._app_token))
        except SlackRefused as err:
            raise DeliveryRefused(
                "Slack",
                f"TIMBRE_SLACK__APP_TOKEN is no good ({err.code}); make an app-level token (xapp-...) with the scope "
                "connections:write and switch Socket Mode on",
            ) from err
        return str(opened["url"])

    async def _supervise(self, client: SocketModeClient) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            if self._handler is None:  # closed: the end of the process is near
                continue
            if client.message_processor.done():
                raise PlatformUnavailable("Slack", "the connection has stopped taking messages in")
            is_connected, now = await client.is_connected(), self._clock()
            if is_connected and not self._watch.is_up:
                self._on_connected()
            match self._watch.look(now, is_connected):
                case "address":
                    client.wss_uri = None
                case "refresh":
                    logger.info("Slack has said nothing for %.0f minutes; changing the socket", DEAF_S / 60)
                    self._connect(client.connect_to_new_endpoint(force=True))
                case "anew":
                    raise PlatformUnavailable("Slack", f"no connection for {ANEW_S:.0f} s")
