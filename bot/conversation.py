"""The values of a conversation. No input or output, nothing of any platform."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NewType, TypeAlias, TypedDict

from knowledge.documents import Audience, Passage

ExchangeId = NewType("ExchangeId", str)
ReleaseId = NewType("ReleaseId", str)
Speaker: TypeAlias = Literal["user", "assistant"]


class Outcome(StrEnum):
    """answered: the quotes answer; closest: they may, look yourself; unknown: nothing relevant; error: something broke."""

    ANSWERED = "answered"
    CLOSEST = "closest"
    UNKNOWN = "unknown"
    ERROR = "error"


class Verdict(StrEnum):
    HELPFUL = "helpful"
    NOT_HELPFUL = "not_helpful"


class ChatMessage(TypedDict):
    """`{"role": "system" | "user" | "assistant", "content": "..."}`, as language models take it."""

    role: str
    content: str


@dataclass(frozen=True)
class Turn:
    """One earlier message of the conversation."""

    speaker: Speaker
    text: str


def turns(history: Iterable[Sequence[str]]) -> list[Turn]:
    """Turns from `[["user", text], ["assistant", text], ...]`, the form of question files (checked by `question_files`)."""
    return [Turn("user" if speaker == "user" else "assistant", text) for speaker, text in history]


@dataclass(frozen=True)
class Question:
    """The text to answer, the recent turns that give it meaning (oldest first) and who will see the answer.

    `sources` are the only ones to look in, besides approved corrections; empty: all. `conversation` names the thread that it
    was asked in; `is_private` says that not everybody of the workspace may see question and answer.
    """

    text: str
    audience: Audience
    history: Sequence[Turn] = ()
    asked_by: str = ""
    channel: str = ""
    sources: Sequence[str] = ()
    conversation: str = ""
    is_private: bool = False


@dataclass(frozen=True)
class Quote:
    """One to three neighbouring sentences of a passage, chosen to answer.

    `context` is what they need to be understood, the line that introduces their list; it is shown before them.
    `score` is the selection score: higher is better, comparable within one question only.
    """

    text: str
    passage: Passage
    score: float
    context: str = ""

    @property
    def shown(self) -> str:
        return f"{self.context} {self.text}" if self.context else self.text


@dataclass(frozen=True)
class Citation:
    """Which numbered mark of an answer points at which quote."""

    number: int
    quote: Quote


@dataclass(frozen=True)
class Answer:
    """What a person gets. `text` carries marks like [1]; `wording` is the model's part of it, empty where quotes stand alone.

    `pages` are offered when the outcome is `closest`: passages of different documents, best first.
    """

    outcome: Outcome
    text: str
    citations: Sequence[Citation] = ()
    pages: Sequence[Passage] = ()
    wording: str = ""


@dataclass(frozen=True)
class Exchange:
    """One question and its answer, with all that led to it: the unit of logging, rating and training.

    `messages` are exactly what was sent to the model, empty when none was asked. `timings_s` are seconds by step.
    """

    id: ExchangeId
    question: Question
    query: str
    answer: Answer
    passages: Sequence[Passage]
    quotes: Sequence[Quote]
    signal: float
    release: ReleaseId
    model: str
    messages: Sequence[ChatMessage] = ()
    timings_s: dict[str, float] = field(default_factory=dict)
    asked_at: datetime | None = None
    is_small_talk: bool = False
    dropped_sentences: int = 0
    """Sentences of the model that failed the check and were not shown."""
    is_reduced: bool = False
    """Reduced search: the index was away, and its copy in the database was searched."""


@dataclass(frozen=True)
class PastExchange:
    """What a conversation needs to remember of an exchange. `audience` are the groups whose documents it was made of."""

    id: ExchangeId
    asked_by: str
    asked_at: datetime
    question: str
    answer: str
    outcome: Outcome
    audience: Audience


@dataclass(frozen=True)
class Feedback:
    """A person's judgement of an exchange; the later one of the same person wins."""

    exchange_id: ExchangeId
    verdict: Verdict
    given_by: str
    reason: str = ""
    comment: str = ""
    correction: str = ""


@dataclass(frozen=True)
class StandardAnswer:
    """An approved question and answer, searchable as knowledge from the moment of its approval."""

    key: str
    question: str
    answer: str
    approved_by: str
