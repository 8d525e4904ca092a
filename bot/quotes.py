"""Chooses the quotes that answer a question (pure): runs of one to three neighbouring sentences of the best passages.

A window is scored by how well its words meet the question's in context (idf-weighted MaxSim, the passage's heading counting
along), by its cosine, by the passage it stands in, by whether it holds the kind of thing that is asked for, and by its
length. Deterministic, and the same for every language model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import regex

from bot.conversation import Quote
from bot.questions import Span
from knowledge.documents import ChunkId, Passage, Unit
from knowledge.ports import Floats
from knowledge.ranking import max_sim, rerank
from knowledge.retrieval import Retrieval

QUOTED_PASSAGES = 8
WINDOW_UNITS = 3
MAX_WORDS = 80  # of all quotes together; chosen where more words stopped adding right answers
MIN_SHARE_OF_BEST = 0.85  # a further quote must score this share of the best one

# Chosen by random search with five folds by page on the handbook's 159 answerable questions; every fold chose these
# (benchmarks/answers.py prints the out-of-fold figures).
PASSAGE_WEIGHT = 1.0
MAXSIM_WEIGHT = 1.3
COSINE_WEIGHT = 1.0
ANSWER_TYPE_WEIGHT = 0.2
LENGTH_PENALTY = 0.25  # per 100 words

_POINTER = regex.compile(r"(?:see|refer to|read|read more|learn more|go to|visit)\b(?:\W*\w+){0,7}\W*", regex.I)
_NUMBER = regex.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|once|twice|never|daily|weekly|monthly|annual\w*|half)\b",
    regex.I,
)
_TIME = regex.compile(
    r"\d|\b(?:day|week|month|year|hour|minute|quarter|annual|daily|weekly|monthly|today|before|after|until|within|(?:mon|tues|wednes|thurs|fri|satur|sun)day)",
    regex.I,
)
_ADDRESS = regex.compile(r"[\w.+-]+@[\w-]+\.\w|https?://|www\.|\.(?:com|org|gov|net)\b|#\w", regex.I)
_NAME = regex.compile(r"(?<!^)(?<![.!?]\s)\b\p{Lu}[\p{L}&-]+")
_ANSWER_TYPES = (
    (regex.compile(r"\b(?:how (?:many|much|high|large|big|far|long|old|often|soon|early)|what (?:number|amount|rate|percentage|limit|cost)|cost|fee|limit|maximum|minimum|max)\b", regex.I), _NUMBER),
    (regex.compile(r"\b(?:when|how (?:long|soon|often|early|late)|deadline|what (?:day|time|date)|which day)\b", regex.I), _TIME),
    (regex.compile(r"\b(?:e-?mail|address|link|url|website|web site|channel|phone|contact|whom)\b", regex.I), _ADDRESS),
    (regex.compile(r"\b(?:who|whom|whose|where|which)\b", regex.I), _NAME),
)  # fmt: skip


@dataclass(frozen=True)
class _Window:
    passage: Passage
    first: int
    last: int
    score: float

    @property
    def words(self) -> int:
        return len(self.text.split())

    @property
    def text(self) -> str:
        return window_text(self.passage, self.first, self.last)


def select(retrieval: Retrieval, parts: Sequence[Span], max_quotes: int) -> list[Quote]:
    """Up to `max_quotes` quotes, best first: the best one for each part of the question, then others nearly as good.

    `parts` are characters of the query: what is asked, without the turn that was put before it.

    Empty when there is no passage. A standard answer that is quoted is quoted whole.
    """
    ranked = [sorted(_windows(retrieval, part), key=lambda window: -window.score) for part in parts]
    chosen: list[_Window] = []
    for windows in ranked:
        _add(chosen, windows[:1], max_quotes, MAX_WORDS * 2)
    for windows in ranked:
        near = [w for w in windows[1:] if w.score >= MIN_SHARE_OF_BEST * windows[0].score]
        _add(chosen, near, max_quotes, MAX_WORDS)
    if chosen and chosen[0].passage.document.is_standard_answer:
        chosen = chosen[:1]  # support staff have settled it: what documents say beside it may be what was wrong
    return _without_repeated_context([_quote(window) for window in _merged(chosen)])


def _merged(chosen: Sequence[_Window]) -> list[_Window]:
    """Windows that follow each other in a passage become one, in the place of the better one, while it stays short enough."""
    merged: list[_Window] = []
    for window in chosen:
        touching = next((one for one in merged if _touch(one, window)), None)
        if touching is None:
            merged.append(window)
        else:
            first, last = min(touching.first, window.first), max(touching.last, window.last)
            merged[merged.index(touching)] = replace(touching, first=first, last=last)
    return merged if len(merged) == len(chosen) else _merged(merged)


def _touch(one: _Window, other: _Window) -> bool:
    is_next = one.last + 1 == other.first or other.last + 1 == one.first
    is_short = max(one.last, other.last) - min(one.first, other.first) < WINDOW_UNITS
    return one.passage.chunk_id == other.passage.chunk_id and is_next and is_short


def _without_repeated_context(quotes: Sequence[Quote]) -> list[Quote]:
    """A line that introduces several of the quotes is shown before the first of them only."""
    contexts = [quote.context for quote in quotes]
    return [replace(q, context="") if q.context in contexts[:i] else q for i, q in enumerate(quotes)]


def best_by_page(retrieval: Retrieval, parts: Sequence[Span], max_pages: int) -> list[Quote]:
    """The best quote of each of the pages that come closest, best page first."""
    pages: dict[int, _Window] = {}
    for part in parts:
        for window in sorted(_windows(retrieval, part), key=lambda window: -window.score):
            pages.setdefault(window.passage.document.document_id, window)
    best = sorted(pages.values(), key=lambda window: -window.score)
    return [_quote(window) for window in best[:max_pages]]


def _add(chosen: list[_Window], candidates: Sequence[_Window], max_quotes: int, max_words: int) -> None:
    for window in candidates:
        room = max_words - sum(one.words for one in chosen)
        if len(chosen) < max_quotes and (not chosen or window.words <= room) and not any(_overlap(window, one) for one in chosen):
            chosen.append(window)


def _overlap(one: _Window, other: _Window) -> bool:
    is_same = one.passage.chunk_id == other.passage.chunk_id
    return (is_same and one.first <= other.last and other.first <= one.last) or one.text in other.text or other.text in one.text


def _windows(retrieval: Retrieval, part: Span) -> Iterator[_Window]:
    weights = part_weights(retrieval, part)
    wanted = _wanted(retrieval.query[slice(*part)])
    scores = {passage.chunk_id: passage_score(passage, weights) for passage in retrieval.passages}
    best = max(scores.values(), default=0.0)
    for passage in _best_passages(retrieval.passages, scores):
        share = scores[passage.chunk_id] / max(best, 1e-9)
        if passage.document.is_standard_answer:
            yield _Window(passage, 0, len(passage.chunk.units) - 1, _whole_score(passage, share))
            continue
        for first in range(len(passage.chunk.units)):
            for last in range(first, min(first + WINDOW_UNITS, len(passage.chunk.units))):
                if _leads_elsewhere(window_text(passage, last, last)):
                    continue
                yield _Window(passage, first, last, _score(passage, first, last, weights, wanted, share))


def _leads_elsewhere(sentence: str) -> bool:
    """Whether a sentence only introduces what follows, or only points at another page: neither answers anything."""
    return sentence.endswith(":") or bool(_POINTER.fullmatch(sentence))


def passage_score(passage: Passage, weights: Floats) -> float:
    """How well the passage, or a known question that leads to it, meets the weighted part of the question, 0..1."""
    return max(max_sim(passage.match, weights), passage.known_match)


def _best_passages(passages: Sequence[Passage], scores: Mapping[ChunkId, float]) -> list[Passage]:
    """The passages that meet this part best; for a question of one part those are the first ones."""
    by_id = {passage.chunk_id: passage for passage in passages}
    fused = {chunk_id: passage.legs.get("fused", 0.0) for chunk_id, passage in by_id.items()}
    return [by_id[chunk_id] for chunk_id in rerank(fused, scores)[:QUOTED_PASSAGES]]


def part_weights(retrieval: Retrieval, part: Span) -> Floats:
    """The token weights with everything outside of `part` at zero; all of them when the part has none."""
    starts, ends = retrieval.token_offsets[:, 0], retrieval.token_offsets[:, 1]
    inside = (starts >= part[0]) & (ends <= part[1])
    weights: Floats = np.where(inside, retrieval.token_weights, 0).astype(np.float32)
    return weights if weights.sum() > 0 else retrieval.token_weights


def _score(passage: Passage, first: int, last: int, weights: Floats, wanted: Sequence[regex.Pattern[str]], share: float) -> float:
    text = window_text(passage, first, last)
    met = np.maximum(passage.match[:, 1 + first : 2 + last].max(axis=1), passage.match[:, 0])
    max_sim = float(met @ weights) / max(float(weights.sum()), 1e-9)
    return (
        PASSAGE_WEIGHT * share
        + MAXSIM_WEIGHT * max_sim
        + COSINE_WEIGHT * float(passage.unit_cosines[first : last + 1].max())
        + ANSWER_TYPE_WEIGHT * any(pattern.search(text) for pattern in wanted)
        - LENGTH_PENALTY * len(text.split()) / 100
    )


def _whole_score(passage: Passage, share: float) -> float:
    """A standard answer is judged as a whole, above windows of a passage that matches equally well."""
    return PASSAGE_WEIGHT * share + (MAXSIM_WEIGHT + COSINE_WEIGHT) * passage.score


def _wanted(question: str) -> list[regex.Pattern[str]]:
    return [answer for asked, answer in _ANSWER_TYPES if asked.search(question)]


def window_text(passage: Passage, first: int, last: int) -> str:
    """The sentences of a window as they stand in the document, list items and rows on lines of their own."""
    units = passage.chunk.units[first : last + 1]
    return passage.chunk.text[units[0].start : units[-1].end]


def _quote(window: _Window) -> Quote:
    first: Unit = window.passage.chunk.units[window.first]
    text = window.text
    context = "" if first.lead_in and first.lead_in in text else first.lead_in
    return Quote(text, window.passage, window.score, context)
