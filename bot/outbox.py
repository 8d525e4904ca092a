"""The durable way out: sends replies until their platform has them, and never twice as far as the platform lets us know."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.messages import Delivery
from bot.pauses import growing_pause_s
from bot.ports import ChatPlatform
from bot.storage.intake import ClaimedDelivery, IntakeStore
from bot.workers import Workers, kept

logger = logging.getLogger(__name__)

SENDERS = 8
LEASE = timedelta(seconds=30)
FIRST_PAUSE_S = 1.0
MAX_FAULTS = 5
LONGEST_PAUSE_S = 15.0  # a platform that is back is used again within this time


class Outbox:
    """Sends what is put into it through the platform that its place names; replies older than `give_up_after` are dropped."""

    def __init__(self, store: IntakeStore, platforms: Mapping[str, ChatPlatform], give_up_after: timedelta) -> None:
        self._store = store
        self._platforms = platforms
        self._give_up_after = give_up_after
        self._workers = Workers("outbox", SENDERS, self._take, empties=True)
        self._paused: dict[str, datetime] = {}

    async def put(self, delivery: Delivery) -> None:
        """Commits the reply; one with a key that is known is the same one. Raises DatabaseUnavailable."""
        await asyncio.to_thread(self._store.put_delivery, delivery, datetime.now(UTC))
        self.wake()

    def wake(self) -> None:
        """There is something to send."""
        self._workers.wake()

    async def run(self) -> None:
        """Sends until `stop`; then returns when the sendings under way are finished."""
        await self._workers.run()

    def stop(self) -> None:
        """Sends what is due, and then no more; what has to wait is sent after the next start."""
        self._workers.stop()

    async def _take(self) -> bool:
        paused = self._paused_channels()
        claimed = await asyncio.to_thread(self._store.claim_delivery, datetime.now(UTC), LEASE, paused)
        if claimed:
            await self._send(claimed)
        return claimed is not None

    async def _send(self, claimed: ClaimedDelivery) -> None:
        delivery, pause_s = claimed.delivery, growing_pause_s(claimed.attempt - 1, FIRST_PAUSE_S, LONGEST_PAUSE_S)
        platform = self._platforms.get(delivery.place.platform)
        if platform is None:
            await self._put_off(claimed, f"{delivery.place.platform} is not switched on", LONGEST_PAUSE_S)
            return
        try:
            async with kept(LEASE, partial(self._store.renew_delivery, claimed)):
                ids = await platform.deliver(delivery, draft=claimed.draft, is_retry=claimed.is_retry)
        except PlatformUnavailable as err:
            if err.retry_after_s:
                self._paused[delivery.place.channel] = datetime.now(UTC) + timedelta(seconds=err.retry_after_s)
            await self._put_off(claimed, str(err), err.retry_after_s or pause_s)
            return
        except DeliveryRefused as err:
            logger.error("Reply %s is given up: %s", delivery.key, err)
            await asyncio.to_thread(self._store.fail_delivery, claimed, str(err), None)
            return
        except Exception as err:  # a fault of ours in one reply must not stop the others
            logger.exception("Reply %s could not be sent, attempt %d", delivery.key, claimed.attempt)
            retry_at = datetime.now(UTC) + timedelta(seconds=pause_s)
            is_last = claimed.attempt >= MAX_FAULTS
            await asyncio.to_thread(self._store.fail_delivery, claimed, repr(err), None if is_last else retry_at)
            return
        await asyncio.to_thread(self._store.finish_delivery, claimed, ids)

    async def _put_off(self, claimed: ClaimedDelivery, problem: str, wait_s: float) -> None:
        now = datetime.now(UTC)
        retry_at = now + timedelta(seconds=wait_s)
        is_too_old = now - claimed.created_at > self._give_up_after
        log = logger.error if is_too_old else logger.info
        log("Reply %s is not sent, attempt %d: %s", claimed.delivery.key, claimed.attempt, problem)
        await asyncio.to_thread(self._store.fail_delivery, claimed, problem, None if is_too_old else retry_at)

    def _paused_channels(self) -> list[str]:
        now = datetime.now(UTC)
        self._paused = {channel: until for channel, until in self._paused.items() if until > now}
        return list(self._paused)
