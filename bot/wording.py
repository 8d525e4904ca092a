"""Words quotes with a language model and checks every sentence before anyone sees it."""

import asyncio
import logging
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bot import grounding
from bot.citations import without_marks
from bot.conversation import ChatMessage, Quote
from bot.errors import ModelUnavailable
from bot.ports import LanguageModel, ModelIdentity
from bot.prompting import build_messages
from bot.settings import ModelSettings
from bot.storage.exchanges import WordingEvaluation
from bot.voice import Voice
from knowledge.ports import Embedder
from knowledge.sentences import sentence_spans

logger = logging.getLogger(__name__)

MIN_RIGHT_SHARE = 0.75  # of worded answers, in `timbre eval`, before `auto` lets a model word
MIN_KEPT_SHARE = 0.80  # of worded sentences that must pass the check

OnText = Callable[[str], None]


@dataclass(frozen=True)
class WordingPermission:
    """Whether the model may word answers, and a warning for the administrator when that is not known to be well."""

    is_allowed: bool
    warning: str = ""


Permission = Callable[[ModelIdentity], WordingPermission]
"""Runs in a thread."""


@dataclass
class Wording:
    """What a release made of the quotes: the sentences that passed with their quote's position, and how many did not.

    A phrase of the release's voice, which states no fact, has no position. It waits for a sentence that does.
    """

    identity: ModelIdentity
    messages: Sequence[ChatMessage]
    sentences: list[tuple[str, int | None]] = field(default_factory=list)
    dropped: int = 0

    @property
    def text(self) -> str:
        """The passed sentences with citation marks; empty where there are but phrases."""
        return " ".join(map(_marked, self.sentences)) if self.has_facts else ""

    @property
    def has_facts(self) -> bool:
        return any(position is not None for _, position in self.sentences)


class QuoteWorder:
    """Asks the model, where it may word, and lets a sentence out once it has passed the check against the quotes."""

    def __init__(
        self, model: LanguageModel, embedder: Embedder, voice: Voice, settings: ModelSettings, permission: Permission
    ) -> None:
        self._model = model
        self._embedder = embedder
        self._voice = voice
        self._settings = settings
        self._permission = permission

    async def serving(self) -> ModelIdentity:
        """What answers now, whether it words them or not."""
        return await self._model.serving()

    async def permission(self) -> WordingPermission:
        """Whether what answers now may word."""
        return await asyncio.to_thread(self._permission, await self._model.serving())

    async def word(self, question: str, quotes: Sequence[Quote], on_text: OnText) -> Wording | None:
        """The quotes in the model's words; None where it may not word.

        Without sentences when the model is away, too slow or says nothing true.
        """
        identity = await self._allowed()
        if identity is None:
            return None
        messages = await self._fitting_messages(question, quotes)
        wording = Wording(identity, messages)
        checker = asyncio.create_task(asyncio.to_thread(_Checker, self._embedder, question, quotes))  # while the prompt is read
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._stream(wording, checker, on_text)
        except TimeoutError:
            logger.warning("wording took more than %s s and was given up", self._settings.timeout_s)
        except ModelUnavailable as err:
            logger.warning("wording failed, the quotes are sent: %s", err)
        return wording

    async def _allowed(self) -> ModelIdentity | None:
        """What words the answer. It is loaded; what then stands in for it may be no such release."""
        if not (await self.permission()).is_allowed:
            return None
        try:
            identity = await self._model.load()
        except ModelUnavailable:
            return await self._model.serving()  # `stream` will meet the same error and report it
        return identity if (await asyncio.to_thread(self._permission, identity)).is_allowed else None

    async def _stream(self, wording: Wording, checker: "asyncio.Task[_Checker]", on_text: OnText) -> None:
        text, done = "", 0
        release = wording.identity.release
        async for piece in self._model.stream(wording.messages, self._settings.max_new_tokens, release):
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
    if not sentence:
        return
    phrase = next((known for known in wording.identity.phrases if normalised(known) == normalised(sentence)), None)
    position = None if phrase else await asyncio.to_thread((await checker).supporting_quote, sentence)
    if position is None and phrase is None:
        wording.dropped += 1
        return
    had_facts = wording.has_facts
    wording.sentences.append((phrase or sentence, position))
    if wording.has_facts:
        said_now = wording.sentences[-1:] if had_facts else wording.sentences
        on_text("".join(f"{_marked(said)} " for said in said_now))


def _marked(said: tuple[str, int | None]) -> str:
    sentence, position = said
    return sentence if position is None else f"{sentence} [{position + 1}]"


def normalised(sentence: str) -> str:
    """Without what differs between two ways to type the same."""
    return " ".join(unicodedata.normalize("NFKC", sentence).replace("\u2019", "'").casefold().split())


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


def may_word(mode: str, identity: ModelIdentity, evaluation: WordingEvaluation | None) -> WordingPermission:
    """The rule behind TIMBRE_ANSWER__WORDING (pure): quote never, model always, auto by evaluation.

    auto: a release as its card says and the built-in base model never; another model when `timbre eval` found it right and true
    to the quotes; one that was never evaluated, with a warning.
    """
    if mode != "auto":
        return WordingPermission(mode == "model")
    if identity.may_word is not None:
        return WordingPermission(identity.may_word)
    if evaluation is None:
        warning = (
            f"The model {identity.model} words answers without ever having been evaluated; run `timbre eval QUESTIONS.jsonl`."
        )
        return WordingPermission(True, warning)
    is_good = evaluation.right_share >= MIN_RIGHT_SHARE and evaluation.kept_share >= MIN_KEPT_SHARE
    return WordingPermission(is_good)
