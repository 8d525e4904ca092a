"""The way in and out where whoever asks waits for the answer: done at once, and nothing kept for another time.

In place of inbox and outbox, which exist because a platform is told "received" and then forgets. Who sits at a terminal sees
that their question died with the process and asks again; and a question that waited in the database would be taken up by
whichever process looks there first, for readers who are not its own.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from bot.conversation import Exchange, ExchangeId
from bot.inbox import Respond
from bot.messages import Delivery, DeliveryKey, IncomingMessage
from bot.ports import ChatPlatform
from bot.storage.exchanges import ExchangeStore


class AtOnce:
    """Answers a message before it returns, and delivers what is put into it. Is its own `Drafts`."""

    def __init__(self, exchanges: ExchangeStore, platforms: Mapping[str, ChatPlatform]) -> None:
        self._exchanges = exchanges
        self._platforms = platforms
        self._drafts: dict[DeliveryKey, str] = {}
        self._last: Exchange | None = None

    async def answer(self, respond: Respond, message: IncomingMessage, available_at: datetime | None = None) -> None:
        """Stores the exchange and sends what goes out. Raises what `respond` and the platform raise."""
        responded = await respond(message, 1)
        if responded.exchange:
            await asyncio.to_thread(self._exchanges.add, responded.exchange)
            self._last = responded.exchange
        for delivery in responded.deliveries:
            await self.deliver(delivery)

    async def deliver(self, delivery: Delivery) -> None:
        platform = self._platforms[delivery.place.platform]
        await platform.deliver(delivery, draft=self._drafts.pop(delivery.key, ""))

    def exchange(self, id: ExchangeId) -> Exchange | None:
        """The last exchange with all that led to it; None for any other."""
        return self._last if self._last and self._last.id == id else None

    def begin_stream(self, key: DeliveryKey, now: datetime) -> bool:
        return key not in self._drafts

    def set_draft(self, key: DeliveryKey, message_id: str) -> None:
        self._drafts[key] = message_id
