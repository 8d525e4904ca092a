"""What the conversation needs of others: passages, a language model, and platforms that carry messages."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.conversation import ChatMessage, ReleaseId
from bot.messages import Delivery, DeliveryKey, IncomingMessage, Mark, MessageRef, PersonId, Place, Viewers
from knowledge.documents import Audience
from knowledge.retrieval import Retrieval


class Retriever(Protocol):
    """Finds passages. Safe for threads."""

    def retrieve(self, query: str, audience: Audience, limit: int = ..., *, sources: Collection[str] = ...) -> Retrieval:
        """The passages that meet the query best, best first, none that the audience may not read.

        `sources` are the only ones to look in, besides approved corrections; empty: all. An empty audience finds nothing.
        Raises knowledge.errors.IndexUnavailable.
        """


@dataclass(frozen=True)
class ModelIdentity:
    """What answers name: the release, and the model that it is made of.

    `may_word` is what the release's own evaluation decided, None where it has none; `phrases` are its sentences without a fact.
    """

    release: ReleaseId
    model: str
    may_word: bool | None = None
    phrases: Sequence[str] = ()


class LanguageModel(Protocol):
    """Continues a conversation. Every method may be called by many tasks at once."""

    async def serving(self) -> ModelIdentity:
        """What would answer now. Cheap enough for every answer: a release is checked when it is first seen, nothing is loaded."""

    async def load(self) -> ModelIdentity:
        """What answers now, loaded and tried; what stands in for it where that failed. Raises bot.errors.ModelUnavailable."""

    async def alert(self) -> str:
        """Which release should serve, and why it does not; empty when all is well."""

    def stream(self, messages: Sequence[ChatMessage], max_new_tokens: int, release: ReleaseId) -> AsyncIterator[str]:
        """Pieces of the model's next message as they are made, which joined are the whole message. Greedy decoding.

        `release` is one that `load` gave, so that an answer that was begun is ended by the same. Raises
        bot.errors.ModelUnavailable when the model cannot be loaded or reached, also in the middle.
        """

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """The length of the prompt; an estimate on the safe side where the tokenizer is out of reach."""

    async def close(self) -> None:
        """Frees what the model holds."""


Put = Callable[[Delivery], Awaitable[None]]
"""Hands a reply to the outbox. Raises bot.errors.DatabaseUnavailable."""
NameOf = Callable[[PersonId], Awaitable[str]]
"""How people know that person; the id where that cannot be found out. Never raises."""


class ReplyStream(Protocol):
    """An answer that people see grow. What it cannot show now is shown by the delivery that ends it: it never raises."""

    async def append(self, text: str) -> None: ...


class ChatPlatform(Protocol):
    """Carries messages between people and the bot. What arrives goes to `bot.front_desk.FrontDesk`.

    Raises PlatformUnavailable (temporary: the same call may work later) or DeliveryRefused (it never will) where said.
    """

    @property
    def name(self) -> str:
        """The word that ids begin with: slack, discord, console."""

    @property
    def is_connected(self) -> bool:
        """Whether messages of people reach us at this moment."""

    async def run(self) -> None:
        """Connects, and hands over what arrives until it is cancelled or no more can come; lost connections are made again.

        Raises PlatformUnavailable when a new start is needed, DeliveryRefused when the tokens are no good.
        """

    async def viewers(self, place: Place) -> Viewers:
        """Who sees what is written there, at most five minutes old. Raises both."""

    async def show_working(self, message: IncomingMessage) -> None:
        """Lets the asker see that the answer is being made. Never raises."""

    async def open_stream(
        self, key: DeliveryKey, message: IncomingMessage, on_posted: Callable[[str], Awaitable[None]]
    ) -> ReplyStream | None:
        """A message below `message` that grows; `on_posted` is told its id before text is shown. None: not now."""

    async def deliver(self, delivery: Delivery, *, draft: str = "", is_retry: bool = False) -> Sequence[str]:
        """Sends it, and gives the ids of the messages that now show it; none where only the person sees it.

        `draft` is the message of a stream that this delivery ends. On a retry, what an earlier try has sent is found and not
        sent again; a message of ours that answers the same message and is none of these is a stream that broke off, and is ended
        with this delivery. Raises both.
        """

    async def places(self) -> Sequence[Place]:
        """The channels and direct conversations that the bot listens to, as far as the platform tells. Raises both."""

    async def missed(self, place: Place, since: datetime) -> Sequence[IncomingMessage]:
        """What people wrote there after that time, oldest first.

        In its threads too, and also what addresses nobody. Raises both.
        """

    async def is_answered(self, message: IncomingMessage) -> bool:
        """Whether somebody but its author has written below the message. Raises both."""

    async def mark(self, message: MessageRef, mark: Mark) -> None:
        """Puts the mark on a message of ours, in place of an earlier one. Never raises: a mark is an ornament."""

    async def name_of(self, person: PersonId) -> str:
        """How people know that person; the id where that cannot be found out. Never raises."""

    async def close(self) -> None:
        """Takes nothing new in; calls that are under way are finished first."""
