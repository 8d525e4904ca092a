"""The two local platforms as one: people who ask, click and wait, and a ledger of what became of it.

The server runs in this process, the product in another. The documents are short, so that every answer is one message: a second
one is a double, whatever it says.
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.adapters.discord import people as discord_people
from tests.adapters.discord import world as discord_world
from tests.adapters.discord.ledger import Answer as Answered
from tests.adapters.discord.mentions import visible_text, walk
from tests.adapters.discord.server import DiscordServer
from tests.adapters.discord.world import Channel
from tests.adapters.slack.blocks import elements
from tests.adapters.slack.deliveries import Attempt, Delivery, Patience
from tests.adapters.slack.interactions import NotAcknowledged
from tests.adapters.slack.server import SlackServer
from tests.adapters.slack.state import Json, Message
from tests.journeys.bot_process import CITIES, closing_time, question_about

PEOPLE, CHANNELS = 100, 8
APOLOGY = "Sorry for the late answer"
HELPFUL = "Helpful"
THANKS, THANKED_WITHIN_S = "Thank you", 20.0
KINDS = ("mention", "mention", "direct", "command")
"""How people ask, in turn."""


@dataclass(frozen=True)
class Answer:
    """A message under a question. It is whole once it can be rated; before that it is still growing."""

    text: str
    at: float
    is_whole: bool


@dataclass(frozen=True)
class Asked:
    """What became of one question. `key` is that of the inbox, known of all but commands."""

    key: str
    is_command: bool
    city: str
    asked_at: float
    acknowledged_after_s: float | None
    answers: Sequence[Answer]
    answered_after_s: float | None

    @property
    def is_answered(self) -> bool:
        """Rightly and to the end."""
        return any(answer.is_whole and closing_time(self.city) in answer.text for answer in self.answers)

    @property
    def has_failed(self) -> bool:
        """A command that was not acknowledged: its asker was told so by the platform."""
        return self.is_command and self.acknowledged_after_s is None and not self.answers

    @property
    def is_lost(self) -> bool:
        return not self.is_answered and not self.has_failed

    @property
    def is_doubled(self) -> bool:
        return len(self.answers) > 1

    @property
    def is_apologetic(self) -> bool:
        return any(APOLOGY in answer.text for answer in self.answers)


@dataclass
class Question:
    """One that was asked; `acknowledged_at` is known only of those that the server does not book itself."""

    number: int
    kind: str
    city: str
    person: int
    asked_at: float
    id: str = ""
    channel: str = ""
    acknowledged_at: float | None = None


class Town(ABC):
    """A platform with PEOPLE in CHANNELS, for the length of a `with` block. `number` makes each question another one."""

    name: str

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.clicked: set[tuple[str, str]] = set()
        """(exchange, person) of the clicks that were acknowledged; on Discord, which knows "thinking", with a thank-you."""
        self.unclicked = 0
        """How many clicks came to nothing that the person could see, or to one of the refusals."""
        self.refusals: set[str] = set()
        self._waiting: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def environment(self) -> dict[str, str]: ...

    @abstractmethod
    async def go_away(self) -> None:
        """Nobody reaches the platform, though people go on writing."""

    @abstractmethod
    async def come_back(self) -> None: ...

    @abstractmethod
    async def settle(self, greeted: int) -> None:
        """Waits until commands can be used, which the product registers, and it knows the first `greeted` people."""

    @abstractmethod
    def drops_undelivered(self) -> None:
        """From now on nobody repeats what the product does not hear at once: it has to look by itself."""

    @abstractmethod
    async def shuffled(self, count: int, most: int, rng: random.Random) -> int:
        """People ask `count` questions, whose events arrive 1 to `most` times each, in any order; how many arrived."""

    @abstractmethod
    def looked_at(self, question: Question) -> Asked: ...

    @abstractmethod
    async def click_helpful(self, question: Question) -> bool:
        """The asker presses it under the answer; False where there is no answer to press it on yet."""

    @property
    @abstractmethod
    def problems(self) -> list[str]:
        """What a correct product would never have sent."""

    @abstractmethod
    async def _say(self, question: Question) -> None: ...

    @abstractmethod
    async def _direct(self, question: Question) -> None: ...

    @abstractmethod
    async def _command(self, question: Question) -> None:
        """Returns when it is acknowledged or has failed."""

    async def ask(self, kinds: Sequence[str] = KINDS) -> Question:
        """The next question, asked by the next person in the next way."""
        question = self.next_question(kinds)
        match question.kind:
            case "mention":
                await self._say(question)
            case "direct":
                await self._direct(question)
            case "command":
                task = asyncio.create_task(self._command(question))
                self._waiting.add(task)
                task.add_done_callback(self._waiting.discard)
        return question

    def next_question(self, kinds: Sequence[str] = KINDS) -> Question:
        """The same person never asks the same by command twice, within PEOPLE x CITIES commands."""
        number = len(self.questions)
        person, city = number % PEOPLE, CITIES[(number // PEOPLE + number % PEOPLE) % len(CITIES)]
        question = Question(number, kinds[(number // 7 + number) % len(kinds)], city, person, time.time())
        self.questions.append(question)
        return question

    async def commands_over(self) -> None:
        """Returns when every command was acknowledged or has failed."""
        while self._waiting:
            await asyncio.wait(set(self._waiting))

    def ledger(self) -> list[Asked]:
        return [self.looked_at(question) for question in self.questions]


class SlackTown(Town):
    name = "slack"

    def __init__(self) -> None:
        super().__init__()
        self._slack = SlackServer()

    async def __aenter__(self) -> Self:
        await self._slack.__aenter__()
        self._people = [self._slack.add_person(f"Person {number}") for number in range(PEOPLE)]
        self._channels = [self._slack.add_channel(f"channel-{number}", *self._people) for number in range(CHANNELS)]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for task in self._waiting:
            task.cancel()
        await self._slack.__aexit__(kind, error, trace)

    def environment(self) -> dict[str, str]:
        return self._slack.environment()

    async def go_away(self) -> None:
        await self._slack.stop_listening()

    async def come_back(self) -> None:
        await self._slack.start_listening()

    async def settle(self, greeted: int) -> None:
        """Slack's commands stand in the manifest, and it lists all direct conversations."""

    def drops_undelivered(self) -> None:
        self._slack.deliveries.patience = Patience(retries_s=(), keeps_for_s=0)

    async def shuffled(self, count: int, most: int, rng: random.Random) -> int:
        hub, held = self._slack.sockets, _HeldBack()
        self._slack.deliveries.carrier = held
        for _ in range(count):
            await self.ask(("mention", "direct"))
        self._slack.deliveries.carrier = hub
        frames = [frame for frame in held.frames for _ in range(rng.randint(1, most))]
        rng.shuffle(frames)
        for frame in frames:
            hub.carry(*frame)
        return len(frames)

    def looked_at(self, question: Question) -> Asked:
        if question.kind == "command":
            messages = self._private_answers(question)
            acknowledged_at = question.acknowledged_at
        else:
            entry = self._slack.ledger()[question.channel, question.id]
            messages = [self._slack.message(question.channel, ts) for ts in entry.answers]
            acknowledged_at = entry.acked_at
        answers = [self._answer(message) for message in messages]
        return Asked(
            key=f"slack:T1:{question.channel}:{question.id}",
            is_command=question.kind == "command",
            city=question.city,
            asked_at=question.asked_at,
            acknowledged_after_s=_after(question, acknowledged_at),
            answers=answers,
            answered_after_s=_after(question, answers[0].at if answers else None),
        )

    def _answer(self, message: Message) -> Answer:
        is_whole = any(_rates(element) for _, element in elements(message.blocks))
        return Answer(self._slack.visible_text(message), float((message.edited or {}).get("ts", message.ts)), is_whole)

    async def click_helpful(self, question: Question) -> bool:
        person = self._people[question.person]
        answers = self._slack.answers(question.channel, question.id) if question.kind != "command" else []
        pairs = [(answer, element) for answer in answers for _, element in elements(answer.blocks) if _rates(element)]
        if not pairs:
            return False
        answer, element = pairs[0]
        value = element["positive_button"]["value"]
        try:
            await person.click(answer, element["action_id"], value)
        except NotAcknowledged:
            self.unclicked += 1
        else:
            self.clicked.add((value.rpartition(":")[2], f"slack:T1:{person.id}"))
        return True

    @property
    def problems(self) -> list[str]:
        return self._slack.problems

    async def _say(self, question: Question) -> None:
        question.channel = self._channels[question.number % CHANNELS]
        text = f"{self._slack.mention} {question_about(question.city)}"
        question.id = await self._people[question.person].say(question.channel, text)

    async def _direct(self, question: Question) -> None:
        person = self._people[question.person]
        question.channel = person.direct_channel
        question.id = await person.dm(question_about(question.city))

    async def _command(self, question: Question) -> None:
        person = self._people[question.person]
        question.channel = self._channels[question.number % CHANNELS]
        try:
            await person.slash("/ask", question_about(question.city), question.channel)
        except NotAcknowledged:
            return
        question.acknowledged_at = time.time()

    def _private_answers(self, question: Question) -> list[Message]:
        """What only the asker sees and is about the city: nobody asks about it by command twice."""
        person = self._people[question.person]
        direct = [m for m in self._slack.world.messages(person.direct_channel) if m.bot_id and not m.thread_ts]
        return [m for m in [*person.ephemerals(), *direct] if question.city in self._slack.visible_text(m)]


class _HeldBack:
    """Takes what Slack sends and delivers nothing."""

    timeout_reason = "timeout"
    is_open = True

    def __init__(self) -> None:
        self.frames: list[tuple[Delivery, Attempt]] = []

    def carry(self, delivery: Delivery, attempt: Attempt) -> str | None:
        self.frames.append((delivery, attempt))
        return None


def _rates(element: Json) -> bool:
    return bool(element["type"] == "feedback_buttons")


class DiscordTown(Town):
    name = "discord"

    def __init__(self) -> None:
        super().__init__()
        self._discord = DiscordServer()
        self._used: dict[int, discord_people.Used] = {}

    async def __aenter__(self) -> Self:
        await self._discord.__aenter__()
        self._guild = self._discord.add_guild("Acme")
        self._people = [self._discord.add_person(f"Person {number}", self._guild) for number in range(PEOPLE)]
        self._channels = [self._discord.add_channel(self._guild, f"channel-{number}") for number in range(CHANNELS)]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for task in self._waiting:
            task.cancel()
        await self._discord.__aexit__(kind, error, trace)

    def environment(self) -> dict[str, str]:
        return {
            "TIMBRE_DISCORD__TOKEN": self._discord.token,
            "TIMBRE_DISCORD__API_URL": self._discord.api_url,
            "TIMBRE_DISCORD__GATEWAY_URL": self._discord.gateway_url,
        }

    async def go_away(self) -> None:
        await self._discord.stop_listening()

    async def come_back(self) -> None:
        await self._discord.start_listening()

    async def settle(self, greeted: int) -> None:
        """They say hello: Discord lists no direct conversations, so one that begins unheard is never found."""
        await self._discord.wait_until(lambda: bool(self._discord.world.commands), 60.0, "the product's commands")
        hellos = [person.dm("Hello!") for person in self._people[:greeted]]
        ledger = self._discord.service.ledger
        await self._discord.wait_until(
            lambda: all((entry := ledger.entry(id)) and any(map(self._replies, entry.answers)) for id in hellos), 120.0, "hellos"
        )

    def drops_undelivered(self) -> None:
        """Discord does so anyway: a new process has a new session."""

    async def shuffled(self, count: int, most: int, rng: random.Random) -> int:
        service = self._discord.service
        service.holds_back = True
        asked = [await self.ask(("mention", "direct")) for _ in range(count)]
        service.holds_back = False
        ids = [question.id for question in asked for _ in range(rng.randint(1, most))]
        rng.shuffle(ids)
        for id in ids:
            service.redeliver(self._discord.world.messages[id])
        return len(ids)

    def looked_at(self, question: Question) -> Asked:
        messages = self._private_answers(question) if question.kind == "command" else self._public_answers(question)
        answers = [_answer(message) for message in messages]
        return Asked(
            key=f"discord:{self._guild.id}:{question.channel}:{question.id}",
            is_command=question.kind == "command",
            city=question.city,
            asked_at=question.asked_at,
            acknowledged_after_s=_after(question, question.acknowledged_at),
            answers=answers,
            answered_after_s=_after(question, answers[0].at if answers else None),
        )

    async def click_helpful(self, question: Question) -> bool:
        person = self._people[question.person]
        answers = self._public_answers(question) if question.kind != "command" else []
        rated = [(answer, buttons) for answer in answers if (buttons := _rating(answer))]
        if not rated:
            return False
        answer, buttons = rated[0]
        if await self._thanked(person.click(answer.id, HELPFUL)):
            self.clicked.add((buttons[0]["custom_id"].rpartition(":")[2], f"discord:{self._guild.id}:{person.id}"))
        else:
            self.unclicked += 1
        return True

    @property
    def problems(self) -> list[str]:
        return self._discord.problems

    async def _say(self, question: Question) -> None:
        channel = self._channel_of(question)
        text = f"<@{self._discord.world.bot.id}> {question_about(question.city)}"
        question.id = self._people[question.person].say(channel, text)
        await asyncio.sleep(0)  # lets the sockets breathe

    async def _direct(self, question: Question) -> None:
        person = self._people[question.person]
        question.channel = self._discord.world.dm_with(person.id).id
        question.id = person.dm(question_about(question.city))
        await asyncio.sleep(0)

    async def _command(self, question: Question) -> None:
        used = self._people[question.person].slash(self._channel_of(question), "ask", text=question_about(question.city))
        self._used[question.number] = used
        question.id = used.interaction.id
        if await self._acknowledged(used):
            question.acknowledged_at = time.time()

    async def _thanked(self, used: discord_people.Used) -> bool:
        """ "Thinking" says nothing yet, and is all that the person sees of a process that dies."""
        with suppress(TimeoutError):
            await used.outcome(THANKED_WITHIN_S)
        if used.messages and THANKS not in used.text:
            self.refusals.add(used.text)
        return THANKS in used.text

    async def _acknowledged(self, used: discord_people.Used) -> bool:
        """Whether the product responded in time."""
        interaction = used.interaction
        is_over: Callable[[], bool] = lambda: interaction.callback_type is not None or interaction.has_failed  # noqa: E731
        await self._discord.wait_until(is_over, 10.0, "the end of an interaction")
        return not interaction.has_failed

    def _public_answers(self, question: Question) -> list[discord_world.Message]:
        """A direct message that replies to nothing is the greeting."""
        entry = self._discord.service.ledger.entry(question.id)
        assert entry
        found = [self._discord.world.messages[answer.message_id] for answer in entry.answers]
        return [message for message in found if question.kind != "direct" or message.replied_to == question.id]

    def _private_answers(self, question: Question) -> list[discord_world.Message]:
        """In place, or as a direct message about the city: nobody asks about it by command twice."""
        world = self._discord.world
        direct = [world.messages[str(id)] for id in world.dm_with(self._people[question.person].id).message_ids]
        ours = [message for message in direct if message.author_id == world.bot.id and message.replied_to is None]
        return [*self._used[question.number].messages, *(m for m in ours if question.city in visible_text(m))]

    def _replies(self, answer: Answered) -> bool:
        return self._discord.world.messages[answer.message_id].replied_to is not None

    def _channel_of(self, question: Question) -> Channel:
        channel = self._channels[question.number % CHANNELS]
        question.channel = channel.id
        return channel


def _rating(message: discord_world.Message) -> list[Json]:
    return [part for part in walk(message.components) if part.get("label") == HELPFUL]


def _answer(message: discord_world.Message) -> Answer:
    return Answer(visible_text(message), message.edited_at or message.created_at, bool(_rating(message)))


def _after(question: Question, at: float | None) -> float | None:
    return None if at is None else at - question.asked_at


TOWNS: dict[str, Callable[[], Town]] = {"slack": SlackTown, "discord": DiscordTown}
