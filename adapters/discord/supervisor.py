"""Keeps a connection to the gateway up: new ones after a growing pause, within the number of sessions that Discord allows.

discord.py resumes what it can by itself; whatever ends its client comes here, faults of its own included.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import discord

from adapters.discord.inbound import PLATFORM
from adapters.discord.rest import BAD_TOKEN, NAME, BadToken, Rest
from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.pauses import growing_pause_s

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STEADY_S = 60.0  # a connection that held that long was no failure
NOTICEABLE_S = 5.0  # a shorter gap is one of the many that Discord makes by itself
SESSIONS_A_DAY = 1000  # Discord resets the token of a bot that starts more
SESSIONS_KEPT = 50  # so many are left for a person who looks into it
SESSION_STARTS = "session_starts"
DAY = timedelta(days=1)

AUTHENTICATION_FAILED, DISALLOWED_INTENTS = 4004, 4014
NEVER_AGAIN = {
    4010: "it takes our shard for invalid",
    4011: "the bot is in too many servers for one connection",
    4012: "it does not know this version of its API any more",
    4013: "it does not know the intents that we ask for",
}
NO_CONTENT = (
    "Discord does not let the bot read messages that do not name it; it answers mentions, direct messages and commands. "
    'To have it answer other questions, switch on "Message Content Intent" on the page Bot of the Developer Portal.'
)


class Memory(Protocol):
    """What outlives the process."""

    async def remember(self, platform: str, name: str, value: dict[str, Any]) -> None: ...

    async def recall(self, platform: str, name: str) -> dict[str, Any] | None: ...


class TooManySessions(PlatformUnavailable):
    """Another one might cost the token."""

    def __init__(self, left: int, wait_s: float) -> None:
        reason = (
            f"only {left} of its sessions a day are left, and a bot that needs more loses its token; "
            f"find out why it connects so often. The next day begins in {wait_s / 3600:.1f} h"
        )
        super().__init__(NAME, reason, wait_s)


class SessionBudget:
    """Counts sessions that are started, over restarts of ours too; Discord's own count decides where it is known."""

    def __init__(self, rest: Rest, memory: Memory) -> None:
        self._rest = rest
        self._memory = memory

    async def check(self) -> None:
        """To be called before a connection is made. Raises TooManySessions, and PlatformUnavailable when Discord does not say."""
        found = await self._rest.call("GET", "/gateway/bot", {})
        limit = found["session_start_limit"]
        if limit["remaining"] <= SESSIONS_KEPT:
            raise TooManySessions(limit["remaining"], limit["reset_after"] / 1000)
        await self._counted()

    async def spend(self) -> None:
        """To be called before each new session, of a connection that stands too. Raises TooManySessions."""
        since, count = await self._counted()
        await self._memory.remember(PLATFORM, SESSION_STARTS, {"since": since.isoformat(), "count": count + 1})

    async def _counted(self) -> tuple[datetime, int]:
        now = datetime.now(UTC)
        since, count = read_starts(await self._memory.recall(PLATFORM, SESSION_STARTS), now)
        if count >= SESSIONS_A_DAY - SESSIONS_KEPT:
            raise TooManySessions(SESSIONS_A_DAY - count, (since + DAY - now).total_seconds())
        return since, count


def read_starts(kept: dict[str, Any] | None, now: datetime) -> tuple[datetime, int]:
    """Since when, and how many; counted anew after a day (pure)."""
    if kept is None or now - datetime.fromisoformat(kept["since"]) >= DAY:
        return now, 0
    return datetime.fromisoformat(kept["since"]), int(kept["count"])


class ConnectionState:
    """Whether we are connected; tells the log once when that ends for longer than a moment, and once when it is over."""

    def __init__(self, noticeable_s: float = NOTICEABLE_S) -> None:
        self.is_connected = False
        self._connected_at = 0.0
        self._noticeable_s = noticeable_s
        self._lost_at = time.monotonic()
        self._is_told = False
        self._telling: asyncio.TimerHandle | None = None

    def connected(self) -> None:
        if self._telling:
            self._telling.cancel()
            self._telling = None
        now = time.monotonic()
        if self._is_told:
            logger.warning("Discord is connected again after %.0f s", now - self._lost_at)
        elif not self.is_connected:
            logger.info("Discord is connected")
        self._is_told = False
        self.is_connected = True
        self._connected_at = now

    def disconnected(self, reason: str = "") -> None:
        if self.is_connected:
            self._lost_at = time.monotonic()
        self.is_connected = False
        if self._telling is None and not self._is_told:
            self._telling = asyncio.get_running_loop().call_later(self._noticeable_s, self._tell, reason or "connection lost")

    @property
    def lost_for_s(self) -> float:
        """Seconds since the connection was lost; 0 while there is one."""
        return 0.0 if self.is_connected else time.monotonic() - self._lost_at

    def held_s(self, since: float) -> float:
        """Seconds that the connection made after that moment held; 0 when there was none."""
        end = time.monotonic() if self.is_connected else self._lost_at
        return end - self._connected_at if self._connected_at >= since else 0.0

    def close(self) -> None:
        self.is_connected = False
        if self._telling:
            self._telling.cancel()

    def _tell(self, reason: str) -> None:
        self._telling = None
        self._is_told = True
        logger.warning("Discord is not connected (%s); trying again until it is", reason)


async def keep_connected(
    connect: Callable[[bool], Awaitable[None]],
    state: ConnectionState,
    *,
    first_pause_s: float = FIRST_PAUSE_S,
) -> None:
    """Calls `connect` (may it ask for the text of messages?) again whenever it ends, until cancelled.

    Raises DeliveryRefused when no try can help, TooManySessions when that could do harm.
    """
    reads_content, failures = True, 0
    while True:
        started = time.monotonic()
        try:
            await connect(reads_content)
            reason = "connection closed"
        except BadToken as err:
            raise DeliveryRefused(NAME, BAD_TOKEN) from err
        except TooManySessions:
            raise
        except PlatformUnavailable as err:
            reason = str(err)
        except discord.ConnectionClosed as err:
            if err.code == DISALLOWED_INTENTS and reads_content:
                logger.warning(NO_CONTENT)
                reads_content = False
                continue
            reason = _reason(err)
        except Exception as err:  # the outermost loop of the connection: discord.py ends with whatever its faults raise
            logger.debug("The connection to Discord ended", exc_info=True)
            reason = repr(err)
        failures = 0 if state.held_s(started) >= STEADY_S else failures + 1
        state.disconnected(reason)
        await asyncio.sleep(growing_pause_s(failures, first_pause_s, LONGEST_PAUSE_S, random.random()))


def _reason(err: discord.ConnectionClosed) -> str:
    if err.code == AUTHENTICATION_FAILED:
        raise DeliveryRefused(NAME, BAD_TOKEN) from err
    if err.code in NEVER_AGAIN:
        raise DeliveryRefused(NAME, NEVER_AGAIN[err.code]) from err
    return f"closed with {err.code}"
