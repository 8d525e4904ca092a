"""`timbre serve`: every platform in a supervised task of its own, the workers of inbox and outbox, health, and an orderly end."""

import asyncio
import logging
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial

from bot.errors import BotError, DatabaseUnavailable, DeliveryRefused
from bot.front_desk import FrontDesk
from bot.inbox import Inbox
from bot.outbox import Outbox
from bot.pauses import growing_pause_s
from bot.ports import ChatPlatform
from bot.releases import ReleaseWatch
from bot.settings import ChatSettings

logger = logging.getLogger(__name__)

DRAIN_S = 18.0  # an orderly end takes 20 s at most, the platforms' own goodbye included
CLOSE_S = 2.0
NOTE_EVERY_S = 5.0
WATCH_EVERY_S = 0.2
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True)
class Server:
    """What `serve` runs. `notify` tells the terminal."""

    platforms: Mapping[str, ChatPlatform]
    inbox: Inbox
    outbox: Outbox
    front_desk: FrontDesk
    watch: ReleaseWatch
    settings: ChatSettings
    notify: Callable[[str], None]

    async def run(self) -> None:
        """Serves until SIGTERM or Ctrl-C, then finishes what is under way, within 20 s. What is left waits for the next start.

        Raises DeliveryRefused when every platform refuses its tokens.
        """
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with AsyncExitStack() as stack:
            if self.settings.health_port:
                from bot.health import serve_health  # its aiohttp comes with a platform's packages

                address = (self.settings.health_host, self.settings.health_port)
                await stack.enter_async_context(serve_health(*address, partial(readiness, self.platforms)))
            await self.front_desk.resume()
            workers = [asyncio.create_task(self.inbox.run()), asyncio.create_task(self.outbox.run())]
            noting = asyncio.create_task(self._note_connected())
            watching = asyncio.create_task(self.watch.run())
            connections = [asyncio.create_task(self._supervise(platform)) for platform in self.platforms.values()]
            over = asyncio.create_task(asyncio.wait(connections))
            await asyncio.wait([asyncio.create_task(stop.wait()), over], return_when=asyncio.FIRST_COMPLETED)
            await self._drain(workers, [noting, watching, *connections])
            refusals = [err for connection in connections if not connection.cancelled() and (err := connection.exception())]
            if len(refusals) == len(connections):
                raise refusals[0]

    async def _supervise(self, platform: ChatPlatform) -> None:
        """Keeps one platform running; what it raises is waited out, with pauses that grow while it does not come up."""
        attempt = 0
        while True:
            was_up = False
            try:
                watching = asyncio.create_task(self._came_up(platform))
                try:
                    await platform.run()
                finally:
                    was_up = watching.done()
                    watching.cancel()
                logger.warning("%s ended its connection", platform.name)
            except DeliveryRefused as err:
                self.notify(f"{platform.name} is off: {err}")
                raise
            except BotError as err:
                logger.warning("%s: %s", platform.name, err)
            except Exception:  # one of the outermost loops: one platform must not stop the others
                logger.exception("%s broke off", platform.name)
            attempt = 0 if was_up else attempt + 1
            await asyncio.sleep(growing_pause_s(attempt, FIRST_PAUSE_S, LONGEST_PAUSE_S, random.random()))

    async def _came_up(self, platform: ChatPlatform) -> None:
        while not platform.is_connected:
            await asyncio.sleep(WATCH_EVERY_S)
        self.notify(f"{platform.name} is connected.")

    async def _drain(self, workers: Sequence[asyncio.Task[None]], others: Sequence[asyncio.Task[None]]) -> None:
        """What still comes in meanwhile is safe in the inbox, and answered after the next start."""
        self.notify("Finishing what is under way ...")
        inbox, outbox = workers
        self.inbox.stop()
        await asyncio.wait([inbox], timeout=DRAIN_S / 2)
        self.outbox.stop()
        await asyncio.wait([outbox], timeout=DRAIN_S / 2)
        for platform in self.platforms.values():
            with suppress(TimeoutError):
                await asyncio.wait_for(platform.close(), CLOSE_S)
        await _cancelled([*workers, *others])

    async def _note_connected(self) -> None:
        """Leaves a trace of when messages last reached us, so that the next start knows what it missed."""
        while True:
            for platform in self.platforms.values():
                with suppress(DatabaseUnavailable):  # told by whatever needs the database; a wider look back is harmless
                    await self.front_desk.note(platform.name, platform.is_connected)
            await asyncio.sleep(NOTE_EVERY_S)


def readiness(platforms: Mapping[str, ChatPlatform]) -> dict[str, bool]:
    """For each platform, whether messages reach us."""
    return {name: platform.is_connected for name, platform in platforms.items()}


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception) and not isinstance(result, DeliveryRefused):
            logger.error("Ended with an error", exc_info=result)
