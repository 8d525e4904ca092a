"""Scores answers against a question set (pure): right, cited from the right page, rightly not answered."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.errors import CommandRejected
from bot.question_files import check_row, read_lines, read_object
from training.judgements import holds_accepted
from training.measures import wilson

TOTALS = ("answerable", "unanswerable")  # a set may call a style what a total is called: it is shown once


@dataclass(frozen=True)
class Case:
    """A question with what is expected. `accept` holds groups of which one string each must appear; none: not judged.

    `pages` are those that may be cited; `is_answerable` is False for a question that the documents do not answer.
    """

    id: str
    question: str
    history: Sequence[tuple[str, str]] = ()
    pages: frozenset[str] = frozenset()
    accept: Sequence[Sequence[str]] = ()
    is_answerable: bool = True
    style: str = "all"


@dataclass(frozen=True)
class Observation:
    """What a system said to a case: the text as shown, and the cited (or offered) locations, best first."""

    outcome: str
    text: str
    locations: Sequence[str]
    seconds: float
    worded: bool = False
    sentences_kept: int = 0
    sentences_dropped: int = 0


@dataclass(frozen=True)
class Share:
    """A share of `n` cases with its 95 % Wilson interval; of no cases it is not a number."""

    count: int
    n: int

    @property
    def value(self) -> float:
        return self.count / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        if not self.n:
            return math.nan, math.nan
        return wilson(self.count, self.n)

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.interval[0]:.2f}-{self.interval[1]:.2f})" if self.n else "-"


@dataclass(frozen=True)
class Score:
    """The shares of one style of questions. `right` counts the answers of answerable cases, answered or not."""

    style: str
    n: int
    right: Share
    right_of_answered: Share
    cited_gold: Share
    not_answered: Share
    linked_gold: Share
    words: float
    p50_s: float
    p95_s: float
    failures: Sequence[str] = field(default_factory=tuple)


def read_cases(path: Path) -> list[Case]:
    """The cases of a JSONL file: `{"id"?, "question", "history"?, "page"?, "accept"?, "accept_all"?, "unanswerable"?}`.

    Raises CommandRejected that names the line and what is wrong with it.
    """
    cases = [_case(path, number, line) for number, line in read_lines(path)]
    if not cases:
        raise CommandRejected(f"{path} holds no questions.")
    return cases


def _case(path: Path, number: int, line: str) -> Case:
    row = read_object(path, number, line)
    check_row(path, number, row)
    _check_accept(path, number, row)
    accept = row.get("accept_all") or ([row["accept"]] if row.get("accept") else [])
    pages = [page for key in ("page", "also") for page in _listed(row.get(key))]
    unanswerable = row.get("unanswerable") or row.get("style") == "unanswerable"
    if not unanswerable and not accept and not pages:
        raise CommandRejected(f'{path}, line {number} needs "page", "accept" or "unanswerable": true.')
    style = str(row.get("subtype") or row.get("style") or "all")
    history = tuple((speaker, text) for speaker, text in row.get("history") or [])
    return Case(str(row.get("id", number)), row["question"], history, frozenset(pages), accept, not unanswerable, style)


def _check_accept(path: Path, number: int, row: dict[str, Any]) -> None:
    key, shape = ("accept_all", '[["one", "or another"], ["and this"]]') if row.get("accept_all") else ("accept", '["one", ...]')
    groups = row.get("accept_all") or [row.get("accept") or []]
    is_lists = isinstance(groups, list) and all(isinstance(group, list) for group in groups)
    if not is_lists or any(not isinstance(text, str) for group in groups for text in group):
        raise CommandRejected(f'{path}, line {number}: "{key}" must be {shape}.')


def _listed(value: Any) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else [str(value)] if value else []


def is_right(case: Case, observation: Observation) -> bool:
    """Whether one string of every group appears on word boundaries; without groups, whether a right page is cited."""
    if not case.accept:
        return cites_gold(case, observation)
    return holds_accepted(case.accept, observation.text)


def cites_gold(case: Case, observation: Observation) -> bool:
    return any(is_same_page(location, page) for location in observation.locations for page in case.pages)


def is_same_page(location: str, page: str) -> bool:
    """Whether a location within a source names the page, whichever of the two has more folders in front."""
    one, other = location.split("#")[0].split("/"), page.split("#")[0].split("/")
    length = min(len(one), len(other))
    return one[-length:] == other[-length:]


def score(style: str, cases: Sequence[Case], observations: Sequence[Observation]) -> Score:
    """The shares over these cases, which may be of several styles."""
    pairs = list(zip(cases, observations, strict=True))
    answerable = [(c, o) for c, o in pairs if c.is_answerable]
    answered = [(c, o) for c, o in answerable if o.outcome == "answered"]
    held_back = [(c, o) for c, o in answerable if o.outcome != "answered"]
    with_page = [(c, o) for c, o in answered if c.pages]
    right = sum(is_right(c, o) for c, o in answered)
    seconds = sorted(o.seconds for _, o in pairs)
    return Score(
        style,
        len(pairs),
        Share(right, len(answerable)),
        Share(right, len(answered)),
        Share(sum(cites_gold(c, o) for c, o in with_page), len(with_page)),
        Share(sum(o.outcome != "answered" for _, o in pairs), len(pairs)),
        Share(sum(cites_gold(c, o) for c, o in held_back), len(held_back)),
        sum(len(o.text.split()) for _, o in answered) / max(len(answered), 1),
        quantile(seconds, 0.5),
        quantile(seconds, 0.95),
        [c.id for c, o in answered if not is_right(c, o)],
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank quantile of ordered values; not a number for none."""
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def scores_by_style(cases: Sequence[Case], observations: Sequence[Observation]) -> list[Score]:
    """One score per style, answerable ones first, then all answerable and all unanswerable together."""
    pairs = list(zip(cases, observations, strict=True))
    styles = list(dict.fromkeys(case.style for case in sorted(cases, key=lambda case: not case.is_answerable)))
    groups = [(style, [p for p in pairs if p[0].style == style]) for style in styles if style not in TOTALS]
    groups += [
        (TOTALS[0], [p for p in pairs if p[0].is_answerable]),
        (TOTALS[1], [p for p in pairs if not p[0].is_answerable]),
    ]
    return [score(name, [c for c, _ in group], [o for _, o in group]) for name, group in groups if group]
