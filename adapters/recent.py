"""Remembers for a while what a platform said, and asks once where many want to know at the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_KEPT = 20_000


@dataclass(frozen=True)
class _Kept(Generic[V]):
    value: "asyncio.Future[V]"
    until: float


class Recent(Generic[K, V]):
    """Values by key, each kept for `keep_s` seconds from when it was asked for. A failure is kept for nobody."""

    def __init__(self, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._clock = clock
        self._kept: dict[K, _Kept[V]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """The value that is kept, or what `ask` gives. Raises what that raises."""
        kept = self._kept.get(key)
        if kept is None or kept.until <= self._clock():
            kept = _Kept(asyncio.ensure_future(ask()), self._clock() + self._keep_s)
            self._make_room()
            self._kept[key] = kept
            kept.value.add_done_callback(lambda done: self._forget_failure(key, done))
        return await asyncio.shield(kept.value)  # others may be waiting for it

    def has(self, key: K) -> bool:
        kept = self._kept.get(key)
        return kept is not None and kept.until > self._clock()

    def put(self, key: K, value: V) -> None:
        future: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        future.set_result(value)
        self._make_room()
        self._kept[key] = _Kept(future, self._clock() + self._keep_s)

    def forget(self, key: K) -> None:
        self._kept.pop(key, None)

    def _forget_failure(self, key: K, done: "asyncio.Future[V]") -> None:
        kept = self._kept.get(key)
        if (done.cancelled() or done.exception()) and kept is not None and kept.value is done:
            del self._kept[key]

    def _make_room(self) -> None:
        if len(self._kept) >= MAX_KEPT:
            now = self._clock()
            self._kept = {key: kept for key, kept in self._kept.items() if kept.until > now}
        while len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
