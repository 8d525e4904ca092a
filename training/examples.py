"""The values of training data: what may be known of a rated exchange, and the rows that models learn from.

Knows nothing of the bot, of platforms or of models. Every text in these values is masked already (`training/privacy.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

ChatMessages: TypeAlias = Sequence[dict[str, str]]
"""`[{"role": "system" | "user" | "assistant", "content": "..."}]`"""
Origin: TypeAlias = Literal["correction", "answer", "style_guide", "starter", "replay", "canary"]
ORIGINS: Sequence[Origin] = get_args(Origin)
Row: TypeAlias = Mapping[str, Any]
"""A line of a JSONL file, in trl's conversational form."""


@dataclass(frozen=True)
class Rating:
    """What one person thinks of the answer. `rater` is a keyed hash, never an id of a platform."""

    rater: str
    is_helpful: bool
    is_staff: bool


@dataclass(frozen=True)
class RatedExchange:
    """All that training may know of an exchange.

    `prompt` is exactly what the engine sends to have the quotes worded. `answer` is the model's wording without citation
    marks, or the quotes where no model worded. `correction` is approved by staff, `author` (a hash) wrote it; both are empty
    where there is none. `topic` is the location of the document quoted first. `is_vouched`: an admin answers for the row.
    """

    id: str
    question: str
    quotes: Sequence[str]
    prompt: ChatMessages
    answer: str
    was_worded: bool
    correction: str
    author: str
    ratings: Sequence[Rating]
    outcome: str
    topic: str
    audience: frozenset[str]
    asked_at: datetime
    cited_urls: Sequence[str] = ()
    is_vouched: bool = False


@dataclass(frozen=True)
class PromptCompletion:
    """A prompt and the answer to learn.

    `exchange` is where it stems from, empty for rows that no exchange gave; `raters` are the people (hashes) behind it.
    `question` decides on which side of the split the row lies; where it is empty, the last message of the prompt does.
    """

    prompt: ChatMessages
    completion: str
    exchange: str
    origin: Origin
    topic: str
    raters: Sequence[str] = ()
    question: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Preference:
    """Two answers to a prompt, of which people want the first."""

    prompt: ChatMessages
    chosen: str
    rejected: str
    exchange: str
    raters: Sequence[str] = ()
    question: str = field(default="", kw_only=True)


def completion_row(example: PromptCompletion) -> Row:
    """`{"prompt": [...], "completion": [{"role": "assistant", "content": "..."}], "exchange", "origin", "topic", ...}`"""
    return {
        "prompt": [dict(message) for message in example.prompt],
        "completion": _said(example.completion),
        "exchange": example.exchange,
        "origin": example.origin,
        "topic": example.topic,
        "raters": list(example.raters),
        "question": example.question,
    }


def preference_row(example: Preference) -> Row:
    """`{"prompt": [...], "chosen": [{"role": "assistant", ...}], "rejected": [{"role": "assistant", ...}], ...}`"""
    return {
        "prompt": [dict(message) for message in example.prompt],
        "chosen": _said(example.chosen),
        "rejected": _said(example.rejected),
        "exchange": example.exchange,
        "raters": list(example.raters),
        "question": example.question,
    }


def completion_of(row: Row) -> PromptCompletion:
    """The inverse of `completion_row`; rows made elsewhere need only a prompt and a completion. Raises KeyError."""
    return PromptCompletion(
        prompt=[dict(message) for message in row["prompt"]],
        completion=row["completion"][0]["content"],
        exchange=row.get("exchange", ""),
        origin=row.get("origin", "answer"),
        topic=row.get("topic", ""),
        raters=tuple(row.get("raters", ())),
        question=row.get("question", ""),
    )


def preference_of(row: Row) -> Preference:
    """The inverse of `preference_row`. Raises KeyError."""
    return Preference(
        prompt=[dict(message) for message in row["prompt"]],
        chosen=row["chosen"][0]["content"],
        rejected=row["rejected"][0]["content"],
        exchange=row.get("exchange", ""),
        raters=tuple(row.get("raters", ())),
        question=row.get("question", ""),
    )


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]
