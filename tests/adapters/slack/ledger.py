"""Who wrote what, whether the app acknowledged it, and what it answered: so that a test can say "none lost, none doubled".

An answer belongs to a message of the thread (or of the DM) that it stands in: to the first that still waits for one, those
addressed to the bot before others; beyond that to the last. Counts are right in any order of answering; which of several
questions of one thread an answer meant is not known."""

from collections import deque
from dataclasses import dataclass, field

from tests.adapters.slack.deliveries import Delivery
from tests.adapters.slack.state import Message

Place = tuple[str, str | None]
"""(channel, first timestamp of the thread); None for a DM outside threads."""


@dataclass
class Entry:
    """What became of one message of a person."""

    channel: str
    ts: str
    user: str
    text: str
    thread_ts: str | None
    is_addressed: bool
    """A DM to the bot, or a message that mentions it."""
    deliveries: list[Delivery] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """Timestamps of the bot's messages, oldest first; deleted ones are not among them."""

    @property
    def acked_at(self) -> float | None:
        """When the app first acknowledged an event about it."""
        return min((delivery.acked_at for delivery in self.deliveries if delivery.acked_at is not None), default=None)

    @property
    def attempts(self) -> int:
        return sum(len(delivery.attempts) for delivery in self.deliveries)


@dataclass
class _Queue:
    waiting: deque[Entry] = field(default_factory=deque)
    others: deque[Entry] = field(default_factory=deque)
    last: Entry | None = None


class Ledger:
    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Entry] = {}
        self._queues: dict[Place, _Queue] = {}
        self._answered: dict[tuple[str, str], Entry] = {}

    def __getitem__(self, key: tuple[str, str]) -> Entry:
        """The entry of a person's message, by channel and timestamp."""
        return self.entries[key]

    @property
    def addressed(self) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.is_addressed]

    @property
    def lost(self) -> list[Entry]:
        """Addressed to the bot and not answered."""
        return [entry for entry in self.addressed if not entry.answers]

    @property
    def doubled(self) -> list[Entry]:
        """Answered with more than one message."""
        return [entry for entry in self.entries.values() if len(entry.answers) > 1]

    @property
    def unacknowledged(self) -> list[Entry]:
        """Delivered at least once and never acknowledged."""
        return [entry for entry in self.entries.values() if entry.deliveries and entry.acked_at is None]

    def note_question(self, message: Message, *, is_addressed: bool, is_direct: bool, deliveries: list[Delivery]) -> None:
        key = (message.channel, message.ts)
        entry = Entry(message.channel, message.ts, message.user, message.text, message.thread_ts, is_addressed, deliveries)
        self.entries[key] = entry
        places: list[Place] = [(message.channel, message.root_ts)]
        if is_direct and not message.is_reply:
            places.append((message.channel, None))
        for place in places:
            queue = self._queues.setdefault(place, _Queue())
            (queue.waiting if is_addressed else queue.others).append(entry)
            queue.last = entry

    def note_answer(self, message: Message) -> None:
        """A message of the bot. One that stands in no person's thread or DM answers nobody."""
        queue = self._queues.get((message.channel, message.thread_ts))
        if queue is None:
            return
        entry = _next_waiting(queue.waiting) or _next_waiting(queue.others) or queue.last
        if entry:
            entry.answers.append(message.ts)
            self._answered[message.channel, message.ts] = entry

    def note_deleted(self, message: Message) -> None:
        entry = self._answered.pop((message.channel, message.ts), None)
        if entry:
            entry.answers.remove(message.ts)


def _next_waiting(entries: deque[Entry]) -> Entry | None:
    while entries and entries[0].answers:
        entries.popleft()
    return entries[0] if entries else None
