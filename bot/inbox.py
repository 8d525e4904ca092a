"""The durable way in: a message is committed under its key, then answered by a worker under a lease.

Attempts rise before each try; after three the message is given up, and its asker and the admins are told. Knows nothing of
what answering means: that is `respond`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from bot.conversation import Exchange
from bot.errors import PlatformUnavailable, fault_id
from bot.messages import Delivery, IncomingMessage
from bot.storage.intake import ClaimedMessage, IntakeStore
from bot.workers import Workers, kept

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=10)  # how long the messages of a process that died wait for another
MAX_ATTEMPTS = 3
MAX_CLAIMS = 20  # a process may die for other reasons than the message that it works on, but not that often
RETRY_AFTER = timedelta(seconds=2)
PLATFORM_PAUSE = timedelta(seconds=5)  # an absence of the platform is no fault of the message


@dataclass(frozen=True)
class Responded:
    """What answering came to; committed together with the end of the message. `wait_until`: not answered before then."""

    deliveries: Sequence[Delivery] = ()
    exchange: Exchange | None = None
    wait_until: datetime | None = None


Respond = Callable[[IncomingMessage, int], Awaitable[Responded]]
"""(message, attempt from 1) -> what goes out. Raises when it could not be answered now."""
GiveUp = Callable[[IncomingMessage, str], Awaitable[Sequence[Delivery]]]
"""(message, id of the fault in the log) -> what its asker and the admins are told."""


class Inbox:
    """Takes messages in and has them answered by `workers` at a time."""

    def __init__(
        self, store: IntakeStore, respond: Respond, give_up: GiveUp, on_deliveries: Callable[[], None], workers: int
    ) -> None:
        self._store = store
        self._respond = respond
        self._give_up = give_up
        self._on_deliveries = on_deliveries
        self._workers = Workers("inbox", workers, self._take, empties=False)
        self._owner = uuid4().hex

    async def put(self, message: IncomingMessage, available_at: datetime | None = None) -> bool:
        """Commits the message; False when it is known already. Raises DatabaseUnavailable."""
        now = datetime.now(UTC)
        is_new = await asyncio.to_thread(self._store.put_message, message, now, available_at or now)
        self._workers.wake()
        return is_new

    async def run(self) -> None:
        """Answers until `stop`; then returns when the answers under way are finished."""
        await self._workers.run()

    def stop(self) -> None:
        """Takes no new message up."""
        self._workers.stop()

    async def _take(self) -> bool:
        claimed = await asyncio.to_thread(self._store.claim_message, self._owner, datetime.now(UTC), LEASE)
        if claimed:
            await self._answer(claimed)
        return claimed is not None

    async def _answer(self, claimed: ClaimedMessage) -> None:
        if claimed.attempt > MAX_CLAIMS:
            await self._give_up_on(claimed, "it was taken up again and again, and the process died each time")
            return
        try:
            async with kept(LEASE, partial(self._store.renew_message, claimed)):
                responded = await self._respond(claimed.message, claimed.attempt)
        except asyncio.CancelledError:
            await asyncio.shield(self._release(claimed, datetime.now(UTC), claimed.attempt - 1))
            raise
        except PlatformUnavailable as err:
            logger.info("Message %s waits: %s", claimed.message.key, err)
            retry_at = datetime.now(UTC) + max(PLATFORM_PAUSE, timedelta(seconds=err.retry_after_s))
            await self._release(claimed, retry_at, claimed.attempt - 1)
            return
        except Exception:  # one message: it is tried again, or given up
            await self._failed(claimed)
            return
        if responded.wait_until:
            await self._release(claimed, responded.wait_until, 0)
            return
        await self._finish(claimed, responded.deliveries, responded.exchange)

    async def _failed(self, claimed: ClaimedMessage) -> None:
        logger.exception("Message %s could not be answered, attempt %d", claimed.message.key, claimed.attempt)
        if claimed.attempt < MAX_ATTEMPTS:
            await self._release(claimed, datetime.now(UTC) + RETRY_AFTER * claimed.attempt, claimed.attempt)
        else:
            await self._give_up_on(claimed, "the faults above")

    async def _give_up_on(self, claimed: ClaimedMessage, reason: str) -> None:
        fault = fault_id()
        logger.error("Message %s is given up, fault %s: %s", claimed.message.key, fault, reason)
        await self._finish(claimed, await self._give_up(claimed.message, fault), state="dead")

    async def _release(self, claimed: ClaimedMessage, available_at: datetime, attempts: int) -> None:
        await asyncio.to_thread(self._store.release_message, claimed, available_at, attempts)

    async def _finish(
        self, claimed: ClaimedMessage, deliveries: Sequence[Delivery], exchange: Exchange | None = None, state: str = "done"
    ) -> None:
        now = datetime.now(UTC)
        is_ours = await asyncio.to_thread(self._store.finish_message, claimed, now, deliveries, exchange, state)
        if not is_ours:
            logger.warning("Message %s was answered by another worker meanwhile", claimed.message.key)
        self._on_deliveries()
