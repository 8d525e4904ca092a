"""The chat loop of a terminal: reads lines, shows answers as they come, records verdicts."""

import asyncio
import sys
from concurrent.futures import Future
from threading import Thread

from rich.text import Text

from adapters.console.inbound import Ask, Fix, Line, Quit, Rate, Show, read_line
from adapters.console.rendering import help_view, why_view
from bot.conversation import Exchange, Feedback, Question, Turn, Verdict
from bot.engine import AnswerEngine
from bot.errors import BotError, CommandRejected
from bot.feedback import FeedbackService
from bot.printing import console, exchange_view, quotes_view, sources_view
from knowledge.documents import Audience
from knowledge.errors import KnowledgeError

TURNS_KEPT = 6


class Console:
    """One person's conversation. `/fix` approves at once: who sits at the terminal runs this Timbre."""

    def __init__(self, engine: AnswerEngine, feedback: FeedbackService, audience: Audience, person: str) -> None:
        self._engine = engine
        self._feedback = feedback
        self._audience = audience
        self._person = person
        self._turns: list[Turn] = []
        self._last: Exchange | None = None

    async def talk(self) -> None:
        """Until /quit or the end of input."""
        await self._greet()
        while (line := await _next_line()) is not None and await self.say(line):
            pass
        console.print("Bye!")

    async def say(self, line: str) -> bool:
        """Does what one line asks for; False when the person leaves."""
        try:
            command = read_line(line.strip()) if line.strip() else None
            if isinstance(command, Quit):
                return False
            if command:
                await self._do(command)
        except (BotError, KnowledgeError) as err:
            console.print(Text(str(err), style="yellow"))
        return True

    async def _greet(self) -> None:
        console.print("Ask anything about your documents. [cyan]/help[/cyan] shows what else you can do.")
        suggestions = await self._engine.suggestions(self._audience)
        for suggestion in suggestions:
            console.print(Text(f"  {suggestion}", style="dim"))

    async def _do(self, command: Line) -> None:
        match command:
            case Ask(text):
                await self._ask(text)
            case Rate(verdict):
                await self._rate(verdict)
            case Fix(correction):
                await self._fix(correction)
            case Show("help"):
                console.print(help_view())
            case Show("why"):
                console.print(why_view(self._last_exchange()))
            case Show("sources"):
                self._show_sources()

    async def _ask(self, text: str) -> None:
        pending = ""  # a sentence is printed when the next piece comes: the last piece holds the quotes, rendered below

        def show(piece: str) -> None:
            nonlocal pending
            console.print(pending, end="", soft_wrap=True, markup=False)
            pending = piece

        exchange = await self._engine.answer(Question(text, self._audience, self._turns, self._person), show)
        if exchange.answer.wording:
            console.print("\n")
            console.print(quotes_view(exchange))
        else:
            console.print(exchange_view(exchange))
        self._last = exchange
        self._turns = [*self._turns, Turn("user", text), Turn("assistant", exchange.answer.text)][-TURNS_KEPT:]

    async def _rate(self, verdict: Verdict) -> None:
        await self._feedback.record(Feedback(self._last_exchange().id, verdict, self._person))
        if verdict is Verdict.HELPFUL:
            console.print("Thank you! Questions like this one will find the passage more easily.")
        else:
            console.print("Thank you, noted. If you know what is right, tell me: [cyan]/fix The right answer.[/cyan]")

    async def _fix(self, correction: str) -> None:
        answer = await self._feedback.correct(self._last_exchange().id, correction, self._person)
        console.print(Text(f"Thank you! From now on the answer to “{answer.question}” is yours."))

    def _show_sources(self) -> None:
        citations = self._last_exchange().answer.citations
        for line in sources_view(citations):
            console.print(line)
        if not citations:
            console.print("The last answer cites no page.")

    def _last_exchange(self) -> Exchange:
        if self._last is None:
            raise CommandRejected("Ask something first.")
        return self._last


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
