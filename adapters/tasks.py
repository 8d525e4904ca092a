"""Work that was begun and must be finished before we leave: neither bolt nor discord.py keeps hold of it."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bot.errors import DeliveryRefused, PlatformUnavailable

logger = logging.getLogger(__name__)


class Tasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Errors are logged."""
        task = asyncio.create_task(_logged(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def drain(self) -> None:
        """Returns when all of it is finished."""
        while self._running:
            await asyncio.wait(self._running)

    def cancel(self) -> None:
        for task in self._running:
            task.cancel()


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except (PlatformUnavailable, DeliveryRefused) as err:
        logger.warning("An action of a person could not be answered: %s", err)
    except Exception:  # the outermost loop of one action
        logger.exception("An action of a person failed")
