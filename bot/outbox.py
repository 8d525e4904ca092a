"""The durable way out: sends replies until their platform has them, and never twice as far as the platform lets us know."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.messages import Delivery
from bot.ports import ChatPlatform
from bot.storage.intake import ClaimedDelivery, IntakeStore

logger = logging.getLogger(__name__)

SENDERS = 8
LEASE = timedelta(seconds=30)
HEARTBEAT_S = 10.0
POLL_S = 1.0
FAULT_PAUSE_S = 1.0
FIRST_PAUSE_S = 1.0
MAX_FAULTS = 5
LONGEST_PAUSE_S = 15.0  # a platform that is back is used again within this time


class Outbox:
    """Sends what is put into it through the platform that its place names; replies older than `give_up_after` are dropped."""

    def __init__(self, store: IntakeStore, platforms: Mapping[str, ChatPlatform], give_up_after: timedelta) -> None:
        self._store = store
        self._platforms = platforms
        self._give_up_after = give_up_after
        self._owner = uuid4().hex
        self._arrived = asyncio.Event()
        self._is_stopping = False
        self._paused: dict[str, datetime] = {}

    async def put(self, delivery: Delivery) -> None:
        """Commits the reply; one with a key that is known is the same one. Raises DatabaseUnavailable."""
        await asyncio.to_thread(self._store.put_delivery, delivery, datetime.now(UTC))
        self.wake()

    def wake(self) -> None:
        """There is something to send."""
        self._arrived.set()

    async def run(self) -> None:
        """Sends until `stop`; then returns when the sendings under way are finished."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(SENDERS):
                tasks.create_task(self._work())

    def stop(self) -> None:
        """Sends what is due, and then no more; what has to wait is sent after the next start."""
        self._is_stopping = True
        self._arrived.set()

    async def _work(self) -> None:
        is_over = False
        while not is_over:
            try:
                self._arrived.clear()  # before looking: what comes while we look wakes us
                claimed = await asyncio.to_thread(
                    self._store.claim_delivery, self._owner, datetime.now(UTC), LEASE, self._paused_channels()
                )
                if claimed:
                    await self._send(claimed)
                else:
                    is_over = self._is_stopping
                    await self._wait()
            except Exception:  # one of the two outermost loops: the reply comes back when its lease ends
                logger.exception("The outbox cannot be worked on; trying again")
                await asyncio.sleep(FAULT_PAUSE_S)

    async def _wait(self) -> None:
        if not self._is_stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), POLL_S)
        if self._is_stopping:
            self._arrived.set()  # for the other senders

    async def _send(self, claimed: ClaimedDelivery) -> None:
        delivery = claimed.delivery
        platform = self._platforms.get(delivery.place.platform)
        if platform is None:
            await self._put_off(claimed, f"{delivery.place.platform} is not switched on", LONGEST_PAUSE_S)
            return
        heartbeat = asyncio.create_task(self._keep(claimed))
        try:
            ids = await platform.deliver(delivery, draft=claimed.draft, is_retry=claimed.is_retry)
        except PlatformUnavailable as err:
            if err.retry_after_s:
                self._paused[delivery.place.channel] = datetime.now(UTC) + timedelta(seconds=err.retry_after_s)
            await self._put_off(claimed, str(err), err.retry_after_s or pause_s(claimed.attempt))
            return
        except DeliveryRefused as err:
            logger.error("Reply %s is given up: %s", delivery.key, err)
            await asyncio.to_thread(self._store.fail_delivery, claimed, str(err), None)
            return
        except Exception as err:  # a fault of ours in one reply must not stop the others
            logger.exception("Reply %s could not be sent, attempt %d", delivery.key, claimed.attempt)
            retry_at = datetime.now(UTC) + timedelta(seconds=pause_s(claimed.attempt))
            is_last = claimed.attempt >= MAX_FAULTS
            await asyncio.to_thread(self._store.fail_delivery, claimed, repr(err), None if is_last else retry_at)
            return
        finally:
            heartbeat.cancel()
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

    async def _keep(self, claimed: ClaimedDelivery) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await asyncio.to_thread(self._store.renew_delivery, claimed, datetime.now(UTC) + LEASE)


def pause_s(attempt: int) -> float:
    """Seconds before the next try, after that many: 1, 2, 4, 8, 15, 15, ..."""
    return float(min(FIRST_PAUSE_S * 2 ** min(attempt - 1, 10), LONGEST_PAUSE_S))
