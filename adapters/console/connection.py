"""The terminal as a `ChatPlatform`: reads lines, hands them to the front desk, and shows what comes of them.

One person, one thread for each run, and no other message than those it has shown itself: nothing can be missed.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING

from rich.console import Console as Screen
from rich.text import Text

from adapters.console.inbound import PLATFORM, Ask, Decide, Fix, Line, Order, Quit, Rate, Seat, Show, read_line
from adapters.console.rendering import (
    ending_view,
    help_view,
    notice_view,
    problem_view,
    reply_view,
    verdict_view,
    why_view,
)
from bot.conversation import Exchange, ExchangeId, Verdict
from bot.engine import cleaned
from bot.errors import BotError, CommandRejected, DeliveryRefused, PlatformUnavailable
from bot.messages import (
    Control,
    Delivery,
    DeliveryKey,
    IncomingMessage,
    Mark,
    MessageRef,
    Notice,
    PersonId,
    Place,
    Response,
    Viewers,
)
from bot.ports import ReplyStream
from bot.printing import console, sources_view
from knowledge.errors import KnowledgeError

if TYPE_CHECKING:
    from bot.front_desk import FrontDesk

QUOTES = "\n\n> "
"""What the quotes begin with that follow a wording: they are shown, with their places, by the delivery that ends the stream."""

NextLine = Callable[[], Awaitable[str | None]]
Recent = Callable[[ExchangeId], Exchange | None]


class ConsolePlatform:
    """One person's conversation. `/fix` approves at once: who sits at the terminal runs this Timbre.

    `recent` gives an exchange of this run with all that led to it; `next_line` the next line, None at the end of input.
    """

    name = PLATFORM

    def __init__(
        self,
        front_desk: "FrontDesk",
        seat: Seat,
        recent: Recent,
        screen: Screen | None = None,
        next_line: NextLine | None = None,
    ) -> None:
        self._front_desk = front_desk
        self._seat = seat
        self._recent = recent
        self._screen = screen or console
        self._next_line = next_line or _next_line
        self._numbers = count(1)
        self._is_open = False
        self._last: Exchange | None = None
        self._asked_once = ""  # what an order waits for a yes to
        self._stream: TerminalStream | None = None
        self._shown: dict[DeliveryKey, Sequence[str]] = {}

    @property
    def is_connected(self) -> bool:
        return self._is_open

    async def run(self) -> None:
        """Until /quit or the end of input."""
        self._is_open = True
        try:
            await self._greet()
            while (line := await self._next_line()) is not None and self._is_open and await self.say(line):
                pass
            self._screen.print("Bye!")
        finally:
            self._is_open = False

    async def close(self) -> None:
        self._is_open = False

    async def say(self, line: str) -> bool:
        """Does what one line asks for; False when the person leaves."""
        try:
            command = read_line(line.strip()) if line.strip() else None
            if isinstance(command, Quit):
                return False
            if command:
                await self._do(command)
        except (BotError, KnowledgeError) as err:
            self._screen.print(problem_view(str(err)))
        return True

    # As a platform

    async def viewers(self, place: Place) -> Viewers:
        return Viewers(is_open=False, has_outsiders=False, people=frozenset({self._seat.person.id}))

    async def show_working(self, message: IncomingMessage) -> None:
        """The cursor that waits shows it."""

    async def open_stream(
        self, key: DeliveryKey, message: IncomingMessage, on_posted: Callable[[str], Awaitable[None]]
    ) -> ReplyStream | None:
        await on_posted(key)
        self._stream = TerminalStream(self._screen)
        return self._stream

    async def deliver(self, delivery: Delivery, *, draft: str = "", is_retry: bool = False) -> Sequence[str]:
        """What another person is to see is refused: nobody else looks at this terminal."""
        if not self._is_here(delivery):
            raise DeliveryRefused(self.name, "it is for somebody who does not sit at this terminal")
        if not (is_retry and delivery.key in self._shown):
            self._shown[delivery.key] = [] if delivery.to else [draft or delivery.key]
            with self._writing():
                self._show(delivery)
        return self._shown[delivery.key]

    async def places(self) -> Sequence[Place]:
        return [replace(self._seat.place, thread="")]

    async def missed(self, place: Place, since: datetime) -> Sequence[IncomingMessage]:
        """Nothing: what is typed while nobody listens waits in the terminal, and is read when somebody does."""
        return []

    async def is_answered(self, message: IncomingMessage) -> bool:
        return False

    async def mark(self, message: MessageRef, mark: Mark) -> None:
        """What stands in a terminal stays as it is."""

    async def name_of(self, person: PersonId) -> str:
        return self._seat.person.name if person == self._seat.person.id else person

    # What lines do

    async def _greet(self) -> None:
        self._screen.print("Ask anything about your documents. [cyan]/help[/cyan] shows what else you can do.")
        greeting = await self._front_desk.greeting(self._seat.person)
        for prompt in greeting.prompts:
            self._screen.print(Text(f"  {prompt}", style="dim"))

    async def _do(self, line: Line) -> None:
        match line:
            case Ask(text):
                await self._front_desk.receive(self._seat.message(next(self._numbers), cleaned(text), datetime.now(UTC)))
            case Rate(verdict):
                await self._rate(verdict)
            case Fix(correction):
                await self._fix(correction)
            case Order(words):
                await self._answer_order(await self._front_desk.command(self._seat.command(words), self._say))
            case Decide(is_yes):
                await self._decide(is_yes)
            case Show("help"):
                self._screen.print(help_view())
            case Show("why"):
                self._screen.print(why_view(self._last_exchange()))
            case Show("sources"):
                self._show_sources()

    async def _rate(self, verdict: Verdict) -> None:
        self._screen.print(verdict_view(await self._click(Control(verdict), self._last_exchange().id)))

    async def _fix(self, correction: str) -> None:
        """Proposed as support staff propose what was written below a question, and approved in the same breath."""
        exchange = self._last_exchange()
        response = await self._front_desk.capture(self._seat.person, self._seat.ref, correction)
        if subject := _subject(response, Control.APPROVE):
            response = await self._click(Control.APPROVE, subject)
        assert isinstance(response, Notice)
        if response.is_problem:
            await self._say(response)
        else:
            self._screen.print(Text(f"Thank you! From now on the answer to “{exchange.query}” is yours."))

    async def _decide(self, is_yes: bool) -> None:
        if not self._asked_once:
            raise CommandRejected("Nothing waits for a yes or no.")
        subject, self._asked_once = self._asked_once, ""
        await self._answer_order(await self._click(Control.CONFIRM if is_yes else Control.CANCEL, subject))

    async def _answer_order(self, response: Response) -> None:
        assert isinstance(response, Notice)
        self._asked_once = _subject(response, Control.CONFIRM)
        await self._say(response)

    async def _click(self, control: Control, subject: str) -> Response:
        return await self._front_desk.click(self._seat.click(control, subject), self._say)

    async def _say(self, notice: Notice) -> None:
        self._screen.print(notice_view(notice))

    def _show_sources(self) -> None:
        citations = self._last_exchange().answer.citations
        for line in sources_view(citations):
            self._screen.print(line)
        if not citations:
            self._screen.print("The last answer cites no page.")

    def _last_exchange(self) -> Exchange:
        if self._last is None:
            raise CommandRejected("Ask something first.")
        return self._last

    # What is shown

    def _is_here(self, delivery: Delivery) -> bool:
        if delivery.to is None:
            return delivery.place == self._seat.place
        return delivery.to == self._seat.person.id

    def _show(self, delivery: Delivery) -> None:
        exchange = self._recent(delivery.exchange) if delivery.exchange else None
        self._last = exchange or self._last
        stream, self._stream = self._stream, None
        if stream:
            self._screen.print("\n")
        view = ending_view(delivery.reply, exchange, stream.shown) if stream else reply_view(delivery.reply, exchange)
        self._screen.print(view)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            raise PlatformUnavailable(self.name, f"what was said cannot be written ({err.strerror})") from err


class TerminalStream:
    """A `ReplyStream` that writes sentence after sentence, up to the quotes."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._is_over = False
        self.shown = ""

    async def append(self, text: str) -> None:
        if self._is_over:
            return
        text, quotes, _ = text.partition(QUOTES)
        self._is_over = bool(quotes)
        self.shown += text
        with suppress(OSError):
            self._screen.print(text, end="", soft_wrap=True, markup=False)


def _subject(response: Response, control: Control) -> str:
    """Of the button with that control; empty where there is none."""
    buttons = response.buttons if isinstance(response, Notice) else ()
    return next((button.subject for button in buttons if button.control is control), "")


async def _next_line() -> str | None:
    """The next line, None at the end of input. Waits in a thread that keeps no process alive: Ctrl-C leaves at once."""
    line: Future[str | None] = Future()
    Thread(target=lambda: line.set_result(_read()), daemon=True).start()
    return await asyncio.wrap_future(line)


def _read() -> str | None:
    """Reads past `sys.stdin`, whose lock a waiting thread would hold when Python shuts down. Bytes that are no text become ?."""
    if sys.stdin.isatty():
        console.print("\n› ", end="")
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as unbuffered:
        line = unbuffered.readline()
    return line.decode(sys.stdin.encoding, "replace") if line else None
