"""Fakes that implement the ports for real, small and deterministic. They pass the contract suites."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime

import numpy as np

from bot.conversation import ChatMessage, ReleaseId
from bot.errors import BotError, ModelUnavailable, PlatformUnavailable
from bot.messages import Delivery, DeliveryKey, IncomingMessage, Mark, MessageRef, PersonId, Place, Viewers
from bot.ports import ModelIdentity, ReplyStream
from knowledge.embedding import unit
from knowledge.ports import Embedding, Floats
from knowledge.terms import stems

DIMENSIONS = 64


class HashingEmbedder:
    """Each word's stem is a random direction; a text is the mean of its words. Equal words are equal, others nearly
    orthogonal. Counts how many texts it was given in `embedded`."""

    name = "hashing-fake"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self.embedded = 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        self.embedded += len(texts)
        return [self._embed(text) for text in texts]

    def _embed(self, text: str) -> Embedding:
        offsets, vectors, position = [], [], 0
        for word in text.split():
            start = text.index(word, position)
            position = start + len(word)
            offsets.append((start, position))
            vectors.append(_direction(" ".join(stems(word))))
        if not vectors:
            return Embedding(np.zeros(DIMENSIONS, np.float32), np.zeros((0, DIMENSIONS), np.float32), np.zeros((0, 2), np.int32))
        tokens = np.stack(vectors)
        return Embedding(unit(tokens.mean(axis=0)), tokens, np.array(offsets, np.int32))


def _direction(word: str) -> Floats:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return unit(np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32))


class ScriptedModel:
    """A LanguageModel that answers from a queue and keeps the prompts that it was given. An empty queue is an outage."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.identity = ModelIdentity(ReleaseId("fake:scripted"), "scripted")
        self.identity_once_loaded: ModelIdentity | None = None
        """What stands in when loading fails; None: it does not."""
        self.releases: list[ReleaseId] = []
        """Of which a message was asked for."""
        self.prompts: list[Sequence[ChatMessage]] = []
        self.fails_after = False
        """Whether an answer ends in an outage, after its last word."""

    async def serving(self) -> ModelIdentity:
        return self.identity

    async def load(self) -> ModelIdentity:
        self.identity = self.identity_once_loaded or self.identity
        return self.identity

    async def alert(self) -> str:
        return ""

    async def stream(self, messages: Sequence[ChatMessage], max_new_tokens: int, release: ReleaseId) -> AsyncIterator[str]:
        self.prompts.append(messages)
        self.releases.append(release)
        if not self.answers:
            raise ModelUnavailable("The scripted model has nothing left to say.")
        for piece in self.answers.pop(0).split(" "):
            yield piece + " "
        if self.fails_after:
            raise ModelUnavailable("The scripted model broke off.")

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        return sum(len(message["content"].split()) for message in messages)

    async def close(self) -> None:
        pass


class RecordingStream:
    def __init__(self) -> None:
        self.pieces: list[str] = []

    async def append(self, text: str) -> None:
        self.pieces.append(text)


class RecordingPlatform:
    """A ChatPlatform that keeps what it was given to deliver, once for each key.

    First, in order, `deliver` raises `refusals` and `places` raises `absences`.
    """

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.is_connected = False
        self.viewers_of_all = Viewers(is_open=True, has_outsiders=False)
        self.deliveries: list[Delivery] = []
        self.drafts: list[str] = []
        self.streams: list[RecordingStream] = []
        self.refusals: list[BotError] = []
        self.absences: list[BotError] = []
        self.missed_messages: dict[Place, list[IncomingMessage]] = {}
        self.has_answers = False
        self.loses_reply = False
        self.marks: list[tuple[MessageRef, Mark]] = []

    def lose_next_reply(self) -> None:
        """The next delivery is made, and its caller does not hear so."""
        self.loses_reply = True

    async def run(self) -> None:
        self.is_connected = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_connected = False

    async def viewers(self, place: Place) -> Viewers:
        return self.viewers_of_all

    async def show_working(self, message: IncomingMessage) -> None:
        pass

    async def open_stream(
        self, key: DeliveryKey, message: IncomingMessage, on_posted: Callable[[str], Awaitable[None]]
    ) -> ReplyStream | None:
        await on_posted(f"draft of {key}")
        self.streams.append(RecordingStream())
        return self.streams[-1]

    async def deliver(self, delivery: Delivery, *, draft: str = "", is_retry: bool = False) -> Sequence[str]:
        if self.refusals:
            raise self.refusals.pop(0)
        if not (is_retry and delivery.key in [earlier.key for earlier in self.deliveries]):
            self.deliveries.append(delivery)
            self.drafts.append(draft)
            if self.loses_reply:
                self.loses_reply = False
                raise PlatformUnavailable(self.name, "the reply was lost")
        return [] if delivery.to else [draft or f"posted-{delivery.key}"]

    async def places(self) -> Sequence[Place]:
        if self.absences:
            raise self.absences.pop(0)
        return list(self.missed_messages) or [Place(self.name, "T1", "C1")]

    async def missed(self, place: Place, since: datetime) -> Sequence[IncomingMessage]:
        return [message for message in self.missed_messages.get(place, []) if message.sent_at > since]

    async def is_answered(self, message: IncomingMessage) -> bool:
        return self.has_answers

    async def mark(self, message: MessageRef, mark: Mark) -> None:
        self.marks.append((message, mark))

    async def name_of(self, person: PersonId) -> str:
        return person

    async def close(self) -> None:
        pass
