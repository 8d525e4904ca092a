"""What waits for the click of the person who asked: once, for ten minutes, in memory only."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Generic, TypeVar

from bot.errors import CommandRejected
from bot.messages import PersonId

VALID_S = 600.0
TOKEN_BYTES = 16  # nobody guesses one in ten minutes

T = TypeVar("T")


@dataclass(frozen=True)
class _Waiting(Generic[T]):
    person: PersonId
    value: T
    until_s: float


class Confirmations(Generic[T]):
    """Keeps values under tokens."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._waiting: dict[str, _Waiting[T]] = {}

    def put(self, person: PersonId, value: T) -> str:
        """The token under which that person may take the value."""
        now = self._clock_s()
        self._waiting = {token: waiting for token, waiting in self._waiting.items() if waiting.until_s > now}
        token = token_urlsafe(TOKEN_BYTES)
        self._waiting[token] = _Waiting(person, value, now + VALID_S)
        return token

    def take(self, person: PersonId, token: str) -> T:
        """The value, once. Raises CommandRejected when it was taken, is too old or waits for another person."""
        waiting = self._waiting.get(token)
        if waiting is None or waiting.until_s <= self._clock_s():
            raise CommandRejected("This button was used already or is older than ten minutes; give the command again.")
        if waiting.person != person:
            raise CommandRejected("Only the person who gave the command can decide this.")
        del self._waiting[token]
        return waiting.value
