"""How the bot behaves in a channel, and the words after `/timbre here` that change it (pure)."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from enum import StrEnum
from typing import TypeAlias

from bot.errors import CommandRejected
from bot.spelling import listed, right_word

DEFAULT_WAIT_MINUTES = 15
MAX_WAIT_MINUTES = 24 * 60  # a day later nobody waits for an answer any more
EXAMPLES = (
    "here answers mentions", "here answers questions", "here answers unanswered after 15 minutes",
    "here sources all", "here private", "here public", "here quiet 18:00-08:00", "here quiet never", "here reset",
)  # fmt: skip
"""Every word that can follow, in use."""
ALL_SOURCES = "all"


class Answers(StrEnum):
    """mentions: only what names the bot; questions: every question; unanswered: those that nobody answered in time."""

    MENTIONS = "mentions"
    QUESTIONS = "questions"
    UNANSWERED = "unanswered"


@dataclass(frozen=True)
class ChannelSettings:
    """How the bot behaves in a channel; the defaults hold where nobody has said anything.

    `sources` are the only ones to look in, empty: all. `is_private`: only the asker sees the answer. Quiet hours are UTC and
    may run over midnight; there are none when both ends are equal.
    """

    answers: Answers = Answers.MENTIONS
    wait_minutes: int = DEFAULT_WAIT_MINUTES
    sources: tuple[str, ...] = ()
    is_private: bool = False
    quiet_from: time = time()
    quiet_until: time = time()

    def is_quiet(self, now: datetime) -> bool:
        """Whether only mentions and direct questions are answered at that moment (aware, of any zone)."""
        at = now.astimezone(UTC).time()
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= at < self.quiet_until
        return at >= self.quiet_from or at < self.quiet_until


Change: TypeAlias = Callable[[deque[str], ChannelSettings, Sequence[str]], ChannelSettings]
"""(words that follow, of which it takes its own; settings; known sources) -> settings."""


def described(settings: ChannelSettings) -> str:
    """What the settings mean, as Markdown list."""
    answers = {
        Answers.MENTIONS: "when it is mentioned",
        Answers.QUESTIONS: "every question",
        Answers.UNANSWERED: f"questions that nobody answered within {_minutes(settings.wait_minutes)}",
    }[settings.answers]
    quiet = (
        "never" if settings.quiet_from == settings.quiet_until
        else f"{hours(settings)} UTC; then it answers mentions and direct questions only"
    )  # fmt: skip
    return "\n".join(
        [
            f"- answers: {answers}",
            f"- sources: {', '.join(settings.sources) or 'all'}",
            f"- who sees an answer: {'only the person who asked' if settings.is_private else 'everybody here'}",
            f"- quiet hours: {quiet}",
        ]
    )


def hours(settings: ChannelSettings) -> str:
    """`18:00-08:00`."""
    return f"{settings.quiet_from:%H:%M}-{settings.quiet_until:%H:%M}"


def changed(current: ChannelSettings, words: Sequence[str], known_sources: Sequence[str]) -> ChannelSettings:
    """The settings after `/timbre here WORDS`, several changes in a row allowed; as they were for no words.

    Raises CommandRejected with the nearest right word for a wrong one.
    """
    rest, settings = deque(words), current
    while rest:
        word = right_word(rest.popleft(), CHANGES, "word after `here`")
        settings = _CHANGES[word](rest, settings, known_sources)
    return settings


def _answers(rest: deque[str], settings: ChannelSettings, _: Sequence[str]) -> ChannelSettings:
    answers = Answers(right_word(_next(rest, "answers", *Answers), list(Answers), "way to answer"))
    wait = _wait_minutes(rest) if answers is Answers.UNANSWERED and rest and rest[0] == "after" else settings.wait_minutes
    return replace(settings, answers=answers, wait_minutes=wait)


def _wait_minutes(rest: deque[str]) -> int:
    """Takes `after 15 minutes`, the last word of which may be left out."""
    rest.popleft()
    word = _next(rest, "after", "15 minutes")
    if not (word.isdecimal() and 1 <= int(word) <= MAX_WAIT_MINUTES):
        raise CommandRejected(f"{word!r} is no number of minutes from 1 to {MAX_WAIT_MINUTES:,}.")
    if rest and rest[0] in ("minute", "minutes", "min"):
        rest.popleft()
    return int(word)


def _sources(rest: deque[str], settings: ChannelSettings, known: Sequence[str]) -> ChannelSettings:
    chosen = [right_word(_next(rest, "sources", ALL_SOURCES, *known).rstrip(","), [ALL_SOURCES, *known], "source")]
    while rest and rest[0] not in CHANGES:
        chosen.append(right_word(rest.popleft().rstrip(","), known, "source"))
    return replace(settings, sources=() if chosen[0] == ALL_SOURCES else tuple(dict.fromkeys(chosen)))


def _quiet(rest: deque[str], settings: ChannelSettings, _: Sequence[str]) -> ChannelSettings:
    word = _next(rest, "quiet", "18:00-08:00", "never")
    if word == "never":
        return replace(settings, quiet_from=time(), quiet_until=time())
    try:
        start, end = (datetime.strptime(part, "%H:%M").time() for part in word.split("-"))
    except ValueError as err:
        raise CommandRejected(f"{word!r} are no hours; write them in UTC, such as 18:00-08:00, or never.") from err
    if start == end:
        raise CommandRejected("Quiet hours begin and end at different times; write never for none.")
    return replace(settings, quiet_from=start, quiet_until=end)


def _private(rest: deque[str], settings: ChannelSettings, _: Sequence[str]) -> ChannelSettings:
    return replace(settings, is_private=True)


def _public(rest: deque[str], settings: ChannelSettings, _: Sequence[str]) -> ChannelSettings:
    return replace(settings, is_private=False)


def _reset(rest: deque[str], settings: ChannelSettings, _: Sequence[str]) -> ChannelSettings:
    return ChannelSettings()


_CHANGES: dict[str, Change] = {
    "answers": _answers, "sources": _sources, "private": _private, "public": _public, "quiet": _quiet, "reset": _reset,
}  # fmt: skip
CHANGES = tuple(_CHANGES)


def _next(rest: deque[str], after: str, *possible: str) -> str:
    if not rest:
        raise CommandRejected(f"Something is missing after `{after}`: {listed(possible, 'or')}.")
    return rest.popleft()


def _minutes(count: int) -> str:
    return "a minute" if count == 1 else f"{count} minutes"
