"""Words quotes with a language model and checks every sentence before anyone sees it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bot import grounding
from bot.citations import without_marks
from bot.conversation import ChatMessage, Quote
from bot.errors import ModelUnavailable
from bot.ports import LanguageModel
from bot.prompting import build_messages
from bot.settings import ModelSettings
from bot.storage.exchanges import WordingEvaluation
from bot.voice import Voice
from bot.weights import BUILT_IN_MODEL
from knowledge.ports import Embedder
from knowledge.sentences import sentence_spans

logger = logging.getLogger(__name__)

MIN_RIGHT_SHARE = 0.75  # of worded answers, in `timbre eval`, before `auto` lets a model word
MIN_KEPT_SHARE = 0.80  # of worded sentences that must pass the check

OnText = Callable[[str], None]


@dataclass
class Wording:
    """What the model made of the quotes: the sentences that passed with their quote's position, and how many did not."""

    messages: Sequence[ChatMessage]
    sentences: list[tuple[str, int]] = field(default_factory=list)
    dropped: int = 0

    @property
    def text(self) -> str:
        """The passed sentences with citation marks."""
        return " ".join(f"{sentence} [{position + 1}]" for sentence, position in self.sentences)


class QuoteWorder:
    """Asks the model and lets a sentence out once it has passed the check against the quotes."""

    def __init__(self, model: LanguageModel, embedder: Embedder, voice: Voice, settings: ModelSettings) -> None:
        self._model = model
        self._embedder = embedder
        self._voice = voice
        self._settings = settings

    async def word(self, question: str, quotes: Sequence[Quote], on_text: OnText) -> Wording:
        """The quotes in the model's words. Without sentences when the model is away, too slow or says nothing true."""
        messages = await self._fitting_messages(question, quotes)
        wording = Wording(messages)
        checker = asyncio.create_task(asyncio.to_thread(_Checker, self._embedder, question, quotes))  # while the prompt is read
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._stream(wording, checker, on_text)
        except TimeoutError:
            logger.warning("wording took more than %s s and was given up", self._settings.timeout_s)
        except ModelUnavailable as err:
            logger.warning("wording failed, the quotes are sent: %s", err)
        return wording

    async def _stream(self, wording: Wording, checker: "asyncio.Task[_Checker]", on_text: OnText) -> None:
        text, done = "", 0
        async for piece in self._model.stream(wording.messages, self._settings.max_new_tokens):
            text += piece
            complete = sentence_spans(text[done:])[:-1]
            for start, end in complete:
                await _take(text[done + start : done + end], wording, checker, on_text)
            done += complete[-1][1] if complete else 0
        for start, end in sentence_spans(text[done:]):
            await _take(text[done + start : done + end], wording, checker, on_text)

    async def _fitting_messages(self, question: str, quotes: Sequence[Quote]) -> list[ChatMessage]:
        """The prompt with as many of the quotes as the token budget has room for, the first one always."""
        room = self._settings.context_tokens - self._settings.max_new_tokens
        for count in range(len(quotes), 1, -1):
            messages = build_messages(question, quotes[:count], self._voice)
            if await self._count(messages) <= room:
                return messages
        return build_messages(question, quotes[:1], self._voice)

    async def _count(self, messages: Sequence[ChatMessage]) -> int:
        try:
            return await self._model.count_tokens(messages)
        except ModelUnavailable:
            return 0  # `stream` will meet the same error and report it


async def _take(raw: str, wording: Wording, checker: "asyncio.Task[_Checker]", on_text: OnText) -> None:
    sentence = without_marks(raw).strip()
    position = await asyncio.to_thread((await checker).supporting_quote, sentence) if sentence else None
    if position is None:
        wording.dropped += bool(sentence)
    else:
        wording.sentences.append((sentence, position))
        on_text(f"{sentence} [{position + 1}] ")


class _Checker:
    """Grounding with the cosines that it needs."""

    def __init__(self, embedder: Embedder, question: str, quotes: Sequence[Quote]) -> None:
        self._embedder = embedder
        self._question = question
        self._quotes = [quote.shown for quote in quotes]
        self._vectors = np.stack([embedding.vector for embedding in embedder.embed(self._quotes)])

    def supporting_quote(self, sentence: str) -> int | None:
        cosines = self._vectors @ self._embedder.embed([sentence])[0].vector
        return grounding.supporting_quote(sentence, self._quotes, cosines.tolist(), self._question)


@dataclass(frozen=True)
class WordingPermission:
    """Whether the model may word answers, and a warning for the administrator when that is not known to be well."""

    is_allowed: bool
    warning: str = ""


def may_word(mode: str, model_id: str, is_server: bool, evaluation: WordingEvaluation | None) -> WordingPermission:
    """The rule behind TIMBRE_ANSWER__WORDING (pure): quote never, model always, auto by evaluation.

    auto: the built-in base model never; another model when `timbre eval` found it right and true to the quotes; one that was
    never evaluated, with a warning.
    """
    if mode != "auto":
        return WordingPermission(mode == "model")
    if model_id == BUILT_IN_MODEL and not is_server:
        return WordingPermission(False)
    if evaluation is None:
        warning = f"The model {model_id} words answers without ever having been evaluated; run `timbre eval QUESTIONS.jsonl`."
        return WordingPermission(True, warning)
    is_good = evaluation.right_share >= MIN_RIGHT_SHARE and evaluation.kept_share >= MIN_KEPT_SHARE
    return WordingPermission(is_good)
