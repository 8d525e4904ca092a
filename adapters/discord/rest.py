"""Calls of Discord's REST API, through discord.py's client with its rate limits; failures as our errors.

One client for the life of the platform: connections to the gateway come and go, and replies are sent all the same.
"""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from adapters.proxies import proxy_for
from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.settings import DiscordSettings

NAME = "Discord"
MAX_RATE_LIMIT_WAIT_S = 60.0  # a longer one is an error here, and the outbox waits
CALL_TIMEOUT_S = 90.0
BAD_TOKEN = "the token is not valid; set TIMBRE_DISCORD__TOKEN to the one on the page Bot of the Developer Portal"


class Refused(DeliveryRefused):
    """Discord refuses a call; `code` is its own number for the reason (0 where it gives none)."""

    def __init__(self, status: int, code: int, reason: str) -> None:
        super().__init__(NAME, f"{reason} ({status}, code {code})")
        self.status = status
        self.code = code


class BadToken(PlatformUnavailable):
    """The token is no good (any more): with another one the same call works."""

    def __init__(self) -> None:
        super().__init__(NAME, BAD_TOKEN)


def point_at(settings: DiscordSettings) -> None:
    """Sets the addresses of REST and gateway, which discord.py keeps for the whole process."""
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody here speaks
    Route.BASE = settings.api_url.rstrip("/")
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.gateway_url)


class Rest:
    """Opened by the first call."""

    def __init__(self, settings: DiscordSettings) -> None:
        self._settings = settings
        self._client: discord.Client | None = None
        self._opening = asyncio.Lock()

    async def client(self) -> discord.Client:
        """The client, logged in. Raises PlatformUnavailable, BadToken among them."""
        async with self._opening:
            if self._client is None:
                self._client = await self._logged_in()
            return self._client

    async def call(
        self, method: str, path: str, ids: Mapping[str, Any], json: object = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        """What Discord answers. Raises PlatformUnavailable when it may work later, Refused when it will not."""
        client = await self.client()
        options: dict[str, Any] = {} if json is None else {"json": json}
        if query:
            options["params"] = query
        return await translated(client.http.request(Route(method, path, **ids), **options))

    async def close(self) -> None:
        if self._client:
            await self._client.close()

    async def _logged_in(self) -> discord.Client:
        # all of them, so that the list of members may be asked for: this client never identifies on the gateway
        client = discord.Client(
            intents=discord.Intents.all(),
            proxy=proxy_for(self._settings.api_url),
            max_ratelimit_timeout=MAX_RATE_LIMIT_WAIT_S,
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
        )
        try:
            await translated(client.login(self._settings.token.get_secret_value()))
        except BaseException:
            await client.close()
            raise
        return client


async def translated(call: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
    """The result of the awaitable, discord.py's errors as ours."""
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except discord.LoginFailure as err:
        raise BadToken from err
    except discord.RateLimited as err:
        raise PlatformUnavailable(NAME, "it asks us to slow down", err.retry_after) from err
    except discord.HTTPException as err:
        raise _translation(err) from err
    except (aiohttp.ClientError, OSError, TimeoutError, socket.gaierror) as err:
        raise PlatformUnavailable(NAME, str(err) or type(err).__name__) from err


def _translation(err: discord.HTTPException) -> PlatformUnavailable | DeliveryRefused:
    if err.status == 401 and err.code == 0:
        return BadToken()
    if err.status == 429 or err.status >= 500:
        return PlatformUnavailable(NAME, f"it answers {err.status}", _retry_after_s(err))
    return Refused(err.status, err.code, err.text.replace("\n", " ") or "it gives no reason")


def _retry_after_s(err: discord.HTTPException) -> float:
    try:
        return float(err.response.headers.get("Retry-After", 0))
    except ValueError:
        return 0
