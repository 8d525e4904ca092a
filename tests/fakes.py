"""Fakes that implement the ports for real, small and deterministic. They pass the contract suites."""

import hashlib
from collections.abc import AsyncIterator, Sequence

import numpy as np

from bot.conversation import ChatMessage, ReleaseId
from bot.errors import ModelUnavailable
from bot.ports import ModelIdentity
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

    identity = ModelIdentity(ReleaseId("fake:scripted"), "scripted")

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.prompts: list[Sequence[ChatMessage]] = []
        self.fails_after = False
        """Whether an answer ends in an outage, after its last word."""

    async def stream(self, messages: Sequence[ChatMessage], max_new_tokens: int) -> AsyncIterator[str]:
        self.prompts.append(messages)
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
