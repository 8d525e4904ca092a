"""Rated exchanges for tests: a handbook of made-up facts, people who rate, and a check of support that needs no model."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import regex

from training.examples import RatedExchange, Rating

START = datetime(2026, 11, 1, tzinfo=UTC)
FRUIT = "apples pears plums figs dates limes kiwis mangos grapes melons peaches cherries quinces lemons papayas guavas".split()


def staff(name: str, is_helpful: bool = True) -> Rating:
    return Rating(name, is_helpful, is_staff=True)


def member(name: str, is_helpful: bool = True) -> Rating:
    return Rating(name, is_helpful, is_staff=False)


def exchange(number: int, **changes: Any) -> RatedExchange:
    """The exchange of that number: its question, quote and answer hold a fruit and a number of their own."""
    fruit, room = f"{FRUIT[number % len(FRUIT)]} of kind {number}", number + 10
    quote = f"The {fruit} are kept in room {room}."
    question = f"Where are the {fruit}?"
    built = RatedExchange(
        id=f"x{number:04}",
        question=question,
        quotes=[quote],
        prompt=[{"role": "system", "content": "Word it."}, {"role": "user", "content": f"{question}\n{quote}"}],
        answer=f"Hi there! You find the {fruit} in room {room}.",
        was_worded=True,
        correction="",
        author="",
        ratings=[staff("support-1")],
        outcome="answered",
        topic=f"pages/{number % 7}.md",
        audience=frozenset({"everyone"}),
        asked_at=START + timedelta(minutes=number),
    )
    return replace(built, **changes)


def exchanges(count: int, **changes: Any) -> list[RatedExchange]:
    return [exchange(number, **changes) for number in range(count)]


def unsupported(target: str, quotes: Sequence[str], question: str) -> list[str]:
    """A sentence is supported when the quotes hold all its numbers and it has one, which is enough for facts made up here."""
    said = set(regex.findall(r"\d+", " ".join(quotes)))
    sentences = regex.split(r"(?<=[.!?])\s+", target)
    return [one for one in sentences if one and not (len(found := set(regex.findall(r"\d+", one))) > 0 and found <= said)]
