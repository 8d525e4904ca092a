"""Slack's events over HTTP: bolt answers them, after what bolt lets pass (replays, odd timestamps) has been turned away."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_sdk.signature import SignatureVerifier

from bot.errors import PlatformUnavailable

PATH = "/slack/events"
REPLAY_S = 600.0
"""Twice as long as Slack's signatures are good for."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ReplayGuard:
    """Lets each signed request through once."""

    def __init__(self, signing_secret: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._verifier = SignatureVerifier(signing_secret)
        self._clock = clock
        self._seen: dict[tuple[str, str], float] = {}

    def admits(self, body: bytes, timestamp: str, signature: str) -> bool:
        """Whether it is signed by Slack, young enough, and new here."""
        if not (timestamp.isascii() and timestamp.isdigit()) or not self._verifier.is_valid(body, timestamp, signature):
            return False
        now = self._clock()
        while self._seen and (oldest := next(iter(self._seen.items())))[1] <= now - REPLAY_S:
            del self._seen[oldest[0]]
        if (timestamp, signature) in self._seen:
            return False
        self._seen[timestamp, signature] = now
        return True

    def readmit(self, timestamp: str, signature: str) -> None:
        """It came to nothing: Slack may send it again within the same second."""
        self._seen.pop((timestamp, signature), None)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "POST":
            return await handler(request)
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        if not self.admits(await request.read(), timestamp, signature):
            return web.json_response({"error": "invalid request"}, status=401)
        response = await handler(request)
        if response.status != 200:
            self.readmit(timestamp, signature)
        return response


class HttpServer:
    """The app on a port, for as long as the `async with` block. Raises PlatformUnavailable where the port is taken."""

    def __init__(self, app: AsyncApp, signing_secret: str, host: str, port: int) -> None:
        application = app.web_app(path=PATH, port=port)
        application.middlewares.append(ReplayGuard(signing_secret).middleware)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        self._host, self._port = host, port

    @property
    def port(self) -> int:
        """The one that it got, where it asked for any."""
        return int(self._runner.addresses[0][1])

    async def __aenter__(self) -> "HttpServer":
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as err:
            await self._runner.cleanup()
            raise PlatformUnavailable("Slack", f"port {self._port} of {self._host} cannot be used ({err.strerror})") from err
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Nothing comes in any more; requests that are under way are answered."""
        await self._runner.cleanup()
