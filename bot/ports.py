"""What the conversation needs of others: passages, and a language model."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.conversation import ChatMessage, ReleaseId
from knowledge.documents import Audience
from knowledge.retrieval import Retrieval


class Retriever(Protocol):
    """Finds passages. Safe for threads."""

    def retrieve(self, query: str, audience: Audience, limit: int = ...) -> Retrieval:
        """The passages that meet the query best, best first, none that the audience may not read.

        An empty audience finds nothing. Raises knowledge.errors.IndexUnavailable.
        """


@dataclass(frozen=True)
class ModelIdentity:
    """What answers name: the release, and the model that it is made of."""

    release: ReleaseId
    model: str


class LanguageModel(Protocol):
    """Continues a conversation. Every method may be called by many tasks at once."""

    @property
    def identity(self) -> ModelIdentity: ...

    def stream(self, messages: Sequence[ChatMessage], max_new_tokens: int) -> AsyncIterator[str]:
        """Pieces of the model's next message as they are made, which joined are the whole message. Greedy decoding.

        Raises bot.errors.ModelUnavailable when the model cannot be loaded or reached, also in the middle.
        """

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """The length of the prompt; an estimate on the safe side where the tokenizer is out of reach."""

    async def close(self) -> None:
        """Frees what the model holds."""
