"""Records what people think of answers, and makes an approved correction knowledge at once."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from bot.conversation import ExchangeId, Feedback, StandardAnswer, Verdict
from bot.engine import cleaned
from bot.errors import CommandRejected
from bot.questions import MAX_QUESTION_CHARS
from bot.storage.exchanges import ExchangeStore, StoredExchange
from knowledge.catalogue import Catalogue
from knowledge.documents import EVERYONE, Audience, ChunkId

AddStandardAnswer = Callable[[str, str, str, Audience], ChunkId]
"""(key, question, answer, audience) -> chunk: makes a standard answer findable (knowledge's ingestion, under its lock)."""


class FeedbackService:
    """Verdicts, corrections and the questions that they teach."""

    def __init__(self, exchanges: ExchangeStore, catalogue: Catalogue, add_standard_answer: AddStandardAnswer) -> None:
        self._exchanges = exchanges
        self._catalogue = catalogue
        self._add_standard_answer = add_standard_answer

    async def record(self, feedback: Feedback) -> None:
        """Stores the verdict in place of the person's earlier one.

        "Helpful" makes the question one more way to find the passage that answered it; "not helpful" takes that back. Raises
        CommandRejected when the exchange is not known.
        """
        exchange = await self.rateable(feedback.exchange_id)
        await asyncio.to_thread(self._exchanges.record, feedback)
        await asyncio.to_thread(self._learn, exchange, feedback.verdict)

    async def take_back(self, exchange_id: ExchangeId, verdict: Verdict, given_by: str) -> None:
        """As if the person had never given the verdict; does nothing when it is no longer theirs.

        What was learned is what the latest of the verdicts that remain says. Raises CommandRejected.
        """
        exchange = await self.rateable(exchange_id)
        if await asyncio.to_thread(self._exchanges.take_back, exchange_id, verdict, given_by):
            remaining = await asyncio.to_thread(self._exchanges.feedback, exchange_id)
            await asyncio.to_thread(self._learn, exchange, remaining[-1].verdict if remaining else None)

    async def given_by(self, person: str, exchange_id: ExchangeId) -> Feedback | None:
        """The person's current verdict."""
        given = await asyncio.to_thread(self._exchanges.feedback, exchange_id)
        return next((feedback for feedback in given if feedback.given_by == person), None)

    async def correct(self, exchange_id: ExchangeId, correction: str, approved_by: str) -> StandardAnswer:
        """Approves the correction: recorded as a verdict, stored as a standard answer, and findable on return.

        Its readers are those of the document that was quoted, else the groups that asked. A second correction of the same
        exchange replaces the first. Raises CommandRejected.
        """
        text = cleaned_correction(correction)
        exchange = await self.rateable(exchange_id)
        earlier = await self.given_by(approved_by, exchange_id)
        feedback = earlier or Feedback(exchange_id, Verdict.NOT_HELPFUL, approved_by)
        await self.record(replace(feedback, verdict=Verdict.NOT_HELPFUL, correction=text))
        key = exchange.standard_answer or f"answer-{exchange_id}"
        answer = StandardAnswer(key, exchange.query, text, approved_by)
        audience = readers_of(exchange)
        await asyncio.to_thread(self._add_standard_answer, answer.key, answer.question, answer.answer, audience)
        await asyncio.to_thread(self._exchanges.approve, answer, exchange_id, audience)
        return answer

    async def rateable(self, exchange_id: ExchangeId) -> StoredExchange:
        """The exchange. Raises CommandRejected when it is not known, or small talk."""
        exchange = await asyncio.to_thread(self._exchanges.get, exchange_id)
        if exchange is None:
            raise CommandRejected(f"There is no answer with the id {exchange_id}.")
        if exchange.is_small_talk:
            raise CommandRejected("That was small talk; only answers from the documents can be rated or corrected.")
        return exchange

    def _learn(self, exchange: StoredExchange, verdict: Verdict | None) -> None:
        if verdict is not Verdict.HELPFUL:
            self._catalogue.remove_known_question(origin=exchange.id)
        elif exchange.outcome == "answered" and exchange.quoted_chunks:
            self._catalogue.add_known_question(exchange.quoted_chunks[0], exchange.query, "confirmed", exchange.id)


def cleaned_correction(text: str) -> str:
    """The correction without characters that no person types. Raises CommandRejected when it says nothing, or too much."""
    try:
        return cleaned(text)
    except CommandRejected as err:
        limit = f"in fewer than {MAX_QUESTION_CHARS:,} characters"
        raise CommandRejected(f"Please say in words what would have been right, {limit}.") from err


def readers_of(exchange: StoredExchange) -> Audience:
    """Nobody reads a correction who could not read what it corrects; one of nothing is for those who asked (pure)."""
    if exchange.quoted_audience is not None:
        return exchange.quoted_audience
    return exchange.audience - {EVERYONE} or frozenset({EVERYONE})
