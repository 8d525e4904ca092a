"""What a typed line means (pure)."""

from dataclasses import dataclass
from typing import TypeAlias

from bot.conversation import Verdict
from bot.errors import CommandRejected

COMMANDS = {
    "/good": "the last answer was helpful: its question will find this passage again",
    "/bad": "the last answer was not helpful",
    "/fix RIGHT ANSWER": "say what would have been right; the next person gets it",
    "/sources": "the pages that the last answer cites",
    "/why": "the passages with scores, and the exact messages sent to the model",
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
class Show:
    """what: sources, why or help."""

    what: str


@dataclass(frozen=True)
class Quit:
    pass


Line: TypeAlias = Ask | Rate | Fix | Show | Quit


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
        case "/sources" | "/why" | "/help":
            return Show(command[1:])
        case "/quit" | "/exit":
            return Quit()
    raise CommandRejected(f"There is no command {command}.{_suggestion(command)} /help lists them all.")


def _suggestion(command: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(command, [name.split()[0] for name in COMMANDS], 1)
    return f" Did you mean {close[0]}?" if close else ""
