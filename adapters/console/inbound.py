"""What a typed line means, and what it is for the front desk (pure)."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from bot.conversation import Verdict
from bot.errors import CommandRejected
from bot.messages import (
    Addressed,
    Click,
    Command,
    Control,
    IncomingMessage,
    MessageRef,
    Person,
    PersonId,
    Place,
    direct_place,
)

PLATFORM = "console"
WORKSPACE = "local"
COMMANDS = {
    "/good": "the last answer was helpful: its question will find this passage again",
    "/bad": "the last answer was not helpful",
    "/fix RIGHT ANSWER": "say what would have been right; the next person gets it",
    "/sources": "the pages that the last answer cites",
    "/why": "the passages with scores, and the exact messages sent to the model",
    "/timbre help": "what can be said after /timbre, as in Slack and Discord: status, mine, sources, ...",
    "/help": "this list",
    "/quit": "leave (or Ctrl-D)",
}


@dataclass(frozen=True)
class Ask:
    text: str


@dataclass(frozen=True)
class Rate:
    verdict: Verdict


@dataclass(frozen=True)
class Fix:
    correction: str


@dataclass(frozen=True)
class Order:
    """What stands after /timbre."""

    words: str


@dataclass(frozen=True)
class Decide:
    """Yes or no to what an order asks once before it destroys."""

    is_yes: bool


@dataclass(frozen=True)
class Show:
    """what: sources, why or help."""

    what: str


@dataclass(frozen=True)
class Quit:
    pass


Line: TypeAlias = Ask | Rate | Fix | Order | Decide | Show | Quit


def read_line(line: str) -> Line:
    """Raises CommandRejected for an unknown command, naming the nearest one."""
    if not line.startswith("/"):
        return Ask(line)
    command, _, rest = line.partition(" ")
    match command:
        case "/good" | "/bad":
            return Rate(Verdict.HELPFUL if command == "/good" else Verdict.NOT_HELPFUL)
        case "/fix" if rest.strip():
            return Fix(rest.strip())
        case "/fix":
            raise CommandRejected("Say what would have been right: /fix The right answer.")
        case "/timbre":
            return Order(rest)
        case "/yes" | "/no":
            return Decide(command == "/yes")
        case "/sources" | "/why" | "/help":
            return Show(command[1:])
        case "/quit" | "/exit":
            return Quit()
    raise CommandRejected(f"There is no command {command}.{_suggestion(command)} /help lists them all.")


@dataclass(frozen=True)
class Seat:
    """Who sits at the terminal, and the thread that one run of the chat is."""

    person: Person
    place: Place

    def message(self, number: int, text: str, sent_at: datetime) -> IncomingMessage:
        """A question; `number` counts those of the run."""
        id = f"{self.place.thread}-{number}"
        return IncomingMessage(self.place, id, self.person, text, Addressed.DIRECT, sent_at, is_threaded=False)

    def click(self, control: Control, subject: str) -> Click:
        return Click(self.person, self.ref, control, subject)

    def command(self, words: str) -> Command:
        return Command(self.person, self.place, words)

    @property
    def ref(self) -> MessageRef:
        """The thread; nothing here is done to one message of it."""
        return MessageRef(self.place, self.place.thread)


def seat_of(name: str, run: str) -> Seat:
    """`name`: of the account that the program runs under; `run`: one word that no other run has."""
    user = re.sub(r"[\s:]+", "-", name)
    person = Person(PersonId(f"{PLATFORM}:{WORKSPACE}:{user}"), name, True)
    return Seat(person, replace(direct_place(person.id), thread=run))


def _suggestion(command: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(command, [name.split()[0] for name in COMMANDS], 1)
    return f" Did you mean {close[0]}?" if close else ""
