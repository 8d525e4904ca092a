"""What became of each message: when it was delivered to the bot, and which messages of the bot answer it.

An answer belongs to the message it replies to; without a reply, to the latest message of others in the same DM or thread (the
message that a thread was started from counts as the first in it). Constant work per message. Answers to commands and buttons are
no part of it: the interaction itself holds them.
"""

import time
from collections import Counter
from dataclasses import dataclass, field

from tests.adapters.discord.world import Channel, ChannelType, Message


@dataclass
class Answer:
    message_id: str
    content: str
    at: float


@dataclass
class Entry:
    """A message of a person, or of another bot. Delivered: written on a socket; fetched: shown in a reply to a REST call."""

    message_id: str
    channel_id: str
    author_id: str
    by_bot: bool
    content: str
    said_at: float
    delivered_at: list[float] = field(default_factory=list)
    fetched_at: list[float] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @property
    def answered_after_s(self) -> float | None:
        """Seconds until the first answer."""
        return self.answers[0].at - self.said_at if self.answers else None


@dataclass(frozen=True)
class Report:
    """The entries, in the order in which they were said, and the bot's messages that belong to none of them."""

    entries: list[Entry]
    unprompted: list[Answer]

    @property
    def unanswered(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.answers]

    @property
    def doubled(self) -> list[Entry]:
        """Those that got the same text twice."""
        return [entry for entry in self.entries if any(n > 1 for n in Counter(each.content for each in entry.answers).values())]


class Ledger:
    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._latest: dict[str, Entry] = {}  # channel id -> its newest entry
        self._entry_of_answer: dict[str, Entry] = {}
        self._answers: dict[str, Answer] = {}
        self._unprompted: list[Answer] = []

    def report(self) -> Report:
        return Report(list(self._entries.values()), list(self._unprompted))

    def entry(self, message_id: str) -> Entry | None:
        return self._entries.get(message_id)

    def said(self, message: Message, by_bot: bool) -> None:
        entry = Entry(message.id, message.channel_id, message.author_id, by_bot, message.content, message.created_at)
        self._entries[message.id] = self._latest[message.channel_id] = entry

    def thread_started(self, thread_id: str) -> None:
        """A thread from a message has that message's id."""
        if entry := self._entries.get(thread_id):
            self._latest[thread_id] = entry

    def delivered(self, message_id: str) -> None:
        if entry := self._entries.get(message_id):
            entry.delivered_at.append(time.time())

    def fetched(self, message_ids: list[str]) -> None:
        now = time.time()
        for message_id in message_ids:
            if entry := self._entries.get(message_id):
                entry.fetched_at.append(now)

    def answered(self, message: Message, channel: Channel) -> None:
        """Books a message of the bot under the one that it answers."""
        answer = Answer(message.id, message.content, message.created_at)
        self._answers[message.id] = answer
        entry = self._replied_entry(message)
        if entry is None and (channel.is_thread or channel.type is ChannelType.DM):
            entry = self._latest.get(channel.id)
        if entry is None:
            self._unprompted.append(answer)
            return
        entry.answers.append(answer)
        self._entry_of_answer[message.id] = entry

    def edited(self, message: Message) -> None:
        if answer := self._answers.get(message.id):
            answer.content = message.content

    def deleted(self, message: Message) -> None:
        """An answer that was taken back is none."""
        if (answer := self._answers.pop(message.id, None)) and (entry := self._entry_of_answer.pop(message.id, None)):
            entry.answers.remove(answer)

    def _replied_entry(self, message: Message) -> Entry | None:
        target = message.replied_to or ""
        return self._entries.get(target) or self._entry_of_answer.get(target)
