"""Answers a question: select the quotes, decide, word, check, cite, store. Knows nothing of any platform."""

import asyncio
import logging
import time
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import numpy as np
import regex

from bot import abstention, citations, questions, quotes, small_talk
from bot.conversation import Answer, Exchange, ExchangeId, Outcome, Question, Quote, Turn
from bot.errors import CommandRejected, DatabaseUnavailable
from bot.ports import Retriever
from bot.storage.exchanges import ExchangeStore
from bot.voice import Voice
from bot.wording import OnText, QuoteWorder, Wording
from knowledge.documents import Audience
from knowledge.errors import KnowledgeError
from knowledge.retrieval import Retrieval

logger = logging.getLogger(__name__)

STORED_PASSAGES = 10  # of the candidates; what `/why` shows and training may see
SUGGESTIONS = 3
SUGGESTIONS_TRIED = 12
_CONTROL = regex.compile(r"[[\p{Cc}\p{Cf}\p{Cs}]--[\n\t\u200c\u200d]]", regex.V1)
"""Control and formatting characters. The two joiners stay: Persian, Hindi and emoji are typed with them."""
_HAS_WORD = regex.compile(r"[\p{L}\p{N}]")


def silent(_: str) -> None:
    """An `on_text` for callers that want the whole answer only."""


def cleaned(text: str) -> str:
    """The question without characters that no person types. Raises CommandRejected when nothing can be asked with it."""
    text = unicodedata.normalize("NFC", _CONTROL.sub("", text)).strip()
    if not text:
        raise CommandRejected("Your question is empty; please write what you want to know.")
    if not _HAS_WORD.search(text):
        raise CommandRejected("I can only answer questions in words; please write what you want to know.")
    if len(text) > questions.MAX_QUESTION_CHARS:
        size = f"{len(text):,} characters; please ask in fewer than {questions.MAX_QUESTION_CHARS:,}"
        raise CommandRejected(f"Your question has {size}, without pasted documents.")
    return text


@dataclass(frozen=True)
class Outlook:
    """What an answer would come to. `audience` may read the page that meets the question best; None when there is none."""

    outcome: Outcome
    audience: Audience | None


@dataclass(frozen=True)
class Selection:
    """What an answer would be made of: nothing where the outcome is unknown."""

    outcome: Outcome
    quotes: Sequence[Quote]


class AnswerEngine:
    """Turns questions into exchanges. Many questions may be answered at the same time.

    `suggestible` gives (title, heading) pairs that an audience may read in some sources, of which questions are suggested.
    """

    def __init__(
        self,
        retriever: Retriever,
        exchanges: ExchangeStore,
        voice: Voice,
        worder: QuoteWorder,
        suggestible: Callable[[Audience, Collection[str]], Sequence[tuple[str, str]]],
        *,
        max_quotes: int,
        ask_whom: str,
    ) -> None:
        self._retriever = retriever
        self._exchanges = exchanges
        self._voice = voice
        self._worder = worder
        self._suggestible = suggestible
        self._max_quotes = max_quotes
        self._ask_whom = ask_whom

    async def answer(self, question: Question, on_text: OnText = silent) -> Exchange:
        """The stored exchange; see `compose`. `on_text` gets the whole answer, also where no model words it."""
        exchange = await self.compose(question, on_text)
        if not exchange.answer.wording:
            on_text(exchange.answer.text)
        await asyncio.to_thread(self._exchanges.add, exchange)
        return exchange

    async def compose(self, question: Question, on_text: OnText = silent, *, may_word: bool = True) -> Exchange:
        """The exchange, not stored yet. `on_text` gets what a model words in pieces, none of which is taken back.

        Without `may_word` no model is used: the answer is its quotes.

        Raises CommandRejected when the question cannot be asked, KnowledgeError or BotError when the world failed.
        """
        started = time.perf_counter()
        question = _replaced(question, cleaned(question.text))
        kind = small_talk.kind_of(question.text)
        exchange = await (self._chat(question, kind) if kind else self._look_up(question, on_text, may_word))
        exchange.timings_s["total"] = time.perf_counter() - started
        logger.info("exchange %s %s signal %.2f", exchange.id, exchange.answer.outcome, exchange.signal)
        return exchange

    async def find(self, question: Question) -> tuple[Retrieval, int]:
        """What is found for the question, with the turn before it where it needs that; and where it starts in the query."""
        retrieve = partial(self._retriever.retrieve, audience=question.audience, sources=question.sources)
        by_itself = await asyncio.to_thread(retrieve, questions.alone(question))
        joined = questions.with_previous_turn(question)
        if joined is None:
            return by_itself, 0
        query, start = joined
        retrieval = await asyncio.to_thread(retrieve, query)
        return (retrieval, start) if abstention.is_follow_up(by_itself, retrieval, start) else (by_itself, 0)

    async def outlook(self, question: Question) -> Outlook:
        """What an answer would come to, without making it."""
        retrieval, _ = await self.find(replace(question, text=cleaned(question.text)))
        outcome, _ = abstention.decide(retrieval, question.text)
        return Outlook(outcome, retrieval.passages[0].document.audience if retrieval.passages else None)

    async def select(self, question: Question) -> Selection:
        """The quotes that would answer, without an answer being made of them. Raises CommandRejected, KnowledgeError."""
        question = _replaced(question, cleaned(question.text))
        retrieval, start = await self.find(question)
        outcome, _ = abstention.decide(retrieval, question.text)
        if outcome is Outcome.UNKNOWN:
            return Selection(outcome, [])
        return Selection(outcome, quotes.select(retrieval, _parts(retrieval, start), self._max_quotes))

    async def suggestions(self, audience: Audience, limit: int = SUGGESTIONS, sources: Collection[str] = ()) -> list[str]:
        """Questions that the documents can answer, each tried. `sources` are the only ones to look in; empty: all."""
        found: list[str] = []
        headings = await asyncio.to_thread(self._suggestible, audience, sources)
        retrieve = partial(self._retriever.retrieve, audience=audience, sources=sources)
        for candidate in small_talk.candidate_questions(headings)[:SUGGESTIONS_TRIED]:
            retrieval = await asyncio.to_thread(retrieve, candidate)
            if abstention.decide(retrieval, candidate)[0] is Outcome.ANSWERED:
                found.append(candidate)
            if len(found) == limit:
                break
        return found

    async def _chat(self, question: Question, kind: str) -> Exchange:
        has_suggestions = kind in ("greeting", "what")
        suggested = await self.suggestions(question.audience, sources=question.sources) if has_suggestions else []
        answer = Answer(Outcome.ANSWERED, small_talk.reply(kind, self._voice, suggested))
        nothing = Retrieval(question.text, [], np.zeros((0, 2), np.int32), np.zeros(0, np.float32))
        return await self._exchange(question, nothing, answer, [], 1.0, {}, is_small_talk=True)

    async def _look_up(self, question: Question, on_text: OnText, may_word: bool) -> Exchange:
        retrieval, start = await self.find(question)
        outcome, signal = abstention.decide(retrieval, question.text)
        timings = dict(retrieval.timings_s)
        before = time.perf_counter()
        parts = _parts(retrieval, start)
        selected = quotes.select(retrieval, parts, self._max_quotes)
        timings["select"] = time.perf_counter() - before
        if not selected or outcome is Outcome.UNKNOWN:
            answer = citations.unknown(self._voice, self._ask_whom, abstention.is_off_limits(question.text))
            return await self._exchange(question, retrieval, answer, [], signal, timings)
        if outcome is Outcome.CLOSEST:
            pages = quotes.best_by_page(retrieval, parts, citations.MAX_PAGES)
            answer = citations.closest(citations.number(pages), self._voice, self._ask_whom)
            return await self._exchange(question, retrieval, answer, pages, signal, timings)
        before = time.perf_counter()
        on_text = _after(self._voice.opening, on_text)
        wording = await self._word(question.text, selected, on_text) if may_word else None
        if wording:
            timings["word"] = time.perf_counter() - before
        answer = citations.answered(citations.number(selected), wording.text if wording else "", self._voice)
        exchange = await self._exchange(question, retrieval, answer, selected, signal, timings, wording)
        if answer.wording:
            on_text("\n\n" + "\n\n".join([*map(citations.quoted, answer.citations), self._voice.closing]).rstrip())
        return exchange

    async def _word(self, question: str, selected: Sequence[Quote], on_text: OnText) -> Wording | None:
        """The quotes in the model's words; none where it may not word, or for a standard answer, which stands as written."""
        if selected[0].passage.document.is_standard_answer:
            return None
        return await self._worder.word(question, selected, on_text)

    async def _exchange(
        self,
        question: Question,
        retrieval: Retrieval,
        answer: Answer,
        selected: Sequence[Quote],
        signal: float,
        timings: dict[str, float],
        wording: Wording | None = None,
        is_small_talk: bool = False,
    ) -> Exchange:
        """It names the release that worded it, or that which serves while nothing is worded."""
        identity = wording.identity if wording else await self._worder.serving()
        return Exchange(
            id=ExchangeId(uuid4().hex[:12]),
            question=question,
            query=retrieval.query,
            answer=answer,
            passages=retrieval.passages[:STORED_PASSAGES],
            quotes=selected,
            signal=signal,
            release=identity.release,
            model=identity.model,
            messages=wording.messages if wording else (),
            timings_s=timings,
            asked_at=datetime.now(UTC),
            is_small_talk=is_small_talk,
            dropped_sentences=wording.dropped if wording else 0,
            is_reduced=retrieval.is_reduced,
        )


def _parts(retrieval: Retrieval, start: int) -> list[questions.Span]:
    """The parts of the question, which starts there in the query."""
    return [(start + first, start + last) for first, last in questions.parts(retrieval.query[start:])]


def _after(opening: str, on_text: OnText) -> OnText:
    """An `on_text` that says the opening before the first piece, and nothing when there is no piece."""
    waiting = [f"{opening}\n\n"] if opening else []

    def show(piece: str) -> None:
        on_text((waiting.pop() if waiting else "") + piece)

    return show


def failure(err: Exception) -> str:
    """What a person is told when the world failed: the sentence that our errors carry."""
    known = isinstance(err, KnowledgeError | DatabaseUnavailable | CommandRejected)
    return str(err) if known else "Something went wrong on my side; please try again, or tell an administrator."


def _replaced(question: Question, text: str) -> Question:
    history = [Turn(turn.speaker, _CONTROL.sub("", turn.text)) for turn in question.history]
    return replace(question, text=text, history=history)
