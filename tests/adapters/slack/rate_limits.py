"""Slack's rate limits, as token buckets per workspace and method; `chat.postMessage` per channel. Off unless asked for."""

from collections.abc import Callable

from tests.adapters.slack.reference import Method
from tests.adapters.slack.state import Json

POSTS_PER_SECOND = 1.0  # chat.postMessage, per channel
POST_BURST = 3.0  # "short bursts" are allowed; how short is not documented


class RateLimits:
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buckets: dict[tuple[str, ...], tuple[float, float]] = {}

    def wait_s(self, method: Method, team: str, arguments: Json) -> int:
        """0 where the call may go ahead, which uses it up; else the seconds to wait."""
        if method.name == "chat.postMessage":
            return self._take((team, method.name, str(arguments.get("channel"))), POST_BURST, POSTS_PER_SECOND)
        if method.calls_per_minute is None:
            return 0
        return self._take((team, method.name), float(method.calls_per_minute), method.calls_per_minute / 60)

    def _take(self, key: tuple[str, ...], size: float, per_second: float) -> int:
        now = self._now()
        left, since = self._buckets.get(key, (size, now))
        left = min(size, left + (now - since) * per_second)
        if left < 1:
            self._buckets[key] = (left, now)
            return max(1, round((1 - left) / per_second))
        self._buckets[key] = (left - 1, now)
        return 0
