"""What people see while an answer is made: that the bot is typing, and a message that grows by edits."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from adapters.discord.rendering import growing
from bot.errors import DeliveryRefused, PlatformUnavailable

logger = logging.getLogger(__name__)

TYPING_PAUSE_S = 8.0  # Discord shows it for ten
MAX_TYPING_S = 120.0  # an answer that took longer has failed, and will be sent some other time
EDIT_PAUSE_S = 1.2  # five edits in five seconds are allowed in a channel


class Typing:
    """Shows in a channel that an answer is on its way, until `stop`. `show` lasts for ten seconds."""

    def __init__(self, show: Callable[[int], Awaitable[None]]) -> None:
        self._show = show
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, message_id: str, channel: int) -> None:
        if message_id not in self._tasks:
            self._tasks[message_id] = asyncio.create_task(self._keep_showing(message_id, channel))

    def stop(self, message_id: str) -> None:
        if task := self._tasks.pop(message_id, None):
            task.cancel()

    def stop_all(self) -> None:
        for message_id in list(self._tasks):
            self.stop(message_id)

    async def _keep_showing(self, message_id: str, channel: int) -> None:
        try:
            async with asyncio.timeout(MAX_TYPING_S):
                while True:
                    await self._show(channel)
                    await asyncio.sleep(TYPING_PAUSE_S)
        except (TimeoutError, PlatformUnavailable, DeliveryRefused) as err:
            logger.debug("Typing is not shown any more: %r", err)
        finally:
            self._tasks.pop(message_id, None)


class GrowingMessage:
    """A `ReplyStream`. `edit` replaces what the message shows; an edit that took long is followed by as long a pause."""

    def __init__(self, edit: Callable[[str], Awaitable[None]], pause_s: float) -> None:
        self._edit = edit
        self._pause_s = pause_s
        self._text = ""
        self._shown = ""
        self._editing: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._is_over = False

    async def append(self, text: str) -> None:
        """Returns at once; what is added while an edit is under way goes into the next one."""
        self._text += text
        if not self._is_over and (self._editing is None or self._editing.done()):
            self._editing = asyncio.create_task(self._show())

    async def finish(self) -> None:
        """No edit comes after this: one that is under way is waited for."""
        self._is_over = True
        self._wake.set()
        if self._editing:
            await self._editing

    async def _show(self) -> None:
        while not self._is_over and (content := growing(self._text)) != self._shown:
            started = time.monotonic()
            try:
                await self._edit(content)
            except (PlatformUnavailable, DeliveryRefused) as err:
                logger.info("A growing answer stands still: %s", err)
                self._is_over = True
                return
            self._shown = content
            await self._rest(max(self._pause_s, time.monotonic() - started))

    async def _rest(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        except TimeoutError:
            return
