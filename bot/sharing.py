"""Shows an answer to more people, or more of it to one: always made anew for those who will see it, never copied."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from bot.conversation import Exchange, ExchangeId, Outcome, Question
from bot.engine import AnswerEngine
from bot.errors import CommandRejected
from bot.messages import Delivery, DeliveryKey, Notice, Person, Place, Reply
from bot.people import RoleBook
from bot.ports import ChatPlatform, Put
from bot.replies import reply_of
from bot.storage.exchanges import ExchangeStore, StoredExchange
from knowledge.documents import Audience


class Sharing:
    """What the buttons "Share" and "Show me" do."""

    def __init__(
        self, engine: AnswerEngine, exchanges: ExchangeStore, roles: RoleBook, platforms: Mapping[str, ChatPlatform], put: Put
    ) -> None:
        self._engine = engine
        self._exchanges = exchanges
        self._roles = roles
        self._platforms = platforms
        self._put = put

    async def share(self, person: Person, exchange_id: ExchangeId, place: Place) -> Notice:
        """Posts the answer to the person's own question, made of what everybody there may read. Raises CommandRejected."""
        asked = await self._own(person, exchange_id)
        viewers = await self._platforms[place.platform].viewers(place)
        audience = await asyncio.to_thread(self._roles.audience_of, viewers)
        exchange = await self._again(asked, audience, place.conversation, is_private=not viewers.is_open)
        if exchange.answer.outcome is not Outcome.ANSWERED:
            raise CommandRejected(
                "What answers this stands in documents that not everybody here may read, so I did not share it."
            )
        await asyncio.to_thread(self._exchanges.add, exchange)
        reply = reply_of(exchange)
        shared = replace(reply, text=f"{person.name} asked: {asked.question}\n\n{reply.text}")
        await self._put(Delivery(DeliveryKey(f"share:{exchange_id}:{place.channel}"), place, shared, exchange=exchange.id))
        return Notice("Shared.")

    async def show_rest(self, person: Person, exchange_id: ExchangeId) -> Reply:
        """The answer made of all that the asker may read, for their eyes only. Raises CommandRejected."""
        asked = await self._own(person, exchange_id)
        groups = await asyncio.to_thread(self._roles.groups_of, person.id)
        exchange = await self._again(asked, groups, asked.conversation, is_private=True)
        await asyncio.to_thread(self._exchanges.add, exchange)
        return reply_of(exchange, can_share=True)

    async def _own(self, person: Person, exchange_id: ExchangeId) -> StoredExchange:
        exchange = await asyncio.to_thread(self._exchanges.get, exchange_id)
        if exchange is None or exchange.asked_by != person.id or not person.is_member:
            raise CommandRejected("Only the person who asked this can do that.")
        return exchange

    async def _again(self, asked: StoredExchange, audience: Audience, conversation: str, is_private: bool) -> Exchange:
        question = Question(asked.question, audience, asked_by=asked.asked_by, conversation=conversation, is_private=is_private)
        return await self._engine.compose(question)
