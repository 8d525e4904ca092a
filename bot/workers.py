"""Loops that take one thing after the other, and leases that are kept while it is worked on. Knows nothing of what things are."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

logger = logging.getLogger(__name__)

POLL_S = 1.0
FAULT_PAUSE_S = 1.0  # after a fault of the database
RENEWALS = 3  # of a lease within its time


class Workers:
    """`count` loops that call `take`, which does the next thing that is due and says whether there was one.

    `empties`: told to stop, they do what is due first; else they take nothing more up.
    """

    def __init__(self, name: str, count: int, take: Callable[[], Awaitable[bool]], *, empties: bool) -> None:
        self._name = name
        self._count = count
        self._take = take
        self._empties = empties
        self._arrived = asyncio.Event()
        self._is_stopping = False

    def wake(self) -> None:
        """There is something to do."""
        self._arrived.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._arrived.set()

    async def run(self) -> None:
        """Until `stop`; then returns when what is under way is finished."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._count):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while not self._is_stopping or self._empties:
            is_last_look = self._is_stopping
            self._arrived.clear()  # before looking: what comes while we look wakes us
            try:
                if await self._take():
                    continue
            except Exception:  # one of the outermost loops: what was taken comes back when its lease ends
                logger.exception("The %s cannot be worked on; trying again", self._name)
                await asyncio.sleep(FAULT_PAUSE_S)
            if is_last_look:
                return
            await self._wait()

    async def _wait(self) -> None:
        if not self._is_stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._arrived.wait()
        if self._is_stopping:
            self._arrived.set()  # for the other workers


@asynccontextmanager
async def kept(lease: timedelta, renew: Callable[[datetime], object]) -> AsyncIterator[None]:
    """Renews a lease while the block runs; `renew` is given its new end, in a thread."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(lease.total_seconds() / RENEWALS)
            await asyncio.to_thread(renew, datetime.now(UTC) + lease)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
